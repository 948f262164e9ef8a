"""
Particles and their spectra, against the same steps written with scikit-image and NumPy.

120 particles of known outlines in 512 x 640 pixels with 64 channels of u8: area, perimeter, axes and centroid of each
by scikit-image's region properties on both sides, and the summed spectrum of each and of the rest. emcore also finds
the fingerprints of the shapes, their classes, and groups of composition, which the plain version leaves out.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import harness


def scan() -> harness.Data:
    from emcore.datasets import shaped_particles

    sample = shaped_particles(channels=64)
    return {
        "image": sample.image.data,
        "spectra": sample.spectrum_image.data,
        "labels": sample.labels + 1,
    }


def emcore_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    def run() -> Any:
        found = emcore.find_particles(data["image"], data["spectra"], labels=data["labels"])
        return {"area": found.area, "spectra": found.spectra, "rest": found.rest}

    return run


def sums_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from emcore.outofcore.moments import sums_by_label

    rows = data["spectra"].reshape(-1, data["spectra"].shape[-1])
    of_rows = data["labels"].ravel().astype(np.int32)
    return lambda: sums_by_label(rows, of_rows, int(of_rows.max()) + 1)[0]


def plain_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import skimage.measure  # noqa: F401

    return lambda: plain(data["labels"], data["spectra"])


def plain(labels: np.ndarray, spectra: np.ndarray) -> dict[str, np.ndarray]:
    """The job with what a user has at hand."""
    from skimage.measure import regionprops

    regions = regionprops(labels)
    table = [(r.area, r.perimeter, r.axis_major_length / r.axis_minor_length, *r.centroid) for r in regions]
    sums = np.stack([spectra[labels == region.label].sum(axis=0, dtype=np.float64) for region in regions])
    rest = spectra[labels == 0].sum(axis=0, dtype=np.float64)
    order = np.argsort(-np.array(table)[:, 0], kind="stable")
    return {"area": np.array(table)[order, 0], "spectra": sums[order], "rest": rest}


def plain_sums(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    rows = data["spectra"].reshape(-1, data["spectra"].shape[-1])
    labels = data["labels"].ravel()
    return lambda: np.stack([rows[labels == i].sum(axis=0, dtype=np.float64) for i in range(labels.max() + 1)])


def particles_agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    for name in ours:
        assert np.array_equal(ours[name], theirs[name]), f"{name} differ"


def sums_agree(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert np.array_equal(ours, theirs), "sums differ"


WORKLOADS = [
    harness.Workload(
        "120 particles and their spectra, 512 x 640 x 64 u8",
        scan,
        emcore_in_process,
        {"scikit-image and NumPy": plain_in_process},
        particles_agree,
        rows=("as delivered",),
    ),
    harness.Workload(
        "the sums of the spectra alone",
        scan,
        sums_in_process,
        {"NumPy": plain_sums},
        sums_agree,
        rows=("as delivered",),
    ),
]

if __name__ == "__main__":
    harness.main(WORKLOADS)
