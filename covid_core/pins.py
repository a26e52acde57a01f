"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "47fc0aad28be9d1175ea7c4d54ae33f38f7ede3836578f2af389b92d82e1beaa",
        "model.safetensors": "f2c5e16e7cc2f5e8dc68afc880de7759473781b10c896293ae9d8fcbd93648d4",
    },
    "unet_xray": {
        "config.json": "397ca1329521748c57369668021fd06543e88bf37637bfb4d326b49b62bc930b",
        "model.safetensors": "9a21689fca0c7aed3f21d9381e2d01d7499202d0f38ef65c198e520abc50c29d",
    },
    "unet_ct": {
        "config.json": "798cf6f5050142f8890f04317c75e3b8c674ae9a8ef98933c203cd3c69a6b6ba",
        "model.safetensors": "6b547c77b7d9cac0a33e0bbac349f34ffac71d508ce9ae7af327c20e34fbef96",
    },
}
