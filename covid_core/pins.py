"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "39124f80bc8347558203bd4d2e0b593fae5a22ef8129289ca799ca3d67401e94",
        "model.safetensors": "a0bfd302514062d2ec27eef28745d39adbe8243c0ede67cd4b669a2eefb68b6e",
        "sources.safetensors": "758ba77b6918fa182da7a75a7b392a41add6ac24d4dafb484b7ed3049588af57",
    },
    "resnet50": {
        "config.json": "6412ba6df49d6cc0ebb5fbdf8425c9fd25332ce5b3f1567abf56fa2ab2c88905",
        "model.safetensors": "f5786a677fba75fd5fc87f524e0b355ec79761c980eada1789b4e1d21b095539",
        "sources.safetensors": "101243f99b723d1024009cf7dcc204d00f0b2519e2d9f6569d21b2199770cfd2",
    },
    "inception_resnet_v2": {
        "config.json": "ead27d9a78fe9c179bd92c820f8cd0f885cc9101c046081d54ebe632275a785c",
        "model-00001-of-00003.safetensors": "0a72711c5fd2b6203e59c1520397c6123b691f4d0f13f546bb0b2375679922c2",
        "model-00002-of-00003.safetensors": "8f4d34361cb431e4466c854f51b8f23c0b3d2e17b3df22ddfd75411f00cdd9e3",
        "model-00003-of-00003.safetensors": "78be11e8eb4764202b99db5401c890be118dd65e7088423710d1a18468e51005",
        "model.safetensors.index.json": "bcf01370f89545afe75da82f0c1172390ca990194aa876f60fb892cea0b6313a",
        "sources.safetensors": "a7ab46bd639cda00bc5995e350e5b5b8f7e57b3ad57661a256870bc506c42e68",
    },
    "ensemble": {
        "config.json": "7951540616845a14dc3860fa337f09e568a305e4d635e922e24ea86e0587d4bc",
    },
    "unet_xray": {
        "config.json": "a9da3bfe480cd504bdcdaebd2449e70d536d533e8be4dd84de513fd9a2dbd1d8",
        "model.safetensors": "bdc12f31d0e4032aa04e1dc258db78561e3062fb8708893aae07b433dff3d16b",
    },
    "unet_ct": {
        "config.json": "89a8201b791013d989e08a26ab71a0bf0cd5dd6137e1366c97017b8b53c33fea",
        "model.safetensors": "2de1b077c8b49e4c1f0bcd8098385958006a57ca68a7cb8d70fa15742ccbc7cd",
    },
}
