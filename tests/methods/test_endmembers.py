"""How many spectra rows are mixed from, and which: on counts whose truth is known."""

import numpy as np
import pytest

from emcore.datasets import eds_phases
from emcore.methods.pca.fit import pca
from emcore.methods.preprocessing import Recipe, prepare, sums_of
from emcore.methods.unmixing.endmembers import find_endmembers
from emcore.methods.unmixing.joining import spectral_angle
from emcore.methods.unmixing.weights import channel_weights, floors, rare_edge


def find(rows, n_components="auto", weighting="poisson", loss="frobenius", counting=True, positions=None):
    return find_endmembers(rows, n_components, weighting, loss, counting, positions)


def test_the_largest_singular_value_of_weighted_counts_is_one_and_its_vectors_are_roots_of_the_sums():
    rows = np.random.default_rng(0).poisson(5, (300, 80)).astype("u2")
    a, b = rows.sum(axis=1, dtype=float), rows.sum(axis=0, dtype=float)
    np.testing.assert_allclose(1 / channel_weights(b, a, True), b)  # with many counts no floor acts
    weighted = prepare(Recipe(rows, normalize="root-sum", scale=1 / np.sqrt(b)))
    observed = pca(weighted, 1, center=False)
    assert observed.singular_values[0] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(observed.components[0], np.sqrt(b / b.sum()), atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("counts", [1.5, 20, 300])
def test_one_phase_is_one_component_however_few_counts_there_are(seed, counts):
    rng = np.random.default_rng(seed)
    spectrum = rng.pareto(1.5, 400)
    bright = rng.lognormal(0, 0.8, 900)
    rows = rng.poisson(counts * np.outer(bright, spectrum / spectrum.sum())).astype("u2")
    assert find(rows).choice.n == 1


@pytest.mark.parametrize("seed", range(4))
def test_the_noise_of_a_rare_phase_is_no_phase(seed):
    sample = eds_phases(shape=(30, 30), seed=seed)
    observed = find(sample.signal.data.reshape(900, -1))
    assert (observed.choice.n, observed.choice.rule) == (3, "gavish-donoho")
    assert spectral_angle(sample.spectra, observed.spectra).min(axis=1).max() < 12


def test_the_edge_of_one_phase_is_that_of_equal_noise():
    rng = np.random.default_rng(1)
    a, b = rng.random(50) + 0.5, rng.random(70) + 0.5
    a, b = 1000 * a / a.sum(), 1000 * b / b.sum()
    edge = rare_edge(a[:, None], b[None] / 1000, a, b)
    assert edge == pytest.approx((np.sqrt(50) + np.sqrt(70)) / np.sqrt(1000))


def test_a_lone_count_weighs_a_quarter_of_the_threshold_at_the_floor():
    from emcore.methods.selection.rules import optimal_threshold

    a, b = floors(5000, 800, 3e5)
    assert 1 / (a * b) == pytest.approx(0.25 * optimal_threshold((5000, 800)) ** 2 * 5000 / 3e5)
    assert a / b == pytest.approx((3e5 / 5000) / (3e5 / 800))


@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
@pytest.mark.parametrize("weighting", ["poisson", "none"])
def test_spectra_of_well_separated_phases_are_found(loss, weighting):
    sample = eds_phases(shape=(40, 40), minority=0.1)
    observed = find(sample.signal.data.reshape(1600, -1), 3, weighting, loss)
    assert (observed.choice.n, observed.choice.rule) == (3, "given")
    np.testing.assert_allclose(observed.spectra.sum(axis=1), 1)
    assert spectral_angle(sample.spectra, observed.spectra).min(axis=1).max() < 4


def test_positions_left_out_have_no_say():
    sample = eds_phases(shape=(40, 40), minority=0.1)
    rows = sample.signal.data.reshape(1600, -1)
    taken = np.flatnonzero(sample.maps[2].ravel() == 0)
    observed, alone = find(rows, positions=taken), find(rows[taken])
    assert observed.choice.n == alone.choice.n == 2
    np.testing.assert_allclose(observed.spectra, alone.spectra, atol=1e-6)
    assert sums_of(rows)[0][:5].tolist() == rows[:5].sum(axis=1).tolist()


def test_where_the_noise_is_not_known_the_median_tells_it():
    sample = eds_phases(shape=(30, 40), minority=0.1, channels=500)
    observed = find(1e-7 * sample.signal.data.reshape(1200, -1), counting=False)
    assert observed.choice.n >= 3
    assert "noise from the median" in observed.choice.reason
    assert observed.above_edge == 0


def test_more_components_than_the_counts_allow_are_refused():
    rows = np.zeros((50, 40), dtype="u1")
    rows[:3] = 5
    with pytest.raises(ValueError, match="n_components=4 is too many for 3 positions and 40 channels with counts"):
        find(rows, 4)
