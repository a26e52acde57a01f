"""What scripts share at the command line; without torch, so that `--help` comes at once where a script needs none."""

from collections.abc import Callable

from safetensors import SafetensorError

from covid_core import registry
from covid_core.weights import WeightsError

# Names of what can be trained to classify: not the ensemble, which joins others.
TRAINED = [spec.name for spec in registry.SPECS if spec.task == "classify" and not spec.members]


def run(main: Callable[[], object]) -> None:
    """Run a script: what is wrong with its files or its arguments is said in a sentence, without a traceback."""
    try:
        main()
    except (ValueError, OSError, WeightsError, SafetensorError) as error:
        raise SystemExit(f"error: {error}") from None
