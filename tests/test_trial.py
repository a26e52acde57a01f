"""A phantom's truth beside what was marked."""

import numpy as np
import pytest

from covid_core import trial


def test_plain_lesions_are_found_and_none_where_there_is_none() -> None:
    ill, healthy = trial.lesions(6, 0.2, 0.6), trial.lesions(0, 0.2, 0.6)
    assert ill.dice is not None and 0.5 < ill.dice <= 1
    assert ill.true_percent > 10 and abs(ill.marked_percent - ill.true_percent) < 30
    assert healthy.dice is None and healthy.true_percent == 0 and healthy.marked_percent < 2
    assert ill.compared.shape == (*ill.picture.shape, 3)
    assert np.array_equal(healthy.compared[..., 0], np.round(255 * healthy.picture))  # nothing to colour


def test_more_and_denser_lesions_cover_more() -> None:
    few, many = trial.lesions(2, 0.1, 0.5), trial.lesions(9, 0.2, 0.5)
    assert many.true_percent > 2 * few.true_percent
    with pytest.raises(ValueError, match="count"):
        trial.lesions(99, 0.1, 0.5)
