"""Many visitors at the same moment: each gets the answer to the own picture, and sees nothing of the others'."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from covid_core import images, report
from covid_core.diagnose import diagnose
from tests import visitors, waiting
from tests.browser.conftest import serve


def test_visitors_at_once_never_mix(tmp_path: Path) -> None:
    files = waiting.pictures(tmp_path, 8)
    expected = [report.classification_row(f.name, diagnose(images.decode(f.read_bytes(), f.name))) for f in files]
    assert len({row["covid_probability"] for row in expected}) == len(files)
    # In a thread of its own: in this one Playwright's event loop may be running.
    with serve() as (address, _), ThreadPoolExecutor(1) as thread:
        visits = thread.submit(asyncio.run, visitors.at_once(address, files)).result()
    for file, visit, row in zip(files, visits, expected, strict=True):
        assert {**visit.row, "seconds": 0} == {**row, "seconds": 0}
        assert file.name in visit.text
        assert not [other.name for other in files if other is not file and other.name in visit.text]
