"""Speed as ratios measured in one run: `make bench`.

Seconds depend on the machine; what the project promises is that a full answer costs little more than the networks' bare
passes, and a small part of sampling the whole network fifty times.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from covid_core import diagnose, engine, images, registry
from covid_core.classify import LOOKS
from tests import golden

ROUNDS = 25


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
        segment = registry.segmenter_for(modality)
        glance, backbone, unet = (
            engine.start(spec, m) for spec, m in ((first, "xray"), (classify, modality), (segment, modality))
        )
        whole, crops, squares = (
            np.zeros((n, 1, size, size), np.float32)
            for n, size in (
                (1, first.sizes["xray"]),
                (LOOKS[modality], classify.sizes[modality]),
                (2, segment.sizes[modality]),
            )
        )

        def bare(glance=glance, backbone=backbone, unet=unet, whole=whole, crops=crops, squares=squares) -> None:
            glance(whole)
            unet(squares)
            backbone(crops)

        network = networks.load(classify, weights.locate(classify, registry.WEIGHTS), modality)
        tensor = torch.from_numpy(crops[:1])

        def stochastic(network=network, tensor=tensor) -> None:
            with torch.inference_mode():
                for _ in range(50):
                    torch.nn.functional.dropout(network(tensor), 0.3)

        def answer(picture=pictures[modality], modality=modality, model=classify.name) -> None:
            diagnose.diagnose(picture, modality, model)

        full, passes = medians(answer, bare)
        alone, sampled = medians(answer, stochastic)
        print(
            f"{classify.name}, {modality}: full answer / bare passes = {full / passes:.2f}  "
            f"({full * 1e3:.1f} ms / {passes * 1e3:.1f} ms), / 50 stochastic PyTorch passes = 1/{sampled / alone:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
