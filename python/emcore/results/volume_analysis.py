"""What the analysis of a volume gives back."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.io.ome_zarr_volumes import write_label_volumes
from emcore.results.result import Result


def _length(result: Any) -> str:
    units: str = result.overview.axes[2].units
    return units


def _inverse(result: Any) -> str:
    return f"1/{_length(result)}"


@dataclass(frozen=True, eq=False)
class VolumeAnalysis(Result):
    """Textures of a volume, how each is oriented where, and how they were found.

    An oriented class is what has the same spectrum; a texture holds those that a rotation makes
    equal. Classes of one texture follow one another, the largest first; textures are in the
    order of falling share.

    Attributes
    ----------
    textures, oriented : ndarray, shape (D, H, W), integer, or None
        Texture and oriented class of every voxel, in both phases; -1 where windows hold too
        little of the phase. None where they are in the store `labels_path`.
    labels_path : str
        OME-Zarr store of the label volumes, "" where they are here.
    texture_of : ndarray, shape (k,), int16
        The texture of each oriented class.
    table : ndarray, shape (t, k), int64
        Voxels of each texture and oriented class.
    share : ndarray, shape (k,), float64
        Fraction of the labelled voxels of each oriented class.
    texture_share : ndarray, shape (t,), float64
    spectra : ndarray, shape (k, N, N, N), float32
        Mean power spectrum of windows that are in one class only, zero frequency in the middle.
    frequency_z, frequency_y, frequency_x : ndarray, shape (N,), float64
        Axes of the spectra, in 1/unit.
    profiles : ndarray, shape (k, N // 2), float64
        Mean of the spectra over shells.
    texture_profiles : ndarray, shape (t, N // 2), float64
    frequency : ndarray, shape (N // 2,), float64
        Radii of the shells, in 1/unit.
    degree_power : ndarray, shape (t, shells, degrees), float64
        C_l of each texture: the invariants by which textures are told apart, from three periods
        in a window on.
    spacing : ndarray, shape (k, 3), float64
        The strongest spacings of each class, in the units of the volume; NaN where there are no
        more.
    direction : ndarray, shape (k, 3, 3), float64
        Direction of the strongest peak of each spacing, as (z, y, x) of length 1; NaN where
        there is none.
    texture_spacing : ndarray, shape (t, 3), float64
        Those of the largest class of each texture; NaN where there are no more.
    pairs : ndarray, shape (p, 2), int
        Oriented classes that are one texture.
    pair_angle : ndarray, shape (p,), float64
        Degrees of the smallest rotation that brings the first onto the second. Symmetric
        textures have several.
    pair_axis : ndarray, shape (p, 3), float64
        About which direction, as (z, y, x) of length 1.
    pair_correlation : ndarray, shape (p,), float64
        Of the two after that rotation.
    parts : ndarray, shape (nz, ny, nx, k), float32
        What part of each window an oriented class fills.
    explained : ndarray, shape (nz, ny, nx), float32
        Part of the spectrum of each window that the classes explain.
    phase_fraction : ndarray, shape (nz, ny, nx), float32
        Of the phase in each window.
    z, y, x : ndarray, float64
        Centres of the windows, in the units of the volume.
    threshold : float
        Of the phase.
    phase_share : float
        Part of all voxels that the phase is.
    n_empty : int
        Windows with too little of the phase, which took no part.
    reason, texture_reason : str
        How the number of classes and of textures was found.
    overview : Signal
        The volume in bins, at most 128 along a side.
    cut_z, cut_y, cut_x : Signal
        The planes through the middle across z, y and x.
    texture_cuts, oriented_cuts : tuple of three Signals
        The labels there.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    """

    page: ClassVar[str] = "volume"

    textures: NDArray[Any] | None = field(
        metadata={"axes": ("cut_y.z", "cut_z.y", "cut_z.x"), "signal_axes": 2, "counts": "texture"}
    )
    oriented: NDArray[Any] | None = field(
        metadata={"axes": ("cut_y.z", "cut_z.y", "cut_z.x"), "signal_axes": 2, "counts": "class"}
    )
    labels_path: str
    texture_of: NDArray[np.int16] = field(metadata={"axes": ("class",)})
    table: NDArray[np.int64] = field(metadata={"axes": ("texture", "class"), "long_name": "voxels"})
    share: NDArray[np.float64] = field(metadata={"axes": ("class",), "long_name": "fraction of the volume"})
    texture_share: NDArray[np.float64] = field(metadata={"axes": ("texture",), "long_name": "fraction of the volume"})
    spectra: NDArray[np.float32] = field(
        metadata={"axes": ("class", "frequency_z", "frequency_y", "frequency_x"), "default": True}
    )
    frequency_z: NDArray[np.float64] = field(metadata={"units": _inverse, "long_name": "spatial frequency, z"})
    frequency_y: NDArray[np.float64] = field(metadata={"units": _inverse, "long_name": "spatial frequency, y"})
    frequency_x: NDArray[np.float64] = field(metadata={"units": _inverse, "long_name": "spatial frequency, x"})
    profiles: NDArray[np.float64] = field(metadata={"axes": ("class", "frequency"), "signal_axes": 1})
    texture_profiles: NDArray[np.float64] = field(metadata={"axes": ("texture", "frequency"), "signal_axes": 1})
    frequency: NDArray[np.float64] = field(metadata={"units": _inverse, "long_name": "spatial frequency"})
    degree_power: NDArray[np.float64] = field(metadata={"axes": ("texture", "shell", "degree")})
    spacing: NDArray[np.float64] = field(metadata={"axes": ("class", "rank"), "units": _length})
    direction: NDArray[np.float64] = field(metadata={"axes": ("class", "rank", "component")})
    texture_spacing: NDArray[np.float64] = field(metadata={"axes": ("texture", "rank"), "units": _length})
    pairs: NDArray[np.int64] = field(metadata={"axes": ("pair", "member")})
    pair_angle: NDArray[np.float64] = field(metadata={"axes": ("pair",), "units": "deg"})
    pair_axis: NDArray[np.float64] = field(metadata={"axes": ("pair", "component")})
    pair_correlation: NDArray[np.float64] = field(metadata={"axes": ("pair",)})
    parts: NDArray[np.float32] = field(metadata={"axes": ("z", "y", "x", "class"), "signal_axes": 1})
    explained: NDArray[np.float32] = field(metadata={"axes": ("z", "y", "x"), "signal_axes": 2})
    phase_fraction: NDArray[np.float32] = field(metadata={"axes": ("z", "y", "x"), "signal_axes": 2})
    z: NDArray[np.float64] = field(metadata={"units": _length, "long_name": "window centre, z"})
    y: NDArray[np.float64] = field(metadata={"units": _length, "long_name": "window centre, y"})
    x: NDArray[np.float64] = field(metadata={"units": _length, "long_name": "window centre, x"})
    threshold: float
    phase_share: float
    n_empty: int
    reason: str
    texture_reason: str
    overview: Signal
    cut_z: Signal
    cut_y: Signal
    cut_x: Signal
    texture_cuts: tuple[Signal, ...] = field(metadata={"labels": True, "counts": "texture"})
    oriented_cuts: tuple[Signal, ...] = field(metadata={"labels": True, "counts": "class", "default": True})
    provenance: Provenance

    @property
    def n_classes(self) -> int:
        """How many oriented classes there are."""
        return len(self.share)

    @property
    def n_textures(self) -> int:
        """How many textures there are."""
        return len(self.texture_share)

    def to_ome_zarr(self, path: "str | os.PathLike[str]", version: str = "0.5", overwrite: bool = False) -> Path:
        """Write the volume in bins and the label volumes at full resolution as OME-Zarr, which
        napari and Fiji open.

        Parameters
        ----------
        path : str or Path
            The folder that is written, usually ending in .ome.zarr. Labels lie in its group
            `labels`, counted from 1 on with 0 for none.
        version : {"0.5", "0.4"}, default "0.5"
            Of the specification: on Zarr 3 or Zarr 2.
        overwrite : bool, default False
            Replace an existing Zarr store.

        Returns
        -------
        Path
            The store. It appears whole or not at all.

        Raises
        ------
        ValueError
            If the labels are in a store already, or `version` is another one.
        FileExistsError
            If the folder exists and `overwrite` is not set, or it is no Zarr store.
        ImportError
            If the extra `zarr` is not installed.
        """
        if self.textures is None or self.oriented is None:
            raise ValueError(f"the label volumes are in the OME-Zarr store {self.labels_path} already")
        axes = (self.cut_y.axes[0], *self.cut_z.axes)
        counts = {"textures": self.n_textures, "oriented": self.n_classes}
        slabs = zip(
            np.split(self.textures, len(self.textures)), np.split(self.oriented, len(self.oriented)), strict=True
        )
        picture = np.asarray(self.overview.data), self.overview.axes
        title = self.provenance.input_name
        return write_label_volumes(Path(path), picture, axes, counts, slabs, title, version, overwrite)
