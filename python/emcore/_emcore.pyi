from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__version__: str
optimized: bool

def set_num_threads(threads: int) -> None: ...
def set_num_threads_here(threads: int) -> int: ...
def get_num_threads() -> int: ...
def instruction_set() -> str: ...
def set_progress(callback: Callable[[int, int], object] | None) -> Callable[[int, int], object] | None: ...
def value_range(data: NDArray[Any]) -> tuple[float, float, tuple[int, int] | None, tuple[int, int] | None]: ...
def nmf(
    data: NDArray[Any],
    w: NDArray[Any],
    h: NDArray[Any],
    *,
    mu: bool,
    kullback_leibler: bool,
    max_iter: int,
    tol: float,
    penalty_w: tuple[float, float],
    penalty_h: tuple[float, float],
    weights: NDArray[Any] | None,
) -> tuple[int, bool, float]: ...
def nmf_maps(
    data: NDArray[Any],
    w: NDArray[Any],
    h: NDArray[Any],
    *,
    kullback_leibler: bool,
    max_iter: int,
    tol: float,
    penalty_w: tuple[float, float],
    weights: NDArray[Any] | None,
) -> None: ...
def nmf_loss(
    data: NDArray[Any], w: NDArray[Any], h: NDArray[Any], *, kullback_leibler: bool, weights: NDArray[Any] | None
) -> float: ...
def pure_rows(data: NDArray[Any], k: int, weights: NDArray[Any] | None) -> list[int]: ...
def mean(data: NDArray[Any]) -> float: ...

_Spectra = tuple[int, int, str, bool, str, float, str, int, float]

def spectra_shape(shape: tuple[int, int], settings: _Spectra) -> list[int]: ...
def power_spectra(image: NDArray[Any], settings: _Spectra, output: NDArray[np.float32]) -> float: ...
def x_q(x: NDArray[Any], q: NDArray[np.float64], offset: NDArray[np.float64] | None = None) -> NDArray[np.float64]: ...
def xt_y(x: NDArray[Any], y: NDArray[np.float64], offset: NDArray[np.float64] | None = None) -> NDArray[np.float64]: ...
def xt_x_q(
    x: NDArray[Any], q: NDArray[np.float64], offset: NDArray[np.float64] | None = None
) -> NDArray[np.float64]: ...
def pca(
    data: NDArray[Any],
    components: int,
    center: bool,
    weights: NDArray[np.float64] | None,
    solver: str,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float, str]: ...
