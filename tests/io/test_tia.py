"""Every kind of .ser file is read with the calibration and the elements it has, and .emi files with their partners."""

import struct
from pathlib import Path

import numpy as np
import pytest

from emcore.io.read import read
from emcore.io.registry import read_all

tia = pytest.importorskip("rsciio.tia", reason="needs the extra io")

TYPES = {"u1": 1, "u2": 2, "u4": 3, "i1": 4, "i2": 5, "i4": 6, "f4": 7, "f8": 8, "c8": 9, "c16": 10}
METRES = (b"Position", b"meters")
NUMBER = (b"Number", b"")


def write_ser(path, data, dims, step=1e-11, start=0.0, positions=None, total=None, version=0x220, gap=0):
    """A .ser file: elements along the first axis; dims of (size, step, description and unit); x and y of elements."""
    pictures = data.ndim == 3
    pointer = "<Q" if version > 0x210 else "<I"
    total = len(data) if total is None else total
    head = struct.pack(
        "<HHHIIII",
        0x4949,
        0x197,
        version,
        0x4122 if pictures else 0x4120,
        0x4142 if positions is not None else 0x4152,
        total,
        len(data),
    )
    sides = b""
    for size, delta, (description, units) in dims:
        sides += struct.pack("<IddII", size, 0.0, delta, 0, len(description)) + description
        sides += struct.pack("<I", len(units)) + units
    where = len(head) + struct.calcsize(pointer) + 4 + len(sides)
    at, starts, tags, body = where + 2 * total * struct.calcsize(pointer), [], [], b""
    for i, element in enumerate(data):
        starts.append(at + len(body))
        calibration = struct.pack("<ddI", start, step, 0)
        body += calibration * (1 + pictures) + struct.pack("<H", TYPES[data.dtype.str[1:]])
        body += struct.pack(f"<{element.ndim}I", *element.shape[::-1])
        body += (element[::-1] if pictures else element).tobytes()
        tags.append(at + len(body))
        body += struct.pack("<HHI", 0x4142 if positions is not None else 0x4152, 0, 1_000_000 + i)
        body += b"" if positions is None else struct.pack("<dd", *positions[i])
        body += bytes(gap * i)
    pad = [0] * (total - len(data))
    offsets = b"".join(struct.pack(pointer, n) for n in (*starts, *pad, *tags, *pad))
    path.write_bytes(head + struct.pack(pointer, where) + struct.pack("<I", len(dims)) + sides + offsets + body)
    return path


def grid(ny, nx, step=2e-9, columns_first=False):
    y, x = (places.ravel(order="F" if columns_first else "C") for places in np.mgrid[:ny, :nx] * step)
    return np.column_stack([x, y])


@pytest.mark.parametrize("dtype", list(TYPES))
@pytest.mark.parametrize("version", [0x210, 0x220])
def test_an_image_of_every_type_is_read_as_rosettasciio_does(dtype, version, tmp_path):
    image = np.arange(12).reshape(1, 3, 4).astype(dtype)
    path = write_ser(tmp_path / "a.ser", image, [(1, 1.0, NUMBER)], version=version)
    signal = read(path)
    np.testing.assert_array_equal(signal.data, image[0])
    np.testing.assert_array_equal(signal.data, tia.file_reader(str(path))[0]["data"])
    assert signal.dtype == np.dtype(dtype)
    assert [(a.name, a.scale, a.units, a.navigation) for a in signal.axes] == [
        ("y", pytest.approx(0.01), "nm", False),
        ("x", pytest.approx(0.01), "nm", False),
    ]


@pytest.mark.parametrize(
    ("step", "scale", "units"),
    [
        (1e-11, 0.01, "nm"),
        (3e-7, 300.0, "nm"),
        (2e8, 0.2, "1/nm"),
        (1.0, 1.0, "px"),
        (0.0, 1.0, "px"),
        (np.nan, 1.0, "px"),
    ],
)
def test_the_step_tells_pictures_from_patterns_and_placeholders(step, scale, units, tmp_path):
    signal = read(write_ser(tmp_path / "a.ser", np.ones((1, 3, 4), np.uint8), [(1, 1.0, NUMBER)], step, -2 * step))
    for axis in signal.axes:
        nm = axis.to("nm") if units == "nm" else axis
        assert (nm.scale, nm.units) == (pytest.approx(scale), units)
        assert nm.offset == pytest.approx(-2 * scale if units != "px" else 0.0)


def test_a_series_of_images_with_times_only(tmp_path):
    series = np.arange(60, dtype=np.uint16).reshape(5, 3, 4)
    signal = read(write_ser(tmp_path / "a.ser", series, [(5, 1.0, NUMBER)]))
    np.testing.assert_array_equal(signal.data, series)
    assert [(axis.name, axis.navigation) for axis in signal.axes] == [("frame", True), ("y", False), ("x", False)]
    assert signal.axes[0].units == "px"
    assert signal.flagged


@pytest.mark.parametrize(("turned", "name"), [(False, "x"), (True, "y")])
def test_a_line_of_spectra(turned, name, tmp_path):
    spectra = np.arange(30, dtype=np.uint32).reshape(5, 6)
    places = grid(1, 5)[:, ::-1] if turned else grid(1, 5)
    signal = read(write_ser(tmp_path / "a.ser", spectra, [(5, 2e-9, METRES)], 10.0, 100.0, places))
    np.testing.assert_array_equal(signal.data, spectra)
    line, energy = signal.axes
    assert (line.name, line.scale, line.units, line.navigation) == (name, pytest.approx(2.0), "nm", True)
    assert (energy.name, energy.scale, energy.offset, energy.units, energy.navigation) == (
        "Energy",
        10.0,
        100.0,
        "eV",
        False,
    )


@pytest.mark.parametrize("patterns", [False, True])
@pytest.mark.parametrize("order", ["x fastest", "y fastest", "times only"])
def test_a_map_follows_the_positions_in_its_tags(patterns, order, tmp_path):
    ny, nx = 3, 4
    truth = np.arange(ny * nx * 10).reshape(ny, nx, 10).astype(np.uint16)
    truth = truth.reshape(ny, nx, 2, 5) if patterns else truth
    columns = order == "y fastest"
    elements = (truth.swapaxes(0, 1) if columns else truth).reshape(ny * nx, *truth.shape[2:])
    dims = [(nx, 2e-9, METRES), (ny, 3e-9, METRES)]
    places = None if order == "times only" else grid(ny, nx, columns_first=columns)
    signal = read(write_ser(tmp_path / "a.ser", elements, dims, 2e8 if patterns else 10.0, positions=places))
    names = [axis.name.removeprefix("scan_") for axis in signal.axes[:2]]
    assert names == (["x", "y"] if columns else ["y", "x"])
    np.testing.assert_array_equal(signal.data.swapaxes(0, 1) if columns else signal.data, truth)
    scales = {name: axis.scale for name, axis in zip(names, signal.axes, strict=False)}
    assert scales == {"x": pytest.approx(2.0), "y": pytest.approx(3.0)}
    assert [axis.navigation for axis in signal.axes] == [True, True] + [False] * (1 + patterns)
    assert len({axis.name for axis in signal.axes}) == len(signal.axes)


@pytest.mark.parametrize("ratio", [0.1, 1.0, 10.0])
def test_the_fastest_axis_is_told_by_positions_whatever_the_steps(ratio, tmp_path):
    ny, nx = 3, 4
    places = grid(ny, nx).reshape(ny, nx, 2) * [1.0, ratio]
    spectra = np.arange(60, dtype=np.uint16).reshape(12, 5)
    for dims in ([(4, 2e-9, METRES), (3, 2e-9, METRES)], [(3, 2e-9, METRES), (4, 2e-9, METRES)]):
        signal = read(write_ser(tmp_path / "a.ser", spectra, dims, 10.0, positions=places.reshape(-1, 2)))
        assert [(axis.name, axis.size) for axis in signal.axes[:2]] == [("y", 3), ("x", 4)]


def test_only_elements_that_were_recorded_are_read(tmp_path):
    series = np.arange(36, dtype=np.float32).reshape(3, 3, 4)
    signal = read(write_ser(tmp_path / "a.ser", series, [(7, 1.0, NUMBER)], total=7))
    np.testing.assert_array_equal(signal.data, series)
    assert signal.notes == ("the acquisition was stopped: 3 of 7 elements were recorded",)
    one = read(write_ser(tmp_path / "b.ser", series[:1], [(7, 1.0, NUMBER)], total=7))
    assert one.shape == (3, 4)


@pytest.mark.parametrize("lazy", [False, True])
def test_a_map_that_was_stopped_is_empty_where_nothing_was_recorded(lazy, tmp_path):
    spectra = np.arange(1, 31, dtype=np.float64).reshape(5, 6)
    dims = [(4, 2e-9, METRES), (3, 2e-9, METRES)]
    path = write_ser(tmp_path / "a.ser", spectra, dims, 10.0, positions=grid(3, 4)[:5], total=12)
    signal = read(path, lazy=lazy)
    data = np.asarray(signal.data)
    assert data.shape == (3, 4, 6)
    np.testing.assert_array_equal(data.reshape(12, 6)[:5], spectra)
    assert not data.reshape(12, 6)[5:].any()
    assert "5 of 12 elements were recorded, the other positions are empty" in signal.notes[0]


def test_elements_at_uneven_distances_are_read(tmp_path):
    series = np.arange(60, dtype=np.int16).reshape(5, 3, 4)
    for lazy in (False, True):
        signal = read(write_ser(tmp_path / "a.ser", series, [(5, 1.0, NUMBER)], gap=3), lazy=lazy)
        np.testing.assert_array_equal(np.asarray(signal.data), series)


def test_elements_without_dimensions_are_a_series(tmp_path):
    spectra = np.arange(30, dtype=np.uint32).reshape(5, 6)
    assert read(write_ser(tmp_path / "a.ser", spectra, [], 10.0)).shape == (5, 6)
    assert read(write_ser(tmp_path / "b.ser", spectra[:1], [], 10.0)).shape == (6,)


def test_lazily_it_is_a_memory_map(tmp_path):
    series = np.arange(60, dtype=np.int16).reshape(5, 3, 4)
    assert isinstance(read(write_ser(tmp_path / "a.ser", series, [(5, 1.0, NUMBER)]), lazy=True).data, np.memmap)


def test_a_profile_is_not_in_electronvolts(tmp_path):
    profile = read(write_ser(tmp_path / "a.ser", np.ones((1, 9), np.float32), [(1, 1.0, NUMBER)], 2e-10))
    assert (profile.axes[0].name, profile.axes[0].units) == ("position", "nm")


def test_a_file_without_elements_says_so(tmp_path):
    empty = write_ser(tmp_path / "a.ser", np.ones((0, 9), np.float32), [(1, 1.0, NUMBER)], total=1)
    with pytest.raises(
        ValueError, match=r"a\.ser holds none of its 1 elements: nothing was recorded, or it is a single"
    ):
        read(empty)


@pytest.mark.parametrize("part", [0.1, 0.3, 0.6, 0.95])
def test_a_cut_file_is_named(part, tmp_path):
    path = write_ser(tmp_path / "a.ser", np.ones((5, 3, 4), np.uint16), [(5, 1.0, NUMBER)])
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    for lazy in (False, True):
        with pytest.raises(ValueError, match=r"a\.ser cannot be read as TIA \.ser: truncated"):
            read(path, lazy=lazy)


def test_elements_of_different_size_are_refused(tmp_path):
    path = write_ser(tmp_path / "a.ser", np.ones((2, 3, 4), np.uint16), [(2, 1.0, NUMBER)])
    data = bytearray(path.read_bytes())
    second = data.rindex(struct.pack("<II", 4, 3))
    data[second : second + 8] = struct.pack("<II", 2, 3)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="element 1 is not like the first"):
        read(path)


def test_both_signals_of_a_real_line_scan(data_folder):
    eds, patterns = read_all(data_folder / "cases/tia/line_patterns_EDS.emi")
    assert (eds.shape, patterns.shape) == ((5, 4000), (5, 128, 128))
    assert [(a.units, a.scale) for a in patterns.axes[1:]] == [("1/nm", pytest.approx(0.174353, abs=1e-6))] * 2
    assert (eds.axes[1].units, eds.axes[1].scale) == ("eV", 5.0)
    assert (eds.axes[0].units, eds.axes[0].scale) == ("nm", pytest.approx(3.688636409))
    assert (eds.title, patterns.title) == ("line_patterns_EDS_1", "line_patterns_EDS_2")
    for signal in (eds, patterns):
        other = tia.file_reader(str(data_folder / f"cases/tia/{signal.title}.ser"))[0]["data"]
        np.testing.assert_array_equal(signal.data, other)
        assert signal.metadata["date"] == "2016-02-22"


def write_emi(folder: Path, *numbers: int) -> Path:
    (folder / "a.emi").write_bytes(b"JK\0\2" + b"".join(rb"C:\data\a_%d.ser2" % n for n in numbers) + b"<ObjectInfo>")
    return folder / "a.emi"


def test_a_missing_partner_of_an_emi_is_named(tmp_path):
    emi = write_emi(tmp_path, 1, 2, 12)
    with pytest.raises(ValueError, match=r"they are in a_1\.ser and a_2\.ser and a_12\.ser, which must lie beside it"):
        read(emi)
    image = np.ones((1, 3, 4), np.uint8)
    write_ser(tmp_path / "a_12.SER", image, [(1, 1.0, NUMBER)])
    write_ser(tmp_path / "a_2.ser", image, [(1, 1.0, NUMBER)])
    signals = read_all(emi)
    assert [signal.title for signal in signals] == ["a_2", "a_12"]
    assert all(signal.notes == ("a_1.ser is not beside a.emi: what is in it is missing",) for signal in signals)
    write_ser(tmp_path / "a_1.ser", np.ones((0, 9), np.float32), [(1, 1.0, NUMBER)], total=1)
    assert "a_1.ser holds none of its 1 elements" in read_all(emi)[0].notes[0]


def test_the_only_ser_file_may_have_lost_its_number(tmp_path):
    emi = write_emi(tmp_path, 1)
    write_ser(tmp_path / "a.ser", np.ones((1, 3, 4), np.uint8), [(1, 1.0, NUMBER)])
    assert read(emi).shape == (3, 4)
