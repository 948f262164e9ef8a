"""Moving-window power spectra equal NumPy's, whatever the image, the window and the machine."""

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emcore
from emcore.methods.power_spectra.windows import (
    TAPERS,
    frequencies,
    full_plane,
    half_plane_weights,
    spectra_and_offset,
    window_centers,
    windowed_power_spectra,
)

PIXELS = ["u1", "u2", "u4", "i2", "i4", "f4", "f8"]


def taper(name, n):
    i = np.arange(n)
    return {
        "hann": (1 - np.cos(2 * np.pi * i / n)) / 2,
        "hann-symmetric": np.hanning(n),
        "sqrt-hann": np.sin(np.pi * i / (n - 1)),
        "hamming": 0.54 - 0.46 * np.cos(2 * np.pi * i / n),
        "none": np.ones(n),
    }[name]


def windows(image, window, step):
    return np.lib.stride_tricks.sliding_window_view(np.asarray(image, "f8"), (window, window))[::step, ::step]


def expected_power(image, window, step, name="hann", subtract_mean=True):
    """By numpy.fft in float64."""
    pixels = windows(image, window, step)
    if subtract_mean:
        pixels = pixels - pixels.mean(axis=(-2, -1), keepdims=True)
    t = taper(name, window)
    return np.abs(np.fft.rfft2(pixels * t[:, None] * t)) ** 2


def largest_error(found, expected):
    """Relative to the largest power of each window."""
    axes = tuple(range(2, expected.ndim))
    return np.max(np.abs(found - expected).max(axes) / expected.max(axes))


def noise(shape, dtype="f4", seed=0):
    rng = np.random.default_rng(seed)
    if dtype[0] == "f":
        return rng.standard_normal(shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("window", [8, 9, 15, 16, 23, 32, 42, 55])
@pytest.mark.parametrize("dtype", PIXELS)
def test_spectra_equal_those_of_numpy(dtype, window):
    image = noise((60, 83), dtype)
    for name in TAPERS:
        for subtract_mean in (True, False):
            for step in (3, window // 2, 70):
                found = windowed_power_spectra(image, window, step, name, subtract_mean, "power")
                expected = expected_power(image, window, step, name, subtract_mean)
                assert found.shape == expected.shape
                assert found.dtype == np.float32
                assert largest_error(found, expected) < 1e-5


@settings(max_examples=80, deadline=None)
@given(
    window=st.integers(8, 70),
    more=st.tuples(st.integers(0, 90), st.integers(0, 90)),
    step=st.integers(1, 100),
    name=st.sampled_from(TAPERS),
    subtract_mean=st.booleans(),
    dtype=st.sampled_from(PIXELS),
    seed=st.integers(0, 99),
)
def test_spectra_of_any_shape_equal_those_of_numpy(window, more, step, name, subtract_mean, dtype, seed):
    step = max(step, window // 8)  # few windows: the reference is slow
    image = noise((window + more[0], window + more[1]), dtype, seed)
    found = windowed_power_spectra(image, window, step, name, subtract_mean, "power")
    assert largest_error(found, expected_power(image, window, step, name, subtract_mean)) < 1e-5


@pytest.mark.parametrize("window", [100, 101, 127, 128, 192, 256])
def test_large_windows_equal_those_of_numpy(window):
    image = noise((260, 300), "f4")
    found = windowed_power_spectra(image, window, 32, scale="power")
    assert largest_error(found, expected_power(image, window, 32)) < 2e-6


@pytest.mark.parametrize("dtype", ["u2", "f4", "f8"])
def test_a_bright_background_costs_no_precision(dtype):
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:200, :230]
    image = (30000 + 50 * y - 20 * x + rng.standard_normal((200, 230))).astype(dtype)
    found = windowed_power_spectra(image, 64, 16, scale="power")
    expected = expected_power(image, 64, 16)
    assert largest_error(found, expected) < 1e-6
    flat = (30000 + rng.standard_normal((200, 230))).astype(dtype)
    assert largest_error(windowed_power_spectra(flat, 64, 16, scale="power"), expected_power(flat, 64, 16)) < 2e-6


def test_powers_of_very_small_and_very_large_values_keep_their_digits():
    image = noise((64, 64), "f8")
    for factor in (1e-15, 1e-9, 1e12):
        found = windowed_power_spectra(image * factor, 32, scale="power") / np.float64(factor) ** 2
        assert largest_error(found, expected_power(image, 32, 8)) < 1e-5
    logs = windowed_power_spectra(image, 32)
    for factor in (1e-300, 1e-30, 1e30, 1e300):
        assert np.allclose(windowed_power_spectra(image * factor, 32), logs, atol=1e-5)
    with pytest.raises(ValueError, match="too large for 32-bit floats"):
        windowed_power_spectra(image * 1e30, 32, scale="power")


def test_parseval():
    image = noise((96, 120), "u2")
    for window, name in [(32, "hann"), (33, "hamming")]:
        power = windowed_power_spectra(image, window, 16, name, scale="power").astype("f8")
        pixels = windows(image, window, 16)
        t = taper(name, window)
        energy = (((pixels - pixels.mean((-2, -1), keepdims=True)) * t[:, None] * t) ** 2).sum((-2, -1))
        assert np.allclose((power * half_plane_weights(window)).sum((-2, -1)), window**2 * energy, rtol=1e-6)


@pytest.mark.parametrize(("window", "ky", "kx"), [(32, 5, 3), (32, -7, 16), (27, 0, 13), (128, 64, 0), (128, -3, 64)])
def test_a_cosine_on_a_bin_is_one_peak(window, ky, kx):
    y, x = np.mgrid[: 2 * window, : 2 * window]
    image = np.cos(2 * np.pi * (ky * y + kx * x) / window)
    power = windowed_power_spectra(image, window, window // 2, "none", scale="power")
    rest = power.copy()
    rest[..., ky, kx] = 0
    if kx == 0 or 2 * kx == window:
        rest[..., -ky, kx] = 0
    nyquist = all(2 * k % window == 0 for k in (ky, kx))
    assert np.allclose(power[..., ky, kx], window**4 * (1 if nyquist else 0.25), rtol=1e-5)
    assert rest.max() < 1e-9 * power.max()


@pytest.mark.parametrize("value", [0, 7, 0.1, -1e-20, 1e25])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_constant_image_gives_zeros(value, dtype):
    image = np.full((70, 50), value, dtype)
    for scale in ("log", "power", "amplitude"):
        for window in (16, 21):
            assert not windowed_power_spectra(image, window, scale=scale).any()
    assert spectra_and_offset(image, 16)[1] == 0


def test_an_image_more_than_half_constant_has_finite_logarithms():
    image = np.full((256, 128), 5.0)
    image[200:] += noise((56, 128))
    spectra, offset = spectra_and_offset(image, 32, 16)
    power = windowed_power_spectra(image, 32, 16, scale="power")
    assert offset == np.median(power[power > 0])
    assert np.isfinite(spectra).all()
    assert (spectra[power == 0] == 0).all()


@pytest.mark.parametrize("step", [16, 17, 40])
@pytest.mark.parametrize("subtract_mean", [True, False])
def test_logarithm_and_amplitude_are_what_they_are_defined_to_be(step, subtract_mean):
    image = noise((150, 170), "u1")
    power = windowed_power_spectra(image, 40, step, subtract_mean=subtract_mean, scale="power")
    spectra, offset = spectra_and_offset(image, 40, step, subtract_mean=subtract_mean)
    assert offset == np.median(power.astype("f8"))
    assert np.allclose(spectra, np.log1p(power.astype("f8") / offset), rtol=3e-7, atol=0)
    assert np.allclose(offset * np.expm1(spectra.astype("f8")), power, rtol=1e-5)
    amplitude = windowed_power_spectra(image, 40, step, subtract_mean=subtract_mean, scale="amplitude")
    assert np.allclose(amplitude, np.sqrt(power), rtol=1e-6)


def test_the_preset_is_that_of_the_paper():
    image = noise((100, 120), "u1")
    power = expected_power(image, 32, 16, "sqrt-hann", subtract_mean=False)
    spectra, offset = spectra_and_offset(image, 32, preset="jany")
    assert offset == 10000
    assert spectra.shape == power.shape
    assert np.allclose(spectra, np.log(power + 10000), atol=1e-5)
    stretched = (image - image.min()) * (255 / np.ptp(image).astype("f8"))
    power = expected_power(stretched, 32, 16, "sqrt-hann", subtract_mean=False)
    for other in (image.astype("u2") * 3 + 1000, image.astype("f4") - 7):
        assert np.allclose(windowed_power_spectra(other, 32, preset="jany"), np.log(power + 10000), atol=1e-4)
    assert np.allclose(windowed_power_spectra(np.ones((40, 40)), 32, preset="jany"), np.log(10000))


@pytest.mark.parametrize("window", [24, 27, 128])
@pytest.mark.parametrize("scale", ["power", "log"])
def test_reducers_equal_a_reduction_of_everything(window, scale):
    image = noise((150, 170), "u2")
    everything = windowed_power_spectra(image, window, 16, scale="power").astype("f8")
    full = full_plane(everything)
    k = np.arange(window) - window // 2
    radius = np.rint(np.hypot(k[:, None], k)).astype(int)
    radial = np.stack([full[..., radius == r].mean(-1) for r in range(window // 2 + 1)], -1)
    around = [*range(5), *range(-4, 0)]
    b = 3 if window % 3 == 0 else 4
    half = full.shape[-1] // 2
    cells = np.arange(b // -2, b // 2 + 1) if b % 2 == 0 else np.arange(b) - b // 2
    weight = np.where((b % 2 == 0) & (np.abs(cells) * 2 == b), 0.5, 1) / b

    def at(m):
        return (m * b + cells + half) % window

    count = window // b
    binned = np.empty((*full.shape[:2], count, count // 2 + 1))
    for i in range(count):
        for j in range(count // 2 + 1):
            binned[..., i, j] = np.einsum("abyx,y,x->ab", full[..., at(i)[:, None], at(j)], weight, weight)
    for reduce, expected in [
        ("radial", radial),
        (("crop", 4), everything[..., around, :5]),
        (("bin", b), binned),
        (("bin", 1), everything),
    ]:
        found, offset = spectra_and_offset(image, window, 16, scale=scale, reduce=reduce)
        if scale == "log":
            assert np.isclose(offset, np.median(expected), rtol=1e-5)
            expected = np.log1p(expected / offset)
        assert found.shape == expected.shape
        assert largest_error(found, expected) < 1e-5


def test_the_layout_of_the_image_does_not_matter(tmp_path):
    image = noise((90, 110), "u2")
    expected = windowed_power_spectra(image, 32, 16)
    path = tmp_path / "image.npy"
    np.save(path, image)
    frozen = image.copy()
    frozen.flags.writeable = False
    wide = np.repeat(np.repeat(image, 2, axis=0), 3, axis=1)
    for same in (
        np.asfortranarray(image),
        image[::-1, ::-1].copy()[::-1, ::-1],
        wide[::2, ::3],
        frozen,
        np.load(path, mmap_mode="r"),
        image.astype(">u2"),
        image.tolist(),
    ):
        assert np.array_equal(windowed_power_spectra(same, 32, 16), expected)
    before = image.copy()
    windowed_power_spectra(image, 32, 16)
    assert np.array_equal(image, before)


def test_results_are_the_same_on_one_two_and_three_threads():
    for shape, window, step, reduce in [
        ((300, 333), 64, 7, None),
        ((1000, 40), 40, 3, None),
        ((200, 210), 61, 20, "radial"),
    ]:
        image = noise(shape)
        found = set()
        for threads in (1, 2, 3):
            with emcore.num_threads(threads):
                spectra, offset = spectra_and_offset(image, window, step, reduce=reduce)
                found.add((spectra.tobytes(), offset))
        assert len(found) == 1


def test_it_works_from_four_python_threads_at_once():
    image = noise((200, 220))
    expected = windowed_power_spectra(image, 64)
    found = []
    threads = [threading.Thread(target=lambda: found.append(windowed_power_spectra(image, 64))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.array_equal(spectra, expected) for spectra in found)


def run(code):
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.posix
def test_ctrl_c_ends_it_and_the_next_call_works():
    process = run("""
import numpy as np, time
from emcore import windowed_power_spectra
image = np.random.default_rng(0).random((1400, 1400), np.float32)
print("ready", flush=True)
try:
    windowed_power_spectra(image, 256, 1, reduce="radial")  # minutes
except KeyboardInterrupt:
    print(time.time(), windowed_power_spectra(image[:64, :64], 32).shape)
""")
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    sent = time.time()
    process.send_signal(signal.SIGINT)
    ended, shape = process.communicate(timeout=60)[0].split(maxsplit=1)
    assert float(ended) - sent < 10
    assert shape == "(5, 5, 32, 17)\n"


@pytest.mark.parametrize("window", [16, 17])
def test_the_full_plane_has_zero_in_the_middle(window):
    image = noise((window, window), "f8")
    half, whole = np.abs(np.fft.rfft2(image)), np.fft.fftshift(np.abs(np.fft.fft2(image)))
    assert np.allclose(full_plane(half[None, None]), whole)
    ky = np.fft.fftshift(np.fft.fftfreq(window, 0.3))
    assert np.allclose(frequencies(window, 0.3), ky)
    assert np.allclose(frequencies(window, 0.3, full=False), np.abs(np.fft.rfftfreq(window, 0.3)))


@pytest.mark.parametrize("window", [16, 17])
def test_the_weighted_half_plane_has_the_singular_values_of_the_full_one(window):
    half = windowed_power_spectra(noise((100, 90)), window, 9)
    weighted = (half * np.sqrt(half_plane_weights(window))).reshape(-1, window * (window // 2 + 1))
    full = full_plane(half).reshape(len(weighted), -1)
    a, b = (np.linalg.svd(X.astype("f8"), compute_uv=False) for X in (weighted, full))
    n = min(len(a), len(b), window * (window // 2 + 1) // 2)
    assert np.allclose(a[:n], b[:n], rtol=1e-4)


def test_windows_are_centred_where_their_middle_is():
    y, x = window_centers((100, 130), 32, 20)
    spectra = windowed_power_spectra(np.zeros((100, 130)), 32, 20)
    assert spectra.shape[:2] == (len(y), len(x)) == (4, 5)
    assert y.tolist() == [15.5, 35.5, 55.5, 75.5]
    image = np.zeros((100, 130))
    image[35:37, 55:57] = 1  # in the middle of window [1, 2]
    bright = windowed_power_spectra(image, 32, 20, subtract_mean=False, scale="power")[..., 0, 0]
    assert np.unravel_index(bright.argmax(), bright.shape) == (1, 2)
    assert (y[1], x[2]) == (35.5, 55.5)


def test_the_step_is_a_quarter_of_the_window_unless_given():
    image = noise((64, 64))
    assert windowed_power_spectra(image, 32).shape[0] == 5
    assert windowed_power_spectra(image, 32, preset="jany").shape[0] == 3
    assert windowed_power_spectra(image, 64).shape == (1, 1, 64, 33)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": np.zeros(100)}, ValueError, "image.*2-D"),
        ({"image": np.zeros((3, 40, 40))}, ValueError, "image.*2-D"),
        ({"image": np.zeros((0, 40))}, ValueError, "image is empty"),
        ({"image": np.zeros((40, 40), complex)}, TypeError, "complex"),
        ({"image": np.full((40, 40), None)}, TypeError, "objects"),
        ({"image": np.full((40, 40), "a")}, TypeError, "strings"),
        ({"image": np.where(np.eye(40) == 1, np.nan, 0)}, ValueError, r"image.*first at \[0, 0\]"),
        ({"image": np.where(np.arange(1600).reshape(40, 40) == 77, np.inf, 0)}, ValueError, r"first at \[1, 37\]"),
        ({"window": 41}, ValueError, "window=41.*largest possible is 40"),
        ({"image": np.zeros((5, 5))}, ValueError, "window=32.*at least 8 x 8"),
        ({"window": 7}, ValueError, "window=7.*at least 8"),
        ({"window": 16.0}, TypeError, "window=16.0"),
        ({"window": True}, TypeError, "window=True"),
        ({"step": 0}, ValueError, "step=0.*at least 1"),
        ({"step": 2.5}, TypeError, "step=2.5"),
        ({"taper": "han"}, ValueError, "did you mean 'hann'"),
        ({"taper": None}, ValueError, "taper=None"),
        ({"scale": "logarithm"}, ValueError, "did you mean 'log'"),
        ({"scale": "log-plus"}, ValueError, "scale='log-plus' is not known"),
        ({"subtract_mean": "yes"}, TypeError, "subtract_mean='yes'"),
        ({"preset": "janny"}, ValueError, "did you mean 'jany'"),
        ({"preset": "jany", "taper": "none"}, ValueError, "taper='none' and preset='jany'"),
        ({"reduce": "radical"}, ValueError, "did you mean 'radial'"),
        ({"reduce": "crop"}, ValueError, "has no size"),
        ({"reduce": ("radial", 3)}, ValueError, "alone"),
        ({"reduce": ("crop", 16)}, ValueError, "crop radius=16.*between 1 and 15"),
        ({"reduce": ("bin", 5)}, ValueError, "5 does not divide window=32; give one of 1, 2, 4, 8, 16, 32"),
        ({"reduce": ("bin", 2.0)}, TypeError, "bin size"),
        ({"reduce": 7}, ValueError, "reduce=7"),
        ({"reduce": ()}, ValueError, "reduce"),
    ],
)
def test_bad_input_says_what_is_wrong_and_what_to_do(change, error, message):
    with pytest.raises(error, match=message):
        windowed_power_spectra(**({"image": np.zeros((40, 40)), "window": 32} | change))


def test_bad_input_of_the_helpers_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"N and N//2 \+ 1"):
        full_plane(np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"window=50.*smaller side"):
        window_centers((40, 60), 50, 5)
    with pytest.raises(ValueError, match="step=0"):
        window_centers((40, 60), 20, 0)
