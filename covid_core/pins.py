"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {
    "mobilenetv2": {
        "config.json": "e4e91598ab3527d4c09dcabc25938e4b656193adbecdc820c4140863be0cb37b",
        "model.safetensors": "1be6ccba99342afeeb752db9c1437c42a4b985ce8f72a28794b8bb94540bcc5c",
    },
    "unet_xray": {
        "config.json": "ac1e8cddfdab56c4f764abc98a74d3d6ca35a253ab0341c0d2726036c172d804",
        "model.safetensors": "e48bad44a84ee4d0ccc1106390ed2c6886ffdb108dbfa231b7253f2f9d8ce32c",
    },
    "unet_ct": {
        "config.json": "27058a95a9866183bdb78854e4b094ffab8b9a20298e4432d46c8aaeefbabed7",
        "model.safetensors": "47b73f2b4c4e25a38185eb03cd9527e65b35315358deecb42321ac9d8593e9a8",
    },
}
