"""What a call may be given: arrays of any shape, strides, type, byte order and values, and what is no array at all.

Everything is drawn from a `random.Random`, which is one of a seed in a long run, and one of hypothesis in the tests,
which finds the smallest draws that fail.
"""

import inspect
import re
import warnings
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

import numpy as np

TYPES = (
    *("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "?"),
    *(">u2", ">u4", ">i2", ">i4", ">f4", ">f8", "c8", "O", "U3", "S2", "M8[s]", "g", "V4"),
)
SIDES = (0, 1, 2, 3, 5, 8, 9, 12, 16)
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2, 3, 2**31, 2**63 - 1, 10**400, -0.5, 0.0, 0.5, 1e-320, 1e300, float("nan"), float("inf"),
    "", "auto", "none", "hann", "kmeans", "mixture", "x", b"x", (), (1,), (2, 3), (0, -1), [4, 4], {}, object, 1j,
)  # fmt: skip
SCALES = (1.0, 1e-42, 1e-300, 3e38, 1e150, 1e308)
VIEWS = ("", "", "flip", "step", "transpose", "fortran", "readonly", "list", "masked", "unaligned", "broadcast")


def some_array(numbers: Random, shape: Sequence[int] | None = None, kind: str | None = None) -> Any:
    """Of up to five axes of few points, any type, strides and values."""
    if shape is None:
        shape = [numbers.choice(SIDES) for _ in range(numbers.randrange(6))]
    while np.prod(shape, dtype=float) > 3e4:
        shape = shape[1:]
    return seen_as(numbers.choice(VIEWS), typed(numbers, tuple(shape), np.dtype(kind or numbers.choice(TYPES))))


def typed(numbers: Random, shape: tuple[int, ...], kind: np.dtype[Any]) -> Any:
    """Counts, noise or one value, some of floats not finite, very large or very small."""
    rng = np.random.default_rng(numbers.randrange(100))
    values: Any = numbers.choice((rng.poisson(3, shape), rng.normal(size=shape), np.zeros(shape), np.full(shape, 7)))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind.kind in "fc":
            values = values * numbers.choice(SCALES)
            if values.size and numbers.randrange(2):
                values = values.astype("f8").copy()
                values.flat[numbers.randrange(values.size)] = numbers.choice((np.nan, np.inf, -np.inf))
        try:
            return np.asarray(values).astype(kind)
        except (ValueError, TypeError):
            return np.zeros(shape, kind)


def seen_as(view: str, array: Any) -> Any:
    """The same values or some of them, otherwise laid in memory."""
    if view == "flip" and array.ndim:
        return array[..., ::-1]
    if view == "step" and array.ndim:
        return array[::2]
    if view == "readonly":
        array = array.copy()
        array.flags.writeable = False
    elif view == "masked":
        return np.ma.masked_array(array, mask=False)
    elif view == "unaligned" and array.dtype.kind in "uif" and array.size:
        raw = np.zeros(array.nbytes + 1, np.uint8)
        there = raw[1:].view(array.dtype).reshape(array.shape)
        there[...] = array
        return there
    elif view == "broadcast" and array.ndim and len(array):
        return np.broadcast_to(array[:1], array.shape)
    elif view == "list":
        return array.tolist()
    return {"transpose": array.T, "fortran": np.asfortranarray(array)}.get(view, array)


def odd(numbers: Random) -> Any:
    """What hardly any parameter takes, or an array that fits nothing else."""
    which = numbers.randrange(4)
    if which == 0:
        return some_array(numbers)
    if which == 1:
        return numbers.randrange(-2, 41)
    return numbers.choice(ODD) if which == 2 else numbers.uniform(-50, 50)


def held(value: Any) -> Any:
    """What arrays and lists hold, at any depth, to be compared after a call that must not change it."""
    if isinstance(value, np.ndarray):
        values = value.tolist() if value.dtype.hasobject else np.asarray(value).tobytes()
        return value.dtype.str, value.shape, value.strides, repr(values) if value.dtype.hasobject else values
    if isinstance(value, list | tuple):
        return [held(each) for each in value] if any(map(_holds, value)) else repr(value)
    if isinstance(value, dict):
        return [(key, held(each)) for key, each in value.items()]
    own = type(value).__module__.startswith("emcore") and getattr(value, "__dict__", None)
    return held(own) if own else repr(type(value))  # others may remember what was asked of them


def _holds(value: Any) -> bool:
    return isinstance(value, np.ndarray | list | tuple | dict) or hasattr(value, "__dict__")


def infinite(value: Any, name: str = "") -> str:
    """The name of what in a value is not a number or not finite and not said to be so; "" where nothing is."""
    if isinstance(value, np.ndarray):
        wrong = value.dtype.kind in "fc" and value.size < 10**7 and not np.isfinite(value).all()
        return (name or "the array") if wrong else ""
    if isinstance(value, float | np.floating | complex):
        return "" if np.isfinite(value) else name or "the number"
    pairs: Any = ()
    if isinstance(value, list | tuple):
        pairs = ((name, each) for each in value[:64])
    elif isinstance(value, dict):
        pairs = ((f"{name}.{key}", each) for key, each in value.items())
    elif type(value).__module__.startswith("emcore") and hasattr(value, "__dict__"):
        said = not_numbers(type(value))
        pairs = ((f"{type(value).__name__}.{key}", each) for key, each in vars(value).items() if key not in said)
    return next((which for key, each in pairs if (which := infinite(each, key))), "")


@cache
def not_numbers(documented: Any) -> set[str]:
    """The fields, or parameters and what is returned, of which a docstring says when they are not numbers."""
    said, names = set(), []
    for line in inspect.cleandoc(documented.__doc__ or "").splitlines():
        if match := re.match(r"(\w[\w, ]*?)( :|$|, shape)", line):
            names = re.split(r",\s*", match[1])
        if "NaN" in line or "inf" in re.findall(r"\w+", line):
            said.update(names)
    return said
