"""An array that is computed and may be larger than memory: then it lies in a file that ends with the process."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.memory import check_room, in_words


@contextmanager
def scratch_array(shape: tuple[int, ...], dtype: Any, room: int, what: str) -> Iterator[tuple[NDArray[Any], bool]]:
    """
    An array to be written, and whether it lies in a file: if it takes more than there is room for.

    The file is in the folder for temporary files (``TMPDIR``) and has no name, so that nothing is left of it, whatever
    ends the process. The array is mapped: what is not in use the system writes there, and takes its memory back.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    room : int
        Bytes that it may take in memory.
    what : str
        For messages.

    Raises
    ------
    MemoryError
        Neither memory nor disk has so much, with both.

    Examples
    --------
    >>> for room in (100, 10):
    ...     with scratch_array((2, 3), np.float32, room, "numbers") as (array, on_disk):
    ...         array[:] = 1
    ...         print(float(array.sum()), on_disk)
    6.0 False
    6.0 True
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size <= room:
        check_room(size, what)
        yield np.empty(shape, dtype), False
        return
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    said = f"{what} take {in_words(size)}, there is room for {in_words(max(room, 0))}"
    if free < size:
        raise MemoryError(
            f"{said} in memory and {in_words(free)} on disk in {folder}: give more memory=, set TMPDIR, or ask for less"
        )
    with tempfile.TemporaryFile() as file:
        try:
            # A disk that is full when a page is written would end the process.
            with contextlib.suppress(AttributeError):  # not of this system
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise MemoryError(f"{said} in memory, and {folder} has none: {error}") from error
        yield np.asarray(np.memmap(file, dtype, "r+" if os.fstat(file.fileno()).st_size else "w+", shape=shape)), True
