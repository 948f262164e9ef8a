"""Calls that once broke what is promised: whatever was found is tried again."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from outcome import ANSWERS

import emcore
from emcore import _emcore, datasets, detectors, residuals

SCAN = np.arange(6 * 7 * 16, dtype=np.uint8).reshape(6, 7, 4, 4)
FOUND: dict[str, Callable[[], Any]] = {
    "an integer that no float holds": lambda: datasets.lattice_micrograph((24, 18), noise=10**400),
    "the same as a spread": lambda: datasets.absorption_phases((24, 18), points=30, spread=10**400),
    "noise that half precision does not hold": lambda: datasets.lattice_micrograph((24, 18), noise=1e6, dtype="f2"),
    "currents beyond all numbers": lambda: datasets.iv_curves((24, 18), points=30, spread=49.0),
    "absorption beyond all numbers": lambda: datasets.absorption_phases((24, 18), points=30, spread=47.0),
    "more points than memory": lambda: datasets.iv_curves((24, 18), points=2**63 - 1),
    "a composition that is a number": lambda: datasets.eds_spectrum(0.5, np.linspace(0.1, 9, 60)),
    "atoms that no float holds": lambda: datasets.eds_spectrum({"Fe": 10**400}, np.linspace(0.1, 9, 60)),
    "a beam energy that no float holds": lambda: datasets.eds_spectrum(
        {"Fe": 1}, np.linspace(0.1, 9, 60), beam_energy=10**400
    ),
    "spectra of other channels": lambda: datasets.co_fe_ratio(np.ones((4, 3)), np.ones(5)),
    "spectra that are a number": lambda: datasets.co_fe_ratio(3, np.ones(5)),
    "labels that are a number": lambda: datasets.far_from_borders(3, 1),
    "labels with a fraction": lambda: datasets.far_from_borders(np.ones((4, 4)), 1),
    "a mean pattern that is a number": lambda: detectors.masked_beam(3, True, None),
    "labels of patterns that are none": lambda: detectors.sum_by_label(SCAN, None, 3),
    "labels of patterns above k": lambda: detectors.sum_by_label(SCAN, np.full((6, 7), 2**40), 3),
    "residuals whose squares are no numbers": lambda: residuals.residuals(np.full((3, 2), 1e300), [[1]] * 3, [[1, 1]]),
    "a residual that single precision does not hold": lambda: emcore.denoise(np.full((8, 9, 16), 1e30, "f4")),
    "noise that is added to pictures and no float holds": lambda: datasets.deformed_series((24, 18), 9, noise=10**400),
    "columns as far apart as no picture is wide": lambda: datasets.crystal_grains((24, 18), period=8e150),
    "no axis of a scan that is the spectrum": lambda: emcore.phase_map(
        np.ones((8, 9, 16)), np.eye(3, 16), signal_axis=()
    ),
    "maps that are no mapping": lambda: emcore.stitch(datasets.overlapping_scans().scans, maps=(1,)),
    "noise that single precision does not hold": lambda: datasets.moving_boundary(2, shape=(24, 24), noise=1e300),
    "channels that no float holds": lambda: datasets.eds_spectrum({"Fe": 1}, [0, 10**400]),
    "spacings that no float holds": lambda: datasets.lattice_micrograph((24, 18), spacings=[10**400] * 3),
    "an endless side": lambda: datasets.lattice_micrograph((np.inf, 18)),
    "sides that are one number": lambda: datasets.plasmon_spectra((24,)),
    "turns beyond all numbers": lambda: datasets.overlapping_scans((16, 20), turn=1e308),
    "spectra at no position": lambda: emcore.find_particles(np.ones((9, 9)), np.ones((0, 9, 20))),
    "more particles than pixels": lambda: datasets.shaped_particles((64, 64), 2**40),
    "runs without end": lambda: emcore.FuzzyCMeans(2, n_init=2**31).fit(np.eye(9)),
    "bins without end": lambda: _emcore.bin_features(np.ones((9, 4)), np.zeros(4, np.int32), 4, 2**62),
    "bins that take more than there is": lambda: _emcore.bin_features(
        np.ones((99, 4)), np.zeros(4, np.int32), 4, 2**41
    ),
    "segments that take more than there is": lambda: _emcore.merge_borders(
        2**45, np.zeros((0, 2), np.uint32), np.zeros(0), np.zeros(0)
    ),
}


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.filterwarnings("ignore")
def test_what_was_found_is_an_error_that_says_what_is_wrong(name: str) -> None:
    with pytest.raises(ANSWERS, match=r"\w \w"):
        FOUND[name]()


def test_a_ring_beyond_all_numbers_holds_the_whole_pattern() -> None:
    assert detectors.annulus((9, 9), (4, 4), 0, 1e300).sum() == 80
