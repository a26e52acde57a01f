"""Find images that coincide between data sets, by the correlation of 32 x 32 thumbnails.

Public COVID-19 sets copy from each other: 87 % of the X-rays with lesion masks are also among those with a finding. A
network trained on the one set would otherwise have seen the other's test images.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from train.datasets.records import Record
from train.loading import in_parallel, pixels

# Sources gathered from where others were gathered too, with the splits in which they may come back: most excluded X-rays
# are second copies of those from the web. (`train.audit` found the one of the third that comes back in the external set.)
COPIED: dict[str, tuple[str, ...]] = {
    "qata_cov19": (),
    "cxnet_web": ("excluded",),
    "unknown_bimcv_or_web": ("excluded",),
}
# Of masks on X-rays that one set gathered from the other's archive.
MASKED = frozenset({"qata_cov19", "ieee8023_v7"})
SIDE = 32
SAME = 0.95  # correlation; true copies lie above .98, strangers below .9, hardly any pair between


def thumbnail(record: Record) -> NDArray[np.float32]:
    """[1024] float32 with mean 0 and length 1."""
    small = Image.fromarray(pixels(record)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    values = np.asarray(small, np.float32).ravel()
    values = values - values.mean()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-6), np.float32)


def without_copies(records: Sequence[Record], of: Sequence[Record]) -> list[Record]:
    """The records that look like none of the others."""
    if not records or not of:
        return list(records)
    ours = np.stack(in_parallel(thumbnail, records, "thumbnails"))
    theirs = np.stack(in_parallel(thumbnail, of, "thumbnails"))
    nearest = (ours @ theirs.T).max(axis=1)
    return [record for record, similarity in zip(records, nearest, strict=True) if similarity < SAME]


def again(records: Sequence[Record], of: Sequence[Record]) -> set[Path]:
    """The images of the records that look like one of the others."""
    return {r.image for r in records} - {r.image for r in without_copies(records, of)}


def without_returning(records: Sequence[Record]) -> list[Record]:
    """The records without training X-rays from `COPIED` that come back in a part kept for choices or tests.

    Such X-rays are of COVID-19 patients, so only those of such patients are compared.
    """
    returning: set[Path] = set()
    for source, ignored in COPIED.items():
        suspects = [r for r in records if r.split == "train" and r.source == source]
        kept_back = [
            r for r in records if r.modality == "xray" and r.finding == "covid" and r.split not in ("train", *ignored)
        ]
        returning |= again(suspects, kept_back)
    return [r for r in records if r.image not in returning]


def untrained(records: Sequence[Record]) -> list[Record]:
    """The records without val and test images of `MASKED` sources whose patient, or a copy of which, is in another part of another
    of these sources: what a U-Net learned lesions from must not tell how well it finds lungs, or the other way round.
    """
    dropped: set[Path] = set()
    for source in MASKED:
        for part, elsewhere in (("val", ("train", "test")), ("test", ("train",))):
            mine = [r for r in records if r.source == source and r.split == part]
            others = [r for r in records if r.source in MASKED - {source} and r.split in elsewhere]
            groups = {r.group for r in others}
            kept = [r for r in without_copies(mine, others) if r.group not in groups]
            dropped |= {r.image for r in mine} - {r.image for r in kept}
    return [r for r in records if r.image not in dropped]
