"""
Packed chunks of an HDF5 data set, unpacked on all cores.

HDF5 unpacks one chunk after another and keeps some in a cache of its own, of 8 MiB since HDF5 2. Chunks packed by
deflate, their bytes shuffled before or not, are read here as they are stored and unpacked in threads, straight to where
they belong.
"""

import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.control import get_num_threads

_DEFLATE, _SHUFFLE = 1, 2
_READ = ([_DEFLATE], [_SHUFFLE, _DEFLATE])
_LEAST = 1 << 16
"""Bytes of a chunk below which HDF5 is faster."""
_SHARE = 4
"""What is unpacked at the same time is at most this part of what is read, but one chunk at least."""


def is_packed(data: Any) -> bool:
    """
    Whether this is a data set that `read_packed` reads.

    Examples
    --------
    >>> import h5py, io
    >>> with h5py.File(io.BytesIO(), "w") as file:
    ...     packed = file.create_dataset("a", (64, 512), "u2", chunks=(64, 512), compression="gzip")
    ...     is_packed(packed), is_packed(file.create_dataset("b", (64, 512), "u2"))
    (True, False)
    """
    if not type(data).__module__.startswith("h5py") or data.chunks is None or data.dtype.kind not in "iuf":
        return False
    if prod(data.chunks) * data.dtype.itemsize < _LEAST:
        return False
    return _filters(data) in _READ and data.id.get_type().get_size() == data.dtype.itemsize


def read_packed(data: Any, first: int, channels: slice, into: NDArray[Any]) -> None:
    """
    Fill `into` with the lines of a packed data set from `first` on, of some of its channels.

    Parameters
    ----------
    data : h5py.Dataset, shape (lines, ..., channels)
    first : int
    channels : slice
        Which of the last axis, one after the other.
    into : ndarray, shape (some lines, ..., some channels)

    Raises
    ------
    OSError
        A chunk is damaged.

    Examples
    --------
    >>> import h5py, io
    >>> with h5py.File(io.BytesIO(), "w") as file:
    ...     packed = file.create_dataset("a", data=np.arange(60).reshape(10, 6), chunks=(4, 4), compression="gzip")
    ...     some = np.zeros((2, 3), packed.dtype)
    ...     read_packed(packed, 3, slice(2, 5), some)
    >>> some.tolist()
    [[20, 21, 22], [26, 27, 28]]
    """
    start, stop, _ = channels.indices(data.shape[-1])
    box = [(first, first + len(into)), *((0, size) for size in data.shape[1:-1]), (start, stop)]
    filters, size = _filters(data), prod(data.chunks) * data.dtype.itemsize
    offsets = list(product(*(range(a // c * c, b, c) for (a, b), c in zip(box, data.chunks, strict=True))))

    def fill(offset: Sequence[int]) -> None:
        ends = list(zip(offset, data.chunks, box, strict=True))
        inside = tuple(slice(max(at, a) - at, min(at + c, b) - at) for at, c, (a, b) in ends)
        place = tuple(slice(max(at, a) - a, min(at + c, b) - a) for at, c, (a, b) in ends)
        into[place] = _chunk(data, offset, filters, size)[inside]

    workers = max(1, min(get_num_threads(), into.nbytes // (_SHARE * size)))
    pool = ThreadPoolExecutor(workers, "emcore-unpack")
    try:
        for _ in pool.map(fill, offsets):
            pass
    finally:  # whoever is interrupted does not wait for a chunk
        pool.shutdown(wait=False, cancel_futures=True)


def _chunk(data: Any, offset: Sequence[int], filters: list[int], size: int) -> NDArray[Any]:
    if data.id.get_chunk_info_by_coord(offset).byte_offset is None:  # never written
        return np.broadcast_to(np.asarray(data.fillvalue, data.dtype), data.chunks)
    left_out, packed = data.id.read_direct_chunk(offset)
    for i, kind in reversed(list(enumerate(filters))):
        if left_out >> i & 1:
            continue
        try:
            packed = (
                zlib.decompress(packed, bufsize=size) if kind == _DEFLATE else _in_order(packed, data.dtype.itemsize)
            )
        except (zlib.error, ValueError) as error:
            raise OSError(f"a chunk of {data.name} is damaged: {error}") from error
    if len(packed) != size:
        raise OSError(f"a chunk of {data.name} is damaged: {len(packed)} bytes in place of {size}")
    return np.frombuffer(packed, data.dtype).reshape(data.chunks)


def _in_order(packed: Any, itemsize: int) -> NDArray[np.uint8]:
    """Shuffled bytes, of which the first of every value come first, value by value."""
    shuffled = np.frombuffer(packed, np.uint8).reshape(itemsize, -1)
    values = np.empty(shuffled.shape[::-1], np.uint8)
    values[...] = shuffled.T  # without the lock of the interpreter
    return values.reshape(-1)


def _filters(data: Any) -> list[int]:
    made = data.id.get_create_plist()
    return [made.get_filter(i)[0] for i in range(made.get_nfilters())]
