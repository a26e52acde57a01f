"""The burden of a phantom whose lesions are known, and its sums by hand."""

import numpy as np
import pytest

from covid_core import curves, phantom
from covid_core.burden import SliceBurden, burden, summed
from covid_core.volume import read_volume
from tests.volumes import nifti


def test_the_burden_finds_the_most_affected_slice() -> None:
    patches = phantom.Lesions(count=6, level=0.5, spread=0.0, size=0.2)
    truth = [phantom.ct(3, patches, 128, level=float(level)) for level in np.linspace(0.2, 0.8, 9)]
    found = read_volume([("a.nii", nifti(np.stack([one.hounsfield for one in truth])))])
    seen: list[tuple[int, int]] = []
    measured = burden(found, lambda done, total: seen.append((done, total)))
    assert seen == [(n, 9) for n in range(1, 10)]
    areas = [int(one.lesions.sum()) for one in truth]
    assert measured.most_affected == int(np.argmax(areas)) == 4
    for one, made, area in zip(measured.slices, truth, areas, strict=True):
        true_percent = 100 * area / made.lungs.sum()
        assert (one.percent or 0) > 10 if area > 200 else abs((one.percent or 0) - true_percent) < 5
    assert measured.percent is not None and measured.interval is not None
    assert measured.interval[0] < measured.percent < measured.interval[1]
    assert measured.level == 0.9

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        burden(found, stop)
    figure = curves.burden_curve(measured, at=3)
    named = {trace.name: trace for trace in figure.data}
    assert list(named["lesions"].y) == [one.percent for one in measured.slices]
    assert named["largest lesion area"].x == (5,)
    assert figure.layout.shapes[0].x0 == 3
    assert max(y for y in named["90 % interval"].y if y is not None) == max(one.interval[1] for one in measured.slices)


def test_sums_by_hand() -> None:
    slices_ = (
        SliceBurden(0, 1, 0, 0, None, None),
        SliceBurden(1, 3, 1000, 100, 10.0, (5.0, 20.0)),
        SliceBurden(2, 5, 3000, 150, 5.0, (4.0, 8.0)),
    )
    measured = summed(slices_, 0.9)
    assert measured.percent == pytest.approx(6.25) and measured.interval == pytest.approx((4.25, 11.0))
    assert measured.most_affected == 2
    band = curves.burden_curve(measured, 1).data[0]
    assert list(band.x) == [None, 3, 5, 5, 3, None] and list(band.y) == [None, 5, 4, 8, 20, None]
    nothing = summed(slices_[:1], 0.9)
    assert (nothing.percent, nothing.interval, nothing.most_affected) == (None, None, None)
    assert len(curves.burden_curve(nothing, 1).data) == 2
