"""Labels of voxels from windows: as a direct interpolation has them, slab by slab."""

import numpy as np
import pytest

from emcore.methods.volume.labels import Tally, cells, label_slabs, label_type


def interpolated(parts, shape, window, step):
    """Labels by the largest part at every voxel, interpolated along one axis after another."""
    values = np.concatenate([parts, (parts.max(axis=-1, keepdims=True) <= 0).astype(np.float32)], axis=-1)
    for axis, size in enumerate(shape):
        centres = np.arange(parts.shape[axis]) * step + (window - 1) / 2
        at = np.clip((np.arange(size) - centres[0]) / step, 0, len(centres) - 1)
        low = np.minimum(at.astype(int), max(len(centres) - 2, 0))
        weight = (at - low).reshape([-1 if a == axis else 1 for a in range(4)])
        high = np.minimum(low + 1, len(centres) - 1)
        values = np.take(values, low, axis) * (1 - weight) + np.take(values, high, axis) * weight
    largest = values.argmax(axis=-1)
    return np.where(largest == parts.shape[-1], -1, largest), values


@pytest.mark.parametrize(("window", "step"), [(8, 4), (9, 3), (8, 5), (8, 8)])
def test_labels_are_those_of_interpolated_parts(window, step):
    rng = np.random.default_rng(window * step)
    shape = (20, 17, 26)
    counts = [(size - window) // step + 1 for size in shape]
    parts = rng.random((*counts, 3)).astype(np.float32) ** 4
    parts[rng.random(counts) < 0.2] = 0
    parts /= np.maximum(parts.sum(axis=-1, keepdims=True), 1e-30)
    slabs = list(label_slabs(parts, shape, window, step))
    assert np.concatenate([np.arange(20)[where] for where, _ in slabs]).tolist() == list(range(20))
    labels = np.concatenate([slab for _, slab in slabs])
    expected, values = interpolated(parts, shape, window, step)
    largest = np.sort(values, axis=-1)
    clear = largest[..., -1] - largest[..., -2] > 1e-5
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(labels[clear], expected[clear])
    assert (labels == -1).any()


def test_a_border_between_two_windows_lies_where_a_half_of_each_is():
    parts = np.zeros((1, 1, 5, 2), dtype=np.float32)
    for i, part in enumerate((1.0, 1.0, 0.75, 0.25, 0.0)):
        parts[0, 0, i] = part, 1 - part
    (_, labels), *_ = label_slabs(parts, (8, 8, 24), 8, 4)
    # Centres at 3.5, 7.5, ...; equal parts half way between 11.5 and 15.5.
    assert labels[0, 0].tolist() == [0] * 14 + [1] * 10


def test_every_voxel_of_an_axis_is_in_one_cell():
    for size, window, step in ((50, 50, 1), (101, 50, 25), (77, 16, 5)):
        voxels = [v for cell in cells(size, window, step) for v in range(*cell.where.indices(size))]
        assert voxels == list(range(size))


def test_labels_have_the_smallest_type_that_holds_them():
    assert [label_type(n).name for n in (1, 127, 128, 40000)] == ["int8", "int8", "int16", "int32"]


def test_a_tally_counts_what_is_labelled_and_keeps_the_middle_planes():
    rng = np.random.default_rng(0)
    textures, oriented = rng.integers(-1, 2, (9, 6, 7)), rng.integers(-1, 3, (9, 6, 7))
    tally = Tally((9, 6, 7), 2, 3)
    for where in (slice(0, 2), slice(2, 7), slice(7, 9)):
        tally.add(where, textures[where], oriented[where])
    expected = [[np.sum((textures == t) & (oriented == k)) for k in range(3)] for t in range(2)]
    assert tally.table.tolist() == expected
    for cuts, labels in ((tally.texture_cuts, textures), (tally.oriented_cuts, oriented)):
        for cut, plane in zip(cuts, (labels[4], labels[:, 3], labels[:, :, 3]), strict=True):
            np.testing.assert_array_equal(cut, plane)
