"""Look for leaks in a data set's split: `python -m train.audit MANIFEST`.

The manifest is a CSV file with a row an image: its file (relative to the manifest), `split` and, where they are known,
`label`, `group`, `patient` (as its source counts them) and `source`. Reported are patients, groups and near-copies of one
image that two splits share (leaks; then the exit code is 1), sources that they share, and how far the source gives the
label away: Cramer's V of the two, and how well 16 x 16 thumbnails alone tell each of them. Wrong use, such as a manifest
that cannot be read, ends with 2, and so does an audit without a leak that could not read all images.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from covid_core import images
from train.loading import in_parallel
from train.overlap import SAME, SIDE

# What a column means, and the names it goes by; the first that the manifest has is taken.
COLUMNS = {
    "image": ("image", "file", "path", "filename"),
    "split": ("split", "set", "subset"),
    "label": ("label", "finding", "class"),
    "group": ("group",),
    "patient": ("patient", "patient_id", "patientid"),
    "source": ("source", "dataset", "hospital"),
}
HASH = 16  # side in frequencies of the perceptual hash: 256 bits
NEAR = 40  # bits in which two hashes may differ; strangers differ in about 128
ROWS = 1000  # of the table of all pairs that are in memory at once
PROBE = 16  # side of the thumbnails from which label and source are told
FOLDS = 5
SHOWN = 20  # pairs of near-copies in the report

Pair = tuple[int, int]


def read(manifest: Path, split: str = "") -> pd.DataFrame:
    """The manifest with the column names of `COLUMNS`; those that it lacks are "".

    Args:
        manifest: a CSV file.
        split: the column to take for the split, where that is none of `COLUMNS`; rows without a value in it are left out.

    Raises:
        ValueError: it cannot be read, or names no image or no split.
    """
    try:
        table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{manifest} cannot be read as a CSV file: {error}") from error
    lower = {str(name).lower(): name for name in table.columns}
    found = {role: next((lower[n] for n in names if n in lower), None) for role, names in COLUMNS.items()}
    if split:
        found["split"] = lower.get(split.lower())
        if found["split"] is None:
            raise ValueError(f"{manifest} has no column '{split}'.")
    for role in ("image", "split"):
        if found[role] is None:
            raise ValueError(f"{manifest} has no column '{role}' (nor {', '.join(COLUMNS[role][1:])}).")
    result = pd.DataFrame({role: table[name] if name is not None else "" for role, name in found.items()}, table.index)
    if split:
        result = result[result.split != ""].reset_index(drop=True)
    # Hospitals count their patients each for itself.
    numbered = (result.patient != "") & (result.source != "")
    result.loc[numbered, "patient"] = result.source + "/" + result.patient
    return result


def thumbnails(table: pd.DataFrame, folder: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[str]]:
    """Thumbnails [N, SIDE, SIDE] in 0..1, hashes [N, HASH ** 2], and why images (which keep zeros) cannot be read."""
    import imagehash

    def look(name: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | str:
        try:
            picture = Image.fromarray(images.read(folder / name).pixels)
        except (images.ImageError, OSError) as error:
            return f"{name}: {error}"
        small = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
        grey = Image.fromarray(np.round(np.asarray(picture) * 255).astype(np.uint8))
        return small, imagehash.phash(grey, HASH).hash.ravel()

    looks = in_parallel(look, list(table.image), "images")
    small, bits = np.zeros((len(table), SIDE, SIDE), np.float32), np.zeros((len(table), HASH**2), bool)
    for index, seen in enumerate(looks):
        if not isinstance(seen, str):
            small[index], bits[index] = seen
    return small, bits, [seen for seen in looks if isinstance(seen, str)]


def near_copies(small: NDArray[np.float32], bits: NDArray[np.bool_], split: NDArray[Any]) -> list[Pair]:
    """Pairs of images of two splits that are near-copies: their hashes agree, and so do their thumbnails.

    Args:
        small: [N, S, S]; one without any contrast is nobody's copy.
        bits: [N, B].
        split: [N].
    """
    flat = small.reshape(len(small), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat = flat / np.maximum(length, 1e-6)
    signs = bits.astype(np.float32) * 2 - 1
    pairs = []
    for start in range(0, len(bits), ROWS):
        # The product of two hashes counts the bits they agree in less those they differ in.
        near = signs[start : start + ROWS] @ signs.T >= bits.shape[1] - 2 * NEAR
        for row, other in zip(*np.nonzero(near), strict=True):
            one = start + int(row)
            if one < other and split[one] != split[other] and float(flat[one] @ flat[other]) >= SAME:
                pairs.append((one, int(other)))
    return pairs


def shared(table: pd.DataFrame, role: str) -> dict[str, list[str]]:
    """The values of a column that rows of two splits have, by "SPLIT / SPLIT"; "" is nobody's."""
    values = {split: set(part[role]) - {""} for split, part in table.groupby("split")}
    both = {f"{a} / {b}": sorted(values[a] & values[b]) for a, b in combinations(sorted(values), 2)}
    return {name: common for name, common in both.items() if common}


def cramers_v(one: Sequence[str], other: Sequence[str]) -> float | None:
    """Association of two columns, 0 (none) to 1 (one gives the other away); None where either has one value only."""
    from scipy.stats.contingency import association

    counts = pd.crosstab(pd.Series(one), pd.Series(other)).to_numpy()
    return float(association(counts, method="cramer")) if min(counts.shape) > 1 else None


def probe(small: NDArray[np.float32], target: Sequence[str], group: Sequence[str]) -> float | None:
    """AUC, mean over the values of the target, of a linear model on thumbnails in folds apart by group.

    Args:
        small: [N, SIDE, SIDE].
        target: [N].
        group: [N].

    Returns:
        0.5 (tells nothing) to 1, or None with too few groups or values for it.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    groups_of = pd.DataFrame({"target": target, "group": group}).groupby("target").group.nunique()
    if len(groups_of) < 2 or groups_of.min() < FOLDS:
        return None
    step = SIDE // PROBE
    coarse = small.reshape(len(small), PROBE, step, PROBE, step).mean(axis=(2, 4)).reshape(len(small), -1)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    names, codes = np.unique(np.asarray(target), return_inverse=True)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    scores = cross_val_predict(model, coarse, codes, groups=np.asarray(group), cv=folds, method="predict_proba")
    return float(np.mean([roc_auc_score(codes == c, scores[:, c]) for c in range(len(names))]))


def audit(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """Everything found.

    Args:
        table: by `read`.
        folder: that its file names are relative to.

    Returns:
        "images", "unreadable" (sentences), "splits" (name -> images), "patients", "groups" and "sources" ("A / B" ->
        names shared), "near_copies" (pairs of file names with their splits), "leaks" (how many patients, groups and pairs),
        "label_source_cramers_v", "label_probe_auc" and "source_probe_auc" (null where they are not defined).
    """
    small, bits, unreadable = thumbnails(table, folder)
    split = table.split.to_numpy()
    pairs = near_copies(small, bits, split)
    patients, groups = shared(table, "patient"), shared(table, "group")
    # Without groups every image is its own.
    own = pd.Series([f"row {i}" for i in range(len(table))])
    group = table.group.where(table.group != "", table.patient).where(lambda g: g != "", own)
    seen = small.any(axis=(1, 2))

    def told(role: str) -> float | None:
        rows = seen & (table[role] != "").to_numpy()
        return probe(small[rows], list(table[role][rows]), list(group[rows])) if rows.any() else None

    known = (table.label != "") & (table.source != "")
    return {
        "images": len(table),
        "unreadable": unreadable,
        "splits": {str(name): int(count) for name, count in table.split.value_counts().items()},
        "patients": patients,
        "groups": groups,
        "sources": shared(table, "source"),
        "near_copies": [
            {"images": [table.image[i] for i in pair], "splits": [str(split[i]) for i in pair]} for pair in pairs
        ],
        "leaks": len(pairs) + sum(len(names) for names in [*patients.values(), *groups.values()]),
        "label_source_cramers_v": cramers_v(table.label[known], table.source[known]) if known.any() else None,
        "label_probe_auc": told("label"),
        "source_probe_auc": told("source"),
    }


def report(found: dict[str, Any]) -> Iterator[str]:
    """The lines of `audit`'s result for a reader."""
    yield f"{found['images']} images: " + ", ".join(f"{name or '(none)'} {n}" for name, n in found["splits"].items())
    yield from (f"not readable  {sentence}" for sentence in found["unreadable"])
    if missed := len(found["unreadable"]):
        yield f"{missed} of them could not be looked at: what they have in common with others is not known"
    for what in ("patients", "groups", "sources"):
        for splits, names in found[what].items():
            more = ", ..." if len(names) > 5 else ""
            yield f"{what} in both {splits}: {len(names)} ({', '.join(names[:5])}{more})"
    copies = pd.Series([" / ".join(sorted(pair["splits"])) for pair in found["near_copies"]], dtype=object)
    yield from (f"near-copies in both {splits}: {n} pairs" for splits, n in copies.value_counts().items())
    yield from (f"  {a}  =  {b}" for a, b in (pair["images"] for pair in found["near_copies"][:SHOWN]))
    for name, meaning in (
        ("label_source_cramers_v", "Cramer's V of label and source (0: independent, 1: the source is the label)"),
        ("label_probe_auc", "AUC of the label from 16 x 16 thumbnails (0.5: nothing)"),
        ("source_probe_auc", "AUC of the source from 16 x 16 thumbnails"),
    ):
        yield f"{meaning}: " + ("not defined here" if found[name] is None else f"{found[name]:.3f}")
    yield f"{found['leaks']} leaks" if found["leaks"] else "no leak found"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument(
        "--split", default="", metavar="COLUMN", help='another column than "split", such as "official_split"'
    )
    parser.add_argument("--without", nargs="*", default=[], metavar="SPLIT", help='such as "excluded", not looked at')
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args(arguments)
    try:
        table = read(options.manifest, options.split)
    except ValueError as error:
        parser.error(str(error))
    table = table[~table.split.isin(options.without)].reset_index(drop=True)
    if table.empty:
        parser.error(f"{options.manifest} names no image.")
    found = audit(table, options.manifest.parent)
    print(json.dumps(found, indent=1) if options.json else "\n".join(report(found)))
    return 1 if found["leaks"] else 2 if found["unreadable"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
