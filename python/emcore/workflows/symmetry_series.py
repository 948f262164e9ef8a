"""How do the regions of differing local symmetry change from image to image of a series?

Regions are found in one frame, as `emcore.local_symmetry` does, and followed through the others: each frame starts from
the centres of the one before it, so that labels keep their meaning. One frame at a time is in memory.
"""

import hashlib
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.control import get_num_threads, steps
from emcore.core.documentation import documented
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Axis, Signal, array_sha256
from emcore.core.validation import check_count
from emcore.core.wording import count_of
from emcore.methods.symmetry.descriptors import Descriptors, at_pixels, described
from emcore.methods.symmetry.model import Model, confidence, fitted, followed
from emcore.results.symmetry_map import SymmetrySeries
from emcore.scans.frames import frames_of
from emcore.scans.pictures import Picture
from emcore.workflows.symmetry import COMPONENTS, LINES, checked, descriptors_of, reach_of, said_of_edges

# Frames that a report shows; empty ones that are named.
_SHOWN, _NAMED = 6, 10


@with_progress_bar
@documented()
def local_symmetry_series(
    frames: Any,
    score: str = "translation",
    n_regions: int | str = "auto",
    *,
    reference: int = 0,
    window: int | str | None = None,
    patch: int | str | None = None,
    stride: int | None = None,
    pool: str | None = None,
    n_components: int = COMPONENTS,
    dataset: str | int | None = None,
    include_info_bar: bool = False,
    random_state: int = 0,
) -> SymmetrySeries:
    """Find the regions of one frame that differ in their local symmetry, and follow them
    through the others.

    Parameters
    ----------
    frames : array_like, Signal or HyperSpy signal of shape (T, H, W), path or list
        A stack, in memory or not; the path of a file with one, or of a folder, whose pictures
        are taken in the order of their names; or a list of pictures or paths. All frames have
        the same size.
    reference : int, default 0
        The frame in which regions are found, from 0 on.
    score, n_regions, window, patch, stride, pool, n_components, include_info_bar, random_state
        See `emcore.local_symmetry`.
    %(dataset)s

    Returns
    -------
    SymmetrySeries
        The same to the last bit on any number of threads. A frame that is one value throughout
        holds no measurement, and its labels are -1.

    Raises
    ------
    ValueError
        No series, frames of different size (named), and what `emcore.local_symmetry` refuses in
        a frame (named).
    TypeError
        Complex numbers, objects or strings.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import moving_boundary
    >>> series = moving_boundary(4, shape=(180, 240))
    >>> result = emcore.local_symmetry_series(series.frames)
    >>> result.n_regions, result.share[:, 0].round(1)  # what was smaller grows
    (2, array([0.3, 0.4, 0.6, 0.8]))
    """
    started = time.perf_counter()
    asked = checked(score, pool, n_regions, n_components, stride, random_state)
    series = frames_of(frames, dataset)
    check_count(reference, "reference", 0, series.count - 1, f"the series has {count_of(series.count, 'frame')}")
    first = series.picture(reference, include_info_bar, LINES)
    try:
        how = descriptors_of(first, score, pool, window, patch, stride)
    except ValueError as error:
        raise ValueError(f"frame {reference}: {error}") from None
    found = described(first.pixels, how)
    apart = max(how.patch // how.stride, 1)
    model, groups, reason = fitted(found.scores, asked, n_components, apart, random_state)
    k = len(model.centers)
    rows = found.scores.reshape(groups.size, -1)
    scores = np.stack([rows[groups.ravel() == i].mean(axis=0, dtype=np.float64) for i in range(k)])
    y, x = found.y + first.part[0].start, found.x + first.part[1].start
    points = np.ix_(y.astype(np.intp), x.astype(np.intp))
    labels = np.full((series.count, *groups.shape), -1, dtype=np.int16)
    clear = np.zeros(labels.shape, dtype=np.float32)
    centers = np.empty((series.count, *model.centers.shape))
    chosen = np.unique(np.linspace(0, series.count - 1, min(_SHOWN, series.count)).round().astype(np.int64))
    shown = np.empty((len(chosen), *first.image.shape), dtype=first.image.dtype)
    hashes = [""] * series.count
    empty: list[int] = []
    notes = dict.fromkeys((f"{series.said}: regions are those of frame {reference}, followed through the others",))
    notes |= dict.fromkeys((*first.notes, *first.axes_notes, said_of_edges(how)))
    visited = 0
    with steps(series.count) as done:
        for chain in (range(reference, series.count), range(reference - 1, -1, -1)):
            last = model
            for i in chain:
                seen = _of_size(series.picture(i, include_info_bar, LINES), first, i, reference)
                if min(seen.pixels.shape) < 2 * reach_of(how) + 1 or seen.pixels.min() == seen.pixels.max():
                    empty.append(i)
                else:
                    last, all_labels, all_clear = _labelled(seen, how, last)
                    labels[i], clear[i] = all_labels[points], all_clear[points]
                centers[i] = last.centers
                hashes[i] = array_sha256(np.asarray(seen.image.data))
                if i in chosen:
                    shown[np.searchsorted(chosen, i)] = seen.image.data
                visited += 1
                done(visited)
    if empty:
        which = ", ".join(map(str, sorted(empty)[:_NAMED])) + (", …" if len(empty) > _NAMED else "")
        notes |= {f"{count_of(len(empty), 'frame')} without a measurement, their labels are -1: {which}": None}
    counts = np.stack([np.bincount(frame[frame >= 0], minlength=k) for frame in labels]).astype(np.float64)
    total = counts.sum(axis=1, keepdims=True)
    axes = first.image.axes
    parameters = {
        "score": score,
        "n_regions": n_regions,
        "reference": reference,
        "window": window,
        "patch": patch,
        "stride": stride,
        "pool": pool,
        "n_components": n_components,
        "dataset": dataset,
        "include_info_bar": include_info_bar,
        "random_state": random_state,
    }
    return SymmetrySeries(
        labels=labels,
        confidence=clear,
        y=axes[0].offset + axes[0].scale * y,
        x=axes[1].offset + axes[1].scale * x,
        frame=series.places,
        share=np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0),
        scores=scores,
        features=found.features,
        centers=centers,
        evr=model.evr,
        reference=reference,
        n_regions=k,
        rule="given" if asked else "silhouette",
        reason=reason,
        score=score,
        pool=pool,
        window=found.window,
        patch=how.patch,
        stride=how.stride,
        sizes=how.reason,
        image=first.image,
        shown=Signal(shown, (Axis("shown", len(chosen), navigation=True), *axes), series.signal.source),
        shown_frames=chosen,
        frame_units=series.units,
        provenance=Provenance.record(
            "local_symmetry_series",
            parameters,
            series.signal,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=tuple(notes),
            sha256=hashlib.sha256("".join(hashes).encode()).hexdigest(),
        ),
        n_empty=len(empty),
    )


def _of_size(seen: Picture, first: Picture, i: int, reference: int) -> Picture:
    """The frame, refused where it has another size than the reference."""
    if seen.image.shape != first.image.shape:
        (h, w), (height, width) = seen.image.shape, first.image.shape
        name = f" ({seen.image.name})" if seen.image.source != first.image.source else ""
        raise ValueError(
            f"frame {i}{name} is {h} x {w} px, frame {reference} {height} x {width} px: all must have one size, crop "
            "them first"
        )
    return seen


def _labelled(seen: Picture, how: Descriptors, last: Model) -> tuple[Model, NDArray[np.int16], NDArray[np.float32]]:
    """The centres of a frame, the region of every pixel, and how clear that is."""
    found = described(seen.pixels, how)
    model, groups = followed(found.scores, last)
    shape = seen.pixels.shape
    labels = np.full(seen.image.shape, -1, dtype=np.int16)
    clear = np.zeros(seen.image.shape, dtype=np.float32)
    labels[seen.part] = at_pixels(groups, found.y, found.x, (shape[0], shape[1]))
    clear[seen.part] = at_pixels(confidence(found.scores, model), found.y, found.x, (shape[0], shape[1]))
    return model, labels, clear
