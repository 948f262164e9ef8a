"""The frames of a series, one at a time: of a stack in memory or in a file, or of pictures that lie in a folder."""

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Signal
from emcore.core.wording import count_of
from emcore.io.recognise import store_of
from emcore.io.registry import IMAGE, read_all, suffixes
from emcore.scans.axes import arranged, picture_axes
from emcore.scans.choosing import measurement
from emcore.scans.images import suits_image
from emcore.scans.pictures import Picture, picture_of


@dataclass(frozen=True, eq=False)
class Frames:
    """A series of pictures.

    Attributes
    ----------
    signal : Signal
        The stack, or the first picture of a list.
    count : int
    places : ndarray, shape (count,), float64
        When each frame was taken, or its number from 0 on.
    units : str
        Of these; "" for numbers.
    said : str
        What was taken for a series.
    of : callable
        ``of(i)`` gives frame i as a Signal and its number there, None where it is a picture of its own.
    """

    signal: Signal
    count: int
    places: NDArray[np.float64]
    units: str
    said: str
    of: Callable[[int], tuple[Signal, int | None]]

    def picture(self, i: int, include_info_bar: bool, lines: int) -> Picture:
        """Frame i as `emcore.scans.pictures.picture_of` gives it; what is wrong is said with its number."""
        signal, number = self.of(i)
        try:
            seen = picture_of(signal, number, include_info_bar, lines)
            # That it is one of a stack goes without saying.
            return seen if number is None else replace(seen, notes=seen.notes[1:])
        except (ValueError, TypeError) as error:
            raise type(error)(
                f"frame {i} ({signal.name}): {error}" if number is None else f"frame {i}: {error}"
            ) from None


def suits_series(signal: Signal) -> int:
    """How well a data set is a series: 2 a stack of pictures, 0 all else.

    Examples
    --------
    >>> from emcore.io.read import as_signal
    >>> from emcore.scans.frames import suits_series
    >>> suits_series(as_signal(np.zeros((5, 8, 9)))), suits_series(as_signal(np.zeros((8, 9))))
    (2, 0)
    """
    return 2 if suits_image(signal) == 1 and len(_stack_axes(signal)) == 1 else 0


def frames_of(frames: Any, dataset: str | int | None = None) -> Frames:
    """The frames in whatever a user gives.

    Parameters
    ----------
    frames : array_like or Signal of shape (T, H, W), path of a stack or of a folder, or list of images
        What is out of core stays there.
    dataset : str or int, optional
        Which data set of a file.

    Raises
    ------
    ValueError
        If there is one picture only, several axes of frames, or a folder without pictures.

    Examples
    --------
    >>> from emcore.scans.frames import frames_of
    >>> series = frames_of(np.arange(60.0).reshape(3, 4, 5))
    >>> series.count, series.picture(1, False, 16).pixels[0, 0]
    (3, np.float64(20.0))
    """
    if isinstance(frames, str | os.PathLike) and Path(frames).is_dir() and not store_of(Path(frames)):
        folder = Path(frames)
        paths = [path for path in folder.iterdir() if path.suffix.lower() in suffixes(IMAGE) and path.is_file()]
        if not paths:
            raise ValueError(f"{folder} holds no pictures: looked for {', '.join(suffixes(IMAGE))}")
        frames = sorted(paths, key=_by_number)
    if isinstance(frames, list | tuple):
        return _of_list(frames, dataset)
    signal = measurement(frames, suits_series, dataset, lambda path: read_all(path, lazy=True))
    stack = _stack_axes(signal)
    if len(stack) != 1 or not suits_image(signal):
        found = (
            f"has shape {signal.shape}, one picture" if not stack else f"has {count_of(len(stack), 'axis of frames')}"
        )
        raise ValueError(
            f"{signal.name} {found}: a series needs a stack (frames, y, x), a folder or a list of pictures"
        )
    axis = signal.axes[stack[0]]
    units = axis.units if axis.calibrated else ""
    places = axis.values if units else np.arange(axis.size, dtype=np.float64)
    return Frames(signal, axis.size, places, units, f"a stack of {axis.size} frames", lambda i: (signal, i))


def _of_list(frames: Sequence[Any], dataset: str | int | None) -> Frames:
    if not frames:
        raise ValueError("frames is an empty list: a series needs a picture at least")

    def of(i: int) -> tuple[Signal, int | None]:
        return measurement(frames[i], suits_image, dataset), None

    first = of(0)[0]
    if suits_image(first) < 2:
        raise ValueError(f"frame 0 ({first.name}) has shape {first.shape}: each frame of a list must be one picture")
    numbers = np.arange(len(frames), dtype=np.float64)
    return Frames(first, len(frames), numbers, "", f"{count_of(len(frames), 'picture')}, a frame each", of)


def _stack_axes(signal: Signal) -> tuple[int, ...]:
    arrangement = arranged(signal, lambda each: picture_axes(each)[0])
    if arrangement is None:
        return ()
    return tuple(i for i in arrangement.scan if signal.axes[i].size > 1)


def _by_number(path: Path) -> list[tuple[float, str]]:
    """So that frame_10 comes after frame_9."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(float(part), "") if part.isdecimal() else (math.inf, part) for part in parts]
