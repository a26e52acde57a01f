"""sha256 of every model's files; written by train/bundle.py."""

PINS: dict[str, dict[str, str]] = {}
