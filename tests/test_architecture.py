"""The rules of the layout: who may import whom, and what may not be loaded before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIGHT = ["images", "phantom", "uncertainty", "metrics", "registry", "weights", "gate"]


def imports(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


def test_covid_core_knows_neither_page_nor_training() -> None:
    for file in (ROOT / "covid_core").rglob("*.py"):
        assert not imports(file) & {"streamlit", "lightning", "torchmetrics", "train", "pages", "app"}, file


def test_pages_and_training_know_nothing_of_each_other() -> None:
    for file in (ROOT / "pages").glob("*.py"):
        assert not imports(file) & {"torch", "train", "lightning", "timm", "numpy"}, file
    for file in (ROOT / "train").rglob("*.py"):
        assert not imports(file) & {"streamlit", "pages"}, file


def test_caches_and_the_upload_widget_live_in_modules_that_pages_share() -> None:
    for file in (ROOT / "pages").glob("*.py"):
        if not file.name.startswith("_"):
            text = file.read_text()
            assert not any(word in text for word in ("st.cache", "session_state", "file_uploader")), file


@pytest.mark.parametrize(
    "module", ["", *(f".{name}" for name in [*LIGHT, "__main__", "classify", "segment", "diagnose"])]
)
def test_importing_loads_no_torch(module: str) -> None:
    code = f"import sys, covid_core{module}; sys.exit(any(m in sys.modules for m in ('torch', 'openvino', 'plotly')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_scoreboard_needs_no_library_for_training() -> None:
    code = "import sys, train.scoreboard; sys.exit(any(m in sys.modules for m in ('lightning', 'torchvision')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_weights_are_never_pickled() -> None:
    kept = [f for f in (ROOT / "covid_core").rglob("*") if f.suffix in (".pt", ".pth", ".bin", ".pkl", ".ckpt")]
    assert not kept
