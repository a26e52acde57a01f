"""Publish the bundled models, and the app, on the Hugging Face Hub: `python -m train.publish --repo ME/covid-core`.

Each model gets a repository of its own, ME/covid-core-<model>, with weights, config, golden tensors and a generated card.
What is printed at the end goes into `covid_core/registry.py`, and the models' files can then be fetched from there. Log in
first: `hf auth login`.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

import httpx2  # huggingface_hub's HTTP client
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError
from safetensors.numpy import save

from covid_core import registry, weights
from train import card, datasets, golden
from train.bundle import pin_lines

ROOT = Path(__file__).parents[1]
# What a Space is built from; the Dockerfile copies the same.
APP = (
    *("Dockerfile", "README.md", "LICENSE", "requirements.txt", "app.py", ".streamlit", "pages", "covid_core"),
    *("train/datasets/sources.json", "train/results"),
)
KEEP_LARGE = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


def model_files(spec: registry.ModelSpec, repo: str) -> dict[str, bytes]:
    """What goes into a model's repository, by name; that of every model is `repo`-<model>."""
    files = {name: path.read_bytes() for name, path in weights.locate_all(spec).items()}
    files["README.md"] = card.card(spec, weights.load_config(spec), datasets.sources(), repo).encode()
    if not spec.members:
        files[golden.FILE] = save(golden.tensors(spec))
    return files


def app_files() -> dict[str, bytes]:
    """What goes into a Space, by path."""
    found: list[Path] = []
    for name in APP:
        path = ROOT / name
        found += sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
    files = {f.relative_to(ROOT).as_posix(): f.read_bytes() for f in found if "__pycache__" not in f.parts}
    return {".gitattributes": KEEP_LARGE, **files}


def show(repo: str, files: Mapping[str, bytes]) -> None:
    """Print every file with its size."""
    print(repo)
    for name, content in files.items():
        print(f"  {name}  {len(content):,} bytes")


Kind = Literal["model", "space"]


def create(api: HfApi, repo: str, kind: Kind) -> None:
    """Make the repository if need be; before its files are, so that a missing login is said at once."""
    api.create_repo(repo, repo_type=kind, space_sdk="docker" if kind == "space" else None, exist_ok=True)


def upload(api: HfApi, repo: str, files: Mapping[str, bytes], kind: Kind) -> str:
    """Commit these files.

    Returns:
        the commit, 40 hex digits.
    """
    # Weights that an earlier publication left and this one does not replace would be loaded beside these.
    stale = {f for f in api.list_repo_files(repo, repo_type=kind) if fnmatch(f, registry.SHARDS)} - set(files)
    for name in sorted(stale):
        print(f"  {name}  deleted")
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationDelete(name) for name in sorted(stale)
    ]
    operations += [CommitOperationAdd(name, content) for name, content in files.items()]
    done = api.create_commit(repo, operations, commit_message="Covid Core", repo_type=kind)
    print(f"{repo}: {done.commit_url}")
    return done.oid


def registry_lines(published: Mapping[str, tuple[str, str]]) -> Iterable[str]:
    """`PUBLISHED` of covid_core/registry.py, and the files' sha256 as covid_core/pins.py holds them."""
    yield "PUBLISHED: dict[str, tuple[str, str]] = {"
    yield from (f'    "{name}": ("{repo}", "{commit}"),' for name, (repo, commit) in published.items())
    yield "}"
    yield from pin_lines({name: registry.get(name).files for name in published})


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME", help="the models' repositories are NAME-<model>")
    parser.add_argument("--space", metavar="OWNER/NAME", help="also upload the app as a Docker Space")
    parser.add_argument("--models", nargs="+", choices=list(registry.MODELS), default=list(registry.MODELS))
    parser.add_argument("--dry-run", action="store_true", help="print every file, upload nothing")
    options = parser.parse_args(arguments)
    for repo in (options.repo, options.space):
        if repo is not None and repo.count("/") != 1:
            parser.error(f"'{repo}' is no repository. Give it as OWNER/NAME.")
    try:
        publish(options)
    except weights.WeightsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (HfHubHTTPError, httpx2.HTTPError, RuntimeError) as error:  # the last where a file breaks off
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        print(f"error: {reason} Check the name, and log in with `hf auth login`; then run this again.", file=sys.stderr)
        return 1
    return 0


def publish(options: argparse.Namespace) -> None:
    """Show every file, upload them unless this is a dry run, and print the lines for the registry."""
    api, published = HfApi(), dict[str, tuple[str, str]]()
    for name in options.models:
        repo = f"{options.repo}-{name}"
        if not options.dry_run:
            create(api, repo, "model")
        files = model_files(registry.get(name), options.repo)
        show(repo, files)
        if not options.dry_run:
            published[name] = repo, upload(api, repo, files, "model")
    if options.space:
        if not options.dry_run:
            create(api, options.space, "space")
        files = app_files()
        show(f"{options.space} (Space)", files)
        if not options.dry_run:
            upload(api, options.space, files, "space")
    if published:
        print("\nFor covid_core/registry.py, and as it stands in covid_core/pins.py:\n")
        print("\n".join(registry_lines(published)))


if __name__ == "__main__":
    sys.exit(main())
