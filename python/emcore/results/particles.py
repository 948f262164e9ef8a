"""What a search for particles gives back."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.hyperspy_signals import to_hyperspy
from emcore.core.provenance import Provenance
from emcore.core.signals import Axis, Signal
from emcore.results.result import Result
from emcore.results.table import Tabled

_IMAGE = ("image.y", "image.x")
_PARTICLE = ("particle",)


def _length(result: Any) -> str:
    y, x = result.image.axes
    return str(x.units) if x.units == y.units else "px"


def _area(result: Any) -> str:
    return f"{_length(result)}^2"


def _spectra_axes(result: Any) -> tuple[str, ...]:
    return ("particle", f"mean.{result.mean.axes[0].name}")


@dataclass(frozen=True, eq=False)
class Particles(Tabled, Result):
    """Particles of an image, in the order of falling size, with their spectra, groups and
    classes of shape.

    Attributes
    ----------
    labels : ndarray, shape (y, x), int32
        Particle of every pixel, 0 to n - 1; -1 where there is none.
    area, perimeter, diameter : ndarray, shape (n,), float64
        In the units of the image, squared for the area; the diameter is that of the disc of the
        same area. In pixels where the image has no unit.
    aspect : ndarray, shape (n,), float64
        The longer axis of the ellipse of the same moments over the shorter one.
    y, x : ndarray, shape (n,), float64
        Centroids, in the units of the image.
    brightness : ndarray, shape (n,), float64
        Mean of the image in each particle.
    cut : ndarray, shape (n,), bool
        Whether the border of the image cuts it: its size is a lower bound, and it has no class
        of shape.
    fingerprints : ndarray, shape (n, 360), float64
        Length from the centroid to the edge along 360 directions, the largest in the middle, in
        units of the radius of the disc of the same area.
    shape_class : ndarray, shape (n,), int32
        Classes in the order of falling share; -1 of particles that are cut or too small.
    shape_share : ndarray, shape (classes,), float64
        Of the particles that have a class.
    shape_reason : str
        Why so many classes.
    threshold : float
        Of the image, NaN where labels were given.
    image : Signal, shape (y, x)
    provenance : Provenance
        Input, parameters, versions, time and notes.
    spectra : ndarray, shape (n, channels), float64, optional
        Sum of the spectra of the positions of each particle, of counts exact.
    rest : ndarray, shape (channels,), float64, optional
        Sum of all others: with `spectra` it adds up to the whole.
    positions : ndarray, shape (n,), int64, optional
        Of the spectrum image in each particle.
    group, group_reason : ndarray, shape (n,), int32, and str, optional
        Particles of one composition, in the order of falling number, -1 of those without
        counts; why so many groups.
    mean : Signal, shape (channels,), optional
        Mean spectrum of all positions.
    instrument : dict
        What the file of the spectrum image says of microscope, detector and sample, as HyperSpy
        lays it out.
    """

    page: ClassVar[str] = "particles"

    labels: NDArray[np.int32] = field(
        metadata={"axes": _IMAGE, "default": True, "long_name": "particles", "counts": "particle"}
    )
    area: NDArray[np.float64] = field(metadata={"axes": _PARTICLE, "units": _area})
    perimeter: NDArray[np.float64] = field(metadata={"axes": _PARTICLE, "units": _length})
    diameter: NDArray[np.float64] = field(
        metadata={"axes": _PARTICLE, "units": _length, "long_name": "equivalent diameter"}
    )
    aspect: NDArray[np.float64] = field(metadata={"axes": _PARTICLE, "long_name": "aspect ratio"})
    y: NDArray[np.float64] = field(metadata={"units": _length})
    x: NDArray[np.float64] = field(metadata={"units": _length})
    brightness: NDArray[np.float64] = field(metadata={"axes": _PARTICLE})
    cut: NDArray[np.bool_] = field(metadata={"axes": _PARTICLE, "long_name": "cut by the border"})
    fingerprints: NDArray[np.float64] = field(metadata={"axes": ("particle", "direction"), "signal_axes": 1})
    shape_class: NDArray[np.int32] = field(metadata={"axes": _PARTICLE, "long_name": "class of shape"})
    shape_share: NDArray[np.float64]
    shape_reason: str
    threshold: float
    image: Signal
    provenance: Provenance
    spectra: NDArray[np.float64] | None = field(default=None, metadata={"axes": _spectra_axes, "signal_axes": 1})
    rest: NDArray[np.float64] | None = None
    positions: NDArray[np.int64] | None = field(default=None, metadata={"axes": _PARTICLE})
    group: NDArray[np.int32] | None = field(default=None, metadata={"axes": _PARTICLE, "long_name": "composition"})
    group_reason: str = ""
    mean: Signal | None = None
    instrument: dict[str, Any] = field(default_factory=dict)

    @property
    def n_particles(self) -> int:
        """How many particles there are."""
        return len(self.area)

    @property
    def length_units(self) -> str:
        """Units of diameters, perimeters and places."""
        return _length(self)

    def table(self) -> dict[str, list[Any]]:
        """The columns of a table of the particles, by their heads."""
        units = self.length_units
        columns: dict[str, list[Any]] = {"particle": list(range(1, self.n_particles + 1))}
        columns |= {f"y ({units})": self.y.tolist(), f"x ({units})": self.x.tolist()}
        columns |= {f"area ({units}^2)": self.area.tolist(), f"diameter ({units})": self.diameter.tolist()}
        columns |= {f"perimeter ({units})": self.perimeter.tolist(), "aspect": self.aspect.tolist()}
        columns |= {"brightness": self.brightness.tolist(), "cut by the border": self.cut.astype(int).tolist()}
        columns["class of shape"] = ["" if each < 0 else each + 1 for each in self.shape_class.tolist()]
        if self.spectra is not None and self.group is not None:
            columns["counts"] = self.spectra.sum(axis=1).tolist()
            columns["composition"] = ["" if each < 0 else each + 1 for each in self.group.tolist()]
        return columns

    def to_hyperspy(self) -> dict[str, Any]:
        """As of every result; `spectra` with what its file says of the microscope, so that
        exSpy quantifies them."""
        signals = super().to_hyperspy()
        if self.spectra is None or self.mean is None:
            return signals
        (energy,) = self.mean.axes
        energy = energy.to("keV") or energy
        named = f"spectra of {self.n_particles} particles"
        axes = Axis("particle", self.n_particles, units="", navigation=True), energy
        spectra = to_hyperspy(self.spectra, axes, named, 1, self.instrument)
        return signals | {"spectra": spectra}
