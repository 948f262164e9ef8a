"""Groups of windows: mixtures are none, parts are those of non-negative least squares, turned classes one texture."""

import numpy as np
import pytest

from emcore.datasets import adjusted_rand_index
from emcore.methods.volume.grouping import fractions, group_windows, textures_of
from emcore.methods.volume.harmonics import over_shells, real_harmonics, rotation_about

DIRECTIONS = {
    "primitive": np.eye(3),
    "gyroid": np.array([[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]]) / 2**0.5,
}
TURNS = [("primitive", 0.0), ("primitive", 35.0), ("gyroid", 0.0), ("gyroid", 40.0)]


def shells(name, angle, width=8):
    """Coefficients of a texture that is turned, on some shells."""
    turned = DIRECTIONS[name] @ rotation_about(np.array([1.0, 2.0, 2.0]) / 3, angle).T
    values = np.zeros((width, 45))
    values[2] = real_harmonics(turned, 8).mean(axis=0)
    return values


def sample(per_class=60, mixed=80, noise=0.01, seed=0):
    """Windows of four classes, and such as lie in two of them."""
    rng = np.random.default_rng(seed)
    pure = np.stack([shells(*turn) for turn in TURNS])
    weights = np.eye(4)[np.repeat(np.arange(4), per_class)]
    between = np.zeros((mixed, 4))
    pairs = np.array([(0, 1), (1, 2), (2, 3), (0, 3)])[rng.integers(4, size=mixed)]
    part = np.round(rng.uniform(0.15, 0.85, mixed) * 4) / 4  # many of one mixture, as along a border
    between[np.arange(mixed), pairs[:, 0]], between[np.arange(mixed), pairs[:, 1]] = part, 1 - part
    weights = np.concatenate([weights, between])
    rows = np.einsum("nk,kqa->nqa", weights, pure) * rng.uniform(0.8, 1.2, (len(weights), 1, 1))
    rows += noise * rng.normal(size=rows.shape) * np.abs(pure).max()
    rows[..., 0] += 0.02
    return over_shells(rows.astype(np.float32)), weights


@pytest.mark.parametrize("method", ["hdbscan", "mixture", "kmeans"])
def test_classes_and_textures_are_found_without_their_number_and_mixtures_are_none(method):
    rows, weights = sample(mixed=80 if method == "hdbscan" else 0)
    groups = group_windows(rows, method)
    assert groups.texture_of.tolist() == [0, 0, 1, 1]
    pure = weights.max(axis=1) == 1
    assert adjusted_rand_index(groups.parts.argmax(axis=1)[pure], weights.argmax(axis=1)[pure]) == 1
    assert adjusted_rand_index(groups.texture_parts.argmax(axis=1)[pure], weights.argmax(axis=1)[pure] // 2) == 1
    assert groups.pure()[pure].mean() > 0.95
    assert not groups.pure()[~pure].any()


def test_parts_of_mixed_windows_are_what_they_are_made_of():
    rows, weights = sample()
    groups = group_windows(rows)
    order = [int(weights[groups.parts[:, k] > 0.9].mean(axis=0).argmax()) for k in range(4)]
    np.testing.assert_allclose(groups.parts, weights[:, order], atol=0.1)
    np.testing.assert_allclose(groups.texture_parts.sum(axis=1), 1, atol=1e-6)


def test_parts_are_those_of_non_negative_least_squares():
    nnls = pytest.importorskip("scipy.optimize").nnls
    rng = np.random.default_rng(2)
    means, rows = rng.random((4, 12)), rng.normal(0.3, 0.5, (30, 12)).astype(np.float32)
    parts, explained = fractions(rows, means)
    for row, part, how_much in zip(rows, parts, explained, strict=True):
        expected, left = nnls(means.T, row.astype(float))
        np.testing.assert_allclose(part * max(expected.sum(), 1e-300), expected, atol=1e-4)
        assert how_much == pytest.approx(1 - left / np.linalg.norm(row), abs=1e-4)


def test_windows_without_power_are_in_no_class():
    rows, _ = sample(mixed=0)
    rows[5] = 0
    groups = group_windows(rows)
    assert not groups.parts[5].any()
    assert not groups.texture_parts[5].any()
    assert groups.parts[6].sum() == pytest.approx(1)


def test_a_window_of_an_orientation_that_is_rare_has_its_texture():
    rows, _ = sample(mixed=0)
    extra = over_shells(shells("gyroid", 80.0)[None].astype(np.float32))
    groups = group_windows(np.concatenate([rows, extra]))
    gyroid = groups.texture_parts[2 * 60].argmax()
    assert groups.texture_parts[-1].tolist() == np.eye(2)[gyroid].tolist()


def test_a_number_that_is_asked_for_is_kept():
    rows, _ = sample(mixed=0)
    for method in ("mixture", "kmeans"):
        assert len(group_windows(rows, method, 4).means) == 4
        with pytest.raises(ValueError, match="n_clusters=999, but there are 240 windows"):
            group_windows(rows, method, 999)


def test_one_class_is_one_texture():
    assert textures_of(np.ones((1, 6, 45)))[0].tolist() == [0]
    rows = over_shells(np.repeat(shells("gyroid", 10.0)[None], 3, axis=0).astype(np.float32))
    groups = group_windows(rows)
    assert groups.parts.tolist() == [[1.0]] * 3
