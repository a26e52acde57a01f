"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "e13f5155f9a64b3b04b5ea3e17a3997911f675551549430fb91087d9ff9981de",
        "model.safetensors": "589b3d3e4b97ee54597f7284cfd740b1c7e5fa1e88fa838e6cddb43c75ee56a3",
    },
    "unet_xray": {
        "config.json": "2b347652fc28826f6f269413ff12f4c970f71df3a9297cc5efcb689e98c739cc",
        "model.safetensors": "e48bad44a84ee4d0ccc1106390ed2c6886ffdb108dbfa231b7253f2f9d8ce32c",
    },
    "unet_ct": {
        "config.json": "ce0628cef9816317140a1cf79ca32c5d6faaf12cd6f739eb0fdebead04c8008b",
        "model.safetensors": "20f79546c1311f75d3611a6de3bd8a1d39d998b725f395e28743cb531ff1f156",
    },
}
