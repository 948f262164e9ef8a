"""Correlations with references: against numpy.corrcoef, and what must not change them; phases of these."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emcore
from emcore.methods.correlation.assignment import assign
from emcore.methods.correlation.coefficients import correlations
from emcore.methods.preprocessing import Recipe, prepare
from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored


def rows(n=150, d=77, seed=0):
    return np.random.default_rng(seed).poisson(9, (n, d))


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", "f4", "f8"])
def test_correlations_are_those_of_numpy(dtype):
    X, references = rows().astype(dtype), rows(4, seed=1) * 0.3 - 5
    r, means, norms = correlations(X, references)
    np.testing.assert_allclose(means, X.mean(axis=1, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(r, np.corrcoef(X, references)[: len(X), len(X) :], atol=2e-6)
    np.testing.assert_allclose(norms, X.std(axis=1, dtype=np.float64) * np.sqrt(X.shape[1]), rtol=1e-6)


def test_bright_rows_of_little_contrast_cost_no_digits():
    X, references = (rows() + 30000).astype("u2"), rows(3, seed=1)
    np.testing.assert_array_equal(correlations(X, references).r, correlations(X - 30000, references).r)


@settings(max_examples=50, deadline=None)
@given(gain=st.floats(1e-12, 1e12), offset=st.floats(-1e3, 1e3), seed=st.integers(0, 2**16))
def test_gain_and_offset_of_a_row_change_nothing(gain, offset, seed):
    X, references = rows(5, 40, seed).astype("f8"), rows(2, 40, seed + 1)
    other = correlations(gain * (X + offset), references).r
    np.testing.assert_allclose(other, correlations(X, references).r, atol=1e-6)
    # Of 32-bit numbers as far as these hold the row.
    other = correlations((gain * (X + offset)).astype("f4"), references).r
    np.testing.assert_allclose(other, correlations(X, references).r, atol=1e-4)


def test_constant_rows_correlate_with_nothing():
    X = np.full((3, 50), 0.1, "f4")
    X[1, 7] += 1e-6
    r, _, norms = correlations(X, rows(2, 50))
    assert (norms == 0).tolist() == [True, False, True]
    assert not r[[0, 2]].any()
    assert r[1].all()


def test_rows_that_are_not_finite_correlate_with_nothing_and_their_norms_say_so():
    X = rows(4, 50).astype("f4")
    X[1, 7], X[2, 49] = np.nan, -np.inf
    r, _, norms = correlations(X, rows(2, 50, seed=1))
    assert np.isnan(norms).tolist() == [False, True, True, False]
    assert not r[1:3].any()
    assert r[[0, 3]].all()


def test_prepared_rows_and_rows_in_blocks_have_those_of_what_they_stand_for():
    X, references = rows().astype("u2"), rows(3, seed=1)
    expected = correlations(X, references)
    prepared = prepare(Recipe(X, normalize="sqrt", rows=[3, 9, 4]))
    np.testing.assert_array_equal(
        correlations(prepared, references).r, correlations(np.asarray(prepared), references).r
    )
    in_blocks = correlations(Source([Stored(X.reshape(15, 10, 77))]), references, memory="40 MiB")
    for observed, of in zip(in_blocks, expected, strict=True):
        np.testing.assert_array_equal(observed, of)


def test_correlations_are_the_same_on_any_number_of_threads():
    X, references = rows(3000).astype("u1"), rows(5, seed=1)
    results = []
    for threads in (1, 2, 3):
        with emcore.num_threads(threads):
            results.append(correlations(X, references))
    for other in results[1:]:
        np.testing.assert_array_equal(other.r, results[0].r)


@pytest.mark.parametrize(
    ("X", "references", "message"),
    [
        (rows(), rows(2, 76), "references: 76 columns; 77 are needed"),
        (rows(), np.ones((2, 77)), "references: number 0 is constant"),
        (rows(), np.where(rows(2) > 5, rows(2), np.nan), "references contains NaN"),
        (rows()[0], rows(2), "2-D array is needed"),
    ],
)
def test_what_does_not_fit_is_refused(X, references, message):
    with pytest.raises(ValueError, match=message):
        correlations(X, references)


def test_the_phase_is_that_of_the_largest_correlation_with_any_of_its_references():
    r = np.random.default_rng(0).uniform(-1, 1, (200, 5)).astype("f4")
    of = [2, 0, 1, 0, 2]
    found = assign(r, of, 0.3)
    for own, label, first, difference, reliability in zip(r, *found, strict=True):
        best = [max(own[i] for i in range(5) if of[i] == phase) for phase in range(3)]
        r1, r2 = sorted(best)[-1], max(sorted(best)[-2], 0)
        assert first == r1
        if r1 < 0.3:
            assert (label, difference, reliability) == (-1, 0, 0)
        else:
            assert label == np.argmax(best)
            assert difference == pytest.approx(r1 - r2, abs=1e-6)
            assert reliability == pytest.approx(100 * (1 - r2 / r1), abs=1e-3)


def test_one_phase_alone_is_compared_with_nothing():
    found = assign(np.array([[0.4], [-0.4], [0.0]], "f4"), [0])
    assert found.labels.tolist() == [0, -1, -1]
    assert found.reliability.tolist() == [100, 0, 0]
