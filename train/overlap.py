"""Find images that coincide between data sets, by the correlation of 32 x 32 thumbnails.

Public COVID-19 sets copy from each other: 87 % of the X-rays with lesion masks are also among those with a finding. A
network trained on the one set would otherwise have seen the other's test images.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from train.datasets.records import Record
from train.loading import in_parallel, pixels

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
