"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "d2070e50b60722ece2f45d751977dce83d59c973d12123de2f611df59437e858",
        "model.safetensors": "a0bfd302514062d2ec27eef28745d39adbe8243c0ede67cd4b669a2eefb68b6e",
        "sources.safetensors": "758ba77b6918fa182da7a75a7b392a41add6ac24d4dafb484b7ed3049588af57",
    },
    "resnet50": {
        "config.json": "f138d9c815e355ffdc628e04c9d50ced8f143b4c2057e993b4fd3e3ef72979a8",
        "model.safetensors": "f5786a677fba75fd5fc87f524e0b355ec79761c980eada1789b4e1d21b095539",
        "sources.safetensors": "101243f99b723d1024009cf7dcc204d00f0b2519e2d9f6569d21b2199770cfd2",
    },
    "inception_resnet_v2": {
        "config.json": "375c03c2a1f38559552ebf7da626db83d44627e10ae424683b31d06607cb8a69",
        "model-00001-of-00003.safetensors": "0a72711c5fd2b6203e59c1520397c6123b691f4d0f13f546bb0b2375679922c2",
        "model-00002-of-00003.safetensors": "8f4d34361cb431e4466c854f51b8f23c0b3d2e17b3df22ddfd75411f00cdd9e3",
        "model-00003-of-00003.safetensors": "78be11e8eb4764202b99db5401c890be118dd65e7088423710d1a18468e51005",
        "model.safetensors.index.json": "bcf01370f89545afe75da82f0c1172390ca990194aa876f60fb892cea0b6313a",
        "sources.safetensors": "a7ab46bd639cda00bc5995e350e5b5b8f7e57b3ad57661a256870bc506c42e68",
    },
    "ensemble": {
        "config.json": "749d4f49627bb5b36f61088d63e2b7b731ce2ae6149f98170ed3637eaa36de09",
    },
    "unet_xray": {
        "config.json": "d9ba786c199ba39be0da17470a433334a06d848d8052497646515d0a9548d718",
        "model.safetensors": "bdc12f31d0e4032aa04e1dc258db78561e3062fb8708893aae07b433dff3d16b",
    },
    "unet_ct": {
        "config.json": "dbd6c74d5d5d6e65cb923a483516b5c196b5fd42a8433c6776041ee12dc9f767",
        "model.safetensors": "2de1b077c8b49e4c1f0bcd8098385958006a57ca68a7cb8d70fa15742ccbc7cd",
    },
}
