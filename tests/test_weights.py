"""Every way to find a file, and every way that finding it can fail, against a Hub in this process."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import huggingface_hub
import pytest
from huggingface_hub import constants, file_download

from covid_core import registry, weights
from covid_core.registry import CONFIG, WEIGHTS, ModelSpec
from covid_core.weights import Status, WeightsError
from tests.hub_server import Fault, HubServer

REPO = "me/covid-core-small"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHARD = "model-00001-of-00001.safetensors"
INDEX = "model.safetensors.index.json"
CONTENTS = {WEIGHTS: os.urandom(5000), CONFIG: b'{"temperature": 1.5}'}


def made_up(contents: dict[str, bytes] = CONTENTS, repo: str = REPO, revision: str = COMMIT) -> ModelSpec:
    files = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
    return ModelSpec("small", "Small", "classify", {"xray": 8}, "none", files, repo, revision)


SPEC = made_up()
UNPUBLISHED = made_up(repo="", revision="")


def put(folder: Path, contents: dict[str, bytes] = CONTENTS) -> Path:
    """Write the files where a model of this name belongs in a folder; the folder again."""
    (folder / SPEC.name).mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        (folder / SPEC.name / file).write_bytes(content)
    return folder


def error(spec: ModelSpec = SPEC, file: str = WEIGHTS) -> str:
    """The message of the error that asking for a file raises."""
    with pytest.raises(WeightsError) as caught:
        weights.locate(spec, file)
    return str(caught.value)


def damage(path: Path) -> None:
    """Change one byte. The size stays; the time moves on even where the clock of the disk is coarse."""
    content = path.read_bytes()
    before = path.stat().st_mtime_ns
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    os.utime(path, ns=(before + 1_000_000_000, before + 1_000_000_000))


def files_below(folder: Path) -> list[Path]:
    """What a cache holds besides the library's own empty lock files and its tag."""
    paths = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return [path for path in paths if ".locks" not in path.parts and path.name != "CACHEDIR.TAG"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's settings, caches, tokens or network gets into a test."""
    for variable in ("COVID_CORE_WEIGHTS", "COVID_CORE_OFFLINE", "HF_HUB_OFFLINE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    # The library's user agent would otherwise ask the true Hub for a list of coding agents.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(file_download, "time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(weights, "ASSETS", tmp_path / "assets")
    monkeypatch.setattr(weights, "_LOCKS", {})
    huggingface_hub.close_session()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        for file, content in CONTENTS.items():
            server.add(REPO, COMMIT, file, content)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_order(hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert weights.locate(SPEC, WEIGHTS).is_relative_to(tmp_path / "hub")
    monkeypatch.setenv("COVID_CORE_WEIGHTS", str(put(tmp_path / "local")))
    assert weights.locate(SPEC, WEIGHTS) == tmp_path / "local" / "small" / WEIGHTS
    put(tmp_path / "assets")
    assert weights.locate(SPEC, WEIGHTS) == tmp_path / "assets" / "small" / WEIGHTS


def test_download_once_then_no_request(hub: HubServer) -> None:
    path = weights.locate(SPEC, WEIGHTS)
    assert path.read_bytes() == CONTENTS[WEIGHTS]
    assert hub.count("GET") == 1
    before = list(hub.requests)
    assert weights.locate(SPEC, WEIGHTS) == path
    assert hub.requests == before


def test_locate_all_with_shards(hub: HubServer) -> None:
    sharded = {INDEX: b"{}", SHARD: os.urandom(3000), CONFIG: b"{}"}
    commit = "f" * 40
    for file, content in sharded.items():
        hub.add(REPO, commit, file, content)
    paths = weights.locate_all(made_up(sharded, revision=commit))
    assert {file: path.read_bytes() for file, path in paths.items()} == sharded
    assert weights.load_config(SPEC) == {"temperature": 1.5}


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_file_of_two_revisions_is_downloaded_again_only_if_damaged(is_damaged: bool, hub: HubServer) -> None:
    path = weights.locate(SPEC, WEIGHTS)
    if is_damaged:
        damage(path)
    hub.add(REPO, "e" * 40, WEIGHTS, CONTENTS[WEIGHTS])
    assert weights.locate(made_up(revision="e" * 40), WEIGHTS).read_bytes() == CONTENTS[WEIGHTS]
    assert hub.count("GET") == 1 + is_damaged


def test_threads_share_one_download(hub: HubServer) -> None:
    hub.gate.clear()
    start = threading.Barrier(9)

    def ask() -> Path:
        start.wait(timeout=10)
        return weights.locate(SPEC, WEIGHTS)

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ask) for _ in range(8)]
        start.wait(timeout=10)
        hub.gate.set()
        assert len({answer.result(timeout=10) for answer in answers}) == 1
    assert [line.split()[0] for line in hub.requests] == ["HEAD", "HEAD", "GET"]


@pytest.mark.parametrize("place", ["assets", "local"])
def test_a_damaged_file_is_never_used(
    place: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COVID_CORE_WEIGHTS", str(tmp_path / "local"))
    put(tmp_path / place)
    path = weights.locate(SPEC, WEIGHTS)
    damage(path)
    cure = "git -C" if place == "assets" else f"rm {path}"
    message = error()
    assert path.is_relative_to(tmp_path / place)
    assert f"{path} is damaged or was changed" in message and cure in message
    assert path.exists() and hub.requests == []


def test_an_unreadable_file_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> str:
        raise PermissionError(13, "Permission denied")

    put(tmp_path / "assets")
    monkeypatch.setattr(weights, "_hash", refuse)  # the tests may run as root, whom no mode stops
    assert "damaged or was changed" in error()


def test_a_hash_is_remembered_until_the_file_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    digest = Mock(wraps=hashlib.file_digest)
    monkeypatch.setattr(hashlib, "file_digest", digest)
    path = put(tmp_path) / "small" / WEIGHTS
    first = weights.sha256(path)
    assert weights.sha256(path) == first == SPEC.files[WEIGHTS] and digest.call_count == 1
    damage(path)
    assert weights.sha256(path) != first and digest.call_count == 2


@pytest.mark.parametrize("file", [WEIGHTS, CONFIG])
@pytest.mark.parametrize("is_copy", [False, True], ids=["link", "copy"])
def test_a_file_damaged_in_the_cache_is_healed(file: str, is_copy: bool, hub: HubServer) -> None:
    path = weights.locate(SPEC, file)
    if is_copy:  # as on Windows, where the cache holds no links
        path.unlink()
        path.write_bytes(CONTENTS[file])
    damage(path)
    assert weights.locate(SPEC, file).read_bytes() == CONTENTS[file]
    assert hub.count("GET") == 2


@pytest.mark.parametrize("file", [WEIGHTS, CONFIG])
def test_a_wrong_file_on_the_hub_is_removed(file: str, hub: HubServer, tmp_path: Path) -> None:
    hub.add(REPO, COMMIT, file, b"x" * len(CONTENTS[file]))
    message = error(file=file)
    assert all(part in message for part in (f"{file} of small", "wrong sha256 and was removed", REPO, "git pull"))
    assert files_below(tmp_path / "hub") == []
    hub.add(REPO, COMMIT, file, CONTENTS[file])
    assert weights.locate(SPEC, file).read_bytes() == CONTENTS[file]


def test_damaged_in_the_cache_and_wrong_on_the_hub(hub: HubServer, tmp_path: Path) -> None:
    damage(weights.locate(SPEC, WEIGHTS))
    hub.add(REPO, COMMIT, WEIGHTS, b"x" * 5000)
    assert "wrong sha256" in error()
    assert hub.count("GET") == 2
    assert not weights._cached(SPEC, WEIGHTS).exists()


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (made_up(repo="me/nothing"), "no repository me/nothing"),
        (made_up(revision="a" * 40), "no commit aaaaaaaa"),
        (made_up({"other.json": b"{}"}), "no file other.json at 0123"),
    ],
)
def test_what_the_hub_does_not_have(spec: ModelSpec, sentence: str, hub: HubServer) -> None:
    file = next(iter(spec.files))
    message = error(spec, file)
    assert sentence in message and f"hf download {spec.repo} {file} --revision {spec.revision}" in message


@pytest.mark.parametrize("status", [200, 401, 403, 429, 500, 503])  # 200 as from the login page of a network
def test_http_errors(status: int, hub: HubServer) -> None:
    hub.fault = Fault("status", status)
    assert ("is not a Hub" if status == 200 else f"HTTP status {status}") in error()
    assert len(hub.requests) == 1


@pytest.mark.parametrize("file", [WEIGHTS, CONFIG])
def test_a_cut_download_is_resumed(file: str, hub: HubServer) -> None:
    hub.fault = Fault("close", at=10, times=1)
    assert weights.locate(SPEC, file).read_bytes() == CONTENTS[file]
    assert hub.count("GET") == 2


@pytest.mark.parametrize("kind", ["close", "reset", "short"])
def test_a_download_that_stays_cut(kind: Any, hub: HubServer, tmp_path: Path) -> None:
    hub.fault = Fault(kind, at=2500)
    message = error()
    assert ("is incomplete" if kind == "short" else "broke off") in message
    assert "Searched" in message and "hf download" in message
    assert files_below(tmp_path / "hub") == []
    hub.fault = None
    assert weights.locate(SPEC, WEIGHTS).read_bytes() == CONTENTS[WEIGHTS]


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "COVID_CORE_OFFLINE"])
def test_offline(variable: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = weights.locate(SPEC, WEIGHTS)
    before = list(hub.requests)
    monkeypatch.setenv(variable, "1")
    assert weights.locate(SPEC, WEIGHTS) == path
    assert f"{CONFIG} of small was not found. Downloads are switched off" in error(file=CONFIG)
    damage(path)
    assert "is damaged in the Hub's cache. Downloads are switched off" in error()
    monkeypatch.delenv(variable)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "is damaged in the Hub's cache. Downloads were switched off by HF_HUB_OFFLINE when" in error()
    assert hub.requests == before


def test_server_down(hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COVID_CORE_WEIGHTS", str(tmp_path / "local"))
    path = weights.locate(SPEC, WEIGHTS)
    hub.close()
    assert weights.locate(SPEC, WEIGHTS) == path
    message = error(file=CONFIG)
    assert "There is no connection to the Hub" in message
    for place in (tmp_path / "assets" / "small", tmp_path / "local" / "small", tmp_path / "hub", REPO):
        assert str(place) in message
    assert f"--local-dir {tmp_path / 'local' / 'small'}" in message


def test_a_cache_that_cannot_be_written(hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "file"))
    assert "could not be written to" in error()


@pytest.mark.parametrize("spec", [UNPUBLISHED, made_up({}, "", "")], ids=["files", "no files"])
def test_unpublished(spec: ModelSpec) -> None:
    # A file that is pinned can only be brought back: no training makes one of the same hash.
    cure = "checkout -- " if spec.files else "train it with `python -m train.classifier`, and put it into the package"
    assert cure in error(spec)
    with pytest.raises(WeightsError, match="was not found. Searched" if spec.files else "not published"):
        weights.locate_all(spec)


@pytest.mark.parametrize("revision", ["", "main", "v1.0", COMMIT[:12], COMMIT.upper(), COMMIT + "\n"])
def test_a_revision_is_a_commit(revision: str) -> None:
    for ask in (weights.locate_all, weights.status):
        with pytest.raises(ValueError, match="commit of 40 hex digits"):
            ask(made_up(revision=revision))


def test_a_file_the_model_does_not_have() -> None:
    with pytest.raises(ValueError, match=rf"no file 'weights.bin'. Choose one of: {WEIGHTS}"):
        weights.locate(SPEC, "weights.bin")


def test_status(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.status(UNPUBLISHED) == weights.status(made_up({}, "", "")) == Status.MISSING
    ensemble = registry.get("ensemble")
    (tmp_path / "assets" / ensemble.name).mkdir(parents=True)
    for file in ensemble.files:  # without its members' it is no use
        (tmp_path / "assets" / ensemble.name / file).touch()
    assert weights.status(ensemble) == Status.MISSING
    assert weights.status(SPEC) == "on the Hub"
    assert hub.requests == [] and not (tmp_path / "hub").exists()
    weights.locate(SPEC, WEIGHTS)
    assert weights.status(SPEC) == "on the Hub"  # the config is not there yet
    weights.locate(SPEC, CONFIG)
    assert weights.status(SPEC) == "cached"
    monkeypatch.setenv("COVID_CORE_WEIGHTS", str(put(tmp_path / "local")))
    assert weights.status(SPEC) == "local folder"
    put(tmp_path / "assets", {CONFIG: CONTENTS[CONFIG]})
    assert weights.status(SPEC) == "local folder"  # the weights are not bundled yet
    put(tmp_path / "assets")
    assert weights.status(SPEC) == "bundled"


@pytest.mark.parametrize("variable", ["COVID_CORE_CACHE", "COVID_CORE_WEIGHTS", "HF_HUB_CACHE"])
def test_a_home_of_nobody(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "~nosuchuser/x")
    with pytest.raises(WeightsError, match=f"{variable} is ~nosuchuser/x, and there is no such user"):
        weights.cache_folder() if variable == "COVID_CORE_CACHE" else weights.status(SPEC)


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COVID_CORE_CACHE", str(tmp_path / "own"))
    assert weights.cache_folder() == tmp_path / "own" and not (tmp_path / "own").exists()
    monkeypatch.delenv("COVID_CORE_CACHE")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    expected = {"linux": "xdg", "darwin": "Library/Caches", "win32": "local"}
    for platform, folder in expected.items():
        monkeypatch.setattr(sys, "platform", platform)
        assert weights.cache_folder() == tmp_path / folder / "covid_core"


@pytest.mark.parametrize("setting", [{}, {"HF_HOME": "/a"}, {"HF_HOME": "/a", "HF_HUB_CACHE": "/b"}])
def test_the_cache_is_the_one_of_the_library(setting: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    for variable, value in setting.items():
        monkeypatch.setenv(variable, value)
    code = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert str(weights._hub_cache()) == answer.stdout.strip()


def test_the_library_is_imported_only_for_a_download() -> None:
    code = (
        "import sys; from covid_core import registry, weights; weights.status(registry.get(registry.DEFAULT)); "
        "print({'huggingface_hub', 'httpx2', 'torch', 'numpy'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
