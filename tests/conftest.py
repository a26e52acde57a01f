"""Every test runs with a cache folder of the session's own, so that nothing depends on what a machine has kept."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("COVID_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()
