"""The Dockerfile, step by step without Docker: its files into an empty folder, its user, its commands."""

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
from pathlib import Path

import pytest
import yaml

from train import publish

ROOT = Path(__file__).parents[1]
HOME = "/home/user/app"


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
    return home


def test_a_space_holds_what_the_image_needs(image: Path) -> None:
    inside = {f.relative_to(image).as_posix() for f in image.rglob("*") if f.is_file()}
    assert inside <= set(publish.app_files()) | {".dockerignore"}
    assert not [f for f in inside if f.startswith(("tests", "work")) or f.endswith((".ckpt", ".pt"))]
    front = yaml.safe_load((ROOT / "README.md").read_text().split("---\n")[1])
    assert front["sdk"] == "docker" and str(front["app_port"]) in of("EXPOSE")


def test_the_user_is_the_one_of_spaces_and_installs_what_is_pinned() -> None:
    user = of("USER")
    assert user == ["user"] and "--uid 1000" in of("RUN")[0]
    order = [name for name, _ in steps()]
    assert order.index("USER") < order.index("WORKDIR") and of("WORKDIR") == [HOME]
    assert "-r requirements.txt" in of("RUN")[1]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Nothing of this machine but where Python lies."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    cache = {k: v for k, v in os.environ.items() if k == "COVID_CORE_CACHE"}  # converting again would only take time
    return {"PATH": path, "HOME": str(folder), "PYTHONUNBUFFERED": "1", **cache, **more}


@pytest.fixture(scope="module", params=["", "me/demo"], ids=["elsewhere", "in a Space"])
def served(request: pytest.FixtureRequest, image: Path) -> Iterator[tuple[str, str]]:
    """The CMD step on a free port: address, and id of the Space, or ""."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = of("CMD")[0].replace("8501", str(port))
    space = {"SPACE_ID": request.param} if request.param else {}
    process = subprocess.Popen(["/bin/sh", "-c", command], cwd=image, env=environment(image, **space))
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


def test_the_networks_are_converted_while_it_is_built(image: Path) -> None:
    command = of("RUN")[2]
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=image, env=environment(image), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "mobilenetv2 xray: ready" in done.stdout and "unet_ct ct: ready" in done.stdout


def test_it_serves_and_is_healthy(image: Path, served: tuple[str, str]) -> None:
    address, _ = served
    port = address.rpartition(":")[2]
    check = of("HEALTHCHECK")[0].removeprefix("CMD ")
    for asked, code in ((port, 0), ("1", 1)):  # nobody listens on port 1
        command = check.replace("localhost:8501", f"localhost:{asked}")
        done = subprocess.run(["/bin/sh", "-c", command], env=environment(image), capture_output=True, check=False)
        assert done.returncode == code
    assert b"<title>" in urllib.request.urlopen(address, timeout=10).read()


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
