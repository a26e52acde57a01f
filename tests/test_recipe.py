"""A phantom's name says how it is made, and the other way round."""

import numpy as np
import pytest

from covid_core import phantom, recipe


@pytest.mark.parametrize("made", [recipe.Recipe("ct", 3, 8, 24, 90, 50, 10), recipe.Recipe("xray", 0, 0, 5, 0, 0, 100)])
def test_a_name_holds_the_whole_recipe(made: recipe.Recipe) -> None:
    assert recipe.parse(made.name) == made


def test_a_recipe_makes_what_its_settings_say() -> None:
    given = recipe.Recipe("ct", 3, 8, 24, 90, 50, 10)
    expected = phantom.ct(seed=3, lesions=phantom.Lesions(count=8, size=0.24, density=0.9, depth=0.1))
    np.testing.assert_array_equal(given.make().pixels, expected.pixels)
    assert given.title == "Phantom CT 3, 8 lesions"
    low, high = (recipe.Recipe("xray", 1, 5, 20, 90, level, 10).make() for level in (10, 90))
    rows = np.arange(low.pixels.shape[0])[:, None]
    assert (rows * low.lesions).sum() / low.lesions.sum() < (rows * high.lesions).sum() / high.lesions.sum()
    assert not recipe.Recipe("xray", 1, 0, 20, 90, 10, 10).make().lesions.any()


@pytest.mark.parametrize(
    "name", ["", "ct-lesions", "phantom-ct", "phantom-mri-1-1-10-10-10-10", "phantom-ct-1-1-10-10-10-10x"]
)
def test_other_names_are_none(name: str) -> None:
    assert recipe.parse(name) is None


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="density"):
        recipe.Recipe("ct", 1, 5, 20, 101, 50, 10).make()
