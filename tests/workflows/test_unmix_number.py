"""How many phases: at low dose, of a camera's values, of noise, of measured scans."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from emcore.core.signals import Signal
from emcore.datasets import eds_phases
from emcore.methods.unmixing.joining import spectral_angle
from emcore.results.unmixing import MEASURED, NOISE
from emcore.workflows.unmix import unmix


@pytest.mark.parametrize(("counts", "seed"), [(200, 11), (50, 12), (20, 13), (5, 14)])
def test_three_phases_are_found_at_every_dose(counts, seed):
    sample = eds_phases(counts=counts, minority=0.03, seed=seed)
    observed = unmix(sample.signal)
    assert observed.n_components == 3
    angles = spectral_angle(sample.spectra, observed.spectra)
    assert angles[linear_sum_assignment(angles)].max() < 20
    assert observed.residual_unit == NOISE


def test_bins_show_what_single_positions_do_not_and_the_result_says_so():
    sample = eds_phases(counts=2.5, minority=0.06, seed=3)
    observed = unmix(sample.signal)
    assert (observed.n_components, observed.rule) == (3, "bins")
    assert "in both halves of the counts" in observed.reason
    angles = spectral_angle(sample.spectra, observed.spectra)
    assert angles[linear_sum_assignment(angles)].max() < 30


def test_told_the_number_spectra_are_of_bins_where_these_hold_more_of_the_phases():
    spectra = eds_phases(shape=(8, 8)).spectra
    spectra = spectra / spectra.sum(axis=1, keepdims=True)
    spectra = (spectra + spectra.mean(axis=0)) / 2
    y, x = np.indices((48, 48)) / 47
    mixed = np.stack([1 - 0.5 * x - 0.5 * y, 0.5 * x, 0.5 * y], axis=-1)
    observed = unmix(np.random.default_rng(0).poisson(20 * mixed @ spectra).astype(np.uint8), 3)
    angles = spectral_angle(spectra, observed.spectra)
    # Factors of single positions, of noise for the most part, are off by 53 degrees.
    assert angles[linear_sum_assignment(angles)].max() < 20


@pytest.mark.parametrize("k", [2, 3])
def test_blocks_of_automatic_size_give_way_to_the_whole_where_they_hold_fewer_phases_or_none_alone(k):
    spectra = eds_phases(shape=(8, 8)).spectra
    spectra = spectra / spectra.sum(axis=1, keepdims=True)
    y, x = np.indices((40, 40)) / 39
    shares = [1 - 0.5 * x - 0.5 * y, 0.5 * x, 0.5 * y] if k == 3 else [0.8 - 0.6 * x, 0.2 + 0.6 * x, 0 * x]
    mixed = np.stack(shares, axis=-1)
    data = np.random.default_rng(0).poisson(30 * mixed @ spectra).astype(np.uint8)
    whole, blocks, automatic = unmix(data), unmix(data, blocks=(10, 10)), unmix(data, blocks="auto")
    assert whole.n_components == k
    assert any("no block holds a phase alone: spectra may be mixtures" in note for note in blocks.provenance.notes)
    np.testing.assert_array_equal(automatic.maps, whole.maps)
    assert automatic.blocks is None
    why = "no block holds a phase alone" if k == 2 else "blocks show 2 phases, the whole 3"
    assert f"{why}: the scan was searched as a whole" in automatic.provenance.notes


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_one_component(seed):
    rng = np.random.default_rng(seed)
    spectrum = np.exp(-np.arange(300) / 60) + 0.01
    assert unmix(rng.poisson(30 * spectrum / spectrum.sum(), (40, 40, 300))).n_components == 1


@pytest.mark.parametrize("options", [{}, {"navigation_mask": np.arange(48)[:, None] + np.zeros(40, int) > 40}])
def test_out_of_core_the_number_and_the_spectra_are_the_same(options, tmp_path):
    sample = eds_phases(shape=(48, 40), counts=2, minority=0.1, seed=1)
    expected = unmix(sample.signal, **options)
    assert expected.rule == "bins"
    np.save(tmp_path / "scan.npy", sample.signal.data)
    stored = Signal(np.load(tmp_path / "scan.npy", mmap_mode="r"), sample.signal.axes)
    for more in ({"memory": "7 MiB"}, {"memory": "7 MiB", "checkpoint": tmp_path / "job.npz"}):
        observed = unmix(stored, **options, **more)
        assert (observed.n_components, observed.rule, observed.reason) == (
            expected.n_components,
            "bins",
            expected.reason,
        )
        np.testing.assert_allclose(observed.spectra, expected.spectra, atol=1e-6)
        np.testing.assert_allclose(observed.maps, expected.maps, atol=1e-3 * expected.maps.max())


CHANNELS = np.arange(400)
SMOOTH = 2000 * np.exp(-CHANNELS / 250)
LINES = np.stack([np.exp(-0.5 * ((CHANNELS - at) / 12) ** 2) for at in (80, 190, 310)])


@pytest.fixture(scope="module")
def camera():
    """Three phases, counted by a camera with a gain of 6: a smooth spectrum with a line of each."""
    rng = np.random.default_rng(0)
    labels = np.zeros((20, 18), dtype=int)
    labels[:, 7:] = 1
    labels[11:, 9:15] = 2
    return 6 * rng.poisson((SMOOTH + 700 * LINES[labels]) / 6)


def test_the_values_of_a_camera_are_weighted_by_their_gain_and_it_is_said(camera):
    observed = unmix(camera.astype(np.int32))
    assert observed.n_components == 3
    assert observed.residual_unit == MEASURED
    assert observed.residual_map.mean() == pytest.approx(1, abs=0.05)
    assert any("a gain of 6" in note or "a gain of 5.9" in note for note in observed.provenance.notes)
    np.testing.assert_allclose(observed.residual_spectrum, 1, atol=0.35)
    # A background lies under all lines: only positions of one phase alone tell how much of it is whose.
    angles = spectral_angle(SMOOTH + 700 * LINES, observed.spectra)
    assert angles[linear_sum_assignment(angles)].max() < 1
    assert unmix(0.01 * camera).n_components == 3


def test_cosmic_rays_are_taken_out_counted_and_said(camera):
    spoilt = camera.astype(np.int32)
    rng = np.random.default_rng(2)
    for _ in range(25):
        spoilt[rng.integers(20), rng.integers(18), rng.integers(10, 390)] += 30000
    observed, kept = unmix(spoilt), unmix(spoilt, cosmic_rays="keep")
    assert observed.n_components == 3
    assert "25 cosmic rays taken out" in observed.provenance.notes
    assert not any("cosmic" in note for note in kept.provenance.notes)
    assert kept.residual_map.max() > 100 > 2 > observed.residual_map.max()
    with pytest.raises(ValueError, match="cosmic_rays"):
        unmix(spoilt, cosmic_rays="yes")


def test_a_number_that_the_data_do_not_bear_out_is_said_not_to_be_relied_on():
    rng = np.random.default_rng(0)
    spectra = rng.dirichlet(np.full(120, 0.3), 60)
    many = unmix(rng.poisson(2e5 * rng.dirichlet(np.full(60, 0.2), 900) @ spectra).reshape(30, 30, -1))
    assert many.n_components == 20
    assert any("the most that are looked for" in note for note in many.provenance.notes)
    assert any("times the noise" in note for note in many.provenance.notes)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("eels_energy_first.dm3", (4, 6)),
        ("cl_wavelength_first.dm4", (2, 6)),
        ("eels_line.hspy", (2, 2)),
        ("eds_large_counts.bcf", (1, 1)),
        ("eds_stopped.bcf", (1, 1)),
        ("rock_low_dose.bcf", (3, 4)),
    ],
)
def test_measured_scans_have_as_many_components_as_their_specimens(data_folder, name, number):
    observed = unmix(data_folder / "cases" / name)
    assert number[0] <= observed.n_components <= number[1]


def test_at_a_low_dose_the_phases_are_those_of_a_high_one(data_folder):
    pytest.importorskip("scipy.ndimage")
    low, high = (unmix(data_folder / name) for name in ("cases/rock_low_dose.bcf", "rock.bcf"))
    a, b = (
        np.add.reduceat(np.add.reduceat(each.maps, np.arange(0, 75, 8), 1), np.arange(0, 100, 8), 2).reshape(
            each.n_components, -1
        )
        for each in (low, high)
    )
    correlations = np.corrcoef(a, b)[: len(a), len(a) :]
    best = np.sort(correlations[linear_sum_assignment(-correlations)])[::-1]
    assert np.all(best[:3] > [0.9, 0.8, 0.6])
