"""What stitching of overlapping scans gives back."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.results.result import Result
from emcore.results.table import Tabled

_MOSAIC = ("image.y", "image.x")
_GRAIN = ("grain",)
_NONE = np.zeros(0)


def _length(result: Any) -> str:
    y, x = result.image.axes
    return str(x.units) if x.units == y.units else "px"


def _area(result: Any) -> str:
    return f"{_length(result)}^2"


def _pattern_axes(result: Any) -> tuple[str, ...]:
    return ("grain", "mean.ky", "mean.kx")


@dataclass(frozen=True, eq=False)
class Mosaic(Tabled, Result):
    """Overlapping scans on one grid, that of the first, and their grains joined across the
    seams.

    Attributes
    ----------
    image : Signal, shape (Y, X)
        Virtual images blended, their values brought to the scale of the first; NaN where no
        scan was.
    coverage : ndarray, shape (Y, X), int32
        How many scans measured there.
    names : tuple of str
        Of the n scans.
    shapes : ndarray, shape (n, 2), int64
        Positions of each along y and x.
    transforms : ndarray, shape (n, 3, 3), float64
        From positions (y, x, 1) of each scan to those of the first; that of the first changes
        nothing.
    uncertainty : ndarray, shape (n,), float64
        One deviation, in positions of the first, of the corner of each scan that is known
        least.
    origin : (int, int)
        Of the mosaic's first position, in positions of the first scan.
    model, reason : str
        Kind of the transforms, and why.
    patterns_turn : bool
        Whether the patterns turn with the scan, as where the sample was turned.
    gain, offset : ndarray, shape (n,), float64
        By which values of each image were brought to the scale of the first.
    pairs : ndarray, shape (m, 2), int64
        Which scans overlap and were compared.
    pair_how : tuple of str
        "grains", "keypoints" or "correlation": what was compared.
    pair_overlap : ndarray, shape (m,), int64
        Positions that both have.
    pair_correlation, pair_score : ndarray, shape (m,), float64
        Of what was compared, in the overlap; and by how many deviations that exceeds what scans
        have that do not overlap.
    pair_inliers : ndarray, shape (m,), int64
        Keypoints of both that fall on one another; 0 where grains were compared.
    pair_residual : ndarray, shape (m,), float64
        By how far those miss, root of the mean square, in positions; NaN without.
    pair_miss : ndarray, shape (m,), float64
        By how far the transforms of all together put the overlap from where the pair by itself
        does, in positions.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    labels : ndarray, shape (Y, X), int32, optional
        Grain of every position, 0 to k - 1; -1 where nothing was measured. None where images
        were stitched.
    seam : ndarray, shape (Y, X), float64, optional
        Where several scans were, 1 where they agree on the grain, else 0; NaN elsewhere.
    size : ndarray, shape (k,), int64
        Positions of each grain, falling.
    area, y, x : ndarray, shape (k,), float64
        In the units of the scan, squared for the area; in positions where it has none.
        Centroids.
    in_scan : ndarray, shape (k, n), bool
        Which scans have a part of each grain.
    agreement : ndarray, shape (k,), float64
        Of the positions that several scans visited and one gave to the grain, the part all gave
        to it; NaN of grains that are in no seam, or by one or two positions only.
    likeness : ndarray, shape (k,), float64
        The least correlation of the mean patterns of parts that were joined; NaN of grains of
        one part.
    signals : ndarray, shape (k, ky, kx), float64, optional
        Mean pattern of the largest part of each grain as measured, where all scans have
        patterns of one shape.
    mean : Signal, shape (ky, kx), optional
        Mean pattern of the first scan.
    map_names : tuple of str
        Of maps of other modalities.
    maps : ndarray, shape (l, Y, X), float64, optional
        Each upsampled to the mosaic, NaN where it has no value.
    map_transforms : ndarray, shape (l, 3, 3), float64
        From pixels (y, x, 1) of each to positions of the mosaic.
    map_correlation : ndarray, shape (l,), float64
        Of what it was registered on with the mosaic.
    map_mean, map_spread : ndarray, shape (k, l), float64
        Mean and standard deviation of each in each grain.
    """

    page: ClassVar[str] = "mosaic"

    image: Signal
    coverage: NDArray[np.int32] = field(metadata={"axes": _MOSAIC, "long_name": "scans that measured", "labels": False})
    names: tuple[str, ...]
    shapes: NDArray[np.int64]
    transforms: NDArray[np.float64]
    uncertainty: NDArray[np.float64]
    origin: tuple[int, int]
    model: str
    reason: str
    patterns_turn: bool
    gain: NDArray[np.float64]
    offset: NDArray[np.float64]
    pairs: NDArray[np.int64]
    pair_how: tuple[str, ...]
    pair_overlap: NDArray[np.int64]
    pair_correlation: NDArray[np.float64]
    pair_score: NDArray[np.float64]
    pair_inliers: NDArray[np.int64]
    pair_residual: NDArray[np.float64]
    pair_miss: NDArray[np.float64]
    provenance: Provenance
    labels: NDArray[np.int32] | None = field(
        default=None, metadata={"axes": _MOSAIC, "default": True, "long_name": "grains", "counts": "grain"}
    )
    seam: NDArray[np.float64] | None = field(
        default=None, metadata={"axes": _MOSAIC, "long_name": "agreement in the seams"}
    )
    size: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(0, dtype=np.int64), metadata={"axes": _GRAIN, "long_name": "positions"}
    )
    area: NDArray[np.float64] = field(default_factory=_NONE.copy, metadata={"axes": _GRAIN, "units": _area})
    y: NDArray[np.float64] = field(default_factory=_NONE.copy, metadata={"units": _length})
    x: NDArray[np.float64] = field(default_factory=_NONE.copy, metadata={"units": _length})
    in_scan: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))
    agreement: NDArray[np.float64] = field(default_factory=_NONE.copy, metadata={"axes": _GRAIN})
    likeness: NDArray[np.float64] = field(default_factory=_NONE.copy, metadata={"axes": _GRAIN})
    signals: NDArray[np.float64] | None = field(default=None, metadata={"axes": _pattern_axes, "signal_axes": 2})
    mean: Signal | None = None
    map_names: tuple[str, ...] = ()
    maps: NDArray[np.float64] | None = field(default=None, metadata={"axes": ("map", *_MOSAIC)})
    map_transforms: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3, 3)))
    map_correlation: NDArray[np.float64] = field(default_factory=_NONE.copy)
    map_mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    map_spread: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def n_scans(self) -> int:
        """How many scans there are."""
        return len(self.names)

    @property
    def n_grains(self) -> int:
        """How many grains there are; 0 where images were stitched."""
        return len(self.size)

    @property
    def length_units(self) -> str:
        """Units of places."""
        return _length(self)

    @property
    def to_mosaic(self) -> NDArray[np.float64]:
        """Transforms, shape (n, 3, 3), from positions of each scan to those of the mosaic."""
        shift = np.eye(3)
        shift[:2, 2] = -np.array(self.origin)
        return np.asarray(shift @ self.transforms)

    def table(self) -> dict[str, list[Any]]:
        """The columns of a table of the grains, by their heads; without grains one of the
        scans."""
        if self.labels is None:
            return self.table_of_scans()
        units = self.length_units
        columns: dict[str, list[Any]] = {"grain": list(range(1, self.n_grains + 1)), "positions": self.size.tolist()}
        columns |= {f"area ({units}^2)": self.area.tolist()}
        columns |= {f"y ({units})": self.y.tolist(), f"x ({units})": self.x.tolist()}
        columns["scans"] = [" ".join(str(i + 1) for i in np.flatnonzero(row)) for row in self.in_scan]
        columns["seam agreement"] = self.agreement.tolist()
        columns["pattern correlation"] = self.likeness.tolist()
        for i, name in enumerate(self.map_names):
            columns[f"{name} mean"] = self.map_mean[:, i].tolist()
            columns[f"{name} spread"] = self.map_spread[:, i].tolist()
        return columns

    def table_of_scans(self) -> dict[str, list[Any]]:
        """The columns of a table of the transforms of the scans to the first, by their
        heads."""
        from emcore.methods.registration.transforms import angle_of, scale_of

        columns: dict[str, list[Any]] = {"scan": list(range(1, self.n_scans + 1)), "name": list(self.names)}
        for name, (row, column) in {"yy": (0, 0), "yx": (0, 1), "xy": (1, 0), "xx": (1, 1)}.items():
            columns[name] = self.transforms[:, row, column].tolist()
        columns |= {
            "y (positions)": self.transforms[:, 0, 2].tolist(),
            "x (positions)": self.transforms[:, 1, 2].tolist(),
        }
        columns["turn (degrees)"] = [angle_of(each) for each in self.transforms]
        columns["scale"] = [scale_of(each) for each in self.transforms]
        columns["uncertainty (positions)"] = self.uncertainty.tolist()
        return columns
