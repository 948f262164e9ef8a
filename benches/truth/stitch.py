"""Mosaics: where overlapping scans lie, and the grains that they show together

`emcore.stitch` at default settings, of scans of one polycrystal that are turned and shifted. Beside it, on virtual
images outside the beam, every scan laid on the first: ORB, matched descriptors and RANSAC of scikit-image; and its
masked correlation, which is told the turns. And what is lost by reading labels alone: emcore's segmentations, told all
transforms and which grains are one, labels of the nearest position, the first scan on top. Figures: `corner`, how far
the farthest corner of a scan is from where it belongs, in positions; `moved`, how far the positions of the worst scan
are on average; `index`, adjusted Rand's with the true grains at
the positions of the mosaic, of which the map is eight times as fine; `inside`, the same without positions that touch a
border. Grains: those of eight positions at least.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.feature import ORB, match_descriptors
from skimage.measure import ransac
from skimage.registration import phase_cross_correlation
from skimage.transform import EuclideanTransform

import emcore
from emcore.datasets import adjusted_rand_index, far_from_borders
from table import Row

SMALL, BEAM = 8, 4.0


def evaluate(path: Path, name: str) -> list[Row]:
    """The scans of one sample, stitched."""
    with np.load(path) as case:
        fine, to_fine = case["fine"], case["transforms"]
        scans = [case[f"patterns_{number}"] for number in range(len(to_fine))]
    true = np.linalg.inv(to_fine[0]) @ to_fine
    shape = scans[0].shape[:2]
    started = time.perf_counter()
    segmentations = [emcore.segment_grains(scan) for scan in scans]
    try:
        result = emcore.stitch(segmentations)
    except ValueError as error:
        return [Row(name, "emcore", None, None, {}, time.perf_counter() - started, str(error))]
    seconds = time.perf_counter() - started
    origin = np.eye(3)
    origin[:2, 2] = result.origin
    truth = np.where(result.labels >= 0, looked_up(fine, to_fine[0] @ origin, result.labels.shape), -1)
    scores = displaced(result.transforms, true, shape) | indices(truth, result.labels)
    remark = "patterns turn with the scans" if result.patterns_turn else ""
    rows = [Row(name, "emcore", number_of(result.labels), number_of(truth), scores, seconds, remark)]

    images = [outside_beam(scan) for scan in scans]
    turns = [np.arctan2(each[1, 0], each[0, 0]) for each in true]
    peers: dict[str, Callable[[int], np.ndarray]] = {
        "ORB, RANSAC": lambda k: by_points(images[0], images[k]),
        "correlation, told the turns": lambda k: by_correlation(images[0], images[k], turns[k]),
    }
    for by, laid in peers.items():
        started = time.perf_counter()
        try:
            found = np.stack([np.eye(3), *(laid(k) for k in range(1, len(scans)))])
        except (ValueError, RuntimeError, AttributeError):  # it found too few points
            rows.append(Row(name, by, None, None, {}, time.perf_counter() - started, "too few points"))
        else:
            rows.append(Row(name, by, None, None, displaced(found, true, shape), time.perf_counter() - started))
    read = np.full(truth.shape, -1)
    for segmentation, transform, own in reversed(list(zip(segmentations, to_fine, true, strict=True))):
        named = most_of(segmentation.labels, looked_up(fine, transform, shape))
        seen = looked_up(named, np.linalg.inv(own) @ origin, truth.shape)
        read = np.where(seen >= 0, seen, read)
    rows.append(Row(name, "nearest positions, told the transforms", None, None, indices(truth, read)))
    return rows


def looked_up(labels: np.ndarray, transform: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Labels of the nearest position to where a grid of that shape lies, -1 beyond them."""
    places = np.stack([*np.indices(shape), np.ones(shape)], axis=-1) @ transform[:2].T
    index = np.rint(places).astype(int)
    on = ((index >= 0) & (index < np.array(labels.shape))).all(axis=-1)
    index = np.where(on[..., None], index, 0)
    return np.where(on, labels[index[..., 0], index[..., 1]], -1)


def most_of(labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Every grain under the name of the true one that has most of it."""
    names = [np.bincount(truth[labels == label] + 1).argmax() - 1 for label in range(labels.max() + 1)]
    return np.array(names)[labels]


def indices(truth: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    there = (truth >= 0) & (labels >= 0)
    inside = there & far_from_borders(truth, 1)
    return {
        "index": adjusted_rand_index(truth[there], labels[there]),
        "inside": adjusted_rand_index(truth[inside], labels[inside]),
    }


def number_of(labels: np.ndarray) -> int:
    return int((np.bincount(labels[labels >= 0]) >= SMALL).sum())


def displaced(found: np.ndarray, true: np.ndarray, shape: tuple[int, int]) -> dict[str, float]:
    """How far positions of a scan are from where they belong; in the corners, which are among them, most."""
    places = np.stack([*np.indices(shape), np.ones(shape)], axis=-1).reshape(-1, 3)
    distances = np.linalg.norm((places @ np.swapaxes(found - true, 1, 2))[..., :2], axis=-1)
    return {"corner": float(distances.max()), "moved": float(distances.mean(axis=1).max())}


def outside_beam(scan: np.ndarray) -> np.ndarray:
    mean = scan.mean(axis=(0, 1))
    center = ndimage.center_of_mass(np.where(mean > mean.max() / 2, mean, 0))
    away = np.hypot(*(np.indices(mean.shape) - np.reshape(center, (2, 1, 1))))
    return scan[..., away > BEAM].sum(axis=-1).astype(float)


def by_points(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """From positions of the second to those of the first."""
    points, described = [], []
    for image in (first, second):
        orb = ORB(n_keypoints=500)
        orb.detect_and_extract((image - image.min()) / np.ptp(image))
        points.append(orb.keypoints)
        described.append(orb.descriptors)
    pairs = match_descriptors(described[1], described[0], cross_check=True)
    found, _ = ransac(
        (points[1][pairs[:, 0]], points[0][pairs[:, 1]]),
        EuclideanTransform,
        min_samples=2,
        residual_threshold=2,
        max_trials=1000,
        rng=0,
    )
    return np.asarray(found.params)


def by_correlation(first: np.ndarray, second: np.ndarray, angle: float) -> np.ndarray:
    """The same, of the second turned by a known angle in radians; the best shift of all by masked correlation."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = np.ceil(np.abs(turn) @ np.array(second.shape)).astype(int)
    back = np.eye(3)
    back[:2, :2] = turn.T
    back[:2, 2] = (np.array(second.shape) - 1) / 2 - turn.T @ ((size - 1) / 2)
    places = np.stack([*np.indices(size), np.ones(size)], axis=-1) @ back[:2].T
    inside = ((places >= 0) & (places <= np.array(second.shape) - 1)).all(axis=-1)
    seen = ndimage.map_coordinates(second, np.moveaxis(places, -1, 0), order=1, mode="nearest")
    shift = phase_cross_correlation(
        first, seen, reference_mask=np.ones(first.shape, bool), moving_mask=inside, overlap_ratio=0.1
    )[0]
    moved = np.eye(3)
    moved[:2, 2] = shift
    return moved @ np.linalg.inv(back)
