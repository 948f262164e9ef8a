"""Transforms of the plane: matrices on (y, x, 1), the small motions of each kind, and how far two are apart."""

from collections.abc import Sequence

import numpy as np

from emcore.core.validation import Floats

MODELS = ("translation", "rigid", "similarity", "affine")
"""Kinds of transforms, each among those of the next."""

# Turn, growth, and the two ways to shear; about a middle.
_TURN, _GROW = np.array([[0.0, -1.0], [1.0, 0.0]]), np.eye(2)
_STRETCH, _SHEAR = np.array([[1.0, 0.0], [0.0, -1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
_LINEAR = {"translation": (), "rigid": (_TURN,), "similarity": (_TURN, _GROW)}
_LINEAR["affine"] = (_TURN, _GROW, _STRETCH, _SHEAR)


def n_parameters(model: str) -> int:
    """How many numbers say a transform of that kind."""
    return 2 + len(_LINEAR[model])


def motions(model: str, places: Floats, middle: Floats, length: float) -> Floats:
    """
    By how much each place moves for each parameter of a small motion.

    Parameters
    ----------
    model : str
        One of `MODELS`.
    places : ndarray, shape (n, 2)
    middle : ndarray, shape (2,)
        About which is turned and stretched.
    length : float
        So far from it turns and stretches of 1 move a place by 1.

    Returns
    -------
    ndarray, shape (n, 2, p)
        First the two shifts.

    Examples
    --------
    >>> import numpy as np
    >>> motions("rigid", np.array([[0.0, 4.0]]), np.zeros(2), 4.0)[0].tolist()
    [[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
    """
    away = (places - middle) / length
    moved = np.empty((len(places), 2, n_parameters(model)))
    moved[:, :, :2] = np.eye(2)
    for i, linear in enumerate(_LINEAR[model]):
        moved[:, :, 2 + i] = away @ linear.T
    return moved


def moved_by(model: str, parameters: Floats, middle: Floats, length: float) -> Floats:
    """The transform, shape (3, 3), that such a motion is; of a rigid one exactly a turn.

    Examples
    --------
    >>> import numpy as np
    >>> turn = moved_by("rigid", np.array([1.0, 0.0, 0.2]), np.array([5.0, 5.0]), 2.0)
    >>> round(float(np.linalg.det(turn)), 12), apply(turn, np.array([[5.0, 5.0]])).tolist()
    (1.0, [[6.0, 5.0]])
    """
    linear = np.eye(2)
    if model != "translation":
        angle = float(parameters[2]) / length
        linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if model in ("similarity", "affine"):
        linear = linear * np.exp(float(parameters[3]) / length)
    if model == "affine":
        linear = linear @ (np.eye(2) + (parameters[4] * _STRETCH + parameters[5] * _SHEAR) / length)
    return about(linear, middle, middle + parameters[:2])


def small_motion(model: str, matrix: Floats, middle: Floats, length: float) -> Floats:
    """The parameters of a transform that is nearly none, the reverse of `moved_by` to first order.

    Examples
    --------
    >>> import numpy as np
    >>> given = np.array([0.1, -0.2, 0.03, 0.01, 0.0, 0.02])
    >>> matrix = moved_by("affine", given, np.array([3.0, 7.0]), 10.0)
    >>> bool(np.allclose(small_motion("affine", matrix, np.array([3.0, 7.0]), 10.0), given, atol=1e-4))
    True
    """
    shift = apply(matrix, middle[None])[0] - middle
    rest = (matrix[:2, :2] - np.eye(2)) * length
    linear = [float((rest * each).sum() / (each**2).sum()) for each in _LINEAR[model]]
    return np.concatenate([shift, linear])


def about(linear: Floats, middle: Floats, place: Floats) -> Floats:
    """The transform with that linear part by which `middle` goes to `place`."""
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = place - linear @ middle
    return matrix


def rotation(degrees: float) -> Floats:
    """The linear part that turns y towards x."""
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def apply(matrix: Floats, places: Floats) -> Floats:
    """Where places, shape (..., 2), go.

    Examples
    --------
    >>> import numpy as np
    >>> apply(about(rotation(90.0), np.zeros(2), np.array([0.0, 3.0])), np.array([[1.0, 0.0]])).round(9).tolist()
    [[0.0, 4.0]]
    """
    moved: Floats = places @ matrix[:2, :2].T + matrix[:2, 2]
    return moved


def inverse(matrix: Floats) -> Floats:
    """The transform back."""
    back: Floats = np.linalg.inv(matrix)  # type: ignore[assignment]
    return back


def grid_of(shape: Sequence[int]) -> Floats:
    """The places of the positions of a scan, shape (y * x, 2)."""
    y, x = np.indices((shape[0], shape[1]), dtype=np.float64)
    return np.stack([y.ravel(), x.ravel()], axis=1)


def corners(shape: Sequence[int]) -> Floats:
    """The places of its four corner positions, shape (4, 2), in the order of a walk around it."""
    high, wide = shape[0] - 1.0, shape[1] - 1.0
    return np.array([[0.0, 0.0], [0.0, wide], [high, wide], [high, 0.0]])


def apart(a: Floats, b: Floats, shape: Sequence[int]) -> float:
    """How far two transforms put the corners of a scan of that shape from one another, at most.

    Examples
    --------
    >>> import numpy as np
    >>> apart(np.eye(3), about(np.eye(2), np.zeros(2), np.array([3.0, 4.0])), (10, 10))
    5.0
    """
    ends = corners(shape)
    return float(np.linalg.norm(apply(a, ends) - apply(b, ends), axis=1).max())


def angle_of(matrix: Floats) -> float:
    """By how many degrees a transform turns y towards x: that of the nearest similarity."""
    a = matrix[:2, :2]
    return float(np.degrees(np.arctan2(a[1, 0] - a[0, 1], a[0, 0] + a[1, 1])))


def scale_of(matrix: Floats) -> float:
    """By how much a transform stretches, on the average of the two directions."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
