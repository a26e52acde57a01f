"""How fast a classifier trains: `python -m train.throughput --model resnet50 --batch 128 --workers 15 --precision bf16-mixed`.

Pictures a second of a training as `train.classifier` runs it (X-ray phantoms, augmented by the loader's processes), of forward
and backward passes alone, on one batch that stays where it is, and the share of these that the training reaches.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, WeightedRandomSampler

from covid_core import encode, phantom, registry
from train import initial, script, trainer
from train.classifier import ClassifierTask, Example, View, Views, wide_side
from train.datasets.records import Record

PHANTOMS = 24
WARM = 20  # steps before the clock starts
STEPS = 100


def phantoms(size: int) -> Views:
    """Training views of healthy and ill phantoms."""
    records, views = [], []
    for seed in range(PHANTOMS):
        is_ill = bool(seed % 2)
        drawn = phantom.xray(seed, phantom.Lesions() if is_ill else None, wide_side(size))
        lesions = drawn.lesions.astype(np.uint8) * 255
        views.append(View(encode.grey8(drawn.pixels), lesions, lesions, float(is_ill)))
        finding = "covid" if is_ill else "normal"
        records.append(Record(Path(f"{seed}.png"), "xray", "phantoms", finding, str(seed), "train", finding))
    return Views(records, views, size, augment=True)


def now() -> float:
    """Seconds, when all that was asked of a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


class Timed(ClassifierTask):
    """The task with a clock: `seconds` that the steps after the first `WARM` took."""

    def on_train_batch_end(self, outputs: Any, batch: Example, batch_idx: int) -> None:
        if batch_idx + 1 == WARM:
            self.begun = now()
        if batch_idx + 1 == WARM + STEPS:
            self.seconds = now() - self.begun


def bare(task: ClassifierTask, image: torch.Tensor, precision: str) -> float:
    """Seconds of `STEPS` forward and backward passes of the backbone."""
    task.train()
    for step in range(WARM + STEPS):
        if step == WARM:
            begun = now()
        with torch.autocast(image.device.type, torch.bfloat16, enabled=precision.startswith("bf16")):
            loss = task.network(image).float().mean()
        loss.backward()
        task.zero_grad()
    return now() - begun


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=script.TRAINED, default=registry.DEFAULT)
    trainer.add_step_arguments(parser, batch=64, rate=1e-3)
    parser.set_defaults(epochs=1)
    options = parser.parse_args(arguments)
    if str(options.devices) != "1" or options.nodes != 1:
        parser.error("Several processes would share the steps that are counted: this measures --devices 1.")
    spec = registry.get(options.model)
    generator = initial.seed_everything(options.seed)
    views = phantoms(options.size or spec.sizes["xray"])
    task = Timed(spec.architecture, options.rate)
    sampler = WeightedRandomSampler([1.0] * len(views), options.batch * (WARM + STEPS), generator=generator)
    batches = DataLoader(views, options.batch, sampler=sampler, drop_last=True, **trainer.workers(options))
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit(task, batches, DataLoader(views, options.batch), options, Path(folder))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    image = torch.stack([views[i % len(views)][0] for i in range(options.batch)]).to(device)
    image = image.contiguous(memory_format=torch.channels_last)
    passes = bare(task.to(device), image, options.precision)
    pictures = options.batch * STEPS
    print(
        json.dumps(
            {
                "model": spec.name,
                "size": views.size,
                "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
                "images_per_second": round(pictures / task.seconds, 1),
                "bare_images_per_second": round(pictures / passes, 1),
                "share": round(passes / task.seconds, 3),
            }
        )
    )


if __name__ == "__main__":
    script.run(main)
