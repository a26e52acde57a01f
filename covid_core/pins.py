"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "2413fbc95ade18e998f9050ceff3a14a36dd5294c83d4aed8db9cc0e184f48ab",
        "model.safetensors": "a0bfd302514062d2ec27eef28745d39adbe8243c0ede67cd4b669a2eefb68b6e",
        "sources.safetensors": "c2561d2b47fa94b67f876a3e91b157bb659fd398a79e6a43bcac6fcc547eddf2",
    },
    "resnet50": {
        "config.json": "38dc4274d2d9125f567548645b1bafb7ea12ebed96b581afeb6eafc981a577a5",
        "model.safetensors": "f5786a677fba75fd5fc87f524e0b355ec79761c980eada1789b4e1d21b095539",
    },
    "inception_resnet_v2": {
        "config.json": "c597e7a62d327342662e3c6d3f12e6959234c92290d712910407dae03d1c78bf",
        "model-00001-of-00003.safetensors": "0a72711c5fd2b6203e59c1520397c6123b691f4d0f13f546bb0b2375679922c2",
        "model-00002-of-00003.safetensors": "8f4d34361cb431e4466c854f51b8f23c0b3d2e17b3df22ddfd75411f00cdd9e3",
        "model-00003-of-00003.safetensors": "78be11e8eb4764202b99db5401c890be118dd65e7088423710d1a18468e51005",
        "model.safetensors.index.json": "bcf01370f89545afe75da82f0c1172390ca990194aa876f60fb892cea0b6313a",
    },
    "ensemble": {
        "config.json": "b58d898e9a93ef1b89b3b8c1dc9fa5e96a7c9875fcfba0210975dc53baa2aa8e",
    },
    "unet_xray": {
        "config.json": "a9da3bfe480cd504bdcdaebd2449e70d536d533e8be4dd84de513fd9a2dbd1d8",
        "model.safetensors": "bdc12f31d0e4032aa04e1dc258db78561e3062fb8708893aae07b433dff3d16b",
    },
    "unet_ct": {
        "config.json": "76a47a9dd27770ab8c3ce9e9fe84996fc1c6364b2ad6dcb975a7e9a4c15dac0d",
        "model.safetensors": "47b73f2b4c4e25a38185eb03cd9527e65b35315358deecb42321ac9d8593e9a8",
    },
}
