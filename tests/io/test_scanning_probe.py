"""Nanonis' scans and grids and Igor's waves come out as written, with the units of their channels and axes."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emcore
from emcore.core.signals import Axis

RNG = np.random.default_rng(0)


def write_sxm(
    path: Path, pictures: np.ndarray, direction: str = "down", scan: str = "FLOAT            MSBFIRST"
) -> Path:
    """A scan of 30 x 20 nm; `pictures` are those of Z forward, Z backward and current forward, as they are stored."""
    rows, columns = pictures.shape[1:]
    table = "\tChannel\tName\tUnit\tDirection\tCalibration\tOffset\n"
    table += "\t14\tZ\tm\tboth\t1E-9\t0\n\t0\tCurrent\tA\tforward\t1\t0\n"
    head = (
        f":NANONIS_VERSION:\n2\n:SCANIT_TYPE:\n              {scan}\n:REC_DATE:\n 01.02.2020\n"
        f":SCAN_PIXELS:\n       {columns}       {rows}\n:SCAN_RANGE:\n           3.000000E-8           2.000000E-8\n"
        f":SCAN_DIR:\n{direction}\n:BIAS:\n            1.0E-1\n:DATA_INFO:\n{table}\n:SCANIT_END:\n\n\n"
    )
    order = ">" if "MSB" in scan else "<"
    path.write_bytes(head.encode() + b"\x1a\x04" + pictures.astype(f"{order}f4").tobytes())
    return path


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("scan", ["FLOAT    MSBFIRST", "FLOAT    LSBFIRST"])
def test_the_channels_of_a_scan_are_seen_from_above_in_both_directions(direction, scan, tmp_path):
    z = RNG.random((4, 6)).astype("f4")
    stored = z[::-1] if direction == "up" else z
    path = write_sxm(tmp_path / "a.sxm", np.stack([stored, stored[:, ::-1], 2 * stored]), direction, scan)
    titles = {"Z (m), forward": z, "Z (m), backward": z, "Current (A), forward": 2 * z}
    for title, expected in titles.items():
        observed = emcore.read(path, dataset=title)
        np.testing.assert_array_equal(observed.data, expected)
        assert observed.axes == (Axis("y", 4, 5.0, units="nm"), Axis("x", 6, 5.0, units="nm"))
        assert observed.notes == ()
    assert "3 data sets" in emcore.describe(path)


def test_lines_that_a_stopped_scan_did_not_reach_are_left_out_and_said(tmp_path):
    z = RNG.random((3, 8, 6)).astype("f4")
    z[:, 5:] = np.nan
    observed = emcore.read(write_sxm(tmp_path / "a.sxm", z), dataset=0)
    np.testing.assert_array_equal(observed.data, z[0, :5])
    assert observed.notes == ("3 of 8 lines were not scanned and are left out",)
    assert observed.axes[0].scale == 2.5


def write_grid(
    path: Path, curves: np.ndarray, sweep=(-0.5, 0.5), extra: str = "", positions: int | None = None
) -> Path:
    """A grid of current and dI/dV, shape (y, x, 2, points), 9 nm wide and 6 nm high."""
    ny, nx, channels, points = curves.shape
    head = (
        f'Grid dim="{nx} x {ny}"\r\nGrid settings=1E-8;2E-8;9.0E-9;6.0E-9;0.0E+0\r\n{extra}'
        'Sweep Signal="Bias (V)"\r\nFixed parameters="Sweep Start;Sweep End"\r\n'
        'Experiment parameters="X (m);Y (m);Z (m)"\r\n# Parameters (4 byte)=5\r\n'
        f"Experiment size (bytes)={4 * channels * points}\r\nPoints={points}\r\n"
        'Channels="Current (A);LI Demod 1 X (A)"\r\nDelay before measuring (s)=0.0E+0\r\n:HEADER_END:\r\n'
    )
    height = np.arange(ny * nx).reshape(ny, nx, 1)
    parameters = np.concatenate([np.broadcast_to([*sweep, 0, 0], (ny, nx, 4)), height], axis=-1)
    values = np.concatenate([parameters, curves.reshape(ny, nx, -1)], axis=-1).reshape(ny * nx, -1)
    path.write_bytes(head.encode() + values[:positions].astype(">f4").tobytes())
    return path


def test_a_grid_is_a_scan_of_curves_against_the_bias(tmp_path):
    curves = RNG.random((3, 4, 2, 11)).astype("f4")
    path = write_grid(tmp_path / "a.3ds", curves)
    for i, title in enumerate(("Current (A)", "LI Demod 1 X (A)")):
        observed = emcore.read(path, dataset=title)
        np.testing.assert_array_equal(observed.data, curves[:, :, i])
        y, x, bias = observed.axes
        assert y == Axis("y", 3, 3.0, units="nm", navigation=True)
        assert x == Axis("x", 4, 3.0, units="nm", navigation=True)
        assert (bias.name, bias.units, bias.navigation) == ("Bias", "V", False)
        np.testing.assert_allclose(bias.values, np.linspace(-0.5, 0.5, 11), atol=1e-12)
    np.testing.assert_array_equal(emcore.read(path, dataset="Z (m)").data, np.arange(12).reshape(3, 4))


def test_a_grid_that_was_stopped_has_positions_without_values_and_says_so(tmp_path):
    curves = RNG.random((3, 4, 2, 11)).astype("f4")
    observed = emcore.read(write_grid(tmp_path / "a.3ds", curves, positions=7), dataset=0)
    assert np.isnan(observed.data).all(axis=-1).sum() == 5
    np.testing.assert_array_equal(observed.data.reshape(12, 11)[:7], curves[:, :, 0].reshape(12, 11)[:7])
    assert observed.notes == ("the grid was stopped: 7 of 12 positions are in the file",)
    whole = (tmp_path / "a.3ds").read_bytes()
    (tmp_path / "a.3ds").write_bytes(whole[:-5])
    with pytest.raises(ValueError, match="truncated inside position 6 of 12"):
        emcore.read(tmp_path / "a.3ds")


def test_a_sweep_in_segments_is_an_axis_point_by_point(tmp_path):
    extra = (
        'Filetype="MLS"\r\nSegment Start (V), Segment End (V), Settling (s), Integration (s), Steps (xn)='
        "-1.0,-0.1,1E-3,1E-3,4;-0.1,0.1,1E-3,1E-3,7\r\n"
    )
    observed = emcore.read(write_grid(tmp_path / "a.3ds", RNG.random((2, 2, 2, 11)), (-1.0, 0.1), extra), dataset=0)
    expected = [*np.linspace(-1, -0.1, 4), *np.linspace(-0.1, 0.1, 7)]
    np.testing.assert_allclose(observed.axes[-1].values, expected)
    assert observed.axes[-1].units == "V"


def test_a_grid_without_a_sweep_is_against_numbers_and_says_so(tmp_path):
    observed = emcore.read(write_grid(tmp_path / "a.3ds", RNG.random((2, 2, 2, 11)), (0.0, 0.0)), dataset=0)
    assert observed.axes[-1] == Axis("channel", 11)
    assert observed.notes == ("the header does not say from where to where was swept",)


def wave(values: np.ndarray, scales=(), units=(), order="<", labels: dict[int, list[str]] | None = None) -> bytes:
    """A wave of version 5, whose first dimension is the last of `values`."""
    shape = values.shape[::-1]
    kind = {"f4": 2, "f8": 4, "i2": 16, "u2": 80}[values.dtype.str[1:]]
    texts = [b"".join(label.encode().ljust(32, b"\0") for label in (labels or {}).get(i, [])) for i in range(4)]
    head = struct.pack(f"{order}hh13i", 5, 0, 320 + values.nbytes, 0, 0, 0, 0, 0, 0, 0, *map(len, texts), 0)
    head += struct.pack(f"{order}ii", 0, 0)
    dims = [*shape, 0, 0, 0, 0][:4]
    body = struct.pack(f"{order}IIIihh6sh32sii", 0, 0, 0, values.size, kind, 0, b"", 1, b"wave0", 0, 0)
    body += struct.pack(f"{order}4i", *dims) + struct.pack(f"{order}4d", *[*scales, 1, 1, 1, 1][:4])
    body += struct.pack(f"{order}4d", 0, 0, 0, 0) + b"A\0\0\0"
    body += b"".join(unit.encode().ljust(4, b"\0") for unit in [*units, "", "", "", ""][:4])
    raw = bytearray((head + body).ljust(384, b"\0"))
    struct.pack_into(f"{order}h", raw, 2, _short(-sum(struct.unpack(f"{order}192h", raw))))
    return bytes(raw) + values.astype(f"{order}{values.dtype.str[1:]}").tobytes() + b"".join(texts)


def _short(number: int) -> int:
    """The same modulo 2^16 as a signed number."""
    return (number + 0x8000) % 0x10000 - 0x8000


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_wave_of_igor_keeps_its_scales_and_units(order, tmp_path):
    values = RNG.random((3, 5)).astype("f4")
    (tmp_path / "a.ibw").write_bytes(wave(values, (0.5, 2.0), ("V", "nm"), order))
    observed = emcore.read(tmp_path / "a.ibw")
    np.testing.assert_array_equal(observed.data, values)
    assert [(a.size, a.scale, a.units) for a in observed.axes] == [(3, 2.0, "nm"), (5, 0.5, "V")]
    assert observed.metadata == {"units": "A"}


def test_named_layers_are_the_channels_of_a_picture(tmp_path):
    values = RNG.random((2, 4, 6))
    labels = {2: ["", "HeightRetrace", "PhaseRetrace"]}
    (tmp_path / "a.ibw").write_bytes(wave(values, (1e-9, 1e-9), ("m", "m"), labels=labels))
    for i, title in enumerate(labels[2][1:]):
        observed = emcore.read(tmp_path / "a.ibw", dataset=title)
        np.testing.assert_array_equal(observed.data, values[i, ::-1])
        assert [(a.name, a.scale, a.units) for a in observed.axes] == [("y", 1.0, "nm"), ("x", 1.0, "nm")]


@pytest.mark.parametrize("keep", [200, 500])
def test_a_wave_that_was_cut_is_said_to_be(keep, tmp_path):
    raw = wave(RNG.random((3, 50)))
    (tmp_path / "a.ibw").write_bytes(raw[:keep])
    with pytest.raises(ValueError, match=r"damaged or mislabelled|truncated"):
        emcore.read(tmp_path / "a.ibw")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Small whole files by their endings."""
    folder = tmp_path_factory.mktemp("whole")
    write_sxm(folder / "a.sxm", RNG.random((3, 4, 6)))
    write_grid(folder / "a.3ds", RNG.random((3, 4, 2, 11)))
    (folder / "a.ibw").write_bytes(wave(RNG.random((2, 4, 6)), labels={2: ["", "Height", "Phase"]}))
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_is_an_error_that_names_it(data, whole, damaged_is_named):
    damaged_is_named(data, whole)
