"""Prepared rows are what their definition says, wherever they are used."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emcore import num_threads
from emcore._emcore import PreparedRows
from emcore.core.validation import PIXEL_TYPES
from emcore.methods.pca.fit import pca, scores
from emcore.methods.preprocessing import NORMALIZATIONS, Recipe, mean_and_variance, prepare, quantiles


def counts(seed=0, shape=(60, 90), dtype="u2"):
    return np.random.default_rng(seed).poisson(5, shape).astype(dtype)


def by_definition(x, keep, normalize, offset, scale):
    x = np.asarray(x, dtype=np.float64)[:, keep]
    with np.errstate(invalid="ignore", divide="ignore"):
        y = {
            "none": lambda: x,
            "sum": lambda: x / x.sum(1, keepdims=True),
            "root-sum": lambda: x / np.sqrt(x.sum(1, keepdims=True)),
            "max": lambda: x / np.abs(x).max(1, keepdims=True),
            "l2": lambda: x / np.linalg.norm(x, axis=1, keepdims=True),
            "log1p": lambda: np.log1p(x),
            "sqrt": lambda: np.sqrt(x),
        }[normalize]()
    return (np.where(np.isfinite(y), y, 0) - offset) * scale


@given(
    dtype=st.sampled_from(PIXEL_TYPES),
    normalize=st.sampled_from(NORMALIZATIONS),
    n=st.integers(1, 40),
    d=st.integers(1, 120),
    seed=st.integers(0, 99),
)
def test_prepared_rows_are_their_definition(dtype, normalize, n, d, seed):
    random = np.random.default_rng(seed)
    x = counts(seed, (n, d), dtype)
    x[random.integers(n)] = 0
    keep = random.random(d) < 0.7
    keep[random.integers(d)] = True
    offset, scale = random.normal(size=(2, keep.sum()))
    rows = prepare(Recipe(x, keep, normalize, offset, scale))
    assert (rows.shape, rows.dtype, len(rows)) == ((n, keep.sum()), np.float32, n)
    np.testing.assert_allclose(np.asarray(rows), by_definition(x, keep, normalize, offset, scale), rtol=1e-5, atol=1e-5)


def test_signals_stand_side_by_side_and_any_rows_can_be_taken():
    a, b = counts(1, (50, 30)), counts(2, (50, 7), "f8")[:, ::-1]
    both = np.hstack([a, b]).astype("f4")
    rows = prepare([Recipe(a), Recipe(b)])
    np.testing.assert_array_equal(np.asarray(rows), both)
    np.testing.assert_array_equal(rows.take([3, 0, 49, 3]), both[[3, 0, 49, 3]])
    np.testing.assert_array_equal(np.asarray(rows, dtype="f8"), both)


@pytest.mark.parametrize("shape", [(400, 50), (40, 300), (2000, 700)])
def test_principal_components_of_prepared_rows_are_those_of_the_same_array(shape):
    x = counts(3, shape, "u1") + 3 * np.outer(np.arange(shape[0]) % 5, np.arange(shape[1]) % 3).astype("u1")
    rows = prepare(Recipe(x, normalize="sum", scale=np.full(shape[1], 100.0)))
    array = np.asarray(rows)
    for solver in ("auto", "exact"):
        observed, expected = pca(rows, 2, solver=solver), pca(array, 2, solver=solver)
        np.testing.assert_allclose(observed.singular_values, expected.singular_values, rtol=1e-4)
        np.testing.assert_allclose(abs(scores(rows, observed)), abs(scores(array, expected)), atol=2e-2)


def test_prepared_rows_give_the_same_bits_on_any_number_of_threads():
    rows = prepare([Recipe(counts(4, (3000, 200)), normalize="l2"), Recipe(counts(5, (3000, 20)))])
    observed = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            observed.append((np.asarray(rows), pca(rows, 3, solver="randomized").components))
    for other in observed[1:]:
        np.testing.assert_array_equal(observed[0][0], other[0])
        np.testing.assert_array_equal(observed[0][1], other[1])


@given(dtype=st.sampled_from(PIXEL_TYPES), n=st.integers(1, 50), d=st.integers(1, 150), seed=st.integers(0, 99))
def test_quantiles_mean_and_variance_are_those_of_numpy(dtype, n, d, seed):
    x = counts(seed, (n, d), dtype)
    chosen = [0.25, 0.5, 0.75, 0.999]
    np.testing.assert_allclose(quantiles(x, chosen), np.quantile(x.astype("f8"), chosen, axis=0), rtol=1e-12)
    mean, variance = mean_and_variance(x)
    np.testing.assert_allclose(mean, x.mean(0, dtype="f8"), rtol=1e-12)
    np.testing.assert_allclose(variance, x.var(0, dtype="f8"), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("recipes", "message"),
    [
        (Recipe([[1.0, np.nan]]), r"data contains NaN or infinity, first at \[0, 1\]"),
        (Recipe([[1, -1]], normalize="sum"), r"Negative values in data passed to data, first at \[0, 1\]"),
        (Recipe([[1, 2]], normalize="summ"), "did you mean 'sum'"),
        (Recipe([[1, 2]], keep=[False, False]), "leaves none of the 2 features"),
        (Recipe([[1, 2]], keep=[True]), "one bool for each of 2 features"),
        (Recipe([[1, 2]], keep=[1, 0]), "one bool for each of 2 features"),
        (Recipe([[1, 2]], scale=[1.0]), "one value for each of the 2 kept features"),
        (Recipe([[1, 2]], offset=[1.0, np.inf]), "offset contains NaN or infinity"),
        ([Recipe([[1, 2]]), Recipe([[1], [2]])], "1 and 2 rows"),
        ([], "give at least one"),
    ],
)
def test_what_cannot_be_prepared_is_refused_with_what_to_do(recipes, message):
    with pytest.raises(ValueError, match=message):
        prepare(recipes)


def test_a_row_that_does_not_exist_and_an_array_without_a_copy_are_refused():
    rows = prepare(Recipe(counts()))
    assert isinstance(rows, PreparedRows)
    with pytest.raises(ValueError, match="row 60 is asked for; there are 60"):
        rows.take([60])
    with pytest.raises(ValueError, match="always a copy"):
        np.asarray(rows, copy=False) if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else rows.__array__(copy=False)
    with pytest.raises(ValueError, match="before they are prepared"):
        quantiles(rows, [0.5])


def test_chosen_rows_are_prepared_like_all_and_others_are_refused():
    data = np.random.default_rng(0).poisson(4, (9, 30)).astype(np.uint16)
    chosen = [7, 0, 1, 1]
    whole = np.asarray(prepare(Recipe(data, normalize="root-sum")))
    few = prepare(Recipe(data, normalize="root-sum", rows=chosen))
    assert few.shape == (4, 30)
    np.testing.assert_array_equal(np.asarray(few), whole[chosen])
    for wrong, said in (([9], "from 9 to 9"), ([-1], "from -1"), ([], "indices"), ([0.5], "indices")):
        with pytest.raises(ValueError, match=said):
            prepare(Recipe(data, rows=wrong))
