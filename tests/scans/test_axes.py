"""What axes mean, whatever their order, and whoever named, scaled or flagged them."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emcore.core.signals import Axis, Signal
from emcore.io.read import as_signal
from emcore.scans.axes import one_signal_axis, picture_axes, roles, said, scan_and_signal, scan_first, two_signal_axes
from emcore.scans.grids import on_one_grid
from emcore.scans.images import select_image
from emcore.scans.patterns import scan_of_patterns
from emcore.scans.spectra import as_spectrum_image

SIZES = {"y": 6, "x": 7, "s": 40, "ky": 12, "kx": 11}

# What a maker writes of the spectral axis (name, units, scale), and of the two of the scan.
SPECTRA = {
    "energy in keV": (("Energy", "keV", 0.01), (("height", "um", 0.5), ("width", "um", 0.5))),
    "energy loss in eV, no scan": (("Energy loss", "eV", 0.5), (("y", "px", 1.0), ("x", "px", 1.0))),
    "energy by its unit alone": (("", "eV", 0.5), (("", "nm", 2.0), ("", "nm", 2.0))),
    "energy by its name alone": (("Energy", "px", 1.0), (("y", "px", 1.0), ("x", "px", 1.0))),
    "wavelength against um": (("Wavelength", "nm", 0.2), (("y", "um", 0.02), ("x", "um", 0.02))),
    "wavelength without its name": (("", "nm", 0.2), (("y", "um", 0.02), ("x", "um", 0.02))),
    "wavelength in the units of the scan": (("wavelength", "nm", 0.2), (("y", "nm", 5.0), ("x", "nm", 5.0))),
    "time in ns": (("Time", "ns", 0.004), (("Y", "nm", 46.8), ("X", "nm", 46.8))),
    "bias in V": (("bias", "V", 0.01), (("y", "nm", 0.1), ("x", "nm", 0.1))),
    "Raman shift": (("Raman shift", "1/cm", 1.5), (("y", "um", 1.0), ("x", "um", 1.0))),
    "radial profile": (("k", "1/nm", 0.1), (("y", "nm", 1.0), ("x", "nm", 1.0))),
    "C of five dimensions": (("C", "px", 1.0), (("Y", "px", 1.0), ("X", "px", 1.0))),
    "what is left beside two lengths": (("", "px", 1.0), (("y", "nm", 1.0), ("x", "nm", 1.0))),
    "frequency": (("f", "kHz", 1.5), (("y", "um", 1.0), ("x", "um", 1.0))),
}


def spectrum_image(kind: str, order: tuple[int, int, int], flagged: bool, source: str = "map.dm4") -> Signal:
    (name, units, scale), scan = SPECTRA[kind]
    axes = [Axis(n, SIZES[size], s, units=u, navigation=flagged) for (n, u, s), size in zip(scan, "yx", strict=True)]
    axes.append(Axis(name, SIZES["s"], scale, 3.0 if units != "px" else 0.0, units))
    data = np.arange(6 * 7 * 40, dtype=np.float32).reshape(6, 7, 40)
    return Signal(data.transpose(order), tuple(axes[i] for i in order), source, flagged=flagged)


@pytest.mark.parametrize("flagged", [False, True], ids=["assumed", "flagged"])
@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("kind", SPECTRA)
def test_a_spectrum_is_found_in_any_order_of_axes(kind, order, flagged):
    signal = spectrum_image(kind, order, flagged)
    observed = as_spectrum_image(signal)
    assert observed.axes[-1].size == SIZES["s"]
    assert [axis.name for axis in observed.axes[:-1]] == ["y", "x"]
    named = bool(SPECTRA[kind][1][0][0])  # else the order of the file is that of the scan
    turned = observed.data if named or order.index(0) < order.index(1) else observed.data.transpose(1, 0, 2)
    np.testing.assert_array_equal(turned, spectrum_image(kind, (0, 1, 2), flagged).data)
    assert any("axes: signal along" in note for note in observed.notes)
    assert as_spectrum_image(observed) == observed  # once arranged, it stays


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_flags_alone_tell_a_spectrum(order):
    axes = [Axis("a", 6, navigation=True), Axis("b", 7, navigation=True), Axis("c", 40)]
    signal = Signal(np.zeros(tuple(axes[i].size for i in order)), tuple(axes[i] for i in order), "a.hspy", flagged=True)
    assert as_spectrum_image(signal).axes[-1].size == 40


def test_of_an_array_the_last_axis_is_the_signal_and_a_short_one_is_warned_of():
    assert as_spectrum_image(np.zeros((6, 7, 40))).shape == (6, 7, 40)
    exchanged = as_spectrum_image(np.zeros((1336, 16, 16), np.float32))
    assert any("exchanged" in note and "signal_axis=" in note for note in exchanged.notes)
    assert not any("exchanged" in note for note in as_spectrum_image(np.zeros((6, 7, 40))).notes)
    assert as_spectrum_image(np.zeros((1336, 16, 16), np.float32), signal_axis=0).shape == (16, 16, 1336)


def pattern_scan(names: dict[str, tuple[str, str]], order: tuple[int, ...], flagged: bool) -> Signal:
    axes = [
        Axis(names[k][0], SIZES[k], 0.5 if names[k][1] != "px" else 1.0, units=names[k][1], navigation=k in "yx")
        for k in ("y", "x", "ky", "kx")
    ]
    data = np.arange(6 * 7 * 12 * 11, dtype=np.uint16).reshape(6, 7, 12, 11)
    return Signal(data.transpose(order), tuple(axes[i] for i in order), "scan.h5", flagged=flagged)


PATTERNS = {
    "by their units": ({"y": ("", "nm"), "x": ("", "nm"), "ky": ("", "1/nm"), "kx": ("", "1/nm")}, False),
    "by angles": ({"y": ("y", "nm"), "x": ("x", "nm"), "ky": ("ty", "mrad"), "kx": ("tx", "mrad")}, False),
    "by their names": ({"y": ("y", "px"), "x": ("x", "px"), "ky": ("ky", "px"), "kx": ("kx", "px")}, False),
    "by flags": ({"y": ("a", "px"), "x": ("b", "px"), "ky": ("c", "px"), "kx": ("d", "px")}, True),
    "beside a scan in lengths": ({"y": ("p", "nm"), "x": ("q", "nm"), "ky": ("r", "px"), "kx": ("s", "px")}, False),
    "in lengths of the camera": ({"y": ("y", "nm"), "x": ("x", "nm"), "ky": ("dy", "cm"), "kx": ("dx", "cm")}, False),
}


@pytest.mark.parametrize("order", list(permutations(range(4))))
@pytest.mark.parametrize("kind", PATTERNS)
def test_patterns_are_found_in_any_order_of_axes(kind, order):
    names, flagged = PATTERNS[kind]
    observed = scan_of_patterns(pattern_scan(names, order, flagged))
    assert sorted(observed.shape[:2]) == [6, 7]
    assert sorted(observed.shape[2:]) == [11, 12]
    if kind in ("by their names", "in lengths of the camera"):
        assert observed.shape == (6, 7, 12, 11)
    data = observed.data if observed.shape[0] == 6 else observed.data.swapaxes(0, 1)
    data = data if observed.shape[2] == 12 else data.swapaxes(2, 3)
    np.testing.assert_array_equal(data, pattern_scan(names, (0, 1, 2, 3), flagged).data)


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("name", ["RGB", "rgba", "colour", "Color"])
def test_colour_is_colour_wherever_it_stands(at, name):
    channels = 4 if "a" in name else 3
    data = np.random.default_rng(0).integers(0, 255, (20, 30, channels), dtype=np.uint8)
    axes = [Axis("height", 20, 0.1, units="nm"), Axis("width", 30, 0.1, units="nm")]
    axes.insert(at, Axis(name, channels, navigation=True))
    image, notes = select_image(Signal(np.moveaxis(data, 2, at), tuple(axes), "a.hspy", flagged=True))
    expected = data[..., :3].astype(np.float64) @ [0.2126, 0.7152, 0.0722]
    np.testing.assert_allclose(image.data, expected, rtol=1e-5)
    assert any("luminance" in note for note in notes)
    assert image.axes[0].units == "nm"


def test_a_picture_is_no_spectrum_image():
    picture = Signal(
        np.eye(30), (Axis("y", 30, 0.1, units="nm"), Axis("x", 30, 0.1, units="nm")), "a.tif", flagged=True
    )
    for use in (as_spectrum_image, one_signal_axis):
        with pytest.raises(ValueError, match=r"is a picture.*axis 0 'y', 30 points in nm.*signal_axis="):
            use(picture)
    pattern = Signal(np.eye(30), (Axis("a", 30, 0.1, units="1/nm"), Axis("b", 30, 0.1, units="1/nm")), "a.dm3")
    with pytest.raises(ValueError, match="is a picture"):
        as_spectrum_image(pattern)
    stack = Signal(
        np.zeros((5, 30, 30)), (Axis("frame", 5, navigation=True), Axis("y", 30), Axis("x", 30)), "a.tif", flagged=True
    )
    with pytest.raises(ValueError, match=r"2 signal axes where one is needed.*axis 0 'frame'.*signal_axis="):
        as_spectrum_image(stack)
    assert as_spectrum_image(stack, signal_axis="frame").shape == (30, 30, 5)
    colour = Signal(np.zeros((30, 30, 3)), (Axis("y", 30), Axis("x", 30), Axis("colour", 3)), "a.tif", flagged=True)
    with pytest.raises(ValueError, match="picture in colour"):
        as_spectrum_image(colour)


def test_two_signals_along_which_one_is_needed_are_listed():
    axes = (Axis("x", 8, 1.0, units="nm"), Axis("loss", 30, 0.5, units="eV"), Axis("bias", 20, 0.1, units="V"))
    with pytest.raises(ValueError, match=r"several axes that may be the signal.*axis 1 'loss'.*axis 2 'bias'"):
        as_spectrum_image(Signal(np.zeros((8, 30, 20)), axes, "a.h5"))


def test_spectra_are_no_picture_unless_a_channel_is_asked_for():
    signal = spectrum_image("energy in keV", (2, 0, 1), True)
    with pytest.raises(ValueError, match=r"spectrum of 40 points along 'Energy'.*frame="):
        select_image(signal)
    image, notes = select_image(signal, frame=3)
    np.testing.assert_array_equal(image.data, signal.data[3])
    assert notes == ("frame 3 of 40 (counted from 0) was analysed",)


def test_frames_are_frames_where_nothing_else_explains_them():
    tilt = (Axis("z", 9, 2.0, -8.0, "deg", True), Axis("y", 30, 0.02, units="um"), Axis("x", 30, 0.02, units="um"))
    for flagged in (False, True):
        image, notes = select_image(Signal(np.zeros((9, 30, 30)), tilt, "a.dm3", flagged=flagged))
        assert image.shape == (30, 30)
        assert "stack of 9 images" in notes[0]
    assert roles(Signal(np.zeros((9, 30, 30)), tilt, "a.dm3", flagged=True)) == ("frame", "picture", "picture")


@pytest.mark.parametrize("names", [("x", "y"), ("width", "height"), ("kx", "ky"), ("columns", "rows")])
def test_a_picture_stored_with_x_first_stands_upright(names):
    data = np.arange(20 * 30.0).reshape(20, 30)
    axes = (Axis(names[0], 20, 0.1, units="nm"), Axis(names[1], 30, 0.2, units="nm"))
    image, _ = select_image(Signal(data, axes, "a.emd", flagged=True))
    np.testing.assert_array_equal(image.data, data.T)
    assert [(axis.name, axis.size, axis.scale) for axis in image.axes] == [("y", 30, 0.2), ("x", 20, 0.1)]


def test_lengths_in_different_units_become_one():
    axes = (Axis("y", 20, 2.0, units="A"), Axis("x", 30, 1.0, units="nm"))
    image, _ = select_image(Signal(np.zeros((20, 30)), axes, "a.dm3"))
    assert [(axis.scale, axis.units) for axis in image.axes] == [(0.2, "nm"), (1.0, "nm")]
    scan = as_spectrum_image(Signal(np.zeros((20, 30, 9)), (*axes, Axis("E", 9, 1.0, units="eV")), "a.dm3"))
    assert [axis.units for axis in scan.axes] == ["nm", "nm", "eV"]


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ("nothing", ValueError, "is not an axis of .* there are axis 0"),
        (3, ValueError, "is not an axis"),
        ((0, 1), ValueError, "names 2, one axis is needed"),
        (1.5, TypeError, "number or the name of an axis"),
        (True, TypeError, "number or the name of an axis"),
    ],
)
def test_a_wrong_signal_axis_is_told_with_the_axes(asked, error, message):
    with pytest.raises(error, match=message):
        as_spectrum_image(spectrum_image("energy in keV", (0, 1, 2), True), signal_axis=asked)


def test_what_is_asked_for_overrules_what_the_file_says():
    signal = spectrum_image("energy in keV", (0, 1, 2), True)
    assert as_spectrum_image(signal, signal_axis="height").axes[-1].name == "height"
    assert as_spectrum_image(signal, signal_axis=-2).axes[-1].size == 7
    scan = scan_of_patterns(pattern_scan(PATTERNS["by their units"][0], (0, 1, 2, 3), True), signal_axis=(0, 1))
    assert scan.shape == (12, 11, 6, 7)
    assert as_spectrum_image(np.zeros((42, 40)), scan_shape=(6, 7)).shape == (6, 7, 40)
    with pytest.raises(ValueError, match=r"scan_shape=\(6, 8\) does not fit: spectrum_image holds 42 positions"):
        as_spectrum_image(np.zeros((42, 40)), scan_shape=(6, 8))


def test_signals_of_one_scan_are_brought_to_the_same_order():
    eds = spectrum_image("energy in keV", (2, 0, 1), True)
    patterns = pattern_scan(PATTERNS["by their units"][0], (2, 3, 0, 1), True)
    first, second = on_one_grid([patterns, eds])
    assert first.shape == (6, 7, 12, 11)
    assert second.shape == (6, 7, 40)
    assert [axis.navigation for axis in first.axes] == [True, True, False, False]
    with pytest.raises(ValueError, match="dataset has 1 entries for 2 signals"):
        on_one_grid([patterns, eds], dataset=[0])


UNITS = st.sampled_from(["px", "", "nm", "um", "A", "1/nm", "mrad", "eV", "keV", "s", "V", "1/cm", "nA", "furlongs"])
NAMES = st.sampled_from(
    ["", "x", "y", "z", "Energy", "Wavelength", "time", "frame", "RGB", "kx", "ky", "channel", "bias"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(1, 6), UNITS, st.booleans()), min_size=1, max_size=5), st.booleans())
def test_any_axes_are_arranged_whole_or_refused_with_a_reason(described, flagged):
    axes = tuple(
        Axis(name or f"axis_{i}", size, 0.5, units=units, navigation=navigation)
        for i, (name, size, units, navigation) in enumerate(described)
    )
    signal = Signal(np.zeros([axis.size for axis in axes]), axes, "a.h5", flagged=flagged)
    assert len(roles(signal)) == len(axes)
    for ask in (one_signal_axis, two_signal_axes, lambda s: scan_and_signal(s, "a"), lambda s: picture_axes(s)[0]):
        try:
            arrangement = ask(signal)
        except ValueError:
            continue
        together = sorted((*arrangement.scan, *arrangement.inside))
        assert len(set(together)) == len(together)
        assert 1 <= len(arrangement.inside) <= 2
        if len(together) == len(axes):
            assert said(signal, arrangement)
            assert scan_first(signal, arrangement, "a").data.size == signal.data.size


def test_a_data_set_is_of_a_file(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        stored = file.create_dataset("map", data=np.zeros((6, 7, 40)))
        for given in (stored, np.zeros((6, 7, 40))):
            with pytest.raises(ValueError, match="names a data set of a file, but an array or a signal was given"):
                as_spectrum_image(given, dataset="map")


def test_a_singleton_axis_says_nothing():
    axes = tuple(Axis(n, s) for n, s in (("C", 40), ("T", 1), ("Z", 1), ("Y", 6), ("X", 7)))
    axes = (Axis("C", 40, 0.5, 400.0, "nm"), *axes[1:3], Axis("Y", 6, 0.1, units="um"), Axis("X", 7, 0.1, units="um"))
    observed = as_spectrum_image(Signal(np.zeros((40, 1, 1, 6, 7)), axes, "a.h5"))
    assert observed.shape == (6, 7, 40)
    assert observed.axes[-1].values[0] == 400.0


def test_bare_arrays_keep_the_order_of_numpy():
    assert roles(as_signal(np.zeros((5, 8, 8)))) == ("frame", "picture", "picture")
    assert roles(as_signal(np.zeros((3, 4, 8, 8)))) == ("scan", "scan", "detector", "detector")
