"""Find a model's files: bundled, in a local folder, in the Hugging Face Hub's cache, or on the Hub; sha256 checked."""

import contextlib
import hashlib
import json
import os
import re
import sys
import threading
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covid_core.registry import CONFIG, SHARDS, ModelSpec, get

if TYPE_CHECKING:  # a status needs no numpy
    import numpy as np
    from numpy.typing import NDArray

ASSETS = Path(__file__).parent / "assets"
_TRAINERS = {"classify": "python -m train.classifier", "segment": "python -m train.segmenter"}
_LOCKS: dict[tuple[str, str], threading.Lock] = {}


class WeightsError(RuntimeError):
    """A model's file cannot be had; the message names the file, the places searched and what cures it."""


class Status(StrEnum):
    """Where a model's files would come from, nearest place first."""

    BUNDLED = "bundled"
    LOCAL = "local folder"
    CACHED = "cached"
    HUB = "on the Hub"
    MISSING = "missing"


def cache_folder() -> Path:
    """Name the user's cache folder for this project: COVID_CORE_CACHE, else the platform's usual place.

    It may not exist yet: whoever writes into it creates it.

    Raises:
        WeightsError: the user has no home folder.
    """
    if os.environ.get("COVID_CORE_CACHE"):
        return _expanded("COVID_CORE_CACHE")
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "covid_core"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local") / "covid_core"
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "covid_core"


def _expanded(variable: str) -> Path:
    """The folder that an environment variable names."""
    named = os.environ[variable]
    try:
        return Path(os.path.expandvars(named)).expanduser()
    except RuntimeError as error:
        raise WeightsError(f"{variable} is {named}, and there is no such user. Set it to another folder.") from error


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:  # a user without a name, as some containers have
        raise WeightsError(
            "This user has no home folder to keep files in. Set COVID_CORE_CACHE, and HF_HOME for the Hub, to folders."
        ) from error


def sha256(file: Path) -> str:
    """Hash of a file; remembered in this process as long as the file's size and time of change stay."""
    state = file.stat()
    return _hash(str(file), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _hash(path: str, size: int, modified: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def locate(spec: ModelSpec, file: str) -> Path:
    """Path of one verified file of a model, downloaded where no nearer place has it.

    Args:
        spec: the model.
        file: one of `spec.files`.

    Raises:
        WeightsError: the file is nowhere, damaged, or cannot be downloaded.
        ValueError: the model has no such file, or is not pinned to a commit.
    """
    _check(spec)
    if not spec.files:
        raise WeightsError(f"{file} of {spec.name} was not looked for. {_unpublished(spec)}")
    if file not in spec.files:
        raise ValueError(f"{spec.name} has no file '{file}'. Choose one of: {', '.join(spec.files)}.")
    # One lock a file, so that two visitors who come at once share one download; setdefault is atomic.
    with _LOCKS.setdefault((spec.name, file), threading.Lock()):
        bundled = ASSETS / spec.name / file
        if bundled.is_file():
            return _intact(bundled, spec.files[file], f"{_restored(spec, file)}, or install the package again.")
        home = _local_folder()
        if home is not None and (local := home / spec.name / file).is_file():
            return _intact(local, spec.files[file], f"Put the right file there, or delete it: `rm {local}`.")
        return _from_hub(spec, file, home)


def locate_weights(spec: ModelSpec) -> list[Path]:
    """Paths of the verified files that hold a model's tensors. Arguments and errors are those of `locate`."""
    if not spec.weights:
        raise WeightsError(f"The weights of {spec.name} were not looked for. {_unpublished(spec)}")
    return [locate(spec, file) for file in spec.weights]


def in_folder(home: Path) -> list[Path]:
    """The files in a folder that hold a model's tensors, as they come out of training; unlike `locate`'s not verified."""
    return sorted(home.glob(SHARDS))


def names(files: Sequence[Path]) -> set[str]:
    """Of the tensors in these files."""
    from safetensors import safe_open

    found: set[str] = set()
    for path in files:
        with safe_open(path, "numpy") as file:
            found.update(file.keys())
    return found


def prefix(files: Sequence[Path], modality: str) -> str:
    """What the names of a modality's own network begin with in these files; "" where one network serves all modalities."""
    own = f"{modality}."
    return own if any(name.startswith(own) for name in names(files)) else ""


def read(files: Sequence[Path], *prefixes: str) -> "dict[str, NDArray[np.float32]]":
    """Tensors of a model's weights, in one piece or in shards.

    Args:
        files: safetensors, fp16 or float32.
        prefixes: of the wanted tensors' names.

    Returns:
        name -> array, float32.
    """
    from safetensors import safe_open

    found: dict[str, NDArray[np.float32]] = {}
    for path in files:
        with safe_open(path, "numpy") as file:
            wanted = [name for name in file.keys() if name.startswith(prefixes)]  # noqa: SIM118  (it is no dict)
            found |= {name: file.get_tensor(name).astype("float32") for name in wanted}
    return found


def locate_all(spec: ModelSpec) -> dict[str, Path]:
    """Paths of all verified files of a model: its config, and its weights with every shard.

    Shards may lie in different folders, so read them by these paths. Arguments and errors are those of `locate`.
    """
    if not spec.files:
        raise WeightsError(f"The files of {spec.name} were not looked for. {_unpublished(spec)}")
    return {file: locate(spec, file) for file in spec.files}


def load_config(spec: ModelSpec) -> dict[str, Any]:
    """Read the model's verified config.json. Arguments and errors are those of `locate`."""
    config: dict[str, Any] = json.loads(locate(spec, CONFIG).read_text(encoding="utf-8"))
    return config


def status(spec: ModelSpec) -> Status:
    """Where the files would come from: the farthest place that any of them, or of a member's, needs.

    Neither hashes nor asks the network.

    Raises:
        ValueError: the model is not pinned to a commit.
        WeightsError: the folder in the variable cannot be told.
    """
    _check(spec)
    home = _local_folder()
    farthest = Status.BUNDLED if spec.files else Status.MISSING
    order = list(Status)
    for file in spec.files:
        if (ASSETS / spec.name / file).is_file():
            place = Status.BUNDLED
        elif home is not None and (home / spec.name / file).is_file():
            place = Status.LOCAL
        elif not spec.repo:
            place = Status.MISSING
        else:
            place = Status.CACHED if _cached(spec, file).is_file() else Status.HUB
        farthest = max(farthest, place, key=order.index)
    return max([farthest, *(status(get(member)) for member in spec.members)], key=order.index)


def _check(spec: ModelSpec) -> None:
    # A branch can be moved by whoever owns it; a commit always holds the same files.
    if spec.repo and not re.fullmatch("[0-9a-f]{40}", spec.revision):
        raise ValueError(f"{spec.name} must be pinned to a commit of 40 hex digits, not to '{spec.revision}'.")


def _local_folder() -> Path | None:
    return _expanded("COVID_CORE_WEIGHTS") if os.environ.get("COVID_CORE_WEIGHTS") else None


def _is_intact(path: Path, wanted: str) -> bool:
    try:
        return sha256(path) == wanted
    except OSError:  # unreadable, or deleted meanwhile
        return False


def _intact(path: Path, wanted: str, cure: str) -> Path:
    if _is_intact(path, wanted):
        return path
    raise WeightsError(f"{path} is damaged or was changed: sha256 {wanted} was expected. {cure}")


def _hub_cache() -> Path:
    # As huggingface_hub.constants, but read now and not at import: tests and notebooks set these late.
    for variable, below in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if os.environ.get(variable):
            return _expanded(variable) / below
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "huggingface" / "hub"


def _cached(spec: ModelSpec, file: str) -> Path:
    # https://huggingface.co/docs/huggingface_hub/guides/manage-cache: a commit's files never change place.
    return _hub_cache() / f"models--{spec.repo.replace('/', '--')}" / "snapshots" / spec.revision / file


def _is_offline() -> bool:
    values = (os.environ.get(variable, "") for variable in ("HF_HUB_OFFLINE", "COVID_CORE_OFFLINE"))
    return any(value.upper() in {"1", "ON", "YES", "TRUE"} for value in values)


def _from_hub(spec: ModelSpec, file: str, home: Path | None) -> Path:
    wanted = spec.files[file]
    local = home / spec.name if home else "no local folder (COVID_CORE_WEIGHTS is not set)"
    searched = f"Searched: {ASSETS / spec.name}; {local}"
    if not spec.repo:
        cure = (
            f"{_restored(spec, file)}, install the package again, or set COVID_CORE_WEIGHTS to a folder that holds "
            f"{spec.name}/{file}."
        )
        raise WeightsError(f"{file} of {spec.name} was not found. {searched}. {cure}")

    path = _cached(spec, file)
    searched += f"; {path.parent}; {spec.repo} on the Hugging Face Hub at {spec.revision[:8]}."
    is_damaged = path.is_file()
    if is_damaged and _is_intact(path, wanted):
        return path
    target = (home or Path("FOLDER")) / spec.name
    command = f"hf download {spec.repo} {file} --revision {spec.revision} --local-dir {target}"
    cure = f"With a connection run `{command}`" + ("." if home else ", and set COVID_CORE_WEIGHTS=FOLDER.")
    found = "is damaged in the Hub's cache" if is_damaged else "was not found"
    if _is_offline():
        reason = "Downloads are switched off by HF_HUB_OFFLINE or COVID_CORE_OFFLINE."
        raise WeightsError(f"{file} of {spec.name} {found}. {reason} {searched} {cure}")

    # The cache may also hand out an old damaged blob of that file: a download with a wrong hash is forced once.
    for is_forced in (True,) if is_damaged else (False, True):
        try:
            path = _download(spec, file, is_forced)
        except Exception as error:  # the Hub's library, its HTTP client and the disk share no other base class
            reason = _sentence(spec, file, error)
            raise WeightsError(f"{file} of {spec.name} {found}. {reason} {searched} {cure}") from error
        if _is_intact(path, wanted):
            return path
    with contextlib.suppress(OSError):
        if path.is_symlink():
            (path.parent / path.readlink()).unlink()
        path.unlink()
    raise WeightsError(
        f"{file} of {spec.name} came from the Hub with a wrong sha256 and was removed: {wanted} was expected. "
        f"{searched} Try again on another network. If it stays so, run `git pull`: the registry may be outdated."
    )


def _download(spec: ModelSpec, file: str, is_forced: bool) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import FileMetadataError

    endpoint = os.environ.get("HF_ENDPOINT") or None
    # hf_hub_download asks a silent Hub again for up to seven minutes; this asks once and fails fast.
    url = hf_hub_url(spec.repo, file, revision=spec.revision, endpoint=endpoint)
    if get_hf_file_metadata(url, endpoint=endpoint).commit_hash is None:
        raise FileMetadataError(url)
    if is_forced:
        # Where the system has no symlinks the cache holds copies, and those the library would leave in place.
        _cached(spec, file).unlink(missing_ok=True)
    path = hf_hub_download(
        spec.repo,
        file,
        revision=spec.revision,
        endpoint=endpoint,
        cache_dir=_hub_cache(),
        force_download=is_forced,
    )
    return Path(path)


def _sentence(spec: ModelSpec, file: str, error: Exception) -> str:
    import httpx2  # huggingface_hub's HTTP client
    from huggingface_hub import errors

    match error:
        case errors.GatedRepoError():
            return f"Access to {spec.repo} must be asked for on the Hub; then run `hf auth login`."
        case errors.RepositoryNotFoundError():
            return f"The Hub has no repository {spec.repo}, or it is private: run `hf auth login`."
        case errors.RevisionNotFoundError():
            return f"{spec.repo} has no commit {spec.revision}."
        case errors.RemoteEntryNotFoundError():
            return f"{spec.repo} has no file {file} at {spec.revision}."
        case errors.HfHubHTTPError():
            return f"The Hub answered with HTTP status {error.response.status_code}."
        case errors.OfflineModeIsEnabled():
            return "Downloads were switched off by HF_HUB_OFFLINE when the program started."
        case errors.FileMetadataError():
            return f"What answers at {error} is not a Hub: check HF_ENDPOINT, proxy, and the network's login page."
        case errors.LocalEntryNotFoundError() | httpx2.ConnectError() | httpx2.TimeoutException() | httpx2.ProxyError():
            return f"There is no connection to the Hub ({error})."
        case httpx2.HTTPError():
            return f"The download broke off ({error})."
        case OSError(errno=None):  # how huggingface_hub reports a wrong size
            return f"The download is incomplete ({str(error).splitlines()[0]})"
        case OSError():
            return f"It could not be written to {_hub_cache()} ({error.strerror})."
        case _:
            return f"The download failed ({type(error).__name__}: {error})."


def _restored(spec: ModelSpec, file: str) -> str:
    return f'Restore it with `git -C "{ASSETS.parent}" checkout -- {ASSETS.name}/{spec.name}/{file}`'


def _unpublished(spec: ModelSpec) -> str:
    return (
        f"The model is not published: train it with `{_TRAINERS[spec.task]}`, and put it into the package with `python -m "
        "train.bundle --folder FOLDER`."
    )
