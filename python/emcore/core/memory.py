"""How much memory may be used: a budget in bytes, read from words and written in words."""

import re
from typing import Any

from emcore.core.validation import check_count

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
        memory = int(float(match[1]) * _UNITS[match[2]])
    return check_count(memory, "memory", 1)


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
