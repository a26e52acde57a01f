"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "6f0ef2f602cd01b8eea0daeaede7e0c3b3347b6f2675b28b1256c5c291ef77a9",
        "model.safetensors": "a0bfd302514062d2ec27eef28745d39adbe8243c0ede67cd4b669a2eefb68b6e",
        "sources.safetensors": "758ba77b6918fa182da7a75a7b392a41add6ac24d4dafb484b7ed3049588af57",
    },
    "resnet50": {
        "config.json": "eeb1714aad0a688b8d3677163e12d3e1c672a5520c97e28fbce348641e275cb5",
        "model.safetensors": "f5786a677fba75fd5fc87f524e0b355ec79761c980eada1789b4e1d21b095539",
        "sources.safetensors": "101243f99b723d1024009cf7dcc204d00f0b2519e2d9f6569d21b2199770cfd2",
    },
    "inception_resnet_v2": {
        "config.json": "a48a5a5e4a7042a4916e938f22d5cb6ee6b1888eb35f71be657cba46ca620590",
        "model-00001-of-00003.safetensors": "0a72711c5fd2b6203e59c1520397c6123b691f4d0f13f546bb0b2375679922c2",
        "model-00002-of-00003.safetensors": "8f4d34361cb431e4466c854f51b8f23c0b3d2e17b3df22ddfd75411f00cdd9e3",
        "model-00003-of-00003.safetensors": "78be11e8eb4764202b99db5401c890be118dd65e7088423710d1a18468e51005",
        "model.safetensors.index.json": "bcf01370f89545afe75da82f0c1172390ca990194aa876f60fb892cea0b6313a",
        "sources.safetensors": "a7ab46bd639cda00bc5995e350e5b5b8f7e57b3ad57661a256870bc506c42e68",
    },
    "ensemble": {
        "config.json": "98b4f97897ae6019f2c21fd23acf4193bca0ee13f9ad685511cd576329933ef0",
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
