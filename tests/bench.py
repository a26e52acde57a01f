"""Speed as ratios measured in one run: `make bench`.

Seconds depend on the machine; what the project promises is that a full answer costs little more than the networks' bare
passes, and a small part of sampling the whole network fifty times.
"""

import statistics
import time
from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from covid_core import diagnose, engine, images, registry
from covid_core.classify import LOOKS, Classifier
from tests import golden

ROUNDS = 25
Pass = tuple[engine.Run, NDArray[np.float32]]


def medians(*runs: Callable[[], object]) -> list[float]:
    """Median seconds of each call, after three to warm up; in turns, so that a busy moment of the machine meets all."""
    times: list[list[float]] = [[] for _ in runs]
    for index in range(ROUNDS + 3):
        for run, mine in zip(runs, times, strict=True):
            started = time.perf_counter()
            run()
            if index >= 3:
                mine.append(time.perf_counter() - started)
    return [statistics.median(t) for t in times]


def main() -> None:
    """Print the ratios."""
    import torch

    from covid_core import networks, weights

    pictures = {m: images.decode(golden.png(f"{m}-lesions"), m) for m in ("xray", "ct")}
    first = registry.get(registry.DEFAULT)
    for classify, modality in [(s, m) for s in registry.MODELS.values() if s.task == "classify" for m in s.modalities]:
        segment, members = registry.segmenter_for(modality), [registry.get(n) for n in classify.members] or [classify]

        def noise(spec: registry.ModelSpec, of: str, count: int) -> NDArray[np.float32]:
            shape = (count, 1, spec.sizes[of], spec.sizes[of])
            return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)

        def loaded(spec: registry.ModelSpec, of: str) -> engine.Run:
            # The very networks that the answer runs.
            return cast(Classifier, diagnose.classifier(spec.name)).runs[of]

        passes: list[Pass] = [
            (loaded(first, "xray"), noise(first, "xray", 1)),
            (diagnose.segmenter(modality).run, noise(segment, modality, 2)),
            *((loaded(m, modality), noise(m, modality, LOOKS[modality])) for m in members),
        ]
        whole: list[tuple[torch.nn.Module, torch.Tensor]] = [
            (
                networks.load(m, weights.locate_weights(m), modality),
                torch.from_numpy(noise(m, modality, 1)),
            )
            for m in members
        ]

        def bare(passes: list[Pass] = passes) -> None:
            for run, batch in passes:
                run(batch)

        def stochastic(whole: list[tuple[torch.nn.Module, torch.Tensor]] = whole) -> None:
            with torch.inference_mode():
                for network, tensor in whole * 50:
                    torch.nn.functional.dropout(network(tensor), 0.3)

        def answer(picture=pictures[modality], modality=modality, model=classify.name) -> None:
            diagnose.diagnose(picture, modality, model)

        full, networks_alone = medians(answer, bare)
        alone, sampled = medians(answer, stochastic)
        print(
            f"{classify.name}, {modality}: full answer / bare passes = {full / networks_alone:.2f}  "
            f"({full * 1e3:.1f} ms / {networks_alone * 1e3:.1f} ms), / 50 stochastic PyTorch passes = 1/{sampled / alone:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
