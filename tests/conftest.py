"""Every test runs with a cache folder of the run's own, so that nothing depends on what a machine has kept."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # torch's threads wait for each other awake, and two processes share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import covid_core._torchvision  # noqa: F401  (pytest-xdist imports what warned, Lightning too)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # the processes of a run share what they convert
        base = base.parent
    patch = pytest.MonkeyPatch()
    patch.setenv("COVID_CORE_CACHE", str(base / "cache"))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def hounsfield() -> np.ndarray:
    """The slices of a whole CT, see `tests.volumes.planes`."""
    from tests import volumes

    return volumes.planes()
