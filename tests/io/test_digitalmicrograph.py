"""Axes of a DigitalMicrograph file are as they lie in it, flagged only where the file tells which is a spectrum."""

import struct

import numpy as np
import pytest

from emcore.io.formats import digitalmicrograph
from emcore.io.formats.dm_tags import check_tags
from emcore.io.read import read
from emcore.scans.axes import roles

pytest.importorskip("rsciio.digitalmicrograph", reason="reading microscope files needs the extra io")


@pytest.mark.parametrize(
    ("name", "shape", "spectrum", "calibration"),
    [
        ("eels_energy_first.dm3", (1024, 49, 6), "Energy loss", (0.5, 350.0, "eV")),
        ("cl_wavelength_first.dm4", (1336, 16, 16), "Wavelength", (0.20556016266, 470.531177, "nm")),
    ],
)
def test_a_real_spectrum_image_has_its_spectrum_first_and_says_so(name, shape, spectrum, calibration, data_folder):
    signal = read(data_folder / "cases" / name)
    assert signal.shape == shape
    assert signal.flagged
    assert [axis.navigation for axis in signal.axes] == [False, True, True]
    axis = signal.axes[0]
    assert (axis.name, axis.units) == (spectrum, calibration[2])
    assert (axis.scale, axis.offset) == pytest.approx(calibration[:2])
    assert roles(signal) == ("spectral", "scan", "scan")


def test_pixels_that_are_not_square_keep_their_two_sizes(data_folder):
    y, x = read(data_folder / "cases/pixels_not_square.dm3").axes
    assert ((y.scale, y.units), (x.scale, x.units)) == ((2.0, "A"), (1.0, "nm"))


def test_a_tilt_series_is_pictures_one_after_another(data_folder):
    series = read(data_folder / "tilt_series.dm3")
    assert [axis.navigation for axis in series.axes] == [True, False, False]
    assert roles(series) == ("frame", "picture", "picture")


def item(sizes, units, form, names=None, spim=False):
    """One of RosettaSciIO's dictionaries of an image, whose navigation is assumed from the order of the axes."""
    names = names or [""] * len(sizes)
    axes = [
        {
            "name": n,
            "size": s,
            "index_in_array": i,
            "scale": 1.0 + i,
            "offset": 0.0,
            "units": u,
            "navigate": i < len(sizes) - 2,
        }
        for i, (n, s, u) in enumerate(zip(names, sizes, units, strict=True))
    ]
    tags = {"Meta Data": {"Format": form}} if form else {}
    tags |= {"spim": {}} if spim else {}
    return {
        "data": np.zeros(sizes, np.float32),
        "axes": axes,
        "metadata": {},
        "original_metadata": {"ImageList": {"TagGroup0": {"ImageTags": tags}}},
    }


@pytest.mark.parametrize(
    ("sizes", "units", "form", "spectrum"),
    [
        ((9, 4, 5), ("eV", "nm", "nm"), "Spectrum image", 0),
        ((4, 9, 5), ("nm", "keV", "nm"), "Spectrum image", 1),
        ((4, 5, 9), ("nm", "nm", "eV"), "Spectrum image", 2),
        ((9, 4, 5), ("", "", ""), "Spectrum image", 0),  # as the program writes them
        ((4, 9), ("nm", "eV"), "Spectrum image", 1),
        ((9, 4), ("eV", "nm"), "Spectrum image", 0),
        ((4, 9), ("", ""), "Spectrum", 1),
        ((9,), ("eV",), "Spectrum", 0),
        ((9, 4, 5), ("nm", "nm", "nm"), "Image", None),
        ((9, 4, 5), ("eV", "nm", "nm"), None, None),
        ((3, 4, 5, 6), ("nm", "nm", "1/nm", "1/nm"), "Diffraction image", None),
        ((9, 4, 5), ("eV", "eV", "nm"), "Spectrum image", None),  # which of the two is not told
    ],
)
def test_only_what_is_a_spectrum_by_the_file_is_flagged(sizes, units, form, spectrum, monkeypatch, tmp_path):
    monkeypatch.setattr(digitalmicrograph, "check_tags", lambda path: None)
    monkeypatch.setattr(digitalmicrograph, "rosetta", lambda *_: [item(sizes, units, form)])
    (signal,) = digitalmicrograph.read_dm(tmp_path, False)
    assert signal.shape == sizes
    assert signal.flagged == (spectrum is not None)
    if spectrum is not None:
        assert [axis.navigation for axis in signal.axes] == [i != spectrum for i in range(len(sizes))]


@pytest.mark.parametrize(
    ("units", "flagged"),
    [
        (("s", "nm", "nm"), True),
        (("deg", "nm", "nm"), True),
        (("", "1/nm", "1/nm"), True),
        (("nm", "um", "um"), False),  # perhaps a wavelength
        (("eV", "nm", "nm"), False),
        (("", "", ""), False),
        (("nm", "nm", "s"), False),
    ],
)
def test_a_series_of_pictures_is_flagged_where_units_tell(units, flagged, monkeypatch, tmp_path):
    monkeypatch.setattr(digitalmicrograph, "check_tags", lambda path: None)
    monkeypatch.setattr(digitalmicrograph, "rosetta", lambda *_: [item((9, 4, 5), units, "Image")])
    (signal,) = digitalmicrograph.read_dm(tmp_path, False)
    assert signal.flagged == flagged
    assert [axis.navigation for axis in signal.axes] == [True, False, False]


def test_the_tag_of_a_plugin_tells_of_a_spectrum_image_too(monkeypatch, tmp_path):
    monkeypatch.setattr(digitalmicrograph, "check_tags", lambda path: None)
    monkeypatch.setattr(digitalmicrograph, "rosetta", lambda *_: [item((9, 4, 5), ("", "", ""), None, spim=True)])
    (signal,) = digitalmicrograph.read_dm(tmp_path, False)
    assert [axis.navigation for axis in signal.axes] == [False, True, True]


def test_colour_is_read_at_once_where_it_cannot_be_left_in_the_file(monkeypatch, tmp_path):
    colour = item((4, 5), ("nm", "nm"), "Image")
    colour["data"] = np.zeros((4, 5), [(name, "u1") for name in "RGBA"])

    def decode(plugin, path, lazy):
        if lazy:
            raise ValueError("Lazy loading of RGBA images is not supported. Please load the image without lazy=True.")
        return [colour]

    monkeypatch.setattr(digitalmicrograph, "check_tags", lambda path: None)
    monkeypatch.setattr(digitalmicrograph, "rosetta", decode)
    (signal,) = digitalmicrograph.read_dm(tmp_path, True)
    assert [axis.name for axis in signal.axes] == ["y", "x", "colour"]
    assert signal.shape == (4, 5, 4)


def tags(version: int, content: bytes, count: int = 1) -> bytes:
    """A file of so many tags, `content` in the sizes of a version."""
    form = ">q" if version == 4 else ">i"
    return (
        struct.pack(">i", version)
        + struct.pack(form, 0)
        + struct.pack(">iH", 1, 0)
        + struct.pack(form, count)
        + content
    )


def tag(version: int, *described: int, values: bytes = b"", name: bytes = b"a") -> bytes:
    """A tag of data, described by numbers."""
    form = ">q" if version == 4 else ">i"
    head = struct.pack(">bh", 21, len(name)) + name + (bytes(8) if version == 4 else b"") + b"%%%%"
    return head + b"".join(struct.pack(form, each) for each in (len(described), *described)) + values


DAMAGED = {
    "values of a structure without fields": (20, 15, 0, 0, 1 << 30),
    "an array beyond the file": (20, 6, 1 << 30),
    "an array of fewer than no values": (20, 6, -5),
    "a string beyond the file": (18, 1 << 30),
    "an array of strings beyond the file": (20, 18, 4, 1 << 28),
    "an array of arrays beyond the file": (20, 20, 6, 3, 1 << 28),
    "a structure of more fields than there are bytes": (15, 0, 1 << 30, 0),
}


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("case", DAMAGED)
def test_sizes_of_tags_that_do_not_fit_are_refused_before_they_are_read(case, version, tmp_path):
    path = tmp_path / f"a.dm{version}"
    path.write_bytes(tags(version, tag(version, *DAMAGED[case])))
    with pytest.raises(ValueError, match="truncated or damaged"):
        check_tags(path)
    with pytest.raises(ValueError, match=r"a\.dm"):
        read(path)


@pytest.mark.parametrize("version", [3, 4])
def test_tags_that_fit_and_those_that_the_reader_refuses_itself_are_walked_through(version, tmp_path):
    whole = tag(version, 6, values=bytes(4)) + tag(version, 20, 4, 3, values=bytes(6))
    whole += tag(version, 15, 0, 2, 0, 6, 0, 7, values=bytes(12)) + tag(version, 18, 3, values=b"abc")
    group = struct.pack(">bhbBB", 20, 1, 65, 0, 0) + (
        struct.pack(">qq", 0, 4) if version == 4 else struct.pack(">i", 4)
    )
    path = tmp_path / f"a.dm{version}"
    for content in (tags(version, whole, 4), tags(version, group + whole), tags(version, b"\x07\0\0")):
        path.write_bytes(content)
        check_tags(path)
    path.write_bytes(tags(version, group + whole)[:-1])
    with pytest.raises(ValueError, match="truncated or damaged"):
        check_tags(path)


def test_real_files_are_walked_through(data_folder):
    for path in data_folder.rglob("*.dm[34]"):
        check_tags(path)
