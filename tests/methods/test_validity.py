"""Validity of fuzzy clusters."""

import numpy as np
import pytest

from emcore.methods.fuzzy.fit import fuzzy_c_means, gustafson_kessel
from emcore.methods.fuzzy.validity import fuzzy_validity
from emcore.methods.preprocessing import Recipe, prepare


def rows(k=3, n=900, d=4, seed=0, noise=4.0):
    rng = np.random.default_rng(seed)
    return (rng.uniform(20, 220, size=(k, d))[np.arange(n) % k] + noise * rng.normal(size=(n, d))).clip(0, 255)


def plain(X, u, v, m, squares):
    n, k = u.shape
    w = u**m
    pc = (u**2).sum() / n
    gaps = min(((v[i] - v[j]) ** 2).sum() for i in range(k) for j in range(i))
    pe = -(u * np.log(u)).sum() / n
    far = ((v - X.mean(axis=0)) ** 2).sum(axis=1)
    return pc, 1 - k / (k - 1) * (1 - pc), pe, (w * squares).sum() / (n * gaps), (w * (squares - far)).sum()


@pytest.mark.parametrize("m", [2.0, 1.5])
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_indices_equal_their_definitions(m, dtype):
    X = rows().astype(dtype)
    observed = fuzzy_c_means(X, 3, m=m)
    x, u = X.astype("f8"), observed.memberships.astype("f8")
    squares = ((x[:, None] - observed.centers) ** 2).sum(axis=2)
    expected = plain(x, u, observed.centers, m, squares)
    np.testing.assert_allclose(fuzzy_validity(X, u, observed.centers, m=m), expected, rtol=1e-10)


def test_with_covariances_their_distances_count():
    X = rows()
    observed = gustafson_kessel(X, 3, rho=[1.0, 2.0, 3.0])
    z, f = X[:, None] - observed.centers, observed.covariances
    a = (np.array([1.0, 2.0, 3.0]) * np.linalg.det(f)) ** (1 / 4)
    squares = np.einsum("nki,kij,nkj->nk", z, a[:, None, None] * np.linalg.inv(f), z)
    found_indices = fuzzy_validity(X, observed.memberships, observed.centers, covariances=f, rho=[1.0, 2.0, 3.0])
    np.testing.assert_allclose(found_indices, plain(X, observed.memberships, observed.centers, 2.0, squares), rtol=1e-9)
    j = observed.objective[-1]
    assert found_indices.xie_beni * 900 * min(
        ((observed.centers[i] - observed.centers[j]) ** 2).sum() for i in range(3) for j in range(i)
    ) == pytest.approx(j, rel=1e-9)


def test_crisp_clusters_have_a_coefficient_of_one_and_no_entropy():
    X = np.repeat([[0.0, 1.0], [9.0, 3.0]], 20, axis=0)
    observed = fuzzy_validity(X, np.repeat(np.eye(2), 20, axis=0), [[0, 1], [9, 3]])
    assert observed[:4] == (1.0, 1.0, 0.0, 0.0)
    assert observed.fukuyama_sugeno == pytest.approx(-40 * (4.5**2 + 1))


def test_equal_memberships_have_the_least_coefficient_and_coinciding_centres_no_separation():
    X = rows()
    observed = fuzzy_validity(X, np.full((900, 3), 1 / 3), np.repeat(X[:1], 3, axis=0))
    assert observed.partition_coefficient == pytest.approx(1 / 3)
    assert observed.modified_partition_coefficient == pytest.approx(0, abs=1e-12)
    assert observed.partition_entropy == pytest.approx(np.log(3))
    assert observed.xie_beni == np.inf


def test_the_true_number_of_clusters_is_the_most_valid():
    X = rows(4, noise=6.0, seed=2)
    results = {}
    for k in range(2, 8):
        observed = fuzzy_c_means(X, k, n_init=3)
        results[k] = fuzzy_validity(X, observed.memberships, observed.centers)
    assert max(results, key=lambda k: results[k].modified_partition_coefficient) == 4
    assert min(results, key=lambda k: results[k].xie_beni) == 4


def test_prepared_rows_are_as_good_as_an_array():
    X = rows().astype("u1")
    observed = fuzzy_c_means(X, 3)
    of_array = fuzzy_validity(X, observed.memberships, observed.centers)
    assert fuzzy_validity(prepare(Recipe(X)), observed.memberships, observed.centers) == pytest.approx(of_array)


def test_bad_input_is_refused_by_name():
    X = rows()
    u, v = np.full((900, 3), 1 / 3), X[:3]
    for arguments, message in [
        ((X, u[:5], v), "memberships"),
        ((X, u, v[:, :2]), "centers"),
        ((X, -u, v), "Negative values in data passed to memberships"),
        ((X, u[:, :1], v[:1]), "one cluster"),
        ((X, np.where(u > 0, np.nan, u), v), "memberships contains NaN"),
    ]:
        with pytest.raises(ValueError, match=message):
            fuzzy_validity(*arguments)
    with pytest.raises(ValueError, match="not positive definite"):
        fuzzy_validity(X, u, v, covariances=np.zeros((3, 4, 4)))
