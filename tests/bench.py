"""Speed as ratios measured in one run: `make bench`.

Seconds depend on the machine; what the project promises is that a full answer costs little more than the networks' bare
passes, and a small part of sampling the whole network fifty times.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from covid_core import diagnose, engine, images, registry
from tests import golden

ROUNDS = 25


def median(run: Callable[[], object]) -> float:
    """Median seconds of a call, after three to warm up."""
    times = []
    for index in range(ROUNDS + 3):
        started = time.perf_counter()
        run()
        if index >= 3:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Print the ratios."""
    import torch

    from covid_core import networks, weights

    for name, modality in (("xray-lesions", "xray"), ("ct-lesions", "ct")):
        picture = images.decode(golden.png(name), name)
        classify, segment = registry.get(registry.DEFAULT), registry.segmenter_for(modality)
        backbone, unet = engine.start(classify), engine.start(segment)
        one = np.zeros((1, 1, classify.size, classify.size), np.float32)
        two = np.zeros((2, 1, segment.size, segment.size), np.float32)

        def bare(backbone=backbone, unet=unet, one=one, two=two) -> None:
            backbone(one)
            unet(two)
            backbone(one)

        network = networks.load(classify, weights.locate(classify, registry.WEIGHTS))
        tensor = torch.from_numpy(one)

        def stochastic(network=network, tensor=tensor) -> None:
            with torch.inference_mode():
                for _ in range(50):
                    torch.nn.functional.dropout(network(tensor), 0.3)

        full = median(lambda picture=picture, modality=modality: diagnose.diagnose(picture, modality))
        passes = median(bare)
        sampled = median(stochastic) if modality == "xray" else None
        print(
            f"{modality}: full answer / bare passes = {full / passes:.2f}  ({full * 1e3:.1f} ms / {passes * 1e3:.1f} ms)"
        )
        if sampled is not None:
            print(f"{modality}: full answer / 50 stochastic PyTorch passes = 1/{sampled / full:.0f}")


if __name__ == "__main__":
    main()
