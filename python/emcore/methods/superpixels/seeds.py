"""Where do segments start? Places (y, x) on a scan, in positions, given or on a grid."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore.core.validation import as_pixels, check_finite


def given_seeds(seeds: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Places (y, x) inside a scan of this shape, checked."""
    places = as_pixels(seeds, "seeds", 2).astype(np.float64)
    if places.shape[1] != 2:
        raise ValueError(f"seeds has shape {places.shape}; (k, 2), places (y, x), is needed")
    check_finite(places, "seeds")
    beyond = np.flatnonzero(((places < 0) | (places >= shape)).any(axis=1))
    if beyond.size:
        place = tuple(float(value) for value in places[beyond[0]])
        raise ValueError(f"seeds[{beyond[0]}] at {place} lies outside the scan of {shape}; move or drop it")
    return np.ascontiguousarray(places)


def grid_seeds(
    shape: tuple[int, int], count: int, used: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Places of about `count` seeds, evenly spaced, and their steps along y and x.

    An axis shorter than a step holds one. Of a mask those places are left that it keeps, and every part of it that
    holds none gets one amid it.
    """
    n = shape[0] * shape[1] if used is None else int(used.sum())
    step = math.sqrt(n / count)
    steps = [step, step]
    for short, long in ((0, 1), (1, 0)):
        if shape[short] < step:
            steps[short], steps[long] = float(shape[short]), max(n / shape[short] / count, 1.0)
    along = [
        np.arange(int(step // 2), size, max(round(step), 1), dtype=np.float64)
        for size, step in zip(shape, steps, strict=True)
    ]
    places = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, 2)
    steps = [float(max(round(step), 1)) for step in steps]
    if used is not None:
        places = _on_mask(places, used.reshape(shape))
    return np.ascontiguousarray(places), (steps[0], steps[1])


def _on_mask(places: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    from scipy import ndimage

    index = tuple(places.astype(np.intp).T)
    places = places[mask[index]]
    parts, count = ndimage.label(mask)
    seeded = np.zeros(count + 1, dtype=bool)
    seeded[parts[tuple(places.astype(np.intp).T)]] = True
    seeds = [places]
    areas = ndimage.find_objects(parts)
    for part in np.flatnonzero(~seeded[1:]) + 1:
        area = areas[part - 1]
        y, x = np.nonzero(parts[area] == part)
        middle = int(np.argmin((y - y.mean()) ** 2 + (x - x.mean()) ** 2))
        seeds.append(np.array([[y[middle] + area[0].start, x[middle] + area[1].start]], dtype=np.float64))
    return np.concatenate(seeds)
