"""Files are read with their calibration, and a file that cannot be read is named with what is wrong with it."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emcore.core.signals import Axis, Signal, array_sha256, tidy_axes
from emcore.io.read import as_signal, read
from emcore.io.registry import FOLDERS, FORMATS
from emcore.scans.describe import describe
from emcore.scans.images import select_image

pytest.importorskip("rsciio", reason="reading microscope files needs the extra io")
tifffile = pytest.importorskip("tifffile", reason="reading TIFF needs the extra io")

# File, shape, type, scale and units of the last axis. Those of the two .tif agree with the scale bars in the pictures:
# 550 px are 1 mm, 76.5 px are 200 um.
FILES = [
    ("fei_sem.tif", (1103, 1536), "u1", 1.82505, "um"),
    ("zeiss_sem.tif", (768, 1024), "u1", 2.614514, "um"),
    ("high_entropy_alloy.npy", (1024, 1024), "u2", 1.0, "px"),
    ("sto_lattice.ser", (1024, 1024), "u2", 0.0100127042404, "nm"),
    ("sto_lattice.emi", (1024, 1024), "u2", 0.0100127042404, "nm"),
    ("haadf_particles.emd", (512, 512), "u2", 0.00530241483799, "um"),
    ("tilt_series.dm3", (91, 64, 64), "u2", 0.0179949160665, "um"),
    ("core_shell.hspy", (64, 64, 992), "u4", 0.02, "keV"),
    ("eds_two_particles.hspy", (80, 80, 1980), "f8", 0.01, ""),
    ("test1.blo", (3, 2, 144, 144), "u1", 0.0160616768391, "cm"),
    ("merlin/001_4x2_6bit.mib", (2, 4, 256, 256), "u1", 1.0, "px"),
    ("rock.bcf", (75, 100), "u2", 8.73678506198, "um"),
    ("eels_si.npz", (24, 22, 138), "f8", 1.0, "px"),
    ("ni_ebsd.h5", (3, 3, 60, 60), "u1", 1.0, "px"),
]
NAMES = [row[0] for row in FILES]


def copy(source: Path, to: Path, bytes_kept: int | None = None) -> Path:
    data = source.read_bytes()
    to.write_bytes(data[:bytes_kept])
    return to


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(("name", "shape", "dtype", "scale", "units"), FILES, ids=NAMES)
def test_every_real_file_is_read_with_its_calibration(name, shape, dtype, scale, units, lazy, data_folder):
    signal = read(data_folder / name, lazy=lazy)
    assert (signal.shape, signal.dtype) == (shape, np.dtype(dtype))
    assert signal.axes[-1].scale == pytest.approx(scale, rel=1e-9)
    assert signal.axes[-1].units == units
    assert len({axis.name for axis in signal.axes}) == len(shape)
    assert np.asarray(signal.data).std() > 0


def test_lazy_and_eager_reading_give_the_same_values(data_folder):
    for name in NAMES:
        lazy, eager = read(data_folder / name, lazy=True), read(data_folder / name)
        assert lazy.axes == eager.axes
        np.testing.assert_array_equal(np.asarray(lazy.data), eager.data)


def test_lazy_images_stay_in_the_file(data_folder):
    for name in ("high_entropy_alloy.npy", "fei_sem.tif", "zeiss_sem.tif"):
        assert isinstance(read(data_folder / name, lazy=True).data, np.memmap)
        assert not isinstance(read(data_folder / name).data, np.memmap)


def test_the_offset_of_a_ser_file_is_in_the_unit_of_its_scale(data_folder):
    x = read(data_folder / "sto_lattice.ser").axis("x")
    # The field of view is centred on the optical axis.
    assert x.offset == pytest.approx(-x.scale * x.size / 2, rel=1e-3)


def test_a_berkeley_emd_file_is_read_upright(tmp_path):
    h5py = pytest.importorskip("h5py", reason="EMD is HDF5")
    stack = np.arange(90, dtype=np.float32).reshape(3, 5, 6)
    with h5py.File(tmp_path / "a.emd", "w") as file:
        file.attrs.update({"version_major": 0, "version_minor": 2})
        for name, data, dims in (("image", stack[0], "yx"), ("stack", stack, "tyx")):
            group = file.create_group(f"data/{name}")
            group.attrs["emd_group_type"] = 1
            group["data"] = data
            for i, (dim, size) in enumerate(zip(dims, data.shape, strict=True)):
                group[f"dim{i + 1}"] = 0.25 * np.arange(size)
                group[f"dim{i + 1}"].attrs.update({"name": dim, "units": "[n_m]"})
    for lazy in (False, True):
        image = read(tmp_path / "a.emd", lazy=lazy)
        np.testing.assert_array_equal(np.asarray(image.data), stack[0])
        assert image.axes == (Axis("y", 5, 0.25, units="nm"), Axis("x", 6, 0.25, units="nm"))
        whole = read(tmp_path / "a.emd", lazy=lazy, dataset="stack")
        np.testing.assert_array_equal(np.asarray(whole.data), stack)
        assert [axis.navigation for axis in whole.axes] == [True, False, False]


def test_navigation_axes_are_told_from_signal_axes(data_folder):
    observed = {name: "".join("ns"[not a.navigation] for a in read(data_folder / name).axes) for name in NAMES}
    assert observed["tilt_series.dm3"] == "nss"
    assert observed["core_shell.hspy"] == observed["eds_two_particles.hspy"] == "nns"
    assert observed["test1.blo"] == observed["merlin/001_4x2_6bit.mib"] == "nnss"
    assert observed["fei_sem.tif"] == "ss"


def test_unnamed_scan_axes_of_a_spectrum_image_are_y_and_x(data_folder):
    assert [axis.name for axis in read(data_folder / "eds_two_particles.hspy").axes] == ["y", "x", "Energy"]


def test_a_data_set_is_chosen_by_name_or_number_and_the_error_lists_them(data_folder):
    assert read(data_folder / "rock.bcf").title == "BSE"
    assert [axis.name for axis in read(data_folder / "rock.bcf").axes] == ["y", "x"]
    assert read(data_folder / "rock.bcf", dataset="se").title == "SE"
    assert read(data_folder / "rock.bcf", dataset=2).shape == (75, 100, 2048)
    assert read(data_folder / "orientation_scan_32.npz").title == "data"
    with pytest.raises(ValueError, match=r"no data set 'SEM'; it holds 0: BSE .*1: SE .*2: EDX"):
        read(data_folder / "rock.bcf", dataset="SEM")
    with pytest.raises(ValueError, match="no data set 3"):
        read(data_folder / "rock.bcf", dataset=3)


@pytest.mark.parametrize("part", [0.98, 0.6, 0.2, 0.01])
@pytest.mark.parametrize("name", [n for n in NAMES if not n.endswith((".emi", ".tif"))] + ["zeiss_sem.tif"])
def test_a_truncated_file_is_an_error_that_names_it(name, part, tmp_path, data_folder):
    path = copy(data_folder / name, tmp_path / Path(name).name, int(part * (data_folder / name).stat().st_size))
    for lazy in (False, True):
        with pytest.raises(ValueError, match="cannot be read as") as caught:
            read(path, lazy=lazy)
        assert str(path) in str(caught.value)


def test_a_tiff_whose_directory_at_the_end_is_cut_off_is_an_error(tmp_path, data_folder):
    with pytest.raises(ValueError, match=r"cut\.tif cannot be read as TIFF: truncated .* no directory"):
        read(copy(data_folder / "fei_sem.tif", tmp_path / "cut.tif", 1_000_000))


@pytest.mark.parametrize(
    "name", ["fei_sem.tif", "high_entropy_alloy.npy", "sto_lattice.ser", "tilt_series.dm3", "test1.blo"]
)
@pytest.mark.parametrize("ending", [".dm3", ".emd", ".npy", ".ser", ".tif", ".bcf", ".img", ""])
def test_a_mislabelled_file_is_read_as_what_it_holds_with_a_note(name, ending, tmp_path, data_folder):
    if name.endswith(ending or "."):
        return
    observed, expected = read(copy(data_folder / name, tmp_path / f"x{ending}"), lazy=True), read(data_folder / name)
    np.testing.assert_array_equal(np.asarray(observed.data), expected.data)
    assert observed.axes == expected.axes
    assert observed.notes[0].startswith(f"x{ending} holds ")
    assert observed.notes[0].endswith(" data, unlike its ending, and was read as that")


@pytest.mark.parametrize("ending", [".dm3", ".emd", ".npy", ".tif", ".ser", ".txt"])
def test_a_file_whose_decoder_looks_at_the_ending_is_to_be_renamed_which_helps(ending, tmp_path, data_folder):
    path = copy(data_folder / "rock.bcf", tmp_path / f"x{ending}")
    with pytest.raises(ValueError, match=rf"x\{ending} holds Bruker .bcf data, .*: rename it to x\.bcf"):
        read(path)
    assert read(path.rename(tmp_path / "x.bcf")).shape == (75, 100)


def test_text_with_the_name_of_an_image_is_an_error(tmp_path):
    for ending in (".tif", ".npy", ".npz", ".ser", ".emi", ".emd", ".dm3", ".hspy", ".blo", ".mib", ".bcf", ".h5"):
        path = tmp_path / f"notes{ending}"
        path.write_text("Dear diary, the alignment was poor today.\n")
        with pytest.raises(ValueError, match=rf"notes\{ending} is not .*: damaged or mislabelled"):
            read(path)


def test_a_picture_format_that_is_not_read_is_named(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"GIF89a" + bytes(30))
    with pytest.raises(ValueError, match=r"holds GIF data, not TIFF: save the picture as TIFF; emcore reads .tif"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("depth", ["u1", "u2"])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (20, 30, 4)])
def test_a_png_is_read_without_its_transparency(depth, shape, tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs", reason="needs the extra io")
    values = np.random.default_rng(0).integers(0, 200, shape).astype(depth)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(values))
    for name in ("a.png", "a.tif"):
        observed = read((tmp_path / "a.png").rename(tmp_path / name))
        np.testing.assert_array_equal(observed.data, values[..., :3] if len(shape) == 3 else values)
        assert [axis.name for axis in observed.axes] == ["y", "x", "colour"][: len(shape)]
        (tmp_path / name).rename(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"a\.png cannot be read as PNG: truncated or damaged"):
        read(tmp_path / "a.png")


def test_a_jpeg_is_read_with_a_warning_of_what_it_lost(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs", reason="needs the extra io")
    values = np.full((24, 32), 90, dtype=np.uint8)
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg_encode(values))
    observed = read(tmp_path / "a.jpg")
    np.testing.assert_array_equal(observed.data, values)
    assert "blocks of 8 px" in observed.notes[0]
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"a\.jpg cannot be read as JPEG: truncated"):
        read(tmp_path / "a.jpg")


def test_missing_empty_folder_and_unknown_ending_are_clear_errors(tmp_path):
    (tmp_path / "image.tif").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("hello")
    np.save(tmp_path / "a.npy", np.eye(4))
    shutil.copy(tmp_path / "a.npy", tmp_path / "a.dat")
    with pytest.raises(FileNotFoundError, match=r"imge.tif does not exist; did you mean image.tif\?"):
        read(tmp_path / "imge.tif")
    with pytest.raises(ValueError, match=r"image.tif is empty \(0 bytes\)"):
        read(tmp_path / "image.tif")
    with pytest.raises(ValueError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(ValueError, match=r"files ending in '.txt' are not read; .*\.tif"):
        read(tmp_path / "notes.txt")
    assert "was read as that" in read(tmp_path / "a.dat").notes[0]
    with pytest.raises(ValueError, match=r"files without an ending are not read; .*\.tif"):
        read(shutil.copy(tmp_path / "notes.txt", tmp_path / "plain"))


def test_a_file_without_read_permission_is_a_permission_error(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.eye(4))

    def refuse(*_: object) -> None:  # chmod does not stop root, who runs many a container
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError, match=r"a.npy cannot be read: no permission"):
        read(tmp_path / "a.npy")


def test_python_objects_are_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    np.save(tmp_path / "bomb.npy", np.array([[Bomb()]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "bomb.npz", a=np.array([[Bomb()]], dtype=object))
    with pytest.raises(ValueError, match="Python objects, which are never unpickled"):
        read(tmp_path / "bomb.npy")
    with pytest.raises(ValueError, match="holds no image"):
        read(tmp_path / "bomb.npz")
    assert not (tmp_path / "exploded").exists()


def test_arrays_that_are_no_measurement_are_errors(tmp_path):
    for array, message in (
        (np.array(["a"]), "only numbers"),
        (np.array(3.0), "single number"),
        (np.zeros((0, 4)), "holds no"),
    ):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(ValueError, match=message):
            read(tmp_path / "a.npy")


def test_a_compressed_tiff_is_read_and_a_cut_one_is_an_error(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (90, 80), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, compression="zlib", tile=(32, 32))
    for lazy in (False, True):
        np.testing.assert_array_equal(read(tmp_path / "a.tif", lazy=lazy).data, image)
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-500])
    with pytest.raises(ValueError, match="truncated or damaged"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("module", "name", "extra"),
    [("rsciio.digitalmicrograph", "a.dm3", "io"), ("tifffile", "a.tif", "io"), ("h5py", "a.h5", "hdf5")],
)
def test_a_missing_package_is_an_import_error_that_names_the_extra(module, name, extra, tmp_path, monkeypatch):
    heads = {".dm3": b"\0\0\0\3", ".tif": b"II*\0", ".h5": b"\x89HDF\r\n\x1a\n"}
    (tmp_path / name).write_bytes(heads[Path(name).suffix] + bytes(60))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"install '.+\[{extra}\]"):
        read(tmp_path / name)


def test_a_compression_that_needs_another_package_names_the_extra(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.eye(30, dtype=np.uint8))
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["Compression"].overwrite(5)  # says LZW, which the data are not
    if importlib.util.find_spec("imagecodecs"):
        with pytest.raises(ValueError, match="truncated or damaged"):
            read(path)
    else:
        with pytest.raises(
            ImportError, match=r"the compression of .*a\.tif needs imagecodecs: .*pip install '.+\[io\]"
        ):
            read(path)


def test_reading_prints_nothing(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + (1000).to_bytes(4, "little") + bytes(50))  # tifffile logs that there is no directory
    code = f"from emcore.io.read import read\ntry: read({str(path)!r})\nexcept ValueError: pass"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_colour_becomes_luminance_and_is_said(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", rgb, photometric="rgb")
    image, notes = select_image(read(tmp_path / "a.tif"))
    np.testing.assert_allclose(image.data, rgb @ np.array([0.2126, 0.7152, 0.0722]), rtol=1e-6)
    assert image.data.dtype == np.float32
    assert "luminance" in notes[0]
    assert [axis.name for axis in image.axes] == ["y", "x"]


def test_equal_colour_channels_keep_the_detectors_type():
    grey = np.random.default_rng(0).integers(0, 255, (20, 30), dtype=np.uint8)
    image, notes = select_image(as_signal(np.stack([grey] * 3, axis=-1)))
    np.testing.assert_array_equal(image.data, grey)
    assert image.data.dtype == np.uint8
    assert "three equal channels" in notes[0]


def test_a_structured_colour_array_is_colour():
    rgb = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    structured = rgb.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    signal = as_signal(structured)
    assert [axis.name for axis in signal.axes] == ["y", "x", "colour"]
    np.testing.assert_array_equal(signal.data, rgb)


def test_the_axes_of_an_image_are_called_y_and_x():
    axes = (Axis("rows", 5, 2.0, units="nm"), Axis("columns", 6))
    image, _ = select_image(Signal(np.zeros((5, 6)), axes))
    assert image.axes == (Axis("y", 5, 2.0, units="nm"), Axis("x", 6))


def test_planar_colour_is_colour(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (3, 20, 30), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", rgb, photometric="rgb", planarconfig="separate")
    image, _ = select_image(read(tmp_path / "a.tif"))
    np.testing.assert_allclose(image.data, np.einsum("cyx,c->yx", rgb, [0.2126, 0.7152, 0.0722]), rtol=1e-6)


def test_a_frame_of_a_stack_is_taken_and_said():
    stack = as_signal(np.arange(4 * 6 * 5).reshape(4, 6, 5))
    for frame, index in ((None, 0), (0, 0), (3, 3), (np.int64(2), 2)):
        image, notes = select_image(stack, frame)
        np.testing.assert_array_equal(image.data, stack.data[index])
        assert len(notes) == 1
    assert "the first was analysed" in select_image(stack)[1][0]
    for frame in (4, -1, (1, 2)):
        with pytest.raises(ValueError, match=r"it has 4 images, use 0\.\.3"):
            select_image(stack, frame)


def test_a_frame_of_a_scan_is_taken_by_two_numbers():
    scan = as_signal(np.arange(2 * 3 * 6 * 5).reshape(2, 3, 6, 5))
    np.testing.assert_array_equal(select_image(scan, (1, 2))[0].data, scan.data[1, 2])
    with pytest.raises(ValueError, match=r"2 x 3 images: say which with frame=\(i, j\)"):
        select_image(scan)


def test_a_frame_of_a_single_image_is_refused():
    with pytest.raises(ValueError, match="frame=1 was asked for, but array holds one image"):
        select_image(as_signal(np.eye(5)), frame=1)


def test_a_frame_or_data_set_of_the_wrong_type_is_named(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(4))
    for frame in (1.0, "1", True, (0.5,)):
        with pytest.raises(TypeError, match="frame must be a whole number"):
            select_image(as_signal(np.zeros((2, 5, 5))), frame)
    with pytest.raises(TypeError, match="dataset must be the name or the number"):
        read(tmp_path / "a.npy", dataset=1.5)


def test_values_that_prove_damaged_only_when_they_are_used_are_named():
    da = pytest.importorskip("dask.array", reason="needs Dask")

    def broken(block):
        raise OSError("filter returned failure during read")

    signal = Signal(da.zeros((5, 6)).map_blocks(broken, dtype=float), (Axis("y", 5), Axis("x", 6)), "/data/a.hspy")
    for use in (select_image, describe):
        with pytest.raises(ValueError, match=r"/data/a\.hspy cannot be read: truncated or damaged \(filter"):
            use(signal)


def test_data_without_an_image_are_refused():
    with pytest.raises(ValueError, match="an image needs two dimensions"):
        select_image(as_signal(np.arange(5.0)))
    axes = (Axis("y", 3, navigation=True), Axis("x", 4, navigation=True), Axis("energy", 9))
    with pytest.raises(ValueError, match="holds a spectrum of 9 points along 'energy' at every position"):
        select_image(Signal(np.zeros((3, 4, 9)), axes))


def test_axes_of_one_point_are_dropped_from_an_image():
    image, notes = select_image(as_signal(np.zeros((1, 1, 8, 9))))
    assert image.shape == (8, 9)
    assert notes == ()


def test_calibration_survives_the_choice_of_a_frame(data_folder):
    image, _ = select_image(read(data_folder / "tilt_series.dm3"), frame=5)
    assert image.axis("x").units == "um"
    assert image.source.endswith("tilt_series.dm3")


def test_an_array_is_not_copied():
    array = np.zeros((8, 9), dtype=np.uint16)
    assert as_signal(array).data is array
    assert select_image(as_signal(array))[0].data is array


def test_what_is_no_array_of_numbers_is_refused():
    for bad in (np.array([["a", "b"]]), np.array([[object()]]), np.array([["2020-01-01"]], dtype="M8[D]")):
        with pytest.raises(TypeError, match="data must be numbers"):
            as_signal(bad)
    with pytest.raises(ValueError, match="no dimension"):
        as_signal(np.float64(3))
    with pytest.raises(ValueError, match="masked values"):
        as_signal(np.ma.masked_less(np.arange(6.0).reshape(2, 3), 2))


def test_the_hash_is_of_the_bytes_of_the_file_or_of_the_array(tmp_path):
    import hashlib

    array = np.arange(24, dtype=np.uint16).reshape(4, 6)
    np.save(tmp_path / "a.npy", array)
    assert read(tmp_path / "a.npy").sha256() == hashlib.sha256((tmp_path / "a.npy").read_bytes()).hexdigest()
    assert as_signal(array).sha256() == array_sha256(np.asfortranarray(array)) == array_sha256(array.copy())
    signal = read(tmp_path / "a.npy")
    (tmp_path / "a.npy").unlink()
    assert signal.sha256() == array_sha256(array)
    different = (array.T, array.astype(np.uint32), array.reshape(6, 4), array + 1, array[:, ::-1])
    assert len({array_sha256(a) for a in (array, *different)}) == 6
    cube = np.arange(60).reshape(3, 4, 5)[:, ::2]
    assert array_sha256(cube) == array_sha256(cube.copy())
    assert array_sha256(np.zeros(4, np.int8)) != array_sha256(np.zeros(4, np.uint8))


def test_metres_become_a_unit_that_reads_well_and_nonsense_scales_are_dropped():
    def tidy(scale: float) -> tuple[float, str]:
        axis = tidy_axes((Axis("x", 4, scale, units="m"),))[0]
        return axis.scale, axis.units

    assert [tidy(s) for s in (2e-11, 1.82505e-6, 5e-4)] == [(0.02, "nm"), (1.82505, "um"), (0.5, "mm")]
    for scale in (np.nan, np.inf, 0.0, 1.0, 3.0, 1e-20):
        assert tidy(scale) == (1.0, "px")


def test_a_signal_whose_axes_do_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"axes have sizes \(2, 3\), the data have shape \(2, 4\)"):
        Signal(np.zeros((2, 4)), (Axis("y", 2), Axis("x", 3)))
    with pytest.raises(ValueError, match=r"no axis 'z'; the axes are \['y', 'x'\]"):
        as_signal(np.eye(3)).axis("z")


def test_signals_are_equal_when_everything_is():
    signal = as_signal(np.array([[1.0, np.nan]]))
    assert signal == as_signal(np.array([[1.0, np.nan]]))
    assert signal != as_signal(np.array([[1.0, 2.0]]))
    assert signal != as_signal(np.array([[1.0, np.nan]], dtype=np.float32))
    assert signal != as_signal(np.array([[1.0, np.nan]]), title="b")


def test_describe_names_data_sets_axes_range_and_function(data_folder):
    text = describe(data_folder / "fei_sem.tif")
    for part in (
        "(1103, 1536) uint8, image",
        "1.82505 um per point",
        "2803 um in all",
        "values 0 to 255",
        "emcore image",
    ):
        assert part in text
    text = describe(data_folder / "rock.bcf")
    for part in ("3 data sets", "0 BSE", "2 EDX: (75, 100, 2048)", "spectral", "emcore unmix"):
        assert part in text
    assert "emcore curves" in describe(data_folder / "iv_grid.npz")
    assert "--frame 0" in describe(data_folder / "tilt_series.dm3")


@pytest.fixture(scope="module")
def hs():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("hyperspy.api", reason="needs the extra hyperspy")


@pytest.mark.filterwarnings("ignore")
def test_hyperspy_signals_keep_axes_order_scale_and_units(hs):
    signal = hs.signals.Signal2D(np.arange(2 * 3 * 6 * 5.0).reshape(2, 3, 6, 5))
    for axis, name, scale, units in zip(
        signal.axes_manager._axes, ("v", "u", "y", "x"), (4.0, 3.0, 2.0, 0.5), ("nm", "nm", "1/Å", "µm"), strict=True
    ):
        axis.name, axis.scale, axis.units = name, scale, units
    axes = as_signal(signal).axes
    assert [(a.name, a.size, a.scale, a.units, a.navigation) for a in axes] == [
        ("v", 2, 4.0, "nm", True),
        ("u", 3, 3.0, "nm", True),
        ("y", 6, 2.0, "1/A", False),
        ("x", 5, 0.5, "um", False),
    ]
    assert as_signal(signal).data is signal.data


@pytest.mark.filterwarnings("ignore")
def test_a_lazy_hyperspy_signal_computes_only_the_frame_that_is_used(hs):
    import dask.array as da

    computed = []

    def block(block_info=None):
        computed.append(block_info[None]["chunk-location"][0])
        return np.full((1, 6, 5), float(computed[-1]))

    lazy = da.map_blocks(block, chunks=((1,) * 4, (6,), (5,)), dtype=float, meta=np.empty((0, 0, 0)))
    signal = as_signal(hs.signals.Signal2D(lazy).as_lazy())
    assert computed == []
    np.testing.assert_array_equal(select_image(signal, 2)[0].data, np.full((6, 5), 2.0))
    assert computed == [2]


@pytest.mark.filterwarnings("ignore")
def test_a_hyperspy_signal_without_calibration_is_in_pixels(hs):
    signal = as_signal(hs.signals.Signal2D(np.zeros((6, 5))))
    assert [(a.name, a.units) for a in signal.axes] == [("y", "px"), ("x", "px")]


@pytest.mark.filterwarnings("ignore")
def test_hyperspy_colour_and_uneven_axes_are_understood(hs):
    rgb = np.random.default_rng(0).integers(0, 255, (6, 5, 3), dtype=np.uint8)
    colour = hs.signals.Signal1D(rgb)
    colour.change_dtype("rgb8")
    np.testing.assert_array_equal(as_signal(colour).data, rgb)
    assert as_signal(colour).axes[-1].name == "colour"
    assert [axis.name for axis in as_signal(colour.as_signal2D((0, 1))).axes] == ["y", "x", "colour"]
    uneven = hs.signals.Signal1D(np.zeros(3), axes=[{"axis": np.array([1.0, 2.0, 4.0]), "units": "eV", "name": "E"}])
    (axis,) = as_signal(uneven).axes
    assert axis.values.tolist() == [1.0, 2.0, 4.0]
    assert (axis.name, axis.units) == ("E", "eV")


def test_a_scale_without_a_unit_is_kept_but_no_image_is_measured_with_it():
    axes = tidy_axes((Axis("y", 5, 0.5), Axis("x", 5, 0.5, units="pixel")))
    assert [(axis.scale, axis.units) for axis in axes] == [(0.5, ""), (0.5, "")]
    image, _ = select_image(Signal(np.eye(5), axes))
    assert image.axes == (Axis("y", 5), Axis("x", 5))


def test_the_formats_that_read_takes_are_listed_in_its_docstring():
    for ending in (*FORMATS, *FOLDERS):
        assert re.search(rf"\s{re.escape(ending)}[\s,;.]", read.__doc__)
