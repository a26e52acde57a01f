"""Run a network on arrays: OpenVINO on a CPU, PyTorch on CUDA or MPS or by choice.

Converting a network to OpenVINO takes seconds, reading the converted one a fraction of one; it is kept in the user's
cache folder under the weights' hash, and a process that finds it there never imports torch.
"""

import os
import shutil
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from covid_core import weights
from covid_core.registry import ModelSpec
from covid_core.weights import WeightsError

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Kind = Literal["auto", "openvino", "torch"]
CHOICE = "COVID_CORE_ENGINE"  # environment variable: the kind, for everything that names none itself
# The two engines agree within this on features and logits (largest difference, over the largest value where that is above 1); a
# test holds them to it.
TOLERANCE = 2e-3
# Beside a converted network: the sha256 of its files, in this order.
HASHES = "sha256"
CONVERTED = ("model.xml", "model.bin")
# So many pictures at a time run on a network compiled for just that number, in nine tenths of the time of one for any number:
# the one and the two of an answer.
FIXED, ANY = (1, 2), -1
# One inference uses all cores, so threads gain nothing from inferring side by side; and OpenVINO's Python binding was
# seen to deadlock when several threads made, ran and dropped requests at once.
_one_at_a_time = threading.Lock()


def start(spec: ModelSpec, modality: str, kind: Kind | None = None) -> Run:
    """A function that runs the model's network for a modality.

    Args:
        spec: the model.
        modality: "xray" or "ct", one that the model reads.
        kind: "openvino", "torch", or "auto": torch where it has a GPU, else OpenVINO. Without it COVID_CORE_ENGINE is looked
            at; without that it is "auto".

    Returns:
        [N, 1, S, S] float32 in -1..1 -> features [N, C, s, s] or logits [N, channels, S, S], float32. Safe to call from
        several threads at once.

    Raises:
        WeightsError: the weights are nowhere, or damaged, or their conversion cannot be written; COVID_CORE_ENGINE names
            no engine.
        ValueError: another kind.
    """
    return of_files(spec, modality, weights.locate_weights(spec), kind)


def of_files(spec: ModelSpec, modality: str, files: Sequence[Path], kind: Kind | None = None) -> Run:
    """`start` for weights of one's own, as they come out of training: one file, or all shards."""
    import threadpoolctl

    wanted = kind or os.environ.get(CHOICE) or "auto"
    if wanted not in get_args(Kind):
        known = f"Choose one of: {', '.join(get_args(Kind))}."
        if kind:
            raise ValueError(f"There is no engine '{wanted}'. {known}")
        raise WeightsError(f"There is no engine '{wanted}', which {CHOICE} names. {known}")

    # numpy's BLAS keeps its threads spinning for a while after a product; they took the cores from the next inference, which
    # made answers in a row half as slow again. The products here are too small to gain from threads.
    threadpoolctl.threadpool_limits(1, user_api="blas")
    if wanted == "torch" or (wanted == "auto" and _has_gpu()):
        return _torch(spec, modality, files)
    return _openvino(spec, modality, files)


def _has_gpu() -> bool:
    """Whether torch has one to use. Asking torch would import it, so look for the driver first."""
    if shutil.which("nvidia-smi") is None and sys.platform != "darwin":
        return False
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _torch(spec: ModelSpec, modality: str, files: Sequence[Path]) -> Run:
    import torch

    from covid_core import networks

    # With its number: a training in several processes later chooses another one for each.
    gpu = f"cuda:{torch.cuda.current_device()}" if torch.cuda.is_available() else None
    name = gpu or ("mps" if torch.backends.mps.is_available() else "cpu")
    if gpu:  # process-wide; by default CUDA convolves with 10 bits of mantissa, which is too coarse for TOLERANCE
        torch.backends.cudnn.allow_tf32 = False
    network = networks.load(spec, files, modality).to(name)

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            result: NDArray[np.float32] = network(torch.from_numpy(batch).to(name)).float().cpu().numpy()
            return result

    return run


def _openvino(spec: ModelSpec, modality: str, files: Sequence[Path]) -> Run:
    import openvino

    core, model = openvino.Core(), str(converted(spec, modality, files))

    @lru_cache(maxsize=len(FIXED) + 1)
    def ready(count: int) -> Any:
        network = core.read_model(model)
        network.reshape({0: [count, *list(network.input(0).partial_shape)[1:]]})
        # Full precision: bf16 on recent CPUs would move the answers beyond TOLERANCE.
        hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        return core.compile_model(network, "CPU", hints).create_infer_request()

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with _one_at_a_time:
            request = ready(len(batch) if len(batch) in FIXED else ANY)
            tensor = request.get_input_tensor(0)
            tensor.shape = batch.shape
            tensor.data[:] = batch
            request.infer(share_outputs=True)
            return np.array(request.get_output_tensor(0).data, np.float32)

    return run


def converted(spec: ModelSpec, modality: str, files: Sequence[Path]) -> Path:
    """The network in OpenVINO's format, converted now if the cache folder does not hold it.

    Args:
        spec: the model.
        modality: whose network.
        files: its weights, one file or all shards.

    Returns:
        path of the .xml file; its .bin lies beside it.

    Raises:
        WeightsError: it cannot be written.
    """
    import openvino

    hashes = "-".join(weights.sha256(file)[:16] for file in files)
    # Modalities that share a network share what it is converted to.
    own, size = weights.prefix(files, modality), spec.sizes[modality]
    key = f"{spec.name}-{own}{size}-{hashes}-{openvino.__version__.split('-')[0]}"
    home = weights.cache_folder() / "openvino"
    if not _is_whole(home / key):
        network = _convert(spec, modality, files)
        # Not by `tempfile`, whose folders nobody else may read.
        temporary = home / f"unfinished-{uuid.uuid4().hex}"
        try:
            temporary.mkdir(parents=True)
            # Not compressed to fp16: OpenVINO folds the norms into the weights first, and those would be rounded again.
            openvino.save_model(network, temporary / CONVERTED[0], compress_to_fp16=False)
            (temporary / HASHES).write_text("\n".join(weights.sha256(temporary / name) for name in CONVERTED))
            # Another process may have been faster; then its folder stays.
            if not _is_whole(home / key):
                shutil.rmtree(home / key, ignore_errors=True)
                os.replace(temporary, home / key)
        except (OSError, RuntimeError) as error:
            if not _is_whole(home / key):
                raise WeightsError(
                    f"The network of {spec.name} could not be kept in {home} ({error}). Make room there, or set "
                    "COVID_CORE_CACHE to another folder."
                ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return home / key / CONVERTED[0]


def _convert(spec: ModelSpec, modality: str, files: Sequence[Path]) -> Any:
    import openvino
    import torch

    from covid_core import networks

    size = spec.sizes[modality]
    example = torch.zeros(1, 1, size, size)
    # Traced here: openvino would let torch trace it a second time, to compare, which takes a third of the time.
    traced = torch.jit.trace(networks.load(spec, files, modality), example, check_trace=False)  # type: ignore[no-untyped-call]
    model = openvino.convert_model(traced, example_input=example)
    model.reshape({0: openvino.PartialShape([-1, 1, size, size])})
    return model


def _is_whole(folder: Path) -> bool:
    """Whether a converted network is there and as it was written."""
    try:
        return (folder / HASHES).read_text(errors="replace").split() == [
            weights.sha256(folder / name) for name in CONVERTED
        ]
    except OSError:
        return False
