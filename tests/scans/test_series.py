"""Series of images as profiles at positions, with their drift taken out."""

import numpy as np
import pytest

import emcore
from emcore.core.signals import Axis, Signal
from emcore.datasets import deformed_series


def test_a_stack_becomes_profiles_with_its_axes():
    data = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
    axes = (Axis("tilt", 5, 2.0, -4.0, "°", True), Axis("y", 6, 0.5, units="nm"), Axis("x", 7, 0.5, units="nm"))
    observed = emcore.image_series(Signal(data, axes, flagged=True))
    assert observed.shape == (6, 7, 5)
    assert np.array_equal(observed.data[2, 3], data[:, 2, 3])
    assert observed.dtype == np.uint16
    assert [axis.units for axis in observed.axes] == ["nm", "nm", "°"]
    assert [axis.navigation for axis in observed.axes] == [True, True, False]
    assert "axes: series of 5 images along axis 0 ('tilt')" in observed.notes


@pytest.mark.parametrize("axis", [1, 2])
def test_the_axis_of_the_series_may_be_said(axis):
    data = np.random.default_rng(0).random((6, 7, 8))
    observed = emcore.image_series(data, signal_axis=axis)
    assert np.array_equal(np.asarray(observed.data), np.moveaxis(data, axis, -1))


@pytest.mark.parametrize("seed", [11, 12])
def test_drift_is_found_within_half_a_pixel_and_taken_out(seed):
    sample = deformed_series((64, 80), n_grains=12, drift=0.6, seed=seed)
    observed = emcore.image_series(sample.stack, register=True)
    shifts = np.array(observed.metadata["shifts"])
    assert np.abs(shifts - sample.shifts).max() < 0.75
    assert np.sqrt(np.mean(np.square(shifts - sample.shifts))) < 0.5
    whole = np.rint(shifts).astype(int)
    start = whole - whole.min(axis=0)
    height, width = observed.shape[:2]
    for i in (0, 7, 44):
        y, x = start[i]
        assert np.array_equal(observed.data[..., i], sample.stack.data[i, y : y + height, x : x + width])
    assert observed.axes[0].offset == pytest.approx(-50.0 * whole[:, 0].min())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((5, 6)), "a series of images is needed"),
        (np.ones((2, 9, 9)), "at least 3"),
        (np.ones((20, 30, 3), np.uint8), "colour"),
    ],
)
def test_what_is_no_series_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        emcore.image_series(data)


def test_scikit_image_is_an_extra_that_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "skimage.registration", None)
    with pytest.raises(ImportError, match=r"pip install '.+\[image\]"):
        emcore.image_series(np.ones((4, 9, 9)), register=True)
