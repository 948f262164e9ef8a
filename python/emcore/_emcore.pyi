from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypedDict, final

import numpy as np
from numpy.typing import NDArray

__version__: str
optimized: bool

def set_num_threads(threads: int) -> None: ...
def set_num_threads_here(threads: int) -> int: ...
def get_num_threads() -> int: ...
def instruction_set() -> str: ...
def set_progress(callback: Callable[[int, int], object] | None) -> Callable[[int, int], object] | None: ...
def value_range(data: _Rows) -> tuple[float, float, tuple[int, int] | None, tuple[int, int] | None]: ...

class _Penalty(Protocol):
    @property
    def l1(self) -> float: ...
    @property
    def l2(self) -> float: ...

class _NmfParameters(Protocol):
    @property
    def solver(self) -> str: ...
    @property
    def loss(self) -> str: ...
    @property
    def inner_sweeps(self) -> int: ...
    @property
    def max_iter(self) -> int: ...
    @property
    def tol(self) -> float: ...
    @property
    def on_w(self) -> _Penalty: ...
    @property
    def on_h(self) -> _Penalty: ...

def nmf(
    data: _Rows,
    w: NDArray[Any],
    h: NDArray[np.float64],
    parameters: _NmfParameters,
    weights: NDArray[np.float64] | None,
) -> tuple[int, bool, float]: ...
def nmf_out_of_core(
    passes: object,
    shape: tuple[int, int],
    w: NDArray[Any],
    h: NDArray[np.float64],
    parameters: _NmfParameters,
    weights: NDArray[np.float64] | None,
    state: dict[str, Any] | None,
) -> tuple[int, bool, float]: ...
def nmf_visit(
    data: _Rows,
    w: NDArray[Any],
    h: NDArray[np.float64],
    parameters: _NmfParameters,
    weights: NDArray[np.float64] | None,
    first: bool,
    mean: float,
) -> list[NDArray[np.float64]]: ...
def nmf_maps(
    data: _Rows,
    w: NDArray[Any],
    h: NDArray[np.float64],
    *,
    loss: str,
    max_iter: int,
    tol: float,
    penalty: _Penalty,
    weights: NDArray[np.float64] | None,
) -> None: ...
def nmf_loss(
    data: _Rows,
    w: NDArray[Any],
    h: NDArray[np.float64],
    *,
    loss: str,
    weights: NDArray[np.float64] | None,
    mean: float | None = None,
) -> float: ...
def residuals(
    data: _Rows, w: NDArray[Any], h: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def at_low_rank(
    data: NDArray[Any],
    values: NDArray[Any],
    *,
    into: NDArray[np.float64],
    back: NDArray[np.float64],
    toward: float,
    varying: float,
    features: NDArray[np.bool_] | None,
    measured: NDArray[np.bool_],
    clip: bool,
) -> tuple[
    tuple[NDArray[np.float64], NDArray[np.float64]],
    tuple[NDArray[np.float64], NDArray[np.float64]],
    tuple[NDArray[np.float64], NDArray[np.float64]],
    int,
    float,
    int,
]: ...
def weighted_squares(data: _Rows, factors: NDArray[np.float64]) -> NDArray[np.float64]: ...
def correlations(
    data: _Rows, references: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]: ...
def spanning_tree(rows: NDArray[np.float32], neighbours: int) -> tuple[NDArray[np.uint32], NDArray[np.float64]]: ...
def pure_rows(data: _Rows, k: int, weights: NDArray[Any] | None, scaled: bool = True) -> list[int]: ...
def pure_rows_visit(
    data: _Rows, state: NDArray[np.float64], newest: NDArray[np.float64] | None, weights: NDArray[Any] | None
) -> tuple[float, int | None]: ...
def pure_rows_out_of_core(passes: object, d: int, k: int, weights: NDArray[Any] | None) -> list[int]: ...
def mean(data: _Rows) -> float: ...

class _SpectraSettings(Protocol):
    @property
    def window(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def taper(self) -> str: ...
    @property
    def subtract_mean(self) -> bool: ...
    @property
    def scale(self) -> str | tuple[str, float]: ...
    @property
    def reduce(self) -> str | tuple[str, int]: ...
    @property
    def unit(self) -> float: ...

def spectra_shape(shape: tuple[int, int], settings: _SpectraSettings) -> list[int]: ...
def power_spectra(image: NDArray[Any], settings: _SpectraSettings, output: NDArray[np.float32]) -> float: ...

class _Translations(Protocol):
    @property
    def patch(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def shifts(self) -> Sequence[tuple[int, int]]: ...
    @property
    def largest(self) -> int | None: ...

class _Turns(Protocol):
    @property
    def patch(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def folds(self) -> Sequence[int]: ...
    @property
    def planes(self) -> int: ...

def translations_shape(shape: tuple[int, int], settings: _Translations) -> list[int]: ...
def translation_scores(image: NDArray[Any], settings: _Translations, output: NDArray[np.float32]) -> None: ...
def turns_shape(shape: tuple[int, int], settings: _Turns) -> list[int]: ...
def turn_scores(image: NDArray[Any], settings: _Turns, output: NDArray[np.float32]) -> None: ...

class _VolumeSettings(Protocol):
    @property
    def window(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def quantity(self) -> str: ...
    @property
    def reduce(self) -> str | tuple[str, int]: ...
    @property
    def periodic(self) -> bool: ...
    @property
    def phase(self) -> tuple[float, float] | None: ...
    @property
    def least(self) -> float: ...
    @property
    def offset(self) -> float: ...
    @property
    def unit(self) -> float: ...

def volume_shape(shape: tuple[int, int, int], settings: _VolumeSettings) -> list[int]: ...
def volume_spectra(
    volume: NDArray[Any], settings: _VolumeSettings, output: NDArray[np.float32], fractions: NDArray[np.float32]
) -> None: ...
def x_q(x: _Rows, q: NDArray[np.float64], offset: NDArray[np.float64] | None = None) -> NDArray[np.float64]: ...
def xt_y(x: _Rows, y: NDArray[np.float64], offset: NDArray[np.float64] | None = None) -> NDArray[np.float64]: ...
def xt_x_q(
    x: _Rows,
    q: NDArray[np.float64],
    offset: NDArray[np.float64] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]: ...
def bruker_spectra(data: bytes, out: NDArray[Any]) -> None: ...
def moments(
    data: _Rows, weights: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def moments_and_range(
    data: _Rows,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]: ...
def quantiles(data: NDArray[Any], probabilities: Sequence[float]) -> NDArray[np.float64]: ...

class _Preparation(Protocol):
    @property
    def features(self) -> Sequence[tuple[int, int]] | None: ...
    @property
    def normalize(self) -> str: ...
    @property
    def offset(self) -> NDArray[np.float64] | None: ...
    @property
    def scale(self) -> NDArray[np.float64] | None: ...

@final
class PreparedRows:
    shape: tuple[int, int]
    dtype: np.dtype[np.float32]
    def __new__(cls, signals: Sequence[tuple[NDArray[Any], Sequence[int] | None, _Preparation]]) -> PreparedRows: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]: ...
    def __len__(self) -> int: ...
    def take(self, indices: Sequence[int]) -> NDArray[np.float32]: ...

@final
class SparseRows:
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    def __new__(
        cls, d: int, starts: NDArray[np.int64], features: NDArray[np.uint32], values: NDArray[Any]
    ) -> SparseRows: ...
    def __len__(self) -> int: ...
    def astype(self, dtype: Any) -> SparseRows: ...
    def take(self, indices: Sequence[int]) -> NDArray[Any]: ...
    def tocsr(self) -> Any: ...

_Rows = NDArray[Any] | PreparedRows | SparseRows

def pca(
    data: NDArray[Any],
    *,
    components: int,
    center: bool,
    weights: NDArray[np.float64] | None,
    solver: str,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float, str]: ...
def pca_out_of_core(
    passes: object,
    shape: tuple[int, int],
    *,
    double: bool,
    components: int,
    center: bool,
    weights: NDArray[np.float64] | None,
    solver: str,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float, str]: ...
def pca_is_exact(shape: tuple[int, int], components: int, solver: str) -> bool: ...
def gram(data: _Rows, mean: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]: ...

class _KMeansFit(TypedDict):
    centers: NDArray[np.float64]
    labels: NDArray[np.int32]
    inertia: float
    n_iter: int
    converged: bool

def kmeans(
    data: _Rows,
    centers: NDArray[np.float64],
    *,
    max_iter: int,
    tol: float,
    metric: str,
    weights: NDArray[np.float64] | None,
) -> _KMeansFit: ...
def kmeans_draws(k: int) -> int: ...
def kmeans_seeds(
    data: _Rows, k: int, *, metric: str, weights: NDArray[np.float64] | None, draws: NDArray[np.float64]
) -> list[int]: ...
def kmeans_nearest(
    data: _Rows, centers: NDArray[np.float64], *, metric: str, weights: NDArray[np.float64] | None
) -> tuple[NDArray[np.int32], float]: ...
def kmeans_distances(data: _Rows, centers: NDArray[np.float64], *, metric: str) -> NDArray[np.float64]: ...
def kmeans_spread(
    data: _Rows, labels: NDArray[np.int32], k: int, *, metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...

class _KMeansVisit(TypedDict):
    labels: NDArray[np.int32]
    sums: NDArray[np.float64]
    weights: NDArray[np.float64]
    squares: float
    moved: int
    inertia: float

def kmeans_visit(
    data: _Rows,
    centers: NDArray[np.float64],
    labels: NDArray[np.int32],
    *,
    metric: str,
    weights: NDArray[np.float64] | None,
) -> _KMeansVisit: ...
def kmeans_farthest(
    data: _Rows,
    centers: NDArray[np.float64],
    labels: NDArray[np.int32],
    count: int,
    *,
    metric: str,
    weights: NDArray[np.float64] | None,
) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]: ...
def kmeans_attempts(
    data: _Rows,
    candidates: NDArray[np.float64],
    chosen: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None,
    *,
    metric: str,
    weights: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...

class _KMeansProgress(TypedDict):
    centers: NDArray[np.float64]
    n_iter: int
    tol: float
    converged: bool
    inertia: float

def kmeans_out_of_core(
    passes: object,
    state: dict[str, Any],
    *,
    features: int,
    double: bool,
    max_iter: int,
    tol: float,
    metric: str,
) -> _KMeansProgress: ...
def kmeans_seeds_out_of_core(
    passes: object, chosen: list[int], k: int, *, rows: int, draws: NDArray[np.float64]
) -> list[int]: ...

CMEANS_MOST_FEATURES: int

class _Covariances(Protocol):
    @property
    def rho(self) -> Sequence[float]: ...
    @property
    def gamma(self) -> float: ...
    @property
    def beta(self) -> float: ...

class _Fuzzy(TypedDict):
    centers: NDArray[np.float64]
    covariances: NDArray[np.float64] | None
    objective: NDArray[np.float64]
    converged: bool
    conditioned: NDArray[np.uintp]
    empty: NDArray[np.uintp]

class _MembershipModel(TypedDict):
    m: float
    offset: NDArray[Any]
    factor: NDArray[Any]
    centers: NDArray[Any]
    whitening: NDArray[Any] | None

class _MembershipSums(TypedDict):
    mass: NDArray[np.float64]
    products: NDArray[np.float64]
    objective: float
    change: float

def cmeans(
    data: _Rows,
    *,
    centers: NDArray[np.float64] | None,
    memberships: NDArray[Any] | None,
    m: float,
    max_iter: int,
    tol: float,
    covariances: _Covariances | None,
    weights: NDArray[np.float64] | None = None,
) -> _Fuzzy: ...
def cmeans_out_of_core(
    passes: object,
    shape: tuple[int, int],
    k: int,
    *,
    double: bool,
    centers: NDArray[np.float64] | None,
    state: dict[str, Any] | None,
    m: float,
    max_iter: int,
    tol: float,
    covariances: _Covariances | None,
) -> _Fuzzy: ...
def cmeans_visit(
    data: _Rows,
    members: _MembershipModel | NDArray[Any] | None,
    about: _MembershipModel,
    former: _MembershipModel | NDArray[Any] | None,
    weights: NDArray[np.float64] | None = None,
) -> _MembershipSums: ...
def cmeans_labels(memberships: NDArray[Any]) -> NDArray[np.int32]: ...
def cmeans_farthest_from_one(memberships: NDArray[Any]) -> tuple[int, float]: ...
def memberships(
    data: _Rows,
    centers: NDArray[np.float64],
    *,
    m: float,
    covariances: NDArray[np.float64] | None,
    rho: list[float] | None,
) -> NDArray[Any]: ...
def bin_features(data: _Rows, groups: NDArray[np.int32], width: int, k: int) -> NDArray[np.float32]: ...
def merge_borders(
    k: int, pairs: NDArray[np.uint32], products: NDArray[np.float64], lengths: NDArray[np.float64]
) -> list[tuple[int, int, float]]: ...
def slic(
    data: _Rows,
    shape: tuple[int, int],
    seeds: NDArray[np.float64],
    *,
    compactness: float,
    adaptive: bool,
    n_iter: int,
    spacing: float,
    reach: tuple[float, float],
    mask: NDArray[np.bool_] | None,
    connected: int | None,
) -> tuple[NDArray[np.int32], int]: ...
def sum_by_label(data: _Rows, labels: NDArray[np.int32], k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]: ...
def merge_similar(
    data: _Rows, labels: NDArray[np.int32], shape: tuple[int, int], k: int, min_correlation: float
) -> tuple[NDArray[np.int32], list[tuple[int, int, float]]]: ...
def confidence(
    data: _Rows, labels: NDArray[np.int32], means: NDArray[np.float64], origin: NDArray[np.float64]
) -> NDArray[np.float64]: ...
