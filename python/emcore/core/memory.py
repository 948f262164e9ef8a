"""How much memory may be used: a budget in bytes, read from words and written in words."""

import math
import os
import re
from typing import Any

import numpy as np

from emcore.core.validation import check_count

LOADED = 0.5
"""The part of the budget up to which data are loaded."""
DEFAULT = 1 << 30
"""Budget where none is given."""

SLAB_BYTES = 1 << 27
"""Most that is read at a time: more would make nothing faster."""

_UNITS = {
    "": 1,
    "k": 1000,
    "m": 1000**2,
    "g": 1000**3,
    "t": 1000**4,
    "ki": 1024,
    "mi": 1024**2,
    "gi": 1024**3,
    "ti": 1024**4,
}


def check_memory(memory: Any) -> int:
    """
    A budget in bytes.

    Parameters
    ----------
    memory : int, str or None
        Bytes, or a number and a unit such as "500 MB" or "2 GiB". Default: 1 GiB.

    Raises
    ------
    TypeError, ValueError
        Something else.

    Examples
    --------
    >>> check_memory("2 GiB"), check_memory(1000)
    (2147483648, 1000)
    """
    if memory is None:
        return DEFAULT
    if isinstance(memory, str):
        match = re.fullmatch(r"\s*([0-9.]+)\s*([kmgt]?i?)b?\s*", memory.lower())
        if not match or match[1].count(".") > 1 or match[1] == "." or match[2] == "i":
            raise ValueError(f"memory={memory!r} is not known; give bytes, or a number and a unit such as '2 GiB'")
        memory = float(match[1]) * _UNITS[match[2]]
        if not 1 <= memory < 2**63:
            raise ValueError(f"memory is {match[1][:20]} {match[2]}B: give a number of bytes from 1 on and below 2^63")
        memory = int(memory)
    return check_count(memory, "memory", 1)


def check_room(size: int, what: str) -> None:
    """
    Refuse work for which the system has no `size` bytes, before it is begun: kernels cannot go on without.

    Raises
    ------
    MemoryError
        With what takes so much.

    Examples
    --------
    >>> check_room(1000, "memberships of 5 rows")
    >>> check_room(1 << 60, "all maps")
    Traceback (most recent call last):
        ...
    MemoryError: all maps take 1073741824 GiB, more than the system gives; give fewer rows or ask for less
    """
    try:
        np.empty(size, np.uint8)
    except (MemoryError, ValueError):
        words = f"{what} take {in_words(size)}, more than the system gives; give fewer rows or ask for less"
        raise MemoryError(words) from None


def check_fits(size: int, what: str) -> None:
    """
    Refuse to read what is larger than the machine's memory.

    Raises
    ------
    MemoryError
        With both sizes, and what to do.

    Examples
    --------
    >>> check_fits(1000, "a.npy")
    >>> check_fits(1 << 60, "a.npy")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    MemoryError: a.npy holds 1073741824 GiB, and this machine has ...: read it with lazy=True, or give memory=
    """
    total = physical_memory()
    if size > total:
        raise MemoryError(
            f"{what} holds {in_words(size)}, and this machine has {in_words(total)}: read it with lazy=True, or give "
            "memory="
        )


def physical_memory() -> int:
    """Bytes of memory of the machine; where it does not say, as many as there may be."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return 1 << 62


def in_words(size: int) -> str:
    """
    A number of bytes for a person to read, rounded up.

    Examples
    --------
    >>> in_words(2_000_000), in_words(3 << 30), in_words(5)
    ('2 MiB', '3 GiB', '5 bytes')
    """
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            tenths = -(-10 * size // unit)
            return f"{tenths / 10:g} {name}" if tenths < 100 else f"{-(-size // unit)} {name}"
    return f"{size} bytes"


def needed_for(size: int) -> int:
    """
    The least budget with which data of so many bytes are loaded, see `is_loaded`.

    Examples
    --------
    >>> needed_for(1 << 20) == 1 << 21, is_loaded(999, needed_for(999))
    (True, True)
    """
    return math.ceil(size / LOADED) if LOADED else size


def check_loaded(size: int, memory: int | str | None, what: str, why: str) -> None:
    """
    Refuse to load data of so many bytes that are more than half of the budget.

    Raises
    ------
    MemoryError
        With what was needed.

    Examples
    --------
    >>> check_loaded(960, "1 kB", "data", "slic")
    Traceback (most recent call last):
        ...
    MemoryError: slic needs all of data in memory, 960 bytes, more than half of memory=1000 bytes: give memory="1.9 KiB"
    """
    if not is_loaded(size, memory):
        raise MemoryError(
            f"{why} needs all of {what} in memory, {in_words(size)}, more than half of "
            f'memory={in_words(check_memory(memory))}: give memory="{in_words(needed_for(size))}"'
        )


def is_loaded(size: int, memory: int | str | None) -> bool:
    """
    Whether data of so many bytes, wherever they are stored, are simply loaded: if they take half of the budget or less.

    Examples
    --------
    >>> from emcore.core.memory import is_loaded
    >>> is_loaded(16_000_000, "1 GiB"), is_loaded(16_000_000, "20 MB")
    (True, False)
    """
    return size <= LOADED * check_memory(memory)
