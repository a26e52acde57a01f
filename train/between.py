"""Weights between those before and after a training: `python -m train.between --before A --after B --share 0.75 --out C`.

A training that takes a shortcut away from a network also takes some of what it did well. On the straight way between the two
lie networks that keep most of both (Wortsman 2022, "WiSE-FT", arXiv 2109.01903).
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from train import script


def between(before: Mapping[str, Tensor], after: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Every tensor at `share` of the way from before to after, in its own dtype.

    Raises:
        ValueError: these are not weights of one network, or there is no such share.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"--share is {share:g}, but must lie between 0 and 1.")
    if {n: v.shape for n, v in before.items()} != {n: v.shape for n, v in after.items()}:
        raise ValueError("The two files are not weights of one network: names or shapes of their tensors differ.")
    return {n: before[n].float().lerp(v.float(), share).to(v.dtype) for n, v in after.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="weights the training started from")
    parser.add_argument("--after", type=Path, required=True, help="weights it ended with")
    parser.add_argument("--share", type=float, required=True, help="of the way, 0 to 1")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        tensors = between(load_file(options.before), load_file(options.after), options.share)
    except ValueError as error:
        parser.error(str(error))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(options.out))


if __name__ == "__main__":
    script.run(main)
