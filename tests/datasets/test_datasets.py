"""Synthetic micrographs hold what their labels say."""

import numpy as np
import pytest

from emcore.datasets import bent_polycrystal, lattice_micrograph, polycrystal_scan


def test_every_region_has_the_spacing_and_direction_that_are_claimed():
    sample = lattice_micrograph(shape=(600, 700), noise=0.0)
    for region in range(3):
        inside = np.where(sample.labels == region, sample.image, 0)
        power = np.abs(np.fft.fft2(inside, s=(2048, 2048))) ** 2
        power[0, 0] = 0
        iy, ix = np.unravel_index(np.argmax(power), power.shape)
        ky, kx = np.fft.fftfreq(2048)[iy], np.fft.fftfreq(2048)[ix]
        assert 1 / np.hypot(ky, kx) == pytest.approx(sample.spacing[region], rel=0.01)
        # Rows count downwards, directions counter-clockwise with y up.
        observed = np.degrees(np.arctan2(-ky, kx))
        assert abs((observed - sample.direction[region] + 90) % 180 - 90) < 1


def test_a_direction_of_ninety_degrees_means_horizontal_fringes():
    sample = lattice_micrograph(shape=(64, 64), spacings=[8.0], directions=[90.0], noise=0.0)
    assert np.ptp(sample.image.mean(axis=1)) > 10 * np.ptp(sample.image.mean(axis=0))


def test_a_direction_of_forty_five_degrees_points_up_and_to_the_right_as_seen():
    sample = lattice_micrograph(shape=(200, 200), spacings=[10.0], directions=[45.0], noise=0.0)
    power = np.abs(np.fft.fft2(sample.image)) ** 2
    iy, ix = np.unravel_index(np.argmax(power), power.shape)
    assert np.fft.fftfreq(200)[iy] * np.fft.fftfreq(200)[ix] < 0


def test_borders_are_not_straight_and_every_region_is_large():
    for shape in [(1370, 1662), (768, 1024), (512, 512)]:
        labels = lattice_micrograph(shape=shape, noise=0.0).labels
        assert np.bincount(labels.ravel()).min() > 0.15 * labels.size
        borders = np.array([np.flatnonzero(np.diff(row))[-1] for row in labels])
        line = np.polyval(np.polyfit(np.arange(len(borders)), borders, 1), np.arange(len(borders)))
        assert np.abs(borders - line).max() > 10


def test_noise_and_gradient_have_the_sizes_asked_for():
    clean = lattice_micrograph(shape=(400, 400), noise=0.0).image
    noisy = lattice_micrograph(shape=(400, 400), noise=2.0).image
    assert np.std(noisy - clean) == pytest.approx(2.0, rel=0.01)
    tilted = lattice_micrograph(shape=(400, 400), noise=0.0, gradient=5.0).image
    assert np.ptp(tilted - clean) == pytest.approx(5.0, rel=1e-3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "int32"])
def test_integers_hold_the_same_picture_without_clipping(dtype):
    float_image = lattice_micrograph(shape=(200, 200)).image
    image = lattice_micrograph(shape=(200, 200), dtype=dtype).image
    info = np.iinfo(dtype)
    assert image.dtype == dtype
    assert image.min() > info.min
    assert image.max() < info.max
    assert np.corrcoef(image.ravel().astype(float), float_image.ravel())[0, 1] > 0.999


def test_the_same_seed_gives_the_same_picture_and_another_seed_another():
    first, again, other = (lattice_micrograph(shape=(50, 60), seed=seed).image for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"shape": (0, 5)}, ValueError, "shape"),
        ({"spacings": (7.0, 9.0)}, ValueError, "one length"),
        ({"spacings": (7.0, 9.0, 1.5)}, ValueError, "aliased"),
        ({"directions": (0.0, np.nan, 1.0)}, ValueError, "finite"),
        ({"noise": -1.0}, ValueError, "noise"),
        ({"dtype": "complex64"}, TypeError, "dtype"),
        ({"dtype": object}, TypeError, "dtype"),
    ],
)
def test_bad_requests_are_refused_with_a_reason(options, error, message):
    with pytest.raises(error, match=message):
        lattice_micrograph(**{"shape": (50, 60), **options})


def test_patterns_of_a_scan_have_the_counts_that_their_thickness_leaves():
    sample = polycrystal_scan((20, 30), counts=3000)
    ky, kx = np.ogrid[:64, :64]
    away = np.hypot(ky - sample.beam_center[0], kx - sample.beam_center[1])
    beam = sample.patterns[:, :, away < sample.beam_radius + 1].sum(axis=2)
    expected = 3000 * np.exp(-sample.thickness)
    assert np.abs((beam - expected) / np.sqrt(expected)).mean() == pytest.approx(np.sqrt(2 / np.pi), rel=0.1)
    rest = sample.patterns[:, :, away > sample.beam_radius + 1].sum(axis=2)
    assert rest.mean() == pytest.approx(0.3 * 3000, rel=0.01)


def test_thickness_crosses_the_grains():
    sample = polycrystal_scan()
    for grain in range(5):
        inside = sample.thickness[sample.labels == grain]
        assert inside.min() < 0.7
        assert inside.max() > 1.6


def test_the_same_seed_gives_the_same_scan_and_another_seed_another():
    first, again, other = (polycrystal_scan((3, 4), seed=seed).patterns for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scan_shape": (0, 5)}, "scan_shape"),
        ({"pattern_shape": (64, 20)}, "pattern_shape"),
        ({"n_grains": 0}, "n_grains"),
        ({"counts": 0.0}, "counts"),
        ({"thickness": (2.0, 1.0)}, "thickness"),
    ],
)
def test_a_scan_that_cannot_be_made_is_refused_with_a_reason(options, message):
    with pytest.raises(ValueError, match=message):
        polycrystal_scan(**options)


def test_bent_grains_have_the_counts_and_the_gap_that_they_should_and_bending_changes_patterns():
    sample = bent_polycrystal((24, 24), (64, 64), n_grains=3, counts=3000, seed=1)
    data = np.asarray(sample.patterns.data)
    assert data.dtype == np.uint8
    assert data.sum(axis=(2, 3)).mean() == pytest.approx(3000, rel=0.15)
    assert not data[..., sample.gap].any()
    assert sample.gap.any()
    assert [axis.units for axis in sample.patterns.axes] == ["nm", "nm", "1/nm", "1/nm"]
    straight = bent_polycrystal((24, 24), (64, 64), n_grains=3, counts=3000, seed=1, bend=0.0)
    assert np.array_equal(straight.labels, sample.labels)
    assert not straight.tilt.any()

    def excess(scan):
        """Variance over mean within a grain, above 1 where more than chance moves intensities."""
        inside = np.asarray(scan.patterns.data)[scan.labels == 0].astype(float)
        mean, variance = inside.mean(axis=0).ravel(), inside.var(axis=0).ravel()
        bright = np.argsort(-mean)[40:300]
        return (variance[bright] / mean[bright]).mean()

    assert excess(straight) == pytest.approx(1, abs=0.05)
    assert excess(sample) > 1.05


def test_bent_grains_are_the_same_for_a_seed_and_go_to_a_given_array():
    out = np.empty((5, 6, 32, 32), np.uint8)
    first = bent_polycrystal((5, 6), (32, 32), n_grains=2, out=out)
    again, other = (bent_polycrystal((5, 6), (32, 32), n_grains=2, seed=seed).patterns.data for seed in (0, 1))
    assert first.patterns.data is out
    assert np.array_equal(out, again)
    assert not np.array_equal(out, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scan_shape": (0, 5)}, "scan_shape"),
        ({"pattern_shape": (32, 20)}, "pattern_shape"),
        ({"n_grains": 31}, "n_grains=31 is out of range"),
        ({"counts": -1.0}, "counts"),
        ({"bend": 2.0}, "bend"),
        ({"out": np.empty((5, 6, 32, 32))}, "out is float64"),
    ],
)
def test_bent_grains_that_cannot_be_made_are_refused_with_a_reason(options, message):
    with pytest.raises(ValueError, match=message):
        bent_polycrystal(**{"scan_shape": (5, 6), "pattern_shape": (32, 32), "n_grains": 2, **options})
