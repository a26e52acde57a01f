"""The Dockerfile, step by step without Docker: its files into an empty folder, its packages, its commands, its user."""

import contextlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from covid_core import registry
from train import publish

ROOT = Path(__file__).parents[1]
HOME = "/home/user/app"
USER = 1000
# Root becomes the image's user, who may write to his own folder alone. He may read everything, for the Python of a test
# machine often lies in a home that others cannot read.
AS_USER = [
    "setpriv",
    f"--reuid={USER}",
    f"--regid={USER}",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
    "--",
]
CAN_BECOME_USER = os.geteuid() == 0 and shutil.which("setpriv") is not None


def as_user(*command: str) -> list[str]:
    """The command as the image's user, if who runs the tests can become him."""
    return [*AS_USER, *command] if CAN_BECOME_USER else list(command)


def steps() -> list[tuple[str, str]]:
    """Instruction and arguments of every step."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def of(instruction: str) -> list[str]:
    return [arguments for name, arguments in steps() if name == instruction]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the app as the COPY steps leave it."""
    home = tmp_path_factory.mktemp("image")
    for arguments in of("COPY"):
        *sources, target = [word for word in shlex.split(arguments) if not word.startswith("--")]
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, home / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place = home / target
                (place if target.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
    if CAN_BECOME_USER:
        for file in (home, *home.rglob("*")):
            os.chown(file, USER, USER)
    return home


def test_a_space_holds_what_the_image_needs(image: Path) -> None:
    inside = {f.relative_to(image).as_posix() for f in image.rglob("*") if f.is_file()}
    assert inside <= set(publish.app_files())
    assert not [f for f in inside if f.startswith(("tests", "work")) or f.endswith((".ckpt", ".pt"))]
    front = yaml.safe_load((ROOT / "README.md").read_text().split("---\n")[1])
    assert front["sdk"] == "docker" and str(front["app_port"]) in of("EXPOSE")


def test_the_user_is_the_one_of_spaces_and_installs_what_is_pinned() -> None:
    user = of("USER")
    assert user == ["user"] and f"--uid {USER}" in of("RUN")[0]
    order = [name for name, _ in steps()]
    assert order.index("USER") < order.index("WORKDIR") and of("WORKDIR") == [HOME]
    assert "-r requirements.txt" in of("RUN")[1]


def pinned() -> set[str]:
    """Names of all that requirements.txt installs, with what that needs in turn."""
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] not in "#-"]
    wanted, found = [Requirement(line) for line in lines], set[str]()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        with contextlib.suppress(PackageNotFoundError):  # for another platform
            needed = [Requirement(line) for line in distribution(name).requires or []]
            extras = [{"extra": extra} for extra in ("", *requirement.extras)]
            wanted += [r for r in needed if not r.marker or any(r.marker.evaluate(e) for e in extras)]
            for r in needed:
                r.marker = None
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean virtual environment with what requirements.txt installs and nothing else; its bin folder."""
    home = tmp_path_factory.mktemp("clean") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    (site,) = home.glob("lib/python*/site-packages")
    for name in pinned():
        with contextlib.suppress(PackageNotFoundError):
            for file in distribution(name).files or []:
                place = site / file.parts[0]
                if file.parts[0] not in ("..", "__pycache__") and not place.exists():
                    place.symlink_to(Path(str(distribution(name).locate_file(file.parts[0]))))
    script = home / "bin" / "streamlit"
    script.write_text(f'#!/bin/sh\nexec {home}/bin/python -m streamlit "$@"\n')
    script.chmod(0o755)
    return home / "bin"


def test_the_clean_environment_lacks_what_only_training_and_tests_need(python: Path) -> None:
    code = "import importlib.util as u; print([n for n in ('lightning', 'pytest', 'playwright', 'timm') if u.find_spec(n)])"
    done = subprocess.run([python / "python", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['timm']"


def environment(folder: Path, python: Path, **more: str) -> dict[str, str]:
    """Nothing of this machine but where Python lies."""
    return {"PATH": f"{python}:/usr/bin:/bin", "HOME": str(folder), "PYTHONUNBUFFERED": "1", **more}


@pytest.fixture(scope="module", params=["", "me/demo"], ids=["elsewhere", "in a Space"])
def served(request: pytest.FixtureRequest, image: Path, python: Path) -> Iterator[tuple[str, str]]:
    """The CMD step on a free port: address, and id of the Space, or ""."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = of("CMD")[0].replace("8501", str(port))
    space = {"SPACE_ID": request.param} if request.param else {}
    process = subprocess.Popen(as_user("/bin/sh", "-c", command), cwd=image, env=environment(image, python, **space))
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=5)
            break
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    yield address, request.param
    process.terminate()
    process.wait(timeout=30)


def test_the_networks_are_converted_while_it_is_built(image: Path, python: Path) -> None:
    command = of("RUN")[2]
    done = subprocess.run(
        as_user("/bin/sh", "-c", command),
        cwd=image,
        env=environment(image, python),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mobilenetv2: ready" in done.stdout and "unet_ct: ready" in done.stdout
    converted = list((image / ".cache").rglob("*.bin"))
    # Two of the default model and the plain network beside it, one of each other: nothing is converted that the app does not read.
    own = [spec for spec in registry.MODELS.values() if not spec.members]
    assert len(converted) == len(own) + 2 and (not CAN_BECOME_USER or {f.stat().st_uid for f in converted} == {USER})


def test_it_serves_and_is_healthy(image: Path, python: Path, served: tuple[str, str]) -> None:
    address, _ = served
    port = address.rpartition(":")[2]
    check = of("HEALTHCHECK")[0].removeprefix("CMD ")
    for asked, code in ((port, 0), ("1", 1)):  # nobody listens on port 1
        command = check.replace("localhost:8501", f"localhost:{asked}")
        done = subprocess.run(
            as_user("/bin/sh", "-c", command), env=environment(image, python), capture_output=True, check=False
        )
        assert done.returncode == code
    assert b"<title>" in urllib.request.urlopen(address, timeout=10).read()


WALK = """
from pathlib import Path
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=120)
app.query_params["sample"] = "ct-lesions"
app.run()
for page in sorted(Path("pages").glob("[a-z]*.py")):
    app.switch_page(str(page)).run()
    assert not app.exception, (page, app.exception)
    print(page.stem)
"""


def test_every_page_runs_with_these_files_and_packages(image: Path, python: Path) -> None:
    done = subprocess.run(
        as_user(str(python / "python"), "-c", WALK),
        cwd=image,
        env=environment(image, python),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"diagnose", "scoreboard", "about", "shortcut_lab"} <= set(done.stdout.split())


def test_uploads_are_guarded_everywhere_but_in_a_space(served: tuple[str, str]) -> None:
    address, space = served
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\nx\r\n--b--\r\n'
    request = urllib.request.Request(
        f"{address}/_stcore/upload_file/nobody/file",
        body,
        {"Content-Type": "multipart/form-data; boundary=b"},
        method="PUT",
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    # Without the guard the upload comes as far as to the session it names, which does not exist.
    is_guarded = "xsrf" in refused.value.read().decode().lower()
    assert is_guarded != bool(space)
