"""
Windows of a volume against the FFT packages: 50 voxels a side, step 25, power of the periodic part, C_l on every shell.

The peers do the same arithmetic in f32: batches of windows that stay in the caches; the smooth part from transforms of
the three jumps between opposite faces; the modulus squared; and the power in spherical harmonics as one product of
matrices for each shell, of its bins with the harmonics there. They work on as many Python threads as are asked for,
with one thread of its own each. emcore fits the harmonics by least squares, the peers average: whole spectra are
compared to 1e-5, C_l only by what both must have alike. The whole job has no peer: its growth is measured.
"""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np

from harness import Data, Growth, Workload, main

WINDOW, STEP, DEGREE = 50, 25, 8
BATCH = 4  # windows; 2 to 8 are equally fast

Transform = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]
"""A real array (writable) and the axes that are transformed -> its half spectrum."""


@functools.cache
def volume(side: int = 200) -> np.ndarray:
    from emcore.datasets import quasi_ordered_volume

    return quasi_ordered_volume((side, side, side), seed=5).volume


def cube(side: int = 200) -> Callable[[], Data]:
    return lambda: {"volume": volume(side)}


def ours(reduce: Any) -> Callable[[Data, bool, int], Callable[[], Any]]:
    def setup(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
        import emcore

        values = data["volume"].astype("f4") if prepared else data["volume"]
        return lambda: emcore.windowed_power_spectra_3d(values, WINDOW, STEP, quantity="power", reduce=reduce).spectra

    return setup


def batched(reduce: str, maker: Callable[[], Transform]) -> Callable[[Data, bool, int], Callable[[], Any]]:
    def setup(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
        transform = maker()
        values = data["volume"].astype("f4") if prepared else data["volume"]
        windows = np.lib.stride_tricks.sliding_window_view(values, (WINDOW,) * 3)[::STEP, ::STEP, ::STEP]
        nz, ny, nx = windows.shape[:3]
        mean = np.float32(values.mean())
        turn = (1 - np.exp(2j * np.pi * np.arange(WINDOW) / WINDOW)).astype("c8")
        wave = 2 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
        half = WINDOW // 2 + 1
        bottom = wave[:, None, None] + wave[:, None] + wave[:half] - 6
        bottom[0, 0, 0] = 1
        inverse = (1 / bottom).astype("f4")
        shells = harmonics_of_shells() if reduce == "degrees" else []
        pool = ThreadPoolExecutor(threads)
        free: SimpleQueue[np.ndarray] = SimpleQueue()
        for _ in range(threads):
            free.put(np.empty((BATCH, WINDOW, WINDOW, WINDOW), "f4"))

        def work(out: np.ndarray, i: int, j: int, k: int) -> None:
            workspace = free.get()
            some = workspace[: min(BATCH, nx - k)]
            np.subtract(windows[i, j, k : k + BATCH], mean, out=some)
            faces = [np.take(some, -1, axis) - np.take(some, 0, axis) for axis in (1, 2, 3)]
            spectrum = transform(some, (1, 2, 3))
            smooth = transform(faces[0], (1, 2))[:, None] * turn[:, None, None]
            smooth = smooth + transform(faces[1], (1, 2))[:, :, None] * turn[:, None]
            smooth += _whole(transform(faces[2], (1, 2)))[..., None] * turn[:half]
            smooth *= inverse
            spectrum -= smooth
            power = np.square(spectrum.real)
            power += np.square(spectrum.imag)
            power[:, 0, 0, 0] = 0
            if reduce == "none":
                out[i, j, k : k + BATCH] = power
            else:
                flat = power.reshape(len(power), -1)
                for q, (bins, matrix, starts) in enumerate(shells):
                    squares = np.square(flat[:, bins] @ matrix)
                    out[i, j, k : k + BATCH, q] = np.add.reduceat(squares, starts, axis=1)
            free.put(workspace)

        def call() -> np.ndarray:
            inside = (WINDOW, WINDOW, half) if reduce == "none" else (WINDOW // 2, DEGREE // 2 + 1)
            out = np.empty((nz, ny, nx, *inside), "f4")
            places = [(i, j, k) for i in range(nz) for j in range(ny) for k in range(0, nx, BATCH)]
            list(pool.map(lambda place: work(out, *place), places))
            return out

        return call

    return setup


def _whole(half: np.ndarray) -> np.ndarray:
    """The other half of the spectrum of a real plane."""
    n = half.shape[1]
    back = -np.arange(n) % n
    return np.concatenate([half, half[:, back][:, :, 1 : n - n // 2][..., ::-1].conj()], axis=2)


def harmonics_of_shells() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of every shell its bins, the harmonics there with the weights of a mean, and where degrees start."""
    from emcore.methods.volume.harmonics import degrees_of, orders, real_harmonics

    k = np.fft.fftfreq(WINDOW) * WINDOW
    half = np.arange(WINDOW // 2 + 1)
    places = np.stack(np.meshgrid(k, k, half, indexing="ij"), axis=-1).reshape(-1, 3)
    radius = np.linalg.norm(places, axis=1)
    twice = np.where((places[:, 2] > 0) & (2 * places[:, 2] < WINDOW), 2.0, 1.0)
    starts = np.flatnonzero(np.diff(degrees_of(orders(DEGREE)), prepend=-1))
    shells = []
    for q in range(1, WINDOW // 2 + 1):
        bins = np.flatnonzero(np.rint(radius) == q)
        values = real_harmonics(places[bins] / radius[bins, None], DEGREE)
        matrix = 4 * np.pi * values * (twice[bins] / twice[bins].sum())[:, None]
        shells.append((bins, matrix.astype("f4"), starts))
    return shells


def scipy() -> Transform:
    from scipy import fft

    return lambda values, axes: fft.rfftn(values, axes=axes)


def ducc0() -> Transform:
    from ducc0 import fft

    return lambda values, axes: fft.r2c(values, axes=axes, nthreads=1)


def same_power(ours: np.ndarray, theirs: np.ndarray) -> None:
    largest = theirs.max(axis=(3, 4, 5), keepdims=True)
    assert np.abs(ours - theirs).max() < 1e-5 * largest.max(), "the powers differ"


def alike(ours: np.ndarray, theirs: np.ndarray) -> None:
    """C_0 of the shells where the power is, which no quadrature changes much."""
    a, b = (np.sqrt(each[:, :, :, 4:12, 0]).ravel() for each in (ours, theirs))
    assert np.corrcoef(a, b)[0, 1] > 0.99, "C_0 differ"


def grown(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    n = int(data["window"][0])
    reduce = ("degrees", DEGREE)
    return lambda: emcore.windowed_power_spectra_3d(data["volume"], n, n // 2, quantity="power", reduce=reduce).spectra


def job(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    n = int(data["window"][0])
    return lambda: emcore.analyze_volume(data["volume"], n, n // 2).table


def sized(side: int, window: int = WINDOW) -> Data:
    return {"volume": volume(side), "window": np.array([window])}


PEERS = {"scipy.fft": scipy, "ducc0": ducc0}

WORKLOADS = [
    Workload(
        f"200 x 200 x 200 u8, window {WINDOW}, step {STEP}, {name}",
        cube(),
        ours(reduce),
        {peer: batched(kind, maker) for peer, maker in PEERS.items()},
        compare,
        asked={"as delivered": 2.5},
    )
    for name, kind, reduce, compare in (
        ("whole spectra", "none", None, same_power),
        (f"C_l up to {DEGREE}", "degrees", ("degrees", DEGREE), alike),
    )
]

SIDES = [100, 125, 150, 200, 250]
GROWTHS = [
    Growth("volume, C_l, sides of a cube u8", "side", SIDES, sized, grown),
    Growth("volume, C_l, 150^3 u8", "window", [16, 24, 32, 50, 64], lambda n: sized(150, n), grown),
    Growth("volume, C_l, 200^3 u8", "threads", [1, 2], lambda _: sized(200), grown),
    Growth("volume, whole job, sides of a cube u8", "side", SIDES, sized, job),
]

if __name__ == "__main__":
    main(WORKLOADS, GROWTHS)
