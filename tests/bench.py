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

    for name, modality in (("xray-lesions", "xray"), ("ct-lesions", "ct")):
        picture = images.decode(golden.png(name), name)
        classify, segment = registry.get(registry.DEFAULT), registry.segmenter_for(modality)
        glance, backbone, unet = (
            engine.start(spec, m) for spec, m in ((classify, "xray"), (classify, modality), (segment, modality))
        )
        first, one, two = (
            np.zeros((n, 1, size, size), np.float32)
            for n, size in (
                (1, classify.sizes["xray"]),
                (LOOKS[modality], classify.sizes[modality]),
                (2, segment.sizes[modality]),
            )
        )

        def bare(glance=glance, backbone=backbone, unet=unet, first=first, one=one, two=two) -> None:
            glance(first)
            unet(two)
            backbone(one)

        network = networks.load(classify, weights.locate(classify, registry.WEIGHTS), modality)
        tensor = torch.from_numpy(one[:1])

        def stochastic(network=network, tensor=tensor) -> None:
            with torch.inference_mode():
                for _ in range(50):
                    torch.nn.functional.dropout(network(tensor), 0.3)

        def answer(picture=picture, modality=modality) -> None:
            diagnose.diagnose(picture, modality)

        full, passes = medians(answer, bare)
        whole, sampled = medians(answer, stochastic)
        print(
            f"{modality}: full answer / bare passes = {full / passes:.2f}  ({full * 1e3:.1f} ms / {passes * 1e3:.1f} ms)"
        )
        print(f"{modality}: full answer / 50 stochastic PyTorch passes = 1/{sampled / whole:.0f}")


if __name__ == "__main__":
    main()
