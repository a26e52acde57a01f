"""Speed as ratios measured in one run: `make bench`.

Seconds depend on the machine; what the project promises is that a full answer costs little more than the networks' bare
passes, and a small part of sampling the whole network fifty times; and that networks run as fast as OpenVINO says they can.
"""

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from covid_core import diagnose, engine, images, registry, weights
from tests import golden

ROUNDS = 25
FEWER = 5  # of what takes seconds and need not be told from its like
BATCH = 16


@dataclass(frozen=True)
class Pass:
    """One inference: which model's network, and what it was given, [N, 1, S, S] float32."""

    model: str
    run: engine.Run
    batch: NDArray[np.float32]

    def again(self) -> NDArray[np.float32]:
        return self.run(self.batch)


class Recorder:
    """Stands before every network that is loaded and notes what runs: the bare passes are those of the answer, no others."""

    def __init__(self) -> None:
        self.passes: list[Pass] | None = None
        self.start = engine.start

    def __call__(self, spec: registry.ModelSpec, *arguments: Any) -> engine.Run:
        run = self.start(spec, *arguments)

        def noted(batch: NDArray[np.float32]) -> NDArray[np.float32]:
            if self.passes is not None:
                self.passes.append(Pass(spec.name, run, batch))
            return run(batch)

        return noted

    def passes_of(self, call: Callable[[], object]) -> list[Pass]:
        """What runs during a call. Nothing is kept of later ones: fresh memory for it would be part of their time."""
        self.passes = passes = []
        call()
        self.passes = None
        return passes


def medians(*calls: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Median seconds of each call, after three rounds to warm up; in turns, so that a busy moment of the machine meets all."""
    times: list[list[float]] = [[] for _ in calls]
    for index in range(rounds + 3):
        for call, mine in zip(calls, times, strict=True):
            started = time.perf_counter()
            call()
            if index >= 3:
                mine.append(time.perf_counter() - started)
    return [statistics.median(t) for t in times]


def answer_over_passes(classify: registry.ModelSpec, modality: str, recorder: Recorder) -> None:
    """Print what a full answer costs over its bare passes, and over 50 stochastic passes of the same networks in PyTorch."""
    import torch

    from covid_core import networks

    picture = images.decode(golden.png(f"{modality}-lesions"), modality)

    def answer() -> diagnose.Diagnosis:
        return diagnose.diagnose(picture, modality, classify.name)

    answer()  # loads the networks
    passes = recorder.passes_of(answer)
    last = {p.model: torch.from_numpy(p.batch[:1]) for p in passes}
    members = [registry.get(name) for name in classify.members] or [classify]
    whole = [(networks.load(m, weights.locate_weights(m), modality), last[m.name]) for m in members]

    def bare() -> None:
        for one in passes:
            one.again()

    def stochastic() -> None:
        with torch.inference_mode():
            for network, tensor in whole * 50:
                torch.nn.functional.dropout(network(tensor), 0.3)

    full, networks_alone = medians(answer, bare)
    alone, sampled = medians(answer, stochastic, rounds=FEWER)
    print(
        f"{classify.name}, {modality}: full answer / bare passes = {full / networks_alone:.2f}  "
        f"({full * 1e3:.1f} ms / {networks_alone * 1e3:.1f} ms, {len(passes)} passes), "
        f"/ 50 stochastic PyTorch passes = 1/{sampled / alone:.0f}",
        flush=True,
    )


def throughput(name: str, modality: str) -> None:
    """Print the images a second of a model's network in batches, over what OpenVINO's own `benchmark_app` gets of it."""
    spec = registry.get(name)
    shape = (BATCH, 1, spec.sizes[modality], spec.sizes[modality])
    batch = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    run = engine.start(spec, modality, "openvino")
    (seconds,) = medians(lambda: run(batch))
    model = engine.converted(spec, modality, weights.locate_weights(spec))
    tool = Path(sys.executable).with_name("benchmark_app")
    sizes = ",".join(map(str, shape))
    # The project's engine computes in full precision, so the tool does too.
    told = subprocess.run(
        [tool, "-m", model, "-d", "CPU", "-data_shape", f"[{sizes}]", "-infer_precision", "f32", "-t", "30"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (limit,) = re.findall(r"Throughput:\s+([\d.]+) FPS", told)
    print(
        f"{name}, {modality}, batches of {BATCH}: {BATCH / seconds:.1f} images/s, "
        f"/ OpenVINO's benchmark_app = {BATCH / seconds / float(limit):.2f}",
        flush=True,
    )


def main() -> None:
    """Print the ratios."""
    throughput("resnet50", "xray")
    recorder = Recorder()
    with patch.object(engine, "start", recorder):
        for spec in (s for s in registry.MODELS.values() if s.task == "classify"):
            for modality in spec.modalities:
                answer_over_passes(spec, modality, recorder)


if __name__ == "__main__":
    main()
