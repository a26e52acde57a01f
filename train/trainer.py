"""What every training script shares: arguments, the Lightning trainer, the learning-rate schedule."""

import argparse
import contextlib
import json
import math
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar, WeightAveraging
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.utils.data import DataLoader

# The weights of step t count in the mean by t to this power: mostly the last half of a training.
LATER_MORE = 2.0
SCHEDULE = "schedule.json"  # beside a checkpoint: what it was begun with
# What may change when a training goes on; the number of processes is kept besides.
MAY_CHANGE = ("out", "results", "workers", "precision", "devices", "nodes")


def add_arguments(parser: argparse.ArgumentParser, epochs: int, batch: int, rate: float) -> None:
    """Arguments with these defaults."""
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=FOLDER", help="data sets, see train/datasets")
    parser.add_argument(
        "--init",
        default="imagenet",
        help="imagenet (from the Hub), random, a bundled classifier, or a safetensors file",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for weights, checkpoints and logs; run again to resume"
    )
    parser.add_argument("--epochs", type=least(1), default=epochs)
    add_step_arguments(parser, batch, rate)


def add_step_arguments(parser: argparse.ArgumentParser, batch: int, rate: float) -> None:
    """Those of `add_arguments` that say what a step is and what computes it."""
    parser.add_argument("--batch", type=least(1), default=batch, help="images a step, of each process")
    parser.add_argument("--rate", type=above_zero, default=rate, help="highest learning rate of the one-cycle schedule")
    parser.add_argument("--size", type=least(32), help="input side in pixels; default: the model's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes that load and augment")
    parser.add_argument(
        "--devices",
        type=some_devices,
        default="1",
        help="GPUs per node, or processes on a CPU; several, or auto for all, make fewer, larger steps of an epoch",
    )
    parser.add_argument("--nodes", type=least(1), default=1)
    parser.add_argument("--precision", default="32-true", help="bf16-mixed on a GPU")


def least(smallest: int) -> Callable[[str], int]:
    """Reads a whole number that is at least this."""

    def whole(text: str) -> int:
        if not text.isdecimal() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f"{text} is no whole number of at least {smallest}")
        return int(text)

    return whole


def some_devices(text: str) -> str:
    """Reads a number of devices, or "auto"."""
    return text if text == "auto" else str(least(1)(text))


def above_zero(text: str) -> float:
    """Reads a number above 0."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text} is no number above 0")


def workers(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of a training DataLoader."""
    several = {"persistent_workers": True, "prefetch_factor": 4} if options.workers else {}
    return {"num_workers": options.workers, "pin_memory": torch.cuda.is_available(), **several}


def one_cycle(task: lightning.LightningModule, rate: float) -> OptimizerLRSchedulerConfig:
    """AdamW with a one-cycle learning rate over the whole run."""
    optimizer = torch.optim.AdamW(
        [p for p in task.parameters() if p.requires_grad], rate, weight_decay=1e-2, fused=True
    )
    steps = int(task.trainer.estimated_stepping_batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.15)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def later_more(means: Sequence[Tensor], now: Sequence[Tensor], steps: Tensor | int) -> None:
    """Turn the means of weights after `steps` + 1 steps, from that after `steps`, in place; all in one go, for speed on a GPU.

    Args:
        means: [...] each, of one kind.
        now: the weights as they are.
        steps: in the means so far.
    """
    if means[0].is_floating_point():
        torch._foreach_lerp_(list(means), list(now), float((1 + LATER_MORE) / (int(steps) + 1 + LATER_MORE)))
    else:  # counters among the buffers only need to grow
        torch._foreach_copy_(list(means), list(now))


class MeanOfWeights(WeightAveraging):
    """`later_more` after every step, where the weights are: Lightning moves them to a GPU only after it made the mean."""

    def __init__(self) -> None:
        super().__init__(multi_avg_fn=later_more)

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        pl_module.to(trainer.strategy.root_device)
        super().setup(trainer, pl_module, stage)

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        # A training that was at its end already, and is run again, has no end of its own.
        self.on_train_end(trainer, pl_module)


def same_run(asked: dict[str, Any], folder: Path) -> None:
    """Check that a training that goes on is the one that was begun, for its schedule was laid out for that.

    Args:
        asked: what it follows from; kept in the folder when a training begins.
        folder: where the training keeps its checkpoint.

    Raises:
        SystemExit: another one was begun there.
    """
    kept = folder / SCHEDULE
    try:
        begun = json.loads(kept.read_text()) if kept.exists() else asked
    except json.JSONDecodeError as error:
        raise SystemExit(f"error: {kept} is damaged. Delete the folder to begin anew.") from error
    changed = [
        f"{name} {begun[name]} and not {value}" for name, value in asked.items() if begun.get(name, value) != value
    ]
    if changed:
        raise SystemExit(
            f"error: {folder} holds a training that was begun with {', '.join(changed)}. Go on with that, or choose another --out."
        )


def fit(
    task: lightning.LightningModule,
    train: DataLoader[Any],
    val: DataLoader[Any] | Sequence[DataLoader[Any]],
    options: argparse.Namespace,
    folder: Path,
) -> None:
    """Train, with a checkpoint after every epoch; goes on from the last one when the folder holds it, with draws of its own.

    What is validated and kept is the mean of the weights along the training (`LATER_MORE`): it lies in a flatter place than
    where the training ends, which is said to hold better in data from elsewhere. (Cha 2021, "SWAD", arXiv 2102.08604; the weighting
    after Shamir 2013, arXiv 1212.1824.)
    """
    task.to(memory_format=torch.channels_last)
    last = folder / "last.ckpt"
    if last.exists():
        # Else every start would draw the examples of the first epoch again.
        try:
            done = int(torch.load(last, map_location="cpu", mmap=True, weights_only=True)["epoch"]) + 1
        except (RuntimeError, pickle.UnpicklingError) as error:
            raise SystemExit(f"error: {last} is damaged. Delete it to begin anew.") from error
        if done >= options.epochs:
            print(f"{folder} holds a training that was finished before: nothing is trained.", flush=True)
        lightning.seed_everything(options.seed + done, verbose=False, workers=True)
        if (generator := getattr(train.sampler, "generator", None)) is not None:
            generator.manual_seed(options.seed + done)
    training = lightning.Trainer(
        max_epochs=options.epochs,
        accelerator="auto",
        devices=options.devices,
        num_nodes=options.nodes,
        precision=options.precision,
        benchmark=True,
        default_root_dir=folder,
        logger=CSVLogger(str(folder), name="log"),  # a version a start
        callbacks=[
            # `save_last` alone would write nothing before the end.
            ModelCheckpoint(folder, last.stem, save_top_k=1, enable_version_counter=False),
            TQDMProgressBar(refresh_rate=20),
            MeanOfWeights(),
        ],
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    images = len(train.sampler)  # type: ignore[arg-type]
    if images < options.batch * training.world_size:
        raise SystemExit(
            f"error: {images} images an epoch are fewer than one step's, --batch {options.batch} on {training.world_size} "
            "of --devices."
        )
    told = {name: value for name, value in vars(options).items() if name not in MAY_CHANGE}
    asked = json.loads(json.dumps(told, default=str))  # as it is read again
    asked |= {"processes": training.world_size, "images an epoch": images}
    if last.exists():
        same_run(asked, folder)
    elif training.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SCHEDULE).write_text(json.dumps(asked) + "\n")
    training.fit(task, train, val, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    task.to(training.strategy.root_device)  # Lightning leaves it on the CPU, where measuring it would take long
