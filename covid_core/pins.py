"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "1994eb1dc753f68711822f4b7f18ecdc0760b17425faf338d8dc0cd5754afb35",
        "model.safetensors": "2bb3a160208cc89ab4064a9cc6613e95390988de9e1ede9a9f0810e794db8c1d",
    },
    "unet_xray": {
        "config.json": "bb1b885b0eb1de509623868f1d9479ef4d561f3ff410584ff44e4aac7c2dd8b0",
        "model.safetensors": "c8f6b7ae3d32b4d714771212bfa187defbbe951a9027bdf3abd7aeeaf597651d",
    },
    "unet_ct": {
        "config.json": "798cf6f5050142f8890f04317c75e3b8c674ae9a8ef98933c203cd3c69a6b6ba",
        "model.safetensors": "6b547c77b7d9cac0a33e0bbac349f34ffac71d508ce9ae7af327c20e34fbef96",
    },
}
