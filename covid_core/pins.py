"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "e0bd311af00c44470d71e7a822d064411ac1aaa591499aca512a0101a03e5d9a",
        "model.safetensors": "a0bfd302514062d2ec27eef28745d39adbe8243c0ede67cd4b669a2eefb68b6e",
        "sources.safetensors": "2493a79a26a681976acf6519271498ad72271246edac07ab60a4538b62be0f59",
    },
    "resnet50": {
        "config.json": "e54fad2429bce38cf37fc7e136b12fdc2f69bed0c6d5ff155da39eca677dc40d",
        "model.safetensors": "f5786a677fba75fd5fc87f524e0b355ec79761c980eada1789b4e1d21b095539",
    },
    "inception_resnet_v2": {
        "config.json": "2d284705ddbb97c5aafbf17da3428efaa47150ca7cc2bdd95786ae3d1e5a7690",
        "model-00001-of-00003.safetensors": "0a72711c5fd2b6203e59c1520397c6123b691f4d0f13f546bb0b2375679922c2",
        "model-00002-of-00003.safetensors": "8f4d34361cb431e4466c854f51b8f23c0b3d2e17b3df22ddfd75411f00cdd9e3",
        "model-00003-of-00003.safetensors": "78be11e8eb4764202b99db5401c890be118dd65e7088423710d1a18468e51005",
        "model.safetensors.index.json": "bcf01370f89545afe75da82f0c1172390ca990194aa876f60fb892cea0b6313a",
    },
    "ensemble": {
        "config.json": "fbd6443a8b4a678623c0c6035c83fc68b9e55338f51fdd3a5f397677c8681517",
    },
    "unet_xray": {
        "config.json": "a9da3bfe480cd504bdcdaebd2449e70d536d533e8be4dd84de513fd9a2dbd1d8",
        "model.safetensors": "bdc12f31d0e4032aa04e1dc258db78561e3062fb8708893aae07b433dff3d16b",
    },
    "unet_ct": {
        "config.json": "f1d849338dfdb5f8142a237f3d6740697d47ba7aa92be3725a9d9ea667010a21",
        "model.safetensors": "8718c3a2c9cf21dd8022704b33a293889c85f1c6b02f4a45178781bd6e818f65",
    },
}
