"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "b23d214fa7cb2cc0276284631be37e2cbe986cd8d652110e14194e310c53f4cb",
        "model.safetensors": "fe66b1758d37d92bd19b00d465a4f5e86392f5fa8fc1b73304588bcb077474cb",
    },
    "unet_xray": {
        "config.json": "5fc5d27d47cacaa9f5bdca58284057dead39e85ef9fd388668c0fed876303c80",
        "model.safetensors": "9a21689fca0c7aed3f21d9381e2d01d7499202d0f38ef65c198e520abc50c29d",
    },
    "unet_ct": {
        "config.json": "3ce38d6657e849f7f4dd78a9ef4a2ef0e1460fb74e573ba099514a09e0f1cb2a",
        "model.safetensors": "b16194d42ca7826383f7060e73c65f08323c982651b33b7a5d07d55f3f0958d7",
    },
}
