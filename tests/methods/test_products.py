"""Thin products equal NumPy's in float64, from every pixel type and any strides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emcore import _emcore, num_threads

PIXELS = ["u1", "u2", "u4", "i2", "i4", "f4", "f8"]
LAYOUTS = {
    "rows": lambda X: X,
    "columns": np.asfortranarray,
    "every other": lambda X: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "backwards": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
}


def pixels(rng, shape, dtype):
    if dtype[0] == "f":
        return rng.standard_normal(shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(max(info.min, -(2**24)), min(info.max, 2**24), shape, dtype)  # exact in float32


@settings(max_examples=120, deadline=None)
@given(
    n=st.integers(1, 300),
    d=st.integers(1, 150),
    k=st.integers(1, 40),
    dtype=st.sampled_from(PIXELS),
    layout=st.sampled_from(sorted(LAYOUTS)),
    shifted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_products_equal_those_of_numpy(n, d, k, dtype, layout, shifted, seed):
    rng = np.random.default_rng(seed)
    X = LAYOUTS[layout](pixels(rng, (n, d), dtype))
    q, y = rng.standard_normal((d, k)), rng.standard_normal((n, k))
    offset = X[0].astype(np.float64) if shifted else None
    A = X.astype(np.float64) - (0 if offset is None else offset)
    eps = 1e-14 if dtype == "f8" else 2e-6
    size = np.abs(A)
    for observed, expected, bound in [
        (_emcore.x_q(X, q, offset), A @ q, size @ np.abs(q)),
        (_emcore.xt_y(X, y, offset), A.T @ y, size.T @ np.abs(y)),
        (_emcore.xt_x_q(X, q, offset), A.T @ (A @ q), size.T @ (size @ np.abs(q))),
    ]:
        assert observed.shape == expected.shape
        assert (np.abs(observed - expected) <= eps * bound + 1e-300).all()


def test_an_offset_is_subtracted_before_it_can_cancel():
    rng = np.random.default_rng(0)
    X = (30000 + rng.standard_normal((500, 700))).astype("f4")
    q = rng.standard_normal((700, 3))
    mean = X.mean(axis=0, dtype="f8").astype("f4").astype("f8")
    expected = (X.astype("f8") - mean) @ q
    assert np.abs(_emcore.x_q(X, q, mean) - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_products_are_the_same_to_the_last_bit_on_any_number_of_threads(dtype):
    rng = np.random.default_rng(0)
    X = pixels(rng, (2003, 130), dtype)
    q, y = rng.standard_normal((130, 7)), rng.standard_normal((2003, 7))
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            observed = _emcore.x_q(X, q), _emcore.xt_y(X, y), _emcore.xt_x_q(X, q)
            results.append(b"".join(array.tobytes() for array in observed))
    assert len(set(results)) == 1


def test_shapes_that_do_not_fit_are_refused():
    X = np.zeros((5, 4), "u1")
    for call in (
        lambda: _emcore.x_q(X, np.zeros((5, 2))),
        lambda: _emcore.xt_y(X, np.zeros((4, 2))),
        lambda: _emcore.xt_x_q(X, np.zeros((3, 2))),
        lambda: _emcore.x_q(X, np.zeros((4, 2)), np.zeros(5)),
    ):
        with pytest.raises(ValueError, match="needed"):
            call()
