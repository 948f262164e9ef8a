"""Images at a series of energies, or spectra at positions: as lines of a scan that are read a few at a time.

How the data lie does not matter: energy first, as a stack of images has it, or last, as a spectrum image has it. Lines
are read as they are asked for, so that what is left in a file stays there. Images that drifted are moved on the way, by
parts of a pixel, too: where the intensity changes over the scan, half a pixel would be a step along the energy, and a
peak of its derivative.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore.core.memory import SLAB_BYTES, check_memory, in_words
from emcore.core.signals import Axis, Signal
from emcore.core.validation import as_pixels
from emcore.core.wording import count_of
from emcore.io.errors import explained
from emcore.io.recognise import store_of
from emcore.outofcore.checkpoint import Job
from emcore.outofcore.planes import Planes
from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored
from emcore.scans.axes import (
    Arrangement,
    SignalAxis,
    arranged,
    listing,
    one_signal_axis,
    picture_axes,
    said,
    scan_first,
)
from emcore.scans.axis_kinds import has_two_inside, is_bare, spectral_axes
from emcore.scans.choosing import measurement
from emcore.scans.frames import frames_of
from emcore.scans.grids import in_scan_shape, scan_axes
from emcore.scans.series import common_part, drift_of, said_of_drift
from emcore.scans.spectra import placed
from emcore.scans.spectrum_rows import is_out_of_core, loaded, read_within

# A spectrum needs so many energies.
LEAST = 8
# Bytes of lines that are read together from memory.
_TOGETHER = 1 << 24


@dataclass(frozen=True, eq=False)
class EnergyImages:
    """
    Values at positions of a scan for each of some energies.

    Attributes
    ----------
    signal : Signal
        As it is stored.
    order : tuple of int
        Its axes as y, x (or one of positions) and energy.
    scan : tuple of Axis
        Those of the scan, of what all images have in common.
    energy : Axis
    notes : tuple of str
    starts : ndarray of int, shape (energies, 2), or None
        Where what all images have in common begins in each.
    shifts : ndarray, shape (energies, 2), or None
        By how much each image lies off the first, in pixels.
    """

    signal: Signal
    order: tuple[int, ...]
    scan: tuple[Axis, ...]
    energy: Axis
    notes: tuple[str, ...] = ()
    starts: NDArray[np.intp] | None = None
    shifts: NDArray[np.float64] | None = None

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the scan."""
        return tuple(axis.size for axis in self.scan)

    @property
    def lines(self) -> int:
        return self.grid[0]

    @property
    def across(self) -> int:
        """Positions in a line."""
        return self.grid[1] if len(self.grid) == 2 else 1

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """One row of values for each position of the lines `start` to `stop`, of a pixel type.

        Examples
        --------
        >>> import numpy as np
        >>> from emcore.scans.energy_images import as_energy_images
        >>> stack = np.arange(8 * 3 * 4, dtype=np.uint16).reshape(8, 3, 4)
        >>> images = as_energy_images(stack, signal_axis=0)
        >>> images.read(1, 2).tolist()[0]
        [4, 16, 28, 40, 52, 64, 76, 88]
        """
        rows = (stop - start) * self.across
        if self.starts is None:
            where: list[Any] = [slice(None)] * len(self.order)
            where[self.order[0]] = slice(start, stop)
            part = self._fetched(tuple(where)).transpose(self.order).reshape(rows, self.energy.size)
            return as_pixels(np.ascontiguousarray(part), "stack", 2)
        assert self.shifts is not None
        values = np.empty((rows, self.energy.size), np.float32)
        height, width = (self.signal.axes[i].size for i in self.order[:2])
        for i, ((down, right), moved) in enumerate(zip(self.starts.tolist(), self.shifts, strict=True)):
            # Between whole pixels by linear interpolation; what lies half a pixel outside is what the edge has.
            part = moved - np.rint(moved)
            first, last = max(start + down - 1, 0), min(stop + down + 1, height)
            image = self._image(i, slice(first, last)).astype(np.float32)
            lines = np.clip(np.arange(start, stop) + down - first + part[0], 0, last - first - 1)
            columns = np.clip(np.arange(self.across) + right + part[1], 0, width - 1)
            values[:, i] = _between(_between(image, lines).T, columns).T.ravel()
        return as_pixels(values, "stack", 2)

    def _image(self, i: int, lines: slice = slice(None)) -> NDArray[Any]:
        """Some lines of image i, y first."""
        where: list[Any] = [slice(None)] * 3
        where[self.order[0]], where[self.order[2]] = lines, i
        image = self._fetched(tuple(where))
        return image if self.order[0] < self.order[1] else image.T

    def _fetched(self, where: tuple[Any, ...]) -> NDArray[Any]:
        data: Any = self.signal.data
        try:
            part = data[where]
            return np.asarray(part.compute() if hasattr(part, "dask") else part)
        except Exception as error:
            raise explained(error, f"a part of {self.signal.name}") from error

    def registered(self) -> "EnergyImages":
        """The same with drift taken out: what all images have in common.

        Raises
        ------
        ValueError
            A scan of one axis; images that have nothing in common.
        """
        if len(self.grid) != 2:
            raise ValueError(f"register needs images; the stack has positions along one axis: {listing(self.signal)}")
        shifts = drift_of(_Images(self))
        sizes = (self.grid[0], self.grid[1])
        starts, size = common_part(shifts, sizes)
        cuts = zip(self.scan, starts[0].tolist(), size, strict=True)
        scan = tuple(axis.crop(first, first + length) for axis, first, length in cuts)
        notes = (*self.notes, said_of_drift(shifts, size, sizes))
        return replace(self, scan=scan, starts=starts, shifts=shifts, notes=notes)

    def bands(self, block: int, memory: Any, per_position: int) -> list[tuple[int, int]]:
        """The first line and the one after the last of what is read together: whole blocks.

        Parameters
        ----------
        block : int
            Lines of a block.
        memory : int, str or None
        per_position : int
            Bytes that are taken for each beside its values and a copy of them.

        Raises
        ------
        ValueError
            Memory for less than the lines of a block; the least is named.
        """
        budget = check_memory(memory)
        line = self.across * (2 * self.energy.size * self.signal.dtype.itemsize + per_position)
        lines = max(min(budget // 2, SLAB_BYTES, _TOGETHER if not self.out_of_core(memory) else SLAB_BYTES) // line, 1)
        lines = max(lines // block, 1) * block
        if memory is not None and 2 * min(lines, self.lines) * line > budget:
            raise ValueError(
                f"memory={in_words(budget)} is too little for stack: the smallest possible is "
                f"{in_words(2 * min(block, self.lines) * line)}, twice {count_of(block, 'line')} of the scan"
            )
        return list(pairwise([*range(0, self.lines, lines), self.lines]))

    def out_of_core(self, memory: Any) -> bool:
        """Whether the data are left where they are."""
        return is_out_of_core(self.signal, memory)

    def source(self) -> Source:
        """The data as rows, by which a job recognises them."""
        data: Any = self.signal.data
        inner = 1 if self.order[-1] == len(self.order) - 1 else len(self.order) - 1
        if hasattr(data, "dask"):
            if len(self.order) == 3 and inner == 2:
                return Planes(data, "stack").source()
            return Source([data.rechunk({len(self.order) - 1: -1})], name="stack").cut()
        return Source([Stored(data, inner)], name="stack").cut()

    def compare(self, job: Job | None, start: int, stop: int, rows: NDArray[Any]) -> None:
        """Refuse to go on with a job if these lines are not what they were."""
        if job is not None:
            job.compare(f"lines {start} to {stop}", rows)


def _between(image: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Lines of an image at places between its own."""
    first = np.minimum(places.astype(np.intp), max(len(image) - 2, 0))
    part = (places - first).astype(np.float32)[:, None]
    mixed: NDArray[np.float32] = image[first] * (1 - part) + image[np.minimum(first + 1, len(image) - 1)] * part
    return mixed


class _Images(Sequence[NDArray[Any]]):
    """The images of a series, read one at a time."""

    def __init__(self, images: EnergyImages) -> None:
        self._images = images

    def __len__(self) -> int:
        return self._images.energy.size

    def __getitem__(self, i: Any) -> Any:
        return self._images._image(i)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[i] for i in range(len(self)))


def as_energy_images(
    obj: Any,
    energies: ArrayLike | None = None,
    memory: int | str | None = None,
    *,
    signal_axis: SignalAxis = None,
    scan_shape: tuple[int, int] | None = None,
    dataset: str | int | None = None,
) -> EnergyImages:
    """Whatever a user gives, as images at a series of energies.

    Parameters
    ----------
    obj : array-like, Signal, HyperSpy signal, path of a file or a folder of images, or list of images
        Of a file with several data sets the largest that suits.
    energies : array-like, optional
        Energy of each image or channel in eV, in place of what the axes say. Where these say nothing, the axis that
        has as many points is the one.
    memory : int or str, optional
        What a file holds is left there if it is larger; default 1 GiB.
    signal_axis, scan_shape, dataset
        See `emcore.map_peaks`.

    Returns
    -------
    EnergyImages

    Raises
    ------
    ValueError
        No scan of one or two axes with an energy at every position, fewer than 8 energies, another number of
        `energies`, or energies that neither rise nor fall.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.energy_images import as_energy_images
    >>> images = as_energy_images(np.zeros((9, 4, 5)), energies=np.square(np.arange(9)))
    >>> images.grid, images.energy.units, images.energy.even
    ((4, 5), 'eV', False)
    """
    values = None if energies is None else _checked(energies)
    signal = _read(obj, memory, dataset)
    arrangement, why = _arrangement(signal, signal_axis, values)
    if len(arrangement.scan) == 1:
        if scan_shape is not None:
            signal = in_scan_shape(scan_first(signal, arrangement, "stack"), scan_shape, "stack")
            rest = tuple(range(len(signal.axes) - 1))
            arrangement = Arrangement(rest, (len(rest),), arrangement.why)
    elif len(arrangement.scan) != 2:
        raise ValueError(
            f"stack has {len(arrangement.scan)} axes beside its energy: {listing(signal)}; a scan has two: take one "
            "plane or sum over the others first"
        )
    axes = [signal.axes[i] for i in (*arrangement.scan, *arrangement.inside)]
    energy = _energy(axes[-1], values)
    scan = tuple(replace(axis, navigation=False) for axis in scan_axes(axes[:-1]))
    if not is_out_of_core(signal, memory):
        signal = loaded(signal)
    as_pixels(np.zeros((1, 1), signal.dtype), "stack", 2)
    notes = said(signal, replace(arrangement, why=why))
    return EnergyImages(signal, (*arrangement.scan, *arrangement.inside), scan, energy, notes)


def _checked(energies: ArrayLike) -> NDArray[np.float64]:
    try:
        values = np.asarray(energies, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"energies={energies!r} are no numbers: give one in eV for each image") from None
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"energies have shape {values.shape}: give one finite number in eV for each image")
    return values


def _read(obj: Any, memory: Any, dataset: str | int | None) -> Signal:
    folder = isinstance(obj, str | os.PathLike) and Path(obj).is_dir() and not store_of(Path(obj))
    if folder or isinstance(obj, list | tuple):
        return _stacked(obj, dataset)

    vectors: list[Signal] = []

    def read(path: Path) -> list[Signal]:
        datasets = read_within(path, memory)
        vectors.extend(each for each in datasets if len(each.shape) == 1)
        return datasets

    return placed(measurement(obj, _suits, dataset, read), vectors)


def _stacked(obj: Any, dataset: str | int | None) -> Signal:
    """The pictures of a folder or a list as one stack."""
    frames = frames_of(obj, dataset)
    first = frames.of(0)[0]
    stack = np.empty((frames.count, *first.shape), np.asarray(first.data).dtype)
    for i in range(frames.count):
        image = frames.of(i)[0]
        if image.shape != first.shape:
            raise ValueError(
                f"image {i} ({image.name}) has shape {image.shape}, the first {first.shape}: all must have one size, "
                "crop them first"
            )
        stack[i] = image.data
    axes = (Axis("frame", frames.count, navigation=True), *first.axes)
    source = str(obj) if isinstance(obj, str | os.PathLike) else ""
    return Signal(stack, axes, source, "stack", notes=(f"{frames.said}, in the order of their names",), flagged=True)


def _suits(signal: Signal) -> int:
    """How well a data set has an energy at every position: 2 by its axes, 1 by their order, 0 not at all."""
    found = arranged(signal, lambda each: _arrangement(each, None, None)[0])
    if found is None or len(found.scan) not in (1, 2) or signal.axes[found.inside[0]].size < LEAST:
        return 0
    return 2 if found.certain else 1


def _arrangement(
    signal: Signal, signal_axis: SignalAxis, values: NDArray[np.float64] | None
) -> tuple[Arrangement, str]:
    if signal_axis is not None:
        return one_signal_axis(signal, signal_axis, "stack"), "signal_axis"
    known = bool(spectral_axes(signal)[0])
    if values is not None and not known:
        fitting = [i for i, axis in enumerate(signal.axes) if axis.size == len(values)]
        if len(fitting) == 1 and len(signal.axes) > 1:
            return one_signal_axis(signal, fitting[0], "stack"), "the number of energies"
    if not known and len(signal.axes) == 3 and not is_bare(signal) and has_two_inside(signal):
        pictures, colour = picture_axes(signal, framed=True)
        if colour is None and len(pictures.scan) == 1:
            return Arrangement(pictures.inside, pictures.scan, pictures.why, pictures.certain), "what is no picture"
    arrangement = one_signal_axis(signal, None, "stack")
    return arrangement, arrangement.why


def _energy(axis: Axis, values: NDArray[np.float64] | None) -> Axis:
    if values is not None:
        if len(values) != axis.size:
            raise ValueError(
                f"energies has {count_of(len(values), 'value')}, the stack {axis.size} along {axis.name!r}: give one "
                "for each, or say with signal_axis= which axis is meant"
            )
        axis = Axis.from_values("energy", values, "eV")
    if axis.size < LEAST:
        raise ValueError(f"stack has {count_of(axis.size, 'image')}: peaks need at least {LEAST} energies")
    steps = np.diff(axis.values)
    if not ((steps > 0).all() or (steps < 0).all()):
        at = int(np.flatnonzero(np.sign(steps) != np.sign(steps[0]))[0]) if steps[0] else 0
        raise ValueError(
            f"energies neither rise nor fall throughout: {axis.values[at]:g} is followed by {axis.values[at + 1]:g}; "
            "sort the images by energy, and take those of one energy together"
        )
    energy = axis.to("eV")
    if energy is not None:
        return replace(energy, name="energy", navigation=False)
    return replace(axis, navigation=False, name=axis.name if axis.calibrated or axis.name != "frame" else "channel")
