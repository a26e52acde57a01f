"""Openly licensed X-rays on the web, fetched on request and checked against their sha256; none is in the package."""

import hashlib
import http.client
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.request import Request, urlopen

from covid_core.images import MAX_BYTES
from covid_core.picture import ImageError

TIMEOUT = 15.0  # seconds


@dataclass(frozen=True)
class Case:
    """One X-ray on the web.

    Attributes:
        file: its name.
        finding: what the source says it shows.
        view: projection.
        licence: under which it may be shown.
        source_url: page to credit.
        sha256: of the file.
        bytes: its size.
        download_url: where the file is.
    """

    file: str
    finding: str
    view: str
    licence: str
    source_url: str
    sha256: str
    bytes: int
    download_url: str

    @property
    def credit(self) -> str:
        """Source and licence in one line of Markdown."""
        return f"[{self.source_url.split('/')[2]}]({self.source_url}), {self.licence}"


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """All of them, in the order of `assets/gallery.json`."""
    rows = json.loads((Path(__file__).parent / "assets" / "gallery.json").read_text(encoding="utf-8"))
    return tuple(Case(**row) for row in rows)


def fetch(case: Case) -> bytes:
    """The case's file.

    Raises:
        ImageError: no connection, or another file than expected.
    """
    request = Request(case.download_url, headers={"User-Agent": "covid-core"})
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:
            data: bytes = answer.read(min(case.bytes, MAX_BYTES) + 1)
    except (OSError, ValueError, http.client.HTTPException):
        raise ImageError(
            f"{case.file} could not be fetched from the web. Check the connection, or choose a phantom, which needs none."
        ) from None
    if hashlib.sha256(data).hexdigest() != case.sha256:
        raise ImageError(f"The file behind {case.file} is no longer the one that was checked. Choose another case.")
    return data
