"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "6a406831208770bb19180010b748800f2d1cbed8301d7e5cdf01e69f151c8334",
        "model.safetensors": "a0bfd302514062d2ec27eef28745d39adbe8243c0ede67cd4b669a2eefb68b6e",
        "sources.safetensors": "a31881fba4eb19470e281dfa11ed23983274d2cb07b70039de38b0cd71ec8e84",
        "plain.safetensors": "08b6737d1592fff5e521c231b45aa6e19b3b72141ed0b64995bdf24fc87416c4",
    },
    "resnet50": {
        "config.json": "21a10c851df809ce4511d297e4feab2820c4b587f18a5d69aabb8ab900174fdd",
        "model.safetensors": "c5146021be4a9347411c0863d117d75f5e6a922637a1c68ac62fb7e86db49431",
        "sources.safetensors": "66e763b628c8361de4db2de0785536e80bacb38ab90e754c92b8be09bf7bc9b7",
    },
    "inception_resnet_v2": {
        "config.json": "8600ebb4de61aecfe376f92bf34a114b2c16cc842c3b38be92c9926973568184",
        "model-00001-of-00003.safetensors": "0a72711c5fd2b6203e59c1520397c6123b691f4d0f13f546bb0b2375679922c2",
        "model-00002-of-00003.safetensors": "8f4d34361cb431e4466c854f51b8f23c0b3d2e17b3df22ddfd75411f00cdd9e3",
        "model-00003-of-00003.safetensors": "78be11e8eb4764202b99db5401c890be118dd65e7088423710d1a18468e51005",
        "model.safetensors.index.json": "bcf01370f89545afe75da82f0c1172390ca990194aa876f60fb892cea0b6313a",
        "sources.safetensors": "9ba5b311af13ae96b34a74f8ace547dbaf882bb52d80dceda591566ab174cc87",
    },
    "ensemble": {
        "config.json": "333051af322d06a79a7a53c9163bc3221c3eb5223828bdc3078893def44254f8",
    },
    "unet_xray": {
        "config.json": "a9863a24ce36b319c406d4595dcc86a489e8a7e43cce870e4b4a037cf4bee4e2",
        "model.safetensors": "bdc12f31d0e4032aa04e1dc258db78561e3062fb8708893aae07b433dff3d16b",
    },
    "unet_ct": {
        "config.json": "e0def07aea396f885033ba4dcce6fcffef1d396684f443f9ebd1c635e5966a17",
        "model.safetensors": "2de1b077c8b49e4c1f0bcd8098385958006a57ca68a7cb8d70fa15742ccbc7cd",
    },
}
