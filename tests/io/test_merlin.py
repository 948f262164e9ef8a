"""Frames of a Merlin detector are put in the lines of their scan, whatever flies back between them."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from emcore.io.read import read
from emcore.scans.patterns import scan_of_patterns

rsciio_merlin = pytest.importorskip("rsciio.quantumdetector", reason="needs the extra io")


def write_mib(path, frames, line=0, dtype="U16", hdr=None):
    """A .mib file whose lines of so many frames are 20 us apart, and the numbers of its .hdr."""
    height, width = frames.shape[1:]
    time, data = datetime(2024, 7, 2, 11, 49, 15), b""
    for number, frame in enumerate(frames):
        time += timedelta(microseconds=1850 + (20 if line and number % line == 0 else 0))
        head = f"MQ1,{number + 1:06},00384,01,{width:04},{height:04},{dtype},   1x1,01,x,0.001,3RX,MQ1A,"
        head += f"{time.isoformat(timespec='microseconds')}000Z,1000000ns,12,"
        data += head.encode().ljust(384, b"\0") + frame[::-1].astype(f">u{int(dtype[1:]) // 8}").tobytes()
    path.write_bytes(data)
    if hdr is not None:
        lines = "".join(f"{name}:\t{value}\r\n" for name, value in hdr.items())
        path.with_suffix(".hdr").write_text(f"HDR,\t\r\n{lines}End\t")
    return path


FRAMES, TRIGGER = "Frames in Acquisition (Number)", "Frames per Trigger (Number)"


def numbered(count, shape=(3, 5)):
    """Frames whose pixels tell them apart."""
    return np.arange(count * shape[0] * shape[1], dtype=np.uint32).reshape(count, *shape)


@pytest.mark.parametrize("dtype", ["U08", "U16", "U32"])
@pytest.mark.parametrize("lazy", [False, True])
def test_frames_are_read_as_rosettasciio_does(dtype, lazy, tmp_path):
    frames = numbered(6) % 256
    path = write_mib(tmp_path / "a.mib", frames, 3, dtype, {FRAMES: 6, TRIGGER: 3})
    signal = read(path, lazy=lazy)
    np.testing.assert_array_equal(np.asarray(signal.data), frames.reshape(2, 3, 3, 5))
    np.testing.assert_array_equal(np.asarray(signal.data), rsciio_merlin.file_reader(str(path))[0]["data"])
    assert [(axis.name, axis.navigation) for axis in signal.axes] == [
        ("scan_y", True),
        ("scan_x", True),
        ("y", False),
        ("x", False),
    ]
    assert isinstance(signal.data, np.memmap) == lazy
    assert signal.data.dtype.isnative or lazy


@pytest.mark.parametrize(
    ("count", "line", "hdr", "shape"),
    [
        (12, 0, {"ScanX": 4, "ScanY": 3}, (3, 4)),
        (12, 4, {FRAMES: 12, TRIGGER: 1}, (3, 4)),  # by the times
        (12, 4, None, (3, 4)),
        (12, 0, {FRAMES: 12, TRIGGER: 4}, (3, 4)),
        (12, 0, {FRAMES: 12, TRIGGER: 12}, (12,)),  # one trigger for all tells of no lines
        (12, 0, {FRAMES: 0, TRIGGER: 0}, (12,)),
        (12, 0, None, (12,)),
        (1, 0, None, (1,)),
    ],
)
def test_the_lines_of_a_scan_are_told_by_the_hdr_or_by_the_times(count, line, hdr, shape, tmp_path):
    signal = read(write_mib(tmp_path / "a.mib", numbered(count), line, hdr=hdr))
    np.testing.assert_array_equal(signal.data, numbered(count).reshape(*shape, 3, 5))
    assert signal.notes == ()


@pytest.mark.parametrize(
    ("count", "line", "hdr", "shape", "kept"),
    [
        (15, 5, {"ScanX": 4, "ScanY": 3}, (3, 5), "columns"),  # one more in each line, by the times
        (15, 0, {"ScanX": 4, "ScanY": 3, TRIGGER: 5}, (3, 5), "columns"),  # by the trigger
        (15, 0, {"ScanX": 4, "ScanY": 3}, (3, 5), "columns"),  # as no whole lines of four are more
        (16, 4, {"ScanX": 4, "ScanY": 3}, (4, 4), "rows"),
        (20, 5, {"ScanX": 4, "ScanY": 4}, (4, 5), "columns"),
        (20, 4, {"ScanX": 4, "ScanY": 4}, (5, 4), "rows"),
        (20, 5, {"ScanX": 4, "ScanY": 3}, (4, 5), "both"),
    ],
)
def test_frames_of_the_flyback_are_named_with_the_option_that_drops_them(count, line, hdr, shape, kept, tmp_path):
    path = write_mib(tmp_path / "a.mib", numbered(count), line, hdr=hdr)
    signal, (rows, columns) = read(path), (hdr["ScanY"], hdr["ScanX"])
    whole = numbered(count).reshape(*shape, 3, 5)
    np.testing.assert_array_equal(signal.data, whole)
    assert signal.notes == (
        f"there are {count} frames for a scan of {rows} x {columns}: read as {shape[0]} lines of {shape[1]}; "
        f"scan_shape=({rows}, {columns}), --scan {rows},{columns}, leaves out those beyond the scan",
    )
    scan = scan_of_patterns(path, scan_shape=(rows, columns))
    np.testing.assert_array_equal(scan.data, whole[:rows, :columns])
    assert scan.axes[0].size == rows
    left = {"columns": f"the last {shape[1] - columns} of {shape[1]} positions in each line"}
    left["rows"] = f"the last {shape[0] - rows} of {shape[0]} lines"
    left["both"] = f"{left['rows']} and {left['columns']}"
    assert scan.notes[-1] == f"scan_shape: {left[kept]} were left out"


@pytest.mark.parametrize(
    ("count", "hdr", "shape", "note"),
    [
        (13, {"ScanX": 4, "ScanY": 3}, (3, 4), "13 frames for a scan of 3 x 4: the last 1 were left out"),
        (10, {"ScanX": 4, "ScanY": 3}, (2, 4), "10 of 12 frames of a scan of 3 x 4 were recorded, the last 2 are less"),
        (8, {"ScanX": 4, "ScanY": 3}, (2, 4), "8 of 12 frames of a scan of 3 x 4 were recorded"),
        (3, {"ScanX": 4, "ScanY": 3}, (3,), "3 of 12 frames of a scan of 3 x 4 were recorded"),
        (10, {FRAMES: 12, TRIGGER: 4}, (2, 4), "10 of 12 frames were recorded"),
        (13, {FRAMES: 13, TRIGGER: 4}, (3, 4), "the last 1 of 13 frames are less than a line of 4: left out"),
    ],
)
def test_frames_that_make_no_line_are_left_out_and_said(count, hdr, shape, note, tmp_path):
    signal = read(write_mib(tmp_path / "a.mib", numbered(count), hdr=hdr))
    expected = numbered(count)[: np.prod(shape)].reshape(*shape, 3, 5)
    np.testing.assert_array_equal(signal.data, expected)
    assert note in signal.notes[0]


def test_a_series_with_more_frames_than_the_scan_is_taken_from_its_start(tmp_path):
    path = write_mib(tmp_path / "a.mib", numbered(13))
    scan = scan_of_patterns(path, scan_shape=(3, 4))
    np.testing.assert_array_equal(scan.data, numbered(12).reshape(3, 4, 3, 5))
    assert scan.notes[-1] == "scan_shape: the last 1 of 13 patterns were left out"
    for shape in ((4, 4), (2, 4), (4, 1), (3, 3)):  # fewer, and more by a line: which of them is meant?
        with pytest.raises(ValueError, match=r"scan_shape=\(\d, \d\) does not fit: a.mib holds 13 patterns"):
            scan_of_patterns(path, scan_shape=shape)


def test_a_scan_of_too_few_lines_says_how_many_there_are(tmp_path):
    path = write_mib(tmp_path / "a.mib", numbered(12), 4)
    with pytest.raises(ValueError, match=r"scan_shape=\(2, 5\) does not fit: a.mib holds 12 patterns in 3 lines of 4"):
        scan_of_patterns(path, scan_shape=(2, 5))
    assert scan_of_patterns(path, scan_shape=(2, 6)).shape == (2, 6, 3, 5)
    with pytest.raises(ValueError, match="does not fit"):  # a corner of the scan is hardly what is meant
        scan_of_patterns(path, scan_shape=(1, 2))


def test_raw_is_refused_by_name(data_folder):
    with pytest.raises(ValueError, match=r"merlin_raw\.mib was recorded as R64: RAW is not supported"):
        read(data_folder / "cases/merlin_raw.mib")


@pytest.mark.parametrize("name", ["cases/merlin_hot_pixel.mib", "merlin/001_4x2_6bit.mib"])
def test_real_scans_are_read_as_rosettasciio_does(name, data_folder):
    signal = read(data_folder / name)
    np.testing.assert_array_equal(signal.data, rsciio_merlin.file_reader(str(data_folder / name))[0]["data"])
    assert signal.shape[:2] == (2, 4)


def test_files_that_are_cut_or_damaged_are_named(tmp_path):
    whole = write_mib(tmp_path / "a.mib", numbered(3)).read_bytes()
    for end, message in ((-1, "truncated inside frame 2"), (100, "truncated inside frame 0")):
        (tmp_path / "b.mib").write_bytes(whole[:end])
        with pytest.raises(ValueError, match=rf"b\.mib cannot be read as Merlin \.mib: {message}"):
            read(tmp_path / "b.mib")
    (tmp_path / "b.mib").write_bytes(whole[: 2 * len(whole) // 3] + bytes(len(whole) // 3))
    with pytest.raises(ValueError, match="its last frame has no header"):
        read(tmp_path / "b.mib")
    (tmp_path / "b.mib").write_bytes(b"MQ1,000001,x" + whole[12:])
    with pytest.raises(ValueError, match="its first header is damaged"):
        read(tmp_path / "b.mib")
