"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "5ccaea8a7c88d2cbf31e8aff3fc955cd802608863bbbead2ec63eb41db951ce6",
        "model.safetensors": "a0bfd302514062d2ec27eef28745d39adbe8243c0ede67cd4b669a2eefb68b6e",
        "sources.safetensors": "795f98c0906ff6111c556ee76cb5efb7362c692ee5a9d7e3cb085915c6ce92e6",
    },
    "resnet50": {
        "config.json": "4cb100f7e98dfdaf04062ff935b15fed30d80f436ca5c549dd51903e5fb194dd",
        "model.safetensors": "f5786a677fba75fd5fc87f524e0b355ec79761c980eada1789b4e1d21b095539",
    },
    "inception_resnet_v2": {
        "config.json": "c88788bed154f6709c36e9ba89558ce15dc89e2c71f5f961793c00d980b1ee67",
        "model-00001-of-00003.safetensors": "0a72711c5fd2b6203e59c1520397c6123b691f4d0f13f546bb0b2375679922c2",
        "model-00002-of-00003.safetensors": "8f4d34361cb431e4466c854f51b8f23c0b3d2e17b3df22ddfd75411f00cdd9e3",
        "model-00003-of-00003.safetensors": "78be11e8eb4764202b99db5401c890be118dd65e7088423710d1a18468e51005",
        "model.safetensors.index.json": "bcf01370f89545afe75da82f0c1172390ca990194aa876f60fb892cea0b6313a",
    },
    "ensemble": {
        "config.json": "c6c35c59663fd37ad0f1988fc65843c155121cda6dc9e68dfc97eecf1bb844b0",
    },
    "unet_xray": {
        "config.json": "a9da3bfe480cd504bdcdaebd2449e70d536d533e8be4dd84de513fd9a2dbd1d8",
        "model.safetensors": "bdc12f31d0e4032aa04e1dc258db78561e3062fb8708893aae07b433dff3d16b",
    },
    "unet_ct": {
        "config.json": "fbf009d1094ac42fcd29b5fd88235b9470a300dcd183d133521189f0ef2d413e",
        "model.safetensors": "ad57e520b7b942d8cb498a2814c8880b76a9a557badc34f01bf5e7d867c93831",
    },
}
