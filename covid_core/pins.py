"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "a9daa37e4eb51a5fc642237c4c6f54e7b89047ab5ea7d93af0496b111a0d988b",
        "model.safetensors": "a0bfd302514062d2ec27eef28745d39adbe8243c0ede67cd4b669a2eefb68b6e",
        "sources.safetensors": "647c29896bacca91b3a1aa8f2c0bfc0fa5049a574e8216e16f281408aa3b4376",
    },
    "resnet50": {
        "config.json": "8aeb1030c6e85ac5f6db8d07e480776e906c943d9a9cc50119683df9b5abea0e",
        "model.safetensors": "f5786a677fba75fd5fc87f524e0b355ec79761c980eada1789b4e1d21b095539",
    },
    "inception_resnet_v2": {
        "config.json": "608773efabaea8f6a02c59333a3a80759429f5ed9f96008bb19bb4d11b6e5d55",
        "model-00001-of-00003.safetensors": "0a72711c5fd2b6203e59c1520397c6123b691f4d0f13f546bb0b2375679922c2",
        "model-00002-of-00003.safetensors": "8f4d34361cb431e4466c854f51b8f23c0b3d2e17b3df22ddfd75411f00cdd9e3",
        "model-00003-of-00003.safetensors": "78be11e8eb4764202b99db5401c890be118dd65e7088423710d1a18468e51005",
        "model.safetensors.index.json": "bcf01370f89545afe75da82f0c1172390ca990194aa876f60fb892cea0b6313a",
    },
    "ensemble": {
        "config.json": "5a615fc86eebc6ac75f4128e8c0fcf0a9549747841c0281c35bac60c45b4d8ea",
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
