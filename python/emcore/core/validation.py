"""The one place where input is checked and shaped: what is wrong, where, and what to do about it."""

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.sparse import is_sparse, sparse_rows

Floats = NDArray[np.float64]

PIXEL_TYPES = tuple(np.dtype(t) for t in ("u1", "u2", "u4", "i2", "i4", "f4", "f8"))
"""The types in which detectors write; kernels read them as they are."""

# What kernels count with ends there.
_MOST = 2**63 - 1
_EXACT = {"b1": "u1", "i1": "i2", "f2": "f4"}


def as_pixels(data: Any, name: str, ndim: int | tuple[int, ...]) -> NDArray[Any]:
    """
    An array of a pixel type, without a copy where it is one already.

    Parameters
    ----------
    data : array-like
        Any shape, of a real numeric type. Booleans, int8 and float16 become the next wider pixel type, 64-bit integers
        and extended floats become float64, foreign byte order becomes native.
    name : str
        The argument's name, for the message.
    ndim : int or tuple of int
        The number of dimensions allowed.

    Returns
    -------
    ndarray
        One of `PIXEL_TYPES`, not empty.

    Raises
    ------
    TypeError
        Complex numbers, objects, strings, dates, sparse matrices.
    ValueError
        A wrong number of dimensions, an empty array, a masked array with masked values.

    Examples
    --------
    >>> as_pixels([[True, False]], "image", 2).dtype
    dtype('uint8')
    """
    if is_sparse(data):
        raise TypeError(f"{name} is a sparse matrix; give a dense array, for example {name}.toarray()")
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        raise ValueError(f"{name} has {int(np.ma.getmaskarray(data).sum())} masked values; fill or crop them first")
    array = np.asarray(data)
    _check_real(array, name)
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if array.ndim not in allowed:
        wanted = " or ".join(f"{n}-D" for n in allowed)
        raise ValueError(f"{name} has shape {array.shape} ({array.ndim}-D); a {wanted} array is needed")
    if array.size == 0:
        raise ValueError(f"{name} is empty, shape {array.shape}; at least one value is needed")
    return _of_pixel_type(array)


def _check_real(array: NDArray[Any], name: str) -> None:
    if array.dtype.kind not in "biuf":
        what = {"c": "complex numbers; give their modulus or real part", "O": "Python objects", "U": "strings"}
        kind = what.get(array.dtype.kind, f"the type {array.dtype}")
        raise TypeError(f"{name} holds {kind}; an array of real numbers is needed")


def _of_pixel_type(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.newbyteorder("=") not in PIXEL_TYPES:
        array = array.astype(_EXACT.get(array.dtype.str[1:], "f8"))
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array if array.flags.aligned else array.copy()


def as_matrix(data: Any, name: str = "X") -> NDArray[Any]:
    """
    `as_pixels` of a matrix that may be sparse: then rows that the kernels read as they are stored.

    Parameters
    ----------
    data : array-like or sparse matrix, shape (n, d)
        Of a sparse matrix, in any format of SciPy's, the stored values become a pixel type. Features that are not
        ascending, or twice in a row, are put right in a copy. One that takes at most twice the memory with its zeros
        is given them.
    name : str
        The argument's name, for the message.

    Returns
    -------
    ndarray or SparseRows

    Examples
    --------
    >>> from scipy.sparse import csc_array
    >>> rows = as_matrix(csc_array(([1, 1, 5], ([7, 7, 2], [3, 3, 6])), shape=(9, 8)))
    >>> rows.take([7]).tolist()
    [[0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]]
    """
    if isinstance(data, _emcore.SparseRows):
        return data  # type: ignore[return-value]  # what the kernels and the callers of this ask of an array, it has
    if not is_sparse(data):
        return as_pixels(data, name, 2)
    csr = data.tocsr()
    _check_real(csr.data, name)
    if len(csr.shape) != 2:
        raise ValueError(f"{name} has shape {csr.shape} ({len(csr.shape)}-D); a 2-D array is needed")
    if 0 in csr.shape:
        raise ValueError(f"{name} is empty, shape {csr.shape}; at least one value is needed")
    rows = sparse_rows(csr, _of_pixel_type)
    size, stored = rows.dtype.itemsize, int(csr.indptr[-1])
    if csr.shape[0] * csr.shape[1] * size <= 2 * stored * (size + 4):
        return as_pixels(csr.toarray(), name, 2)
    return rows  # type: ignore[return-value]  # as above


def check_finite(array: NDArray[Any], name: str, *, nonnegative: bool = False) -> tuple[float, float]:
    """
    The smallest and largest value of an array all of whose values are finite (and, if asked, not negative).

    Raises
    ------
    ValueError
        NaN, infinity or a negative value, with the first position.

    Examples
    --------
    >>> check_finite(np.array([[1.0, 2.0]]), "image")
    (1.0, 2.0)
    """
    ndim = len(array.shape)
    flat = array if ndim == 2 else array.reshape(array.shape[0], -1) if ndim > 2 else array.reshape(1, -1)
    low, high, bad, negative = _emcore.value_range(flat)

    def position(where: tuple[int, int]) -> str:
        index = where[0] * flat.shape[1] + where[1]
        return ", ".join(str(int(i)) for i in np.unravel_index(index, array.shape))

    if bad is not None:
        raise ValueError(
            f"Input {name} contains NaN or infinity, first at [{position(bad)}]; replace or crop such values first"
        )
    if nonnegative and negative is not None:
        raise ValueError(
            f"Negative values in data passed to {name}, first at [{position(negative)}]; "
            "subtract the detector's offset or set them to zero first"
        )
    return low, high


def as_rows(
    data: Any, name: str = "X", *, nonnegative: bool = False, squared: bool = False, sparse: bool = False
) -> NDArray[Any]:
    """
    A checked matrix of n rows (positions) and d features (pixels or channels).

    Parameters
    ----------
    data : array-like, shape (n, d), or PreparedRows
        See `as_pixels`; prepared rows were checked when they were prepared. Sparse rows are taken too.
    name : str
        The argument's name, for the message.
    nonnegative : bool
        Refuse negative values.
    squared : bool
        Refuse values whose squares are no numbers of their type, or all zero.
    sparse : bool
        Take a sparse matrix, see `as_matrix`.

    Returns
    -------
    ndarray, shape (n, d), PreparedRows or SparseRows
        Finite, of one of `PIXEL_TYPES`; the caller's own memory where that is possible.

    Examples
    --------
    >>> as_rows([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if isinstance(data, _emcore.PreparedRows):
        if nonnegative and (negative := _emcore.value_range(data)[3]) is not None:
            raise ValueError(f"{name} is prepared so that row {negative[0]} has negative values; leave offsets out")
        return data  # type: ignore[return-value]  # what the kernels and the callers of this ask of an array, it has
    array = as_matrix(data, name) if sparse or isinstance(data, _emcore.SparseRows) else as_pixels(data, name, 2)
    if array.dtype.kind == "f" or (nonnegative and array.dtype.kind == "i"):
        low, high = check_finite(array, name, nonnegative=nonnegative)
        if squared and array.dtype.kind == "f":
            check_range(low, high, name, 1e17 if array.dtype == np.float32 else 1e140)
    return array


def as_image(data: Any, name: str = "image") -> NDArray[Any]:
    """
    A checked 2-D image, shape (height, width).

    Examples
    --------
    >>> as_image(np.zeros((4, 5))).shape
    (4, 5)
    """
    array = as_pixels(data, name, 2)
    check_finite(array, name)
    return array


def check_option(value: Any, options: Iterable[str], name: str) -> str:
    """
    `value` if it is one of `options`.

    Raises
    ------
    ValueError
        An unknown option; the nearest known one is named.

    Examples
    --------
    >>> check_option("hann", ["hann", "none"], "taper")
    'hann'
    >>> check_option("han", ["hann", "none"], "taper")
    Traceback (most recent call last):
        ...
    ValueError: taper='han' is not known; did you mean 'hann'? Choose from 'hann', 'none'
    """
    options = list(options)
    if isinstance(value, str) and value in options:
        return value
    near = difflib.get_close_matches(str(value), options, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"{name}={value!r} is not known{hint} Choose from {', '.join(map(repr, options))}")


def check_count(value: Any, name: str, low: int, high: int | None = None, why: str = "") -> int:
    """
    `value` as an int between `low` and `high`, both included.

    Raises
    ------
    TypeError
        Not a whole number.
    ValueError
        Out of range; `why` says what sets the limit.

    Examples
    --------
    >>> check_count(np.int64(3), "n_components", 1, 5)
    3
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}; a whole number is needed")
    count = int(value)
    if not low <= count <= (_MOST if high is None else high):
        limit = f"between {low} and {high}" if high is not None else f"at least {low}"
        limit += " and below 2^63" if high is None and count > _MOST else ""
        raise ValueError(f"{name}={value} is out of range; it must be {limit}{f' ({why})' if why else ''}")
    return count


def check_number(value: Any, name: str, low: float, high: float = np.inf) -> float:
    """
    `value` as a finite float between `low` and `high`, both included.

    Examples
    --------
    >>> check_number(1, "tol", 0)
    1.0
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}; a number is needed")
    try:
        number = float(value)
    except OverflowError:  # of an integer of hundreds of digits
        number = np.inf
    if not (np.isfinite(number) and low <= number <= high):
        limit = f"at least {low:g}" if high == np.inf else f"between {low:g} and {high:g}"
        raise ValueError(f"{name}={value} is out of range; it must be {limit}")
    return number


def is_finite(value: Any) -> bool:
    """
    Whether a number is finite, an integer of hundreds of digits not: it has no float.

    Examples
    --------
    >>> is_finite(3), is_finite(np.nan), is_finite(10**400)
    (True, False, False)
    """
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def as_numbers(values: Any, name: str) -> Floats:
    """
    A few real numbers, for example of an axis, as float64 of any shape.

    Raises
    ------
    TypeError
        No numbers, or complex ones.
    ValueError
        An integer of hundreds of digits, which no float holds.

    Examples
    --------
    >>> as_numbers([1, 2.5], "spacings")
    array([1. , 2.5])
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind == "c":
            raise TypeError
        return array.astype(np.float64)
    except OverflowError:
        raise ValueError(f"{name} must be numbers that a float holds, found larger ones") from None
    except (TypeError, ValueError):
        raise TypeError(f"{name}={values!r} are no numbers") from None


def check_shape(value: Any, name: str, least: int = 1) -> tuple[int, int]:
    """
    `value` as a height and a width of at least so much.

    Raises
    ------
    TypeError, ValueError
        Something else than two whole numbers.

    Examples
    --------
    >>> check_shape([3, 4], "shape")
    (3, 4)
    """
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 2:
        raise TypeError(f"{name}={value!r}: two whole numbers are needed, the height and the width")
    height, width = (check_count(each, f"{name}[{i}]", least, 2**31 - 1) for i, each in enumerate(value))
    return height, width


def check_result(values: Any, name: str) -> None:
    """
    Refuse to give back what is no number because the data were too large.

    Raises
    ------
    ValueError
        NaN or infinity in `values`; `name` says of which arguments they come.

    Examples
    --------
    >>> check_result(np.array([1.0, 2.0]), "data")
    """
    if not np.isfinite(values).all():
        raise ValueError(
            f"{name}: values are too large for sums and squares; give them in a unit in which they are near 1"
        )


def check_magnitude(pixels: NDArray[Any], name: str, limit: float = 1e100) -> None:
    """Refuse NaN and infinity, and data that are all below 1 / `limit` or reach it: their squares would be no numbers.

    Raises
    ------
    ValueError
        With what was found and what to do.

    Examples
    --------
    >>> check_magnitude(np.array([[1e-12, 0.0]]), "curves")
    """
    if pixels.dtype.kind == "f":
        check_range(*check_finite(pixels, name), name, limit)


def check_range(low: float, high: float, name: str, limit: float = 1e100, least: float | None = None) -> None:
    """Refuse a smallest and a largest value as `check_magnitude` does; `least` is in place of 1 / `limit`.

    Examples
    --------
    >>> check_range(-2.0, 1.5, "curves")
    """
    largest = max(abs(low), abs(high))
    if not (1 / limit if least is None else least) < largest < limit and largest > 0:
        raise ValueError(f"{name} has values of at most {largest:.3g}; give them in a unit in which they are near 1")
