"""Arguments of the private functions that visit windows and patches of pictures and volumes."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from sizes import PIXELS, REFUSED, Sizes

from emcore import _emcore

Drawn = tuple[tuple[Any, ...], dict[str, Any]]


def spectra_settings(s: Sizes) -> SimpleNamespace:
    window = s.count(s.numbers.choice((2, 4, 5, 8)))
    value = s.number(1.0)
    scale = s.numbers.choice(("power", "amplitude", "log", ("log-plus", value), ("log-over", value), "x"))
    reduce = s.numbers.choice(("none", "radial", ("crop", s.count(2)), ("bin", s.count(2)), "x"))
    return SimpleNamespace(
        window=window, step=s.count(s.numbers.randrange(1, 5)), taper=s.word("hann", "none"),
        subtract_mean=bool(s.numbers.randrange(2)), scale=scale, reduce=reduce, unit=s.number(1.0),
    )  # fmt: skip


def filled(s: Sizes, shape: Callable[[], Any], upto: int) -> Any:
    """What a function that says its shape is to fill."""
    try:
        size = int(np.prod(shape()[:upto], dtype=float))
    except REFUSED:
        size = 4
    return s.array(size if size < 10**6 else 4, kinds=("f4",))


def spectra(s: Sizes) -> Drawn:
    image, settings = s.array(s.n + 4, s.d + 4, kinds=PIXELS), spectra_settings(s)
    return (image, settings, filled(s, lambda: _emcore.spectra_shape(np.shape(image), settings), 4)), {}


def translations(s: Sizes) -> SimpleNamespace:
    shifts = [(s.numbers.randrange(-3, 4), s.count(s.numbers.randrange(4))) for _ in range(s.numbers.randrange(4))]
    largest = s.perhaps(lambda: s.count(len(shifts)))
    return SimpleNamespace(patch=s.count(s.numbers.randrange(3)), stride=s.count(2), shifts=shifts, largest=largest)


def turns(s: Sizes) -> SimpleNamespace:
    folds = [s.count(s.numbers.choice((2, 3, 4, 6))) for _ in range(s.numbers.randrange(4))]
    return SimpleNamespace(patch=s.count(s.numbers.randrange(5)), stride=s.count(2), folds=folds, planes=s.count(3))


def scores(s: Sizes, settings: Any, shape: Callable[..., Any]) -> Drawn:
    image = s.array(s.n + 12, s.d + 12, kinds=PIXELS)
    return (image, settings, filled(s, lambda: shape(np.shape(image), settings), 3)), {}


def volume_settings(s: Sizes) -> SimpleNamespace:
    value = s.count(2)
    reduce = s.numbers.choice(("none", "radial", *((name, value) for name in ("crop", "bin", "harmonics", "degrees"))))
    return SimpleNamespace(
        window=s.count(s.numbers.choice((4, 6, 8))), step=s.count(3), quantity=s.word("power", "modulus"),
        reduce=reduce, periodic=bool(s.numbers.randrange(2)), phase=s.perhaps(lambda: (s.number(0.0), s.number(4.0))),
        least=s.number(0.5), offset=s.number(1.0), unit=s.number(1.0),
    )  # fmt: skip


def volume(s: Sizes) -> Drawn:
    voxels, settings = s.array(*(s.numbers.randrange(4, 12) for _ in range(3)), kinds=PIXELS), volume_settings(s)

    def shape() -> Any:
        return _emcore.volume_shape(np.shape(voxels), settings)

    return (voxels, settings, filled(s, shape, 6), filled(s, shape, 3)), {}
