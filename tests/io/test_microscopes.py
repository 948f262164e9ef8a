"""What RosettaSciIO's other readers decode comes out with its axes, and what is not whole or not supported is said."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emcore
from emcore.core.signals import Axis

pytest.importorskip("rsciio", reason="reading microscope files needs the extra io")
RNG = np.random.default_rng(0)
TYPES = {0: "u1", 1: "i2", 2: "f4", 6: "u2"}


def mrc(values: np.ndarray, mode: int, order: str = "<", cell: float = 5.0, extended: int = 0, stamp=b"MAP ") -> bytes:
    """A file of values of shape (z, y, x), `cell` angstrom a pixel."""
    nz, ny, nx = values.shape
    head = bytearray(1024)
    struct.pack_into(f"{order}10i", head, 0, nx, ny, nz, mode, 0, 0, 0, nx, ny, nz)
    struct.pack_into(f"{order}3f", head, 40, nx * cell, ny * cell, nz * cell)
    struct.pack_into(f"{order}i", head, 92, extended)
    head[208:212] = stamp
    return bytes(head) + bytes(extended) + values.astype(f"{order}{TYPES.get(mode, 'f4')}").tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("mode", TYPES)
@pytest.mark.parametrize("lazy", [False, True])
def test_mrc_is_read_in_either_byte_order_with_its_pixel_size(order, mode, lazy, tmp_path):
    values = RNG.integers(0, 100, (3, 6, 7))
    (tmp_path / "a.mrc").write_bytes(mrc(values, mode, order, extended=256))
    observed = emcore.read(tmp_path / "a.mrc", lazy=lazy)
    np.testing.assert_array_equal(np.asarray(observed.data), values)
    assert isinstance(observed.data, np.memmap) == (lazy and order == "<")
    assert observed.axes[0] == Axis("frame", 3, navigation=True)
    assert [(a.name, a.size, a.navigation) for a in observed.axes[1:]] == [("y", 6, False), ("x", 7, False)]
    assert [(a.scale, a.units) for a in observed.axes[1:]] == [(0.5, "nm")] * 2


@pytest.mark.parametrize(("cell", "scale", "units"), [(5.0, 0.5, "nm"), (0.0, 1.0, "px")])
def test_mrc_without_a_sampling_has_the_pixels_of_its_cell_or_none(cell, scale, units, tmp_path):
    raw = bytearray(mrc(RNG.random((1, 6, 7)), 2, cell=cell))
    for sampling in (0, 1):
        if not sampling:
            struct.pack_into("<3i", raw, 28, 0, 0, 0)
        (tmp_path / "a.mrc").write_bytes(raw)
        assert [(a.scale, a.units) for a in emcore.read(tmp_path / "a.mrc").axes] == [(scale, units)] * 2


def test_the_third_axis_of_a_volume_is_a_length(tmp_path):
    raw = bytearray(mrc(RNG.random((3, 6, 7)), 2))
    struct.pack_into("<i", raw, 88, 1)
    (tmp_path / "a.mrc").write_bytes(raw)
    z = emcore.read(tmp_path / "a.mrc").axes[0]
    assert (z.name, z.scale, z.units) == ("z", 0.5, "nm")


def test_one_picture_of_mrc_is_an_image_whatever_its_ending_and_age(tmp_path):
    values = RNG.random((1, 6, 7)).astype("f4")
    for name, stamp in (("a.mrc", b"MAP "), ("a.rec", b"\0\0\0\0"), ("a.dat", b"MAP "), ("a.st", b"MAP\0")):
        (tmp_path / name).write_bytes(mrc(values, 2, stamp=stamp))
        np.testing.assert_array_equal(emcore.read(tmp_path / name).data, values[0])


def test_mrc_that_is_cut_or_of_a_mode_that_is_not_supported_says_so(tmp_path):
    raw = mrc(RNG.random((2, 6, 7)), 2)
    for keep in (300, 1024, len(raw) - 1):
        (tmp_path / "a.mrc").write_bytes(raw[:keep])
        with pytest.raises(ValueError, match=r"a\.mrc cannot be read as MRC: truncated"):
            emcore.read(tmp_path / "a.mrc")
    (tmp_path / "a.mrc").write_bytes(mrc(RNG.random((2, 6, 7)), 101))
    with pytest.raises(ValueError, match="is MRC of mode 101, which is not supported"):
        emcore.read(tmp_path / "a.mrc")


def test_mrcz_without_its_package_names_the_extra(tmp_path):
    (tmp_path / "a.mrcz").write_bytes(mrc(RNG.random((2, 6, 7)), 2002))
    try:
        import mrcz  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match=r"a\.mrcz .* needs mrcz: .*pip install '.+\[formats\]"):
            emcore.read(tmp_path / "a.mrcz")


def ripple(folder: Path, values: np.ndarray, record: str = "vector", extra: str = "ev-per-chan\t10.0\n") -> Path:
    height, width, depth = values.shape if record == "vector" else (*values.shape[1:], values.shape[0])
    (folder / "a.raw").write_bytes(values.astype("<u2").tobytes())
    lines = f"key\tvalue\nwidth\t{width}\nheight\t{height}\ndepth\t{depth}\noffset\t0\ndata-length\t2\n"
    lines += f"data-type\tunsigned\nbyte-order\tlittle-endian\nrecord-by\t{record}\n{extra}"
    (folder / "a.rpl").write_text(lines)
    return folder / "a.rpl"


@pytest.mark.parametrize("name", ["a.rpl", "a.raw"])
@pytest.mark.parametrize("lazy", [False, True])
def test_ripple_is_read_by_either_of_its_files_with_its_energies(name, lazy, tmp_path):
    values = RNG.integers(0, 100, (4, 5, 60))
    ripple(tmp_path, values)
    observed = emcore.read(tmp_path / name, lazy=lazy)
    np.testing.assert_array_equal(np.asarray(observed.data), values)
    assert [(a.name, a.scale, a.units, a.navigation) for a in observed.axes] == [
        ("y", 1.0, "px", True),
        ("x", 1.0, "px", True),
        ("energy", 10.0, "eV", False),
    ]


def test_half_of_ripple_names_the_other_half(tmp_path):
    path = ripple(tmp_path, RNG.integers(0, 100, (4, 5, 60)))
    (tmp_path / "a.raw").rename(tmp_path / "b.raw")
    with pytest.raises(ValueError, match=r"they are in a\.raw, which must lie beside it"):
        emcore.read(path)
    with pytest.raises(ValueError, match=r"put the b\.rpl \(Ripple\) or b\.xml \(EMPAD\) .* beside it"):
        emcore.read(tmp_path / "b.raw")
    (tmp_path / "b.raw").write_bytes((tmp_path / "b.raw").read_bytes()[:-3])
    path.rename(tmp_path / "b.rpl")
    with pytest.raises(ValueError, match=r"b\.rpl cannot be read as Ripple: truncated or damaged"):
        emcore.read(tmp_path / "b.rpl")


@pytest.mark.parametrize(("count", "shape"), [(6, (6,)), (4, (2, 2))])
def test_patterns_of_an_empad_are_known_by_their_size_which_is_said(count, shape, tmp_path):
    values = RNG.random((count, 130, 128)).astype("<f4")
    values.tofile(tmp_path / "scan.raw")
    for lazy in (False, True):
        observed = emcore.read(tmp_path / "scan.raw", lazy=lazy)
        np.testing.assert_array_equal(observed.data.reshape(count, 128, 128), values[:, :128])
        assert observed.shape == (*shape, 128, 128)
        assert "scan.xml is missing: taken for EMPAD patterns" in observed.notes[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["scan.xml", "scan.raw"])
@pytest.mark.parametrize("lazy", [False, True])
def test_an_empad_is_read_by_either_of_its_files(name, lazy, tmp_path):
    values = RNG.random((6, 130, 128)).astype("<f4")
    values.tofile(tmp_path / "scan.raw")
    scale = "<iom_measurements><calibrated_pixelsize>1e-2</calibrated_pixelsize></iom_measurements>"
    grid = "<pix_x>3</pix_x><pix_y>2</pix_y>"
    (tmp_path / "scan.xml").write_text(f'<root><raw_file filename="scan.raw"/>{grid}{scale}</root>')
    observed = emcore.read(tmp_path / name, lazy=lazy)
    np.testing.assert_array_equal(np.asarray(observed.data), values[:, :128].reshape(2, 3, 128, 128))
    assert [axis.navigation for axis in observed.axes] == [True, True, False, False]
    assert observed.axes[-1].units == "1/nm"


def test_an_empad_whose_patterns_are_missing_names_them(tmp_path):
    (tmp_path / "scan.xml").write_text('<root><raw_file filename="scan.raw"/><pix_x>3</pix_x><pix_y>2</pix_y></root>')
    with pytest.raises(FileNotFoundError, match=r"scan\.raw is missing, which holds part of it"):
        emcore.read(tmp_path / "scan.xml")
    (tmp_path / "notes.xml").write_text("<notes/>")
    with pytest.raises(ValueError, match=r"notes\.xml is an \.xml of another kind"):
        emcore.read(tmp_path / "notes.xml")


def signal(data: np.ndarray, *axes: tuple[str, float, float, str, bool]) -> dict:
    """A signal as RosettaSciIO's writers take it, its axes in the order of the array."""
    described = [
        {
            "name": name,
            "size": size,
            "scale": scale,
            "offset": offset,
            "units": units,
            "navigate": navigate,
            "index_in_array": i,
            "_type": "UniformDataAxis",
        }
        for i, (size, (name, scale, offset, units, navigate)) in enumerate(zip(data.shape, axes, strict=True))
    ]
    metadata = {"General": {"title": "test"}, "Signal": {"signal_type": ""}, "Acquisition_instrument": {"TEM": {}}}
    return {
        "data": data,
        "axes": described,
        "metadata": metadata,
        "original_metadata": {},
        "attributes": {"_lazy": False},
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("lazy", [False, True])
def test_a_recording_of_tvips_is_a_stack_of_patterns(lazy, tmp_path):
    from rsciio.tvips import file_writer

    values = RNG.integers(0, 100, (6, 8, 9)).astype("u2")
    axes = ("frame", 1.0, 0.0, "s", True), ("y", 2.0, 0.0, "1/nm", False), ("x", 2.0, 0.0, "1/nm", False)
    file_writer(str(tmp_path / "a_000.tvips"), signal(values, *axes))
    observed = emcore.read(tmp_path / "a_000.tvips", lazy=lazy)
    np.testing.assert_array_equal(np.asarray(observed.data), values)
    assert [axis.navigation for axis in observed.axes] == [True, False, False]
    assert [axis.units for axis in observed.axes[1:]] == ["px", "px"]
    assert "the pixel size of the camera only" in observed.notes[0]
    raw = (tmp_path / "a_000.tvips").read_bytes()
    (tmp_path / "a_000.tvips").write_bytes(raw[:-7])
    with pytest.raises(ValueError, match="truncated inside frame 5"):
        emcore.read(tmp_path / "a_000.tvips")


@pytest.mark.filterwarnings("ignore")
def test_a_recording_of_one_frame_is_an_image(tmp_path):
    from rsciio.tvips import file_writer

    values = RNG.integers(0, 100, (1, 8, 9)).astype("u2")
    axes = ("frame", 1.0, 0.0, "s", True), ("y", 2.0, 0.0, "1/nm", False), ("x", 2.0, 0.0, "1/nm", False)
    file_writer(str(tmp_path / "a_000.tvips"), signal(values, *axes))
    np.testing.assert_array_equal(emcore.read(tmp_path / "a_000.tvips").data, values[0])


def test_another_part_or_name_of_a_recording_says_which_is_read(tmp_path):
    for name, advice in (("a_003.tvips", r"from its first, a_000\.tvips"), ("a.tvips", r"rename it to a_000\.tvips")):
        (tmp_path / name).write_bytes(bytes(1000))
        with pytest.raises(ValueError, match=advice):
            emcore.read(tmp_path / name)
    (tmp_path / "a_000.tvips").write_text("no recording at all")
    with pytest.raises(ValueError, match=r"a_000\.tvips cannot be read as TVIPS: damaged or mislabelled"):
        emcore.read(tmp_path / "a_000.tvips")


@pytest.mark.filterwarnings("ignore")
def test_a_spectrum_image_of_panta_rhei_keeps_its_calibration_and_nothing_is_unpickled(tmp_path):
    values = RNG.random((3, 4, 20))
    metadata = '[{"type": "3D", "content.types": ["Energy", "ScanX", "ScanY"], "device.calib": ['
    metadata += '{"unit": "eV", "value": 0.5, "offset": 100.0}, {"unit": "nm", "value": 2.0, "offset": 0.0}, '
    metadata += '{"unit": "nm", "value": 2.0, "offset": 0.0}]}]'
    with (tmp_path / "a.prz").open("wb") as file:
        np.savez_compressed(file, data=values, meta_data_json=metadata, file_format_version=2)
    for lazy in (False, True):
        observed = emcore.read(tmp_path / "a.prz", lazy=lazy)
        np.testing.assert_array_equal(np.asarray(observed.data), values)
        assert [axis.units for axis in observed.axes] == ["nm", "nm", "eV"]
        assert observed.axes[-1].scale == 0.5
        assert observed.notes == ()
    with (tmp_path / "a.prz").open("wb") as file:
        np.savez_compressed(file, data=values, meta_data=np.array([{"type": "3D"}], dtype=object))
    observed = emcore.read(tmp_path / "a.prz")
    assert observed.shape == values.shape
    assert "never unpickled" in observed.notes[0]
    (tmp_path / "a.prz").rename(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"holds Panta Rhei \.prz data, .*: rename it to a\.prz"):
        emcore.read(tmp_path / "a.npz")


def spd(values: np.ndarray) -> bytes:
    rows, columns, channels = values.shape
    head = b"MAPSPECTRA_DATA".ljust(16, b"\0")
    head += struct.pack("<8i", 1, rows * columns, columns, rows, channels, 2, 1068, 1) + b"image.bmp".ljust(120, b"\0")
    return head.ljust(1068, b"\0") + values.astype("<u2").tobytes()


@pytest.mark.parametrize("lazy", [False, True])
def test_a_map_of_edax_without_its_energies_counts_channels_and_says_so(lazy, tmp_path):
    values = RNG.integers(0, 50, (3, 4, 100))
    (tmp_path / "a.spd").write_bytes(spd(values))
    observed = emcore.read(tmp_path / "a.spd", lazy=lazy)
    np.testing.assert_array_equal(np.asarray(observed.data), values)
    assert observed.axes[-1] == Axis("channel", 100)
    assert "a.spc is missing" in observed.notes[0]
    (tmp_path / "a.spd").write_bytes(spd(values)[:-9])
    with pytest.raises(ValueError, match=r"a\.spd cannot be read as EDAX \.spd: truncated or damaged"):
        emcore.read(tmp_path / "a.spd")


def patterns(version: int, grid: tuple[int, int], hexagonal: int, values: np.ndarray) -> bytes:
    rows, columns = values.shape[1:]
    start = 16 if version < 3 else 42
    head = struct.pack("<4I", version, columns, rows, start)
    if version >= 3:
        head += struct.pack("<BIIBdd", 1, grid[1], grid[0], hexagonal, 0.5, 1.5)
    return head + values.tobytes()


@pytest.mark.parametrize(("ending", "dtype"), [(".up1", "u1"), (".up2", "<u2")])
@pytest.mark.parametrize("lazy", [False, True])
def test_patterns_of_edax_lie_in_the_grid_of_their_header(ending, dtype, lazy, tmp_path):
    values = RNG.integers(0, 200, (6, 5, 7)).astype(dtype)
    path = tmp_path / f"a{ending}"
    path.write_bytes(patterns(3, (2, 3), 0, values))
    observed = emcore.read(path, lazy=lazy)
    np.testing.assert_array_equal(observed.data, values.reshape(2, 3, 5, 7))
    assert isinstance(observed.data, np.memmap) == lazy
    assert [(a.name, a.scale, a.units) for a in observed.axes[:2]] == [("y", 1.5, "um"), ("x", 0.5, "um")]
    for raw, said in (
        (patterns(3, (2, 3), 1, values), "hexagonal"),
        (patterns(3, (4, 3), 0, values), "not all measured"),
    ):
        path.write_bytes(raw)
        assert emcore.read(path).shape == (6, 5, 7)
        assert said in emcore.read(path).notes[0]
    path.write_bytes(patterns(1, (2, 3), 0, values))
    assert emcore.read(path).shape == (6, 5, 7)
    path.write_bytes(patterns(1, (2, 3), 0, values)[:-1])
    with pytest.raises(ValueError, match="truncated or damaged"):
        emcore.read(path)


@pytest.mark.filterwarnings("ignore")
def test_a_surface_of_digital_surf_is_an_image_with_its_lengths(tmp_path):
    from rsciio.digitalsurf import file_writer

    values = RNG.integers(0, 1000, (6, 7)).astype("i4")
    axes = ("y", 2.0, 0.0, "um", False), ("x", 0.5, 0.0, "um", False)
    file_writer(str(tmp_path / "a.sur"), signal(values, *axes))
    for lazy in (False, True):
        observed = emcore.read(tmp_path / "a.sur", lazy=lazy)
        np.testing.assert_allclose(observed.data, values)
        assert [(round(a.scale, 6), a.units) for a in observed.axes] == [(2.0, "um"), (0.5, "um")]


@pytest.mark.filterwarnings("ignore")
def test_a_single_spectrum_is_described(tmp_path):
    from rsciio.msa import file_writer

    values = RNG.random(50)
    file_writer(str(tmp_path / "a.msa"), signal(values, ("Energy", 0.5, 100.0, "eV", False)))
    observed = emcore.read(tmp_path / "a.msa")
    np.testing.assert_allclose(observed.data, values, atol=1e-5)
    assert (observed.axes[0].scale, observed.axes[0].offset, observed.axes[0].units) == (0.5, 100.0, "eV")
    assert "(50,)" in emcore.describe(tmp_path / "a.msa")


@pytest.mark.parametrize("name", ["a.pts", "a.asw", "a.unf", "a.elid", "a.tvf", "a.xml", "a.up1", "a.rpl"])
def test_text_with_the_ending_of_a_format_without_a_sign_is_an_error_that_names_it(name, tmp_path):
    (tmp_path / name).write_text("Dear diary, the alignment was poor today.\n")
    (tmp_path / "a.raw").write_bytes(bytes(100))
    with pytest.raises((ValueError, ImportError), match=name):
        emcore.read(tmp_path / name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Small whole files by their endings."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "a.mrc").write_bytes(mrc(RNG.random((2, 6, 7)), 2))
    (folder / "a.spd").write_bytes(spd(RNG.integers(0, 50, (3, 4, 20))))
    (folder / "a.up1").write_bytes(patterns(3, (2, 3), 0, RNG.integers(0, 200, (6, 5, 7)).astype("u1")))
    ripple(folder, RNG.integers(0, 100, (4, 5, 60)))
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_is_an_error_that_names_it(data, whole, damaged_is_named):
    damaged_is_named(data, whole)
