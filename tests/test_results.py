"""A result can be saved, read back to the last bit, and opened by NeXus viewers."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emcore.results import Provenance, Result, load_result
from emcore.signals import Axis, Signal

h5py = pytest.importorskip("h5py", reason="results files need the extra hdf5")


@dataclass(frozen=True, eq=False)
class Analysis(Result):
    maps: NDArray[np.float32] = dataclasses.field(metadata={"axes": ("component", "y", "x"), "default": True})
    y: NDArray[np.float64] = dataclasses.field(metadata={"units": lambda result: result.image.axes[0].units})
    x: NDArray[np.float64] = dataclasses.field(metadata={"units": lambda result: result.image.axes[1].units})
    regions: NDArray[np.int32] = dataclasses.field(
        metadata={"axes": ("image.y", "image.x"), "long_name": "regions of equal periodicity"}
    )
    evr: NDArray[np.float64] = dataclasses.field(metadata={"axes": ("index",), "long_name": "explained variance"})
    area: NDArray[np.float64]
    n_components: int
    rule: str
    image: Signal
    provenance: Provenance
    extra: Any = None


def analysis(**changed: Any) -> Analysis:
    rng = np.random.default_rng(0)
    image = Signal(
        rng.integers(0, 255, (40, 60), dtype=np.uint8),
        (Axis("y", 40, 0.1, units="nm"), Axis("x", 60, 0.1, 3.0, units="nm")),
        "/somewhere/a.tif",
        "a",
        {"date": "2020-01-01"},
    )
    fields: dict[str, Any] = {
        "maps": rng.random((2, 3, 5), dtype=np.float32),
        "y": np.array([0.8, 1.6, 2.4]),
        "x": 3.0 + 0.8 * np.arange(5),
        "regions": rng.integers(0, 2, (40, 60), dtype=np.int32),
        "evr": np.array([0.5, 0.25, 0.01]),
        "area": np.array([0.25, 0.75]),
        "n_components": 2,
        "rule": "gap",
        "image": image,
        "provenance": Provenance(
            "analyze_image", {"window": 128, "step": None, "reduce": ("crop", 8)}, {"emcore": "0"}
        ),
    }
    return Analysis(**{**fields, **changed})


def test_a_saved_result_is_read_back_equal(tmp_path):
    result = analysis()
    assert load_result(result.save(tmp_path / "a.h5")) == result
