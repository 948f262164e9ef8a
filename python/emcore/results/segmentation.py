"""What a segmentation of a scan gives back."""

import math
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.core.validation import check_count, check_number
from emcore.core.wording import count_of
from emcore.methods.superpixels.choices import Stop, stops
from emcore.methods.superpixels.slic import merged_after, mergings_to
from emcore.results.result import Result

# Pieces whose mean patterns are kept: so many times the grains and more, as far as they take no more bytes than that,
# and none that differ by less than so many degrees.
_TIMES, _MORE, _BYTES, _FINEST = 4, 16, 64 << 20, 10.0
_SCAN = ("image.y", "image.x")
_PATTERN = ("mean.ky", "mean.kx")


def _length(result: Any) -> str:
    """The unit of diameters: that of the scan, pixels where its axes have different ones."""
    y, x = result.image.axes
    return str(x.units) if x.units == y.units else "px"


@dataclass(frozen=True, eq=False)
class Segmentation(Result):
    """Grains of a scan, each one connected piece of positions whose patterns are alike, and the
    mean pattern of each.

    Attributes
    ----------
    labels : ndarray, shape (y, x), int32
        Grain of every scan position, 0 to k - 1; -1 where nothing was measured.
    signals : ndarray, shape (k, ky, kx), float64
        Mean pattern of each grain, of the data as they were measured.
    size : ndarray, shape (k,), int64
        Positions in each grain; grains in the order of falling size.
    diameter : ndarray, shape (k,), float64
        Of the disc of the same area, in the units of the scan; in positions where it has none.
    correlation : ndarray, shape (y, x), float64, optional
        Correlation of the pattern with the mean of its own grain, of kept pixels less their
        means over the scan.
    confidence : ndarray, shape (y, x), float64, optional
        By how much that exceeds the largest correlation with the mean of another grain. Both
        are 0 where nothing was measured, and None after `recut`, for want of the data.
    segments : ndarray, shape (y, x), int32
        Segments before merging, their positions at borders of grains settled, so that some may
        have none; -1 where nothing was measured.
    history : ndarray, shape (mergings, 3), float64
        Down to one segment, in their order: the segment that went on, the one that is gone, the
        correlation along their border. The first that falls short of `min_correlation`, and
        what follows, was looked at and not done.
    kept : ndarray, shape (ky, kx), bool
        Detector pixels that were compared.
    n_segments, n_grains : int
        Segments before merging, grains after it.
    min_correlation : float
        Least correlation of what was merged.
    reason : str
        Why so many segments and that correlation.
    image : Signal, shape (y, x)
        Virtual image of the kept detector pixels.
    mean : Signal, shape (ky, kx)
        Mean of the measured patterns, PACBED.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    beam_center : (float, float), optional
        Centre of the direct beam along ky and kx, in detector pixels.
    beam_radius : float, optional
        Radius of the mask over it in detector pixels; None where nothing was masked.
    n_empty : int
        How many positions have no measurement, see `emcore.scans.gaps`; they took no part.
    kinds : tuple of str
        Of each grain "crystal", or "amorphous" or "vacuum" where its mean pattern has no
        reflections.
    pieces : ndarray, shape (y, x), int32, optional
        The finest cut that `recut` makes, parts of grains.
    piece_signals : ndarray, shape (p, ky, kx), float64, optional
        The mean pattern of each.
    """

    page: ClassVar[str] = "segmentation"

    labels: NDArray[np.int32] = field(
        metadata={"axes": _SCAN, "default": True, "long_name": "grains", "counts": "grain"}
    )
    signals: NDArray[np.float64] = field(metadata={"axes": ("grain", *_PATTERN), "signal_axes": 2})
    size: NDArray[np.int64] = field(metadata={"axes": ("grain",), "long_name": "positions"})
    diameter: NDArray[np.float64] = field(
        metadata={"axes": ("grain",), "units": _length, "long_name": "equivalent diameter"}
    )
    correlation: NDArray[np.float64] | None = field(
        metadata={"axes": _SCAN, "long_name": "correlation with the own grain"}
    )
    confidence: NDArray[np.float64] | None = field(metadata={"axes": _SCAN})
    segments: NDArray[np.int32] = field(
        metadata={"axes": _SCAN, "long_name": "segments before merging", "counts": "segment"}
    )
    history: NDArray[np.float64]
    kept: NDArray[np.bool_] = field(metadata={"axes": _PATTERN, "long_name": "detector pixels compared"})
    n_segments: int
    n_grains: int
    min_correlation: float
    reason: str
    image: Signal
    mean: Signal
    provenance: Provenance
    beam_center: tuple[float, float] | None = None
    beam_radius: float | None = None
    n_empty: int = 0
    kinds: tuple[str, ...] = ()
    pieces: NDArray[np.int32] | None = field(default=None, metadata={"axes": _SCAN, "counts": "piece"})
    piece_signals: NDArray[np.float64] | None = field(
        default=None, metadata={"axes": ("piece", *_PATTERN), "signal_axes": 2}
    )

    @property
    def length_units(self) -> str:
        """Units of the diameters."""
        return _length(self)

    @property
    def stops(self) -> list[Stop]:
        """Where merging may end, the widest gap first; not all can be cut at, see `recut`."""
        return stops(self.history, self.n_segments) if len(self.history) else []

    def recut(self, min_correlation: float | None = None, *, n_grains: int | None = None) -> "Segmentation":
        """The grains that another end of merging gives, without the data.

        Parameters
        ----------
        min_correlation : float, optional
            Least correlation of segments that are merged, see `stops`.
        n_grains : int, optional
            As many grains, instead.

        Returns
        -------
        Segmentation
            Without maps of correlation and confidence, which need the data.

        Raises
        ------
        ValueError
            Both or none of the two; a finer cut than that whose mean patterns are kept, which
            `pieces` shows.

        Examples
        --------
        >>> import emcore
        >>> from emcore.datasets import bent_polycrystal
        >>> sample = bent_polycrystal((32, 40), (64, 64), n_grains=6)
        >>> result = emcore.segment_grains(sample.patterns)
        >>> result.n_grains, result.recut(n_grains=4).n_grains
        (6, 4)
        """
        if (min_correlation is None) == (n_grains is None):
            raise ValueError("min_correlation or n_grains says where merging ends: give one of them")
        if n_grains is not None:
            check_count(n_grains, "n_grains", 1)
            done = mergings_to(self.segments, self.history, n_grains)
            least = float(self.history[:done, 2].min(initial=1.0))
            why = f"{count_of(n_grains, 'grain')} were asked for"
        else:
            least = check_number(min_correlation, "min_correlation", -1, 1)
            done = int(np.count_nonzero(self.history[:, 2] >= least))
            why = f"a correlation of {least:g} was asked for"
        labels = merged_after(self.segments, self.history, done)
        pieces, of_pieces = self.pieces, self.piece_signals
        if pieces is None or of_pieces is None:
            pieces, of_pieces = self.labels, self.signals
        there = pieces >= 0
        grain_of = np.zeros(len(of_pieces), dtype=np.intp)
        grain_of[pieces[there]] = labels[there]
        if not np.array_equal(grain_of[pieces[there]], labels[there]):
            raise ValueError(
                f"that cut makes {int(labels.max()) + 1} grains; mean patterns of {len(of_pieces)} pieces are kept: "
                "give it to segment_grains"
            )
        order = np.argsort(-np.bincount(labels[there]), kind="stable")
        rank = np.argsort(order)
        labels = np.where(there, rank[labels], -1).astype(np.int32)
        parts = np.bincount(pieces[there], minlength=len(of_pieces))
        size = np.bincount(labels[there], minlength=len(order))
        return replace(
            self,
            labels=labels,
            signals=means_of_pieces(of_pieces, parts, rank[grain_of], len(order)),
            size=size,
            diameter=equivalent_diameter(size, self.image),
            correlation=None,
            confidence=None,
            n_grains=len(order),
            min_correlation=least,
            reason=f"{self.reason.split('; ')[0]}; {why}",
            kinds=_kinds_after(self, labels, len(order)),
        )

    def export_patterns(self, path: "str | os.PathLike[str]", overwrite: bool = False) -> Path:
        """Write the mean patterns as a stack, one grain after another, for programs that index
        them.

        Parameters
        ----------
        path : str or Path
            Ends in .hspy, which HyperSpy, pyxem and py4DSTEM read with its calibration; or in
            .npy, beside which a file of the same name in .json says what the axes are.
        overwrite : bool, default False
            Replace existing files.

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        ValueError
            Another ending.
        FileExistsError
            If a file exists and `overwrite` is not set.
        ImportError
            If .hspy is asked for without the extra `io`.
        """
        from emcore.io.export import write_stack

        ky, kx = self.mean.axes
        record = self.provenance
        return write_stack(Path(path), self.signals, "grain", (ky, kx), record.input_name, overwrite, record.instrument)


def _kinds_after(result: Segmentation, labels: NDArray[np.int32], count: int) -> tuple[str, ...]:
    """The kinds of other grains: of each that of the former grain that most of it was."""
    if not result.kinds:
        return ()
    there = labels >= 0
    shared = np.zeros((count, result.n_grains), dtype=np.int64)
    np.add.at(shared, (labels[there], result.labels[there]), 1)
    return tuple(result.kinds[int(most)] for most in shared.argmax(axis=1))


def means_of_pieces(
    of_pieces: NDArray[np.float64], sizes: NDArray[np.integer], grain_of: NDArray[np.intp], count: int
) -> NDArray[np.float64]:
    """The mean pattern of each of so many grains from those of the pieces that make it.

    Examples
    --------
    >>> means_of_pieces(np.array([[1.0], [5.0], [4.0]]), np.array([3, 1, 2]), np.array([0, 0, 1]), 2).tolist()
    [[2.0], [4.0]]
    """
    signals = np.zeros((count, *of_pieces.shape[1:]))
    for pattern, size, grain in zip(of_pieces, sizes, grain_of, strict=True):
        signals[grain] += size * pattern
    total = np.bincount(grain_of, sizes, count)
    signals /= np.maximum(total, 1).reshape(-1, *[1] * (signals.ndim - 1))
    return signals


def finest(
    segments: NDArray[np.int32],
    labels: NDArray[np.int32],
    history: NDArray[np.float64],
    shape: tuple[int, int],
) -> NDArray[np.int32]:
    """The finest cut whose mean patterns are kept: down to 10 degrees, of few times as many pieces as grains.

    Examples
    --------
    >>> segments = np.array([[0, 1, 2]], dtype=np.int32)
    >>> finest(segments, np.zeros_like(segments), np.array([[0, 1, 0.99], [0, 2, 0.6]]), (8, 8)).tolist()
    [[0, 0, 1]]
    """
    if not len(history):
        return labels
    count = int(labels.max()) + 1
    most = max(min(_TIMES * count + _MORE, _BYTES // (8 * shape[0] * shape[1])), count)
    certain = int(np.count_nonzero(history[:, 2] >= math.cos(math.radians(_FINEST))))
    return merged_after(segments, history, max(mergings_to(segments, history, most), certain))


def equivalent_diameter(size: NDArray[np.int64], image: Signal) -> NDArray[np.float64]:
    """Diameter of the disc of the same area, in the units of the image's axes, or in positions."""
    y, x = image.axes
    area = abs(y.scale * x.scale) if y.units == x.units else 1.0
    diameter: NDArray[np.float64] = 2 * np.sqrt(size * area / math.pi)
    return diameter
