"""COVID-19-CT-Seg to slices: `python -m train.datasets.covid_19_ct_seg ROOT OUT`, then `manifests=OUT` reads them.

ROOT holds the folders of Zenodo record 3757476: COVID-19-CT-Seg_20cases, Lung_Mask, Infection_Mask, each with one .nii.gz
a volume of the same name. OUT/ct_lesions gets 8-bit PNG slices, masks and a manifest in the collection's layout.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from train import script
from train.datasets.manifests import shared_out

# The lung window in which slices are stored. Volumes that are already 0..255 are kept as they are.
LOW, HIGH = -1350.0, 150.0


def axial(file: Path) -> NDArray[np.float32]:
    """A volume as [slice, row, column], shown as radiologists do: patient's right on the left, front on top."""
    import nibabel

    image = nibabel.as_closest_canonical(nibabel.load(file))  # axes to right, anterior, superior
    volume = np.asarray(image.get_fdata(), np.float32)
    return volume.transpose(2, 1, 0)[:, ::-1, ::-1]


def grey(volume: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Hounsfield units, or grey levels of 0..255, to uint8."""
    if volume.min() < 0:
        volume = (volume - LOW) / (HIGH - LOW) * 255
    return np.clip(np.round(volume), 0, 255).astype(np.uint8)


def patient(volume: str) -> str:
    """Whose volume it is: those of one Radiopaedia case, radiopaedia_10_85902_1 and radiopaedia_10_85902_3, are of one."""
    return "_".join(volume.split("_")[:2])


def convert(root: Path, out: Path) -> int:
    """Write all slices.

    Returns:
        how many.

    Raises:
        ValueError: a folder or a mask is missing.
    """
    volumes = sorted((root / "COVID-19-CT-Seg_20cases").glob("*.nii.gz"))
    if not volumes:
        raise ValueError(f"No volume in {root / 'COVID-19-CT-Seg_20cases'}. Unpack the archives of the record there.")
    home = out / "ct_lesions"
    names = [file.name.removesuffix(".nii.gz") for file in volumes]
    parts = shared_out(map(patient, names))
    rows = []
    for file, name in zip(volumes, names, strict=True):
        masks = {"lungs": root / "Lung_Mask" / file.name, "lesions": root / "Infection_Mask" / file.name}
        for mask in masks.values():
            if not mask.exists():
                raise ValueError(f"{mask} is missing.")
        group = patient(name)
        picture = grey(axial(file))
        marked = {kind: axial(mask) > 0 for kind, mask in masks.items()}
        for z in range(len(picture)):
            row = {"image": f"images/{name}_z{z:03}.png", "volume": name, "group": group, "z": str(z), "clahe": "0"}
            row["split"] = parts[group]
            _save(home / row["image"], picture[z])
            for kind, found in marked.items():
                row[kind] = f"{kind}/{name}_z{z:03}.png" if kind == "lungs" or found[z].any() else ""
                if row[kind]:
                    _save(home / row[kind], found[z].astype(np.uint8) * 255)
            rows.append(row)
    with (home / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def _save(file: Path, values: NDArray[np.uint8]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    print(f"{convert(options.root, options.out)} slices in {options.out / 'ct_lesions'}")


if __name__ == "__main__":
    script.run(main)
