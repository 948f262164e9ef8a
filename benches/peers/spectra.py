"""
Moving-window power spectra of a micrograph against the FFT packages, window 128, mean removed, Hann, half plane.

Every peer does batches of windows that stay in its second-level cache, on as many Python threads as are asked for, with
one thread of its own each: faster than its own threads, since taper and modulus then run in parallel too.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np

from harness import Data, Growth, Workload, main

WINDOW = 128
BATCH = 8  # windows; 4 to 16 are equally fast

Transform = Callable[[np.ndarray], np.ndarray]
"""Batch of tapered windows (writable) -> half planes."""


def micrograph(height: int = 1370, width: int = 1662) -> Data:
    y, x = np.mgrid[:height, :width].astype("f4")
    wave = np.sin(0.7 * x + 0.2 * y) + np.sin(0.3 * x - 0.6 * y)
    return {"image": wave + np.random.default_rng(0).standard_normal((height, width), "f4")}


def power_of(step: int) -> Callable[[Data, bool, int], Callable[[], Any]]:
    def setup(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
        import emcore

        return lambda: emcore.windowed_power_spectra(data["image"], WINDOW, step, scale="power")

    return setup


def batched(step: int, maker: Callable[[], Callable[[], Transform]]) -> Callable[[Data, bool, int], Callable[[], Any]]:
    """`maker` imports a package and returns what makes a transform for one thread."""

    def setup(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
        make = maker()
        windows = np.lib.stride_tricks.sliding_window_view(data["image"], (WINDOW, WINDOW))[::step, ::step]
        t = np.sin(np.pi * np.arange(WINDOW) / WINDOW) ** 2
        taper = (t[:, None] * t).astype("f4")
        ny, nx = windows.shape[:2]
        free: SimpleQueue[tuple[np.ndarray, Transform]] = SimpleQueue()
        for _ in range(threads):
            free.put((np.empty((BATCH, WINDOW, WINDOW), "f4"), make()))
        pool = ThreadPoolExecutor(threads)

        def work(out: np.ndarray, i: int, j: int) -> None:
            tapered, transform = free.get()
            some = windows[i, j : j + BATCH]
            mean = some.mean(axis=(1, 2), keepdims=True)
            np.subtract(some, mean, out=tapered[: len(some)])
            tapered *= taper
            half = transform(tapered)[: len(some)]
            power = out[i, j : j + BATCH]
            np.square(half.real, out=power)
            power += np.square(half.imag)
            free.put((tapered, transform))

        def call() -> np.ndarray:
            out = np.empty((ny, nx, WINDOW, WINDOW // 2 + 1), "f4")
            list(pool.map(lambda ij: work(out, *ij), [(i, j) for i in range(ny) for j in range(0, nx, BATCH)]))
            return out

        return call

    return setup


def scipy() -> Callable[[], Transform]:
    from scipy import fft

    return lambda: lambda batch: fft.rfft2(batch, overwrite_x=True)


def ducc0() -> Callable[[], Transform]:
    from ducc0 import fft

    def make() -> Transform:
        half = np.empty((BATCH, WINDOW, WINDOW // 2 + 1), "c8")
        return lambda batch: fft.r2c(batch, axes=(1, 2), nthreads=1, out=half)

    return make


def pyfftw() -> Callable[[], Transform]:
    import pyfftw

    def make() -> Transform:
        whole = pyfftw.empty_aligned((BATCH, WINDOW, WINDOW), "f4")
        half = pyfftw.empty_aligned((BATCH, WINDOW, WINDOW // 2 + 1), "c8")
        return pyfftw.FFTW(whole, half, axes=(1, 2), flags=("FFTW_MEASURE", "FFTW_DESTROY_INPUT"))

    return make


def mkl_fft() -> Callable[[], Transform]:
    os.environ["MKL_NUM_THREADS"] = "1"
    from mkl_fft.interfaces import numpy_fft

    def make() -> Transform:
        half = np.empty((BATCH, WINDOW, WINDOW // 2 + 1), "c8")
        return lambda batch: numpy_fft.rfft2(batch, axes=(1, 2), out=half)

    return make


def numpy_loop(step: int) -> Callable[[Data, bool, int], Callable[[], Any]]:
    """What one writes first."""

    def setup(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
        image = data["image"]
        t = np.sin(np.pi * np.arange(WINDOW) / WINDOW) ** 2
        taper = (t[:, None] * t).astype("f4")
        ny, nx = ((length - WINDOW) // step + 1 for length in image.shape)

        def call() -> np.ndarray:
            out = np.empty((ny, nx, WINDOW, WINDOW // 2 + 1), "f4")
            for i in range(ny):
                for j in range(nx):
                    window = image[i * step : i * step + WINDOW, j * step : j * step + WINDOW]
                    out[i, j] = np.abs(np.fft.rfft2((window - window.mean()) * taper)) ** 2
            return out

        return call

    return setup


def compare(ours: np.ndarray, theirs: np.ndarray) -> None:
    largest = theirs.max(axis=(2, 3), keepdims=True)
    assert np.abs(ours - theirs).max() < 1e-5 * largest.max(), "the powers differ"


def log_spectra(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    return lambda: emcore.windowed_power_spectra(data["image"], WINDOW, 32)


def cost(step: int) -> tuple[float, float]:
    """Bytes that must move, and flops at the usual 5 N log2 N a complex transform of length N."""
    height, width = 1370, 1662
    ny, nx = ((length - WINDOW) // step + 1 for length in (height, width))
    transform = 5 * WINDOW * np.log2(WINDOW)
    flops = ny * nx * WINDOW / 2 * transform + nx * height * transform / 2
    return 4.0 * (height * width + ny * nx * WINDOW * (WINDOW // 2 + 1)), float(flops)


WORKLOADS = [
    Workload(
        name=f"1370 x 1662 f32, step {step}",
        data=micrograph,
        emcore=power_of(step),
        peers={
            "ducc0": batched(step, ducc0),
            "mkl_fft": batched(step, mkl_fft),
            "pyFFTW (MEASURE)": batched(step, pyfftw),
            "scipy.fft": batched(step, scipy),
        },
        compare=compare,
        rows=("prepared",),
        asked={"prepared": asked},
        bytes=cost(step)[0],
        flops=cost(step)[1],
    )
    for step, asked in ((16, 4.0), (64, 2.0))
] + [
    Workload(
        name="1370 x 1662 f32, step 16, a loop",
        data=micrograph,
        emcore=power_of(16),
        peers={"NumPy loop": numpy_loop(16)},
        compare=compare,
        rows=("as delivered",),
        asked={"as delivered": 20.0},
    ),
]

SIDES = (512, 724, 1024, 1448, 2048)
GROWTHS = [
    Growth("spectra and logarithm, step 32", "side", SIDES, lambda side: micrograph(side, side), log_spectra),
    Growth("spectra and logarithm, step 32", "threads", (1, 2), lambda _: micrograph(), log_spectra),
]

if __name__ == "__main__":
    main(WORKLOADS, GROWTHS)
