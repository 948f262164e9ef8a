"""Volumes of quasi-ordered matter: grains of minimal surfaces and of tubules, each turned at random, under noise.

The surfaces are the nodal ones (von Schnering & Nesper, Z. Phys. B 83 (1991) 407), filled on one side: gyroid, diamond
and primitive, all cubic; tubules are a hexagonal stack of cylinders. All have planes of one spacing, so that their
radial power is nearly the same, and only where it lies around a sphere tells them apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from emcore.core.validation import Floats, check_count, check_number, check_option, check_result

TEXTURES = ("gyroid", "diamond", "primitive", "tubules")
LAYOUTS = ("cells", "blocks")
# Edge of the unit cell over the spacing of the planes whose reflection is the first.
_CELL = {"gyroid": 2**0.5, "diamond": 3**0.5, "primitive": 1.0, "tubules": 1.0}
# Grains of one texture are turned against each other by so many degrees at least.
_APART = 20.0
# Random places by which cells are made even, and how often.
_CLOUD, _ROUNDS = 4000, 20
# How steeply the surface parts its two sides, in units of the nodal function.
_STEEP = 2.0


@dataclass(frozen=True, eq=False)
class LabelledVolume:
    """A synthetic volume with its truth.

    Attributes
    ----------
    volume : ndarray, shape (D, H, W)
    grains : ndarray, shape (D, H, W), int16
        Grain of every voxel, 0 to k - 1: the truth of orientation.
    textures : ndarray, shape (D, H, W), int16
        Texture of every voxel, an index into `names`.
    texture_of_grain : ndarray, shape (k,), int16
    rotations : ndarray, shape (k, 3, 3), float64
        From directions (z, y, x) in the volume to those in the unit cell of each grain.
    names : tuple of str
        What the textures are called.
    """

    volume: NDArray[Any]
    grains: NDArray[np.int16]
    textures: NDArray[np.int16]
    texture_of_grain: NDArray[np.int16]
    rotations: Floats
    names: tuple[str, ...]

    def angle(self, a: int, b: int) -> float:
        """The smallest angle in degrees by which grain `a` is turned to become grain `b`, of
        one texture."""
        name = self.names[self.texture_of_grain[a]]
        return _smallest_angle(self.rotations[a], self.rotations[b], _symmetry(name))


def quasi_ordered_volume(
    shape: tuple[int, int, int] = (128, 128, 128),
    textures: Sequence[str] = TEXTURES,
    n_grains: int = 9,
    spacing: float = 8.0,
    noise: float = 0.5,
    layout: str = "cells",
    dtype: DTypeLike = np.uint8,
    seed: int = 0,
) -> LabelledVolume:
    """A volume of grains, each of one of some textures, turned at random, in two phases of
    values -1 and 1 and noise.

    Parameters
    ----------
    shape : (int, int, int), default (128, 128, 128)
        Voxels along z, y and x.
    textures : sequence of {"gyroid", "diamond", "primitive", "tubules"}
        Grain i is of the i-th of them, and so on round.
    n_grains : int, default 9
        Grains of one texture are turned against each other by at least 20 degrees.
    spacing : float, default 8.0
        Of the planes that reflect most, in voxels, above 2; the same for all textures.
    noise : float, default 0.5
        Standard deviation of the noise; the two phases lie at -1 and 1.
    layout : {"cells", "blocks"}, default "cells"
        Whether grains are Voronoi cells of evenly scattered places, or blocks side by side, as
        cubic as may be.
    dtype : dtype, default uint8
        Floating types hold the values as they are; integer types hold them around the middle of
        their range, a phase a fifth of it away.
    seed : int, default 0

    Returns
    -------
    LabelledVolume

    Raises
    ------
    ValueError
        If a size or number is out of range, or a texture is not known.
    TypeError
        If `dtype` is neither a real floating nor an integer type.

    Examples
    --------
    >>> from emcore.datasets import quasi_ordered_volume
    >>> sample = quasi_ordered_volume((32, 32, 32), ("gyroid", "tubules"), n_grains=2)
    >>> sample.volume.dtype, sample.names, sample.texture_of_grain.tolist()
    (dtype('uint8'), ('gyroid', 'tubules'), [0, 1])
    """
    if len(shape) != 3:
        raise ValueError(f"shape must be (depth, height, width), found {shape}")
    sides = tuple(check_count(side, "shape", 1) for side in shape)
    names = tuple(check_option(name, TEXTURES, "textures") for name in textures)
    if not names:
        raise ValueError("textures is empty; name at least one")
    k = check_count(n_grains, "n_grains", 1, 1000)
    check_number(spacing, "spacing", 2.001)
    check_number(noise, "noise", 0)
    check_option(layout, LAYOUTS, "layout")
    kind = np.dtype(dtype)
    if kind.kind not in "fiu":
        raise TypeError(f"dtype must be a real floating or integer type, found {kind}")
    rng = np.random.default_rng(seed)
    of_grain = (np.arange(k) % len(names)).astype(np.int16)
    rotations = _turned(rng, [names[i] for i in of_grain])
    shifts = 2 * np.pi * rng.random((k, 3))
    places = _places(rng, k, sides) if layout == "cells" else None
    cut = _blocks(k)
    volume, grains = np.empty(sides, dtype=kind), np.empty(sides, dtype=np.int16)
    y, x = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in sides[1:]), indexing="ij")
    for z in range(sides[0]):
        plane = _nearest(places, z, y, x) if places is not None else _block_of(cut, sides, z, k)
        values = np.empty(plane.shape, dtype=np.float32)
        for i in np.unique(plane):
            here = plane == i
            position = np.stack([np.full(int(here.sum()), z, np.float32), y[here], x[here]])
            cell = spacing * _CELL[names[of_grain[i]]]
            phases = (2 * np.pi / cell * rotations[i] @ position + shifts[i][:, None]).astype(np.float32)
            values[here] = np.clip(_STEEP * _nodal(names[of_grain[i]], *phases), -1, 1)
        values += np.float32(noise) * rng.standard_normal(values.shape, dtype=np.float32)
        grains[z], volume[z] = plane, _stretched(values, kind)
    return LabelledVolume(volume, grains, of_grain[grains], of_grain, rotations, names)


def _nodal(name: str, z: NDArray[Any], y: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    """Positive in one phase."""
    if name == "gyroid":
        values = np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
    elif name == "diamond":
        values = 1.4 * (np.cos(x) * np.cos(y) * np.cos(z) - np.sin(x) * np.sin(y) * np.sin(z))
    elif name == "primitive":
        values = (np.cos(x) + np.cos(y) + np.cos(z)) / 1.5
    else:
        values = (np.cos(x) + 2 * np.cos(x / 2) * np.cos(3**0.5 / 2 * y) - 0.3) / 1.5
    return np.asarray(values)


def _stretched(values: NDArray[np.float32], kind: np.dtype[Any]) -> NDArray[Any]:
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            stretched = values.astype(kind)
        check_result(stretched, "noise")
        return stretched
    info = np.iinfo(kind)
    span = float(info.max) - float(info.min)
    # The largest float below 2^32 that an integer holds.
    high = min(info.min + span, np.nextafter(float(info.max) + 1, 0))
    return np.clip(np.rint(info.min + span * (0.5 + 0.2 * values.astype(np.float64))), info.min, high).astype(kind)


def _places(rng: np.random.Generator, k: int, sides: tuple[int, ...]) -> Floats:
    """k places in a volume, each in the middle of what is nearest to it (Lloyd, IEEE Trans. Inf. Theory 28, 129)."""
    places, cloud = rng.random((k, 3)) * sides, rng.random((_CLOUD, 3)) * sides
    for _ in range(_ROUNDS):
        nearest = np.square(cloud[:, None] - places).sum(axis=2).argmin(axis=1)
        places = np.stack([cloud[nearest == i].mean(axis=0) if (nearest == i).any() else places[i] for i in range(k)])
    return places


def _nearest(places: Floats, z: int, y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.int16]:
    best, label = np.full(y.shape, np.inf, dtype=np.float32), np.zeros(y.shape, dtype=np.int16)
    for i, (pz, py, px) in enumerate(places.astype(np.float32)):
        distance = (y - py) ** 2 + (x - px) ** 2 + (z - pz) ** 2
        nearer = distance < best
        best[nearer], label[nearer] = distance[nearer], i
    return label


def _blocks(k: int) -> tuple[int, int, int]:
    """Blocks along each axis, at least k in all, as alike as may be."""
    side = 1
    while side**3 < k:
        side += 1
    planes = -(-k // side**2)
    rows = -(-k // (planes * side))
    return planes, rows, side


def _block_of(cut: tuple[int, int, int], sides: tuple[int, ...], z: int, k: int) -> NDArray[np.int16]:
    planes, rows, columns = (np.arange(side) * n // side for side, n in zip(sides, cut, strict=True))
    label: NDArray[np.int16] = (((planes[z] * cut[1] + rows[:, None]) * cut[2] + columns) % k).astype(np.int16)
    return label


def _turned(rng: np.random.Generator, names: Sequence[str]) -> Floats:
    """A rotation for each grain, those of one texture well apart where there is room."""
    rotations: list[Floats] = []
    for i, name in enumerate(names):
        symmetry = _symmetry(name)
        others = [rotations[j] for j in range(i) if names[j] == name]
        best, farthest = np.eye(3), -1.0
        for _ in range(60):
            candidate = _rotation(rng.normal(size=4))
            nearest = min((_smallest_angle(candidate, other, symmetry) for other in others), default=180.0)
            if nearest > farthest:
                best, farthest = candidate, nearest
            if nearest >= _APART:
                break
        rotations.append(best)
    return np.stack(rotations)


def _rotation(quaternion: Floats) -> Floats:
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _smallest_angle(a: Floats, b: Floats, symmetry: Floats) -> float:
    traces = np.einsum("ji,njk,ki->n", a, symmetry, b)
    return float(np.degrees(np.arccos(np.clip((traces.max() - 1) / 2, -1, 1))))


def _symmetry(name: str) -> Floats:
    """Proper rotations of the power of a texture, of directions (z, y, x) in its cell: 24, of tubules 12."""
    turn = 60.0 if name == "tubules" else 90.0
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    about_z = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    other = np.diag([-1.0, -1.0, 1.0]) if name == "tubules" else np.eye(3)[[1, 2, 0]]
    group = [np.eye(3)]
    for each in group:
        for step in (about_z, other):
            new = each @ step
            if not any(np.abs(new - old).max() < 1e-6 for old in group):
                group.append(new)
    return np.stack(group)
