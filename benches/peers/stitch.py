"""
Overlapping images laid over one another, against the plain loop of scikit-image: ORB, matched descriptors, RANSAC.

Two images of a texture, 256 x 256, that overlap by 40 % and are turned by 6 degrees, with noise. Before the times the
truth: how far the farthest corner of the second image is from where it was cut, in positions, for seeds 11 to 15; of
textures, and of scans of a polycrystal, of which the plain loop has a virtual image and emcore the scan.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import harness

SHAPE, TURN = (256, 256), 6.0


def texture(seed: int = 11) -> harness.Data:
    from scipy import ndimage

    from emcore.methods.registration.transforms import about, apply, grid_of, rotation

    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.standard_normal((420, 620)), 2.5)
    middle = (np.array(SHAPE) - 1) / 2
    second = about(rotation(TURN), middle, middle + rng.uniform(-5, 5, 2) + np.array([60.0, 204.0]))
    first = about(np.eye(2), middle, middle + np.array([60.0, 50.0]))
    cut = [
        ndimage.map_coordinates(image, apply(each, grid_of(SHAPE)).T, order=3).reshape(SHAPE)
        for each in (first, second)
    ]
    noisy = [each + 0.1 * image.std() * rng.standard_normal(SHAPE) for each in cut]
    return {"first": noisy[0], "second": noisy[1], "true": np.linalg.inv(first) @ second}


def emcore_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    return lambda: emcore.stitch([data["first"], data["second"]]).transforms[1]


def plain_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import skimage.feature  # noqa: F401

    return lambda: plain(data["first"], data["second"])


def plain(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The job with what a user has at hand."""
    from skimage.feature import ORB, match_descriptors
    from skimage.measure import ransac
    from skimage.transform import EuclideanTransform

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


def agree(ours: np.ndarray, theirs: np.ndarray) -> None:
    off = farthest(ours, theirs, SHAPE)
    assert off < 2, f"transforms differ by {off:.2f} positions"


def farthest(a: np.ndarray, b: np.ndarray, shape: tuple[int, int]) -> float:
    ends = np.array([[y, x, 1] for y in (0, shape[0] - 1) for x in (0, shape[1] - 1)])
    return float(np.linalg.norm((ends @ (a - b).T)[:, :2], axis=1).max())


def truth() -> None:
    """How far both are from where the images were cut."""
    import emcore
    from emcore.datasets import overlapping_scans

    print("| seed | texture: emcore | ORB and RANSAC | polycrystal: emcore | ORB and RANSAC |\n|--:|--:|--:|--:|--:|")
    for seed in range(11, 16):
        data = texture(seed)
        cells = [farthest(emcore_in_process(data, False, 1)(), data["true"], SHAPE)]
        cells.append(tried(lambda data=data: plain(data["first"], data["second"]), data["true"], SHAPE))
        sample = overlapping_scans(seed=seed)
        true = np.linalg.inv(sample.transforms[0]) @ sample.transforms[1]
        shape = sample.labels[1].shape
        cells.append(tried(lambda sample=sample: emcore.stitch(sample.scans).transforms[1], true, shape))
        size = sample.scans[0].shape[-1]
        away = np.hypot(*(np.indices((size, size)) - (size - 1) / 2))
        images = [scan.data[..., away > 4].sum(axis=-1, dtype=float) for scan in sample.scans]
        cells.append(tried(lambda images=images: plain(*images), true, shape))
        print(
            f"| {seed} | " + " | ".join("none" if np.isnan(each) else f"{each:.2f}" for each in cells) + " |",
            flush=True,
        )


def tried(call: Callable[[], np.ndarray], true: np.ndarray, shape: tuple[int, int]) -> float:
    try:
        return farthest(call(), true, shape)
    except (ValueError, RuntimeError, AttributeError):  # it found too few points
        return float("nan")


WORKLOADS = [
    harness.Workload(
        "two images of 256 x 256, 40 % overlap, turned by 6 degrees",
        texture,
        emcore_in_process,
        {"scikit-image (ORB, RANSAC)": plain_in_process},
        agree,
        rows=("as delivered",),
    ),
]

if __name__ == "__main__":
    if "--child" not in sys.argv:
        truth()
    harness.main(WORKLOADS)
