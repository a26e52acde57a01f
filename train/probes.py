"""What else the answers could follow: `python -m train.probes --features FOLDER --data manifests=ROOT --out FOLDER`.

Four questions to every test image. What does the classifier say when the lungs are blacked out, and when only the border of
their box is left (`covid_core.shortcuts`)? Which source does a linear reader of the classifier's own features name
(`covid_core.source`)? And, once, with the default model: what does a linear model say of a thumbnail of 16 x 16 pixels? The two
linear models are fitted on the training rows. Written are a row an image, `train/results/probes-MODEL.csv`, and the readers,
into the model's folder. An ensemble has no features of its own to read a source from.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression

from covid_core import registry, shortcuts, source
from train import datasets, features, loading, looks, script, tables
from train.audit import PROBE
from train.datasets.records import Record
from train.overlap import without_returning

FACTS = ["image", "modality", "dataset", "source", "group", "finding"]
CLOSE = (
    0.01  # strength of the penalty's inverse: a thousand features of some thousand images are easily learned by heart
)


def fit(given: NDArray[np.float32], target: NDArray[np.str_], inverse_penalty: float = CLOSE) -> source.Reader:
    """A linear reader of features [N, C] for a target [N], all its values weighing alike."""
    mean, spread = given.mean(axis=0), given.std(axis=0) + 1e-6
    model = LogisticRegression(C=inverse_penalty, class_weight="balanced", max_iter=3000)
    model.fit((given - mean) / spread, target)
    # Of two values the library keeps one line; softmax wants one each.
    weight = model.coef_ if len(model.classes_) > 2 else np.concatenate([-model.coef_, model.coef_]) / 2
    bias = model.intercept_ if len(model.classes_) > 2 else np.concatenate([-model.intercept_, model.intercept_]) / 2
    weight = weight / spread
    return source.Reader(
        tuple(map(str, model.classes_)), weight.astype(np.float32), (bias - weight @ mean).astype(np.float32)
    )


def thumbnail(record: Record) -> NDArray[np.float32]:
    """[PROBE ** 2] in 0..1, the whole picture."""
    picture = Image.fromarray(loading.pixels(record))
    return np.asarray(picture.resize((PROBE, PROBE), Image.Resampling.BOX), np.float32).ravel()


def without(record: Record, model: str) -> list[float | None]:
    """Probability as it is, without lungs, and with only the border; none where the picture is refused."""
    chest = shortcuts.chest(looks.decode(record), record.modality, model)
    if chest.evidence.refusal:
        return [None] * 3
    changed = shortcuts.without_lungs(chest), shortcuts.only_border(chest)
    evidence = [chest.evidence, *(shortcuts.in_box(chest, image) for image in changed)]
    return [e.answer().probability for e in evidence]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", default=registry.DEFAULT, choices=[s.name for s in registry.MODELS.values() if s.task == "classify"]
    )
    parser.add_argument(
        "--features", type=Path, required=True, help="of the model (of an ensemble: of a member), by train.features"
    )
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--out", type=Path, help="folder for the readers of a model that has features of its own")
    parser.add_argument("--results", type=Path, default=tables.RESULTS, help="folder for the rows")
    options = parser.parse_args(arguments)
    spec = registry.get(options.model)
    if (options.out is None) != bool(spec.members):
        parser.error("--out is for the readers of a model's own features: needed, but of an ensemble there are none.")
    table, arrays = features.load(options.features)
    pooled = arrays["pooled"][:, :-1]  # the last is opacity's
    records = {str(r.image): r for r in without_returning(datasets.read(options.data))}
    tensors, names, parts = dict[str, NDArray[np.float32]](), dict[str, str](), []
    for modality in spec.modalities:
        train, test = (((table.split == s) & (table.modality == modality)).to_numpy() for s in ("train", "test"))
        rows = table.loc[test, FACTS].reset_index(drop=True)
        if not spec.members and table.source[train].nunique() < 2:
            print(f"{modality}: all training images are of one source, so there is none to be read.")
        elif not spec.members:
            reader = fit(pooled[train], table.source[train].to_numpy(str))
            names[modality] = json.dumps(reader.names)
            tensors |= {f"{modality}.weight": reader.weight, f"{modality}.bias": reader.bias}
            rows["source_guessed"] = np.array(reader.names)[reader.probabilities(pooled[test]).argmax(axis=-1)]

        def of(chosen: NDArray[np.bool_]) -> list[Record]:
            return [records[file] for file in table.file[chosen]]

        if spec.name == registry.DEFAULT:
            small = np.stack(loading.in_parallel(thumbnail, of(train), "thumbnails"))
            reader = fit(small, np.where(table.finding[train] == "covid", "covid", "other"), 1.0)
            small = np.stack(loading.in_parallel(thumbnail, of(test), "thumbnails"))
            rows["thumbnail"] = reader.probabilities(small)[:, reader.names.index("covid")]
        changed = loading.in_parallel(lambda r: without(r, options.model), of(test), "probes")
        rows[["as_it_is", "lungs_blacked_out", "only_border"]] = np.array(changed, float)
        parts.append(rows)
    tables.write(pd.concat(parts).round(5), tables.file(options.results, tables.Kind.PROBES, options.model))
    if tensors:
        options.out.mkdir(parents=True, exist_ok=True)
        save_file(tensors, options.out / source.FILE, metadata=names)


if __name__ == "__main__":
    script.run(main)
