"""Rows at low rank, as a kernel makes them: of every type, against plain arithmetic."""

import numpy as np
import pytest

from emcore import _emcore

N, D, K = 37, 531, 5


def case(dtype, seed=0):
    rng = np.random.default_rng(seed)
    top = 200 if np.dtype(dtype).itemsize == 1 else 3000
    x = rng.integers(0, top, (N, D)).astype(dtype)
    into, back = rng.normal(size=(D, K)) / D, rng.normal(size=(K, D)) * 2 + 1
    measured, features = np.ones(N, dtype=bool), np.ones(D, dtype=bool)
    measured[[3, 30]], features[[7, 500]] = False, False
    return x, into, back, measured, features


def plain(x, into, back, measured, features, clip, toward, varying, dtype):
    x = x.astype(float)
    scores = x @ into
    scores[:, 0] = toward + varying * (scores[:, 0] - toward)
    model = scores @ back
    negative = model[measured]
    negative = negative[negative < 0]
    if clip:
        model = np.maximum(model, 0)
    model[:, ~features] = x[:, ~features]
    values = np.where(measured[:, None], model, x)
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    model, x = model * measured[:, None], x * measured[:, None]
    sums = [[each.sum(axis=axis) for axis in (0, 1)] for each in ((x - model) ** 2, model, x**2)]
    return values, sums, len(negative), negative.sum()


PAIRS = [
    ("u1", "u1"), ("u1", "f4"), ("u2", "u2"), ("u2", "f4"), ("i2", "i2"), ("i2", "f4"), ("u4", "f4"), ("i4", "f4"),
    ("f4", "f4"), ("f8", "f4"), ("f8", "f8"), ("f8", "u4"), ("f8", "i4"),
]  # fmt: skip


@pytest.mark.parametrize(("of", "to"), PAIRS)
@pytest.mark.parametrize("clip", [True, False])
def test_every_type_is_made_as_plain_arithmetic_makes_it(of, to, clip):
    x, into, back, measured, features = case(of)
    values = np.zeros((N, D), to)
    options = {"toward": 0.4, "varying": 0.3}
    observed = _emcore.at_low_rank(
        x, values, into=into, back=back, features=features, measured=measured, clip=clip, **options
    )
    made, sums, count, lacking = plain(x, into, back, measured, features, clip, dtype=to, **options)
    if np.dtype(to).kind in "iu":
        assert (values != made).mean() < 1e-3  # a half that is rounded otherwise
        np.testing.assert_allclose(values.astype(float), made, atol=1)
    else:
        np.testing.assert_allclose(values, made, rtol=1e-4, atol=1e-4)
    for pair, expected in zip(observed[:3], sums, strict=True):
        for each, plainly in zip(pair, expected, strict=True):
            np.testing.assert_allclose(each, plainly, rtol=1e-4)
    assert abs(observed[3] - count) <= 2
    assert observed[4] == pytest.approx(lacking, rel=1e-4)
    np.testing.assert_array_equal(values[~measured], x[~measured].astype(to))
    np.testing.assert_array_equal(values[:, ~features], x[:, ~features].astype(to))


def test_values_that_are_rounded_to_zero_are_counted():
    x = np.ones((4, 40), np.uint8)
    into, back = np.full((40, 1), 1 / 40), np.linspace(-0.2, 0.7, 40)[None]
    values = np.empty((4, 40), np.uint8)
    *_, lost = _emcore.at_low_rank(
        x, values, into=into, back=back, toward=0.0, varying=1.0, features=None, measured=np.ones(4, bool), clip=True
    )
    model = np.maximum(back, 0).repeat(4, axis=0)
    assert lost == ((model > 0) & (np.rint(model) == 0)).sum()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"into": np.zeros((3, 2))}, "into and back"),
        ({"back": np.zeros((2, 3))}, "into and back"),
        ({"features": np.ones(3, bool)}, "features"),
        ({"measured": np.ones(3, bool)}, "measured"),
    ],
)
def test_what_does_not_fit_is_refused(changed, said):
    x, into, back, measured, features = case("u1")
    options = {"into": into, "back": back, "features": features, "measured": measured} | changed
    with pytest.raises(ValueError, match=said):
        _emcore.at_low_rank(x, np.empty((N, D), "f4"), toward=0.0, varying=1.0, clip=True, **options)
    with pytest.raises(TypeError, match="values of this type"):
        _emcore.at_low_rank(
            x, np.empty((N, D), "f8"), into=into, back=back, features=None, measured=measured, clip=True,
            toward=0.0, varying=1.0,
        )  # fmt: skip
    with pytest.raises(ValueError, match="factors"):
        _emcore.weighted_squares(x, np.ones(3))


@pytest.mark.parametrize("of", ["u1", "i2", "f4", "f8"])
def test_squares_are_weighted_by_their_feature(of):
    x = case(of)[0]
    factors = np.random.default_rng(1).uniform(size=D)
    np.testing.assert_allclose(_emcore.weighted_squares(x, factors), x.astype(float) ** 2 @ factors, rtol=1e-12)


def test_products_weigh_rows():
    x, into, *_ = case("u2")
    weights = np.random.default_rng(2).uniform(size=N)
    expected = x.T.astype(float) @ (weights[:, None] * (x @ into))
    np.testing.assert_allclose(_emcore.xt_x_q(x, into, None, weights), expected, rtol=1e-4, atol=1e-3)
    with pytest.raises(ValueError, match="weights"):
        _emcore.xt_x_q(x, into, None, weights[1:])
