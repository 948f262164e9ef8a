"""A folder of slices is a stack; what is missing or odd in it is named."""

import numpy as np
import pytest

import emcore

tifffile = pytest.importorskip("tifffile")
VOLUME = np.random.default_rng(0).integers(0, 255, (11, 12, 14)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    for i, plane in enumerate(VOLUME):
        tifffile.imwrite(tmp_path / f"run2_s{i + 8}.tif", plane, compression="zlib")  # s8, s9, s10: not by letters
    return tmp_path


@pytest.mark.parametrize("lazy", [False, True])
def test_slices_are_stacked_in_the_order_of_their_numbers(folder, lazy):
    stack = emcore.read(folder, lazy=lazy)
    assert hasattr(stack.data, "dask") == lazy
    np.testing.assert_array_equal(np.asarray(stack.data), VOLUME)
    assert [axis.name for axis in stack.axes] == ["frame", "y", "x"]
    assert stack.title == folder.name


def test_what_else_lies_in_the_folder_is_left_alone(folder):
    (folder / "notes.txt").write_text("of the microscope")
    assert emcore.read(folder, lazy=True).shape == VOLUME.shape


def test_a_missing_slice_is_named(folder):
    (folder / "run2_s12.tif").unlink()
    with pytest.raises(ValueError, match=r"lacks slice 12, after run2_s11\.tif"):
        emcore.read(folder)
    for i in (13, 14):
        (folder / f"run2_s{i}.tif").unlink()
    with pytest.raises(ValueError, match=r"lacks 3 slices, numbers 12, 13, 14, after run2_s11\.tif"):
        emcore.read(folder)


def test_every_other_number_is_a_stack_too(folder):
    for i in range(9, 19, 2):
        (folder / f"run2_s{i}.tif").unlink()
    np.testing.assert_array_equal(emcore.read(folder).data, VOLUME[::2])


def test_slices_of_another_size_or_type_are_named(folder):
    tifffile.imwrite(folder / "run2_s9.tif", VOLUME[0, :5])
    with pytest.raises(
        ValueError, match=r"different size: run2_s8.tif is \(12, 14\) uint8, run2_s9.tif \(5, 14\) uint8"
    ):
        emcore.read(folder, lazy=True)
    tifffile.imwrite(folder / "run2_s9.tif", VOLUME[0].astype(np.uint16))
    with pytest.raises(ValueError, match=r"run2_s9.tif \(12, 14\) uint16"):
        emcore.read(folder)


def test_a_damaged_slice_is_named(folder):
    (folder / "run2_s10.tif").write_bytes(b"II*\0nothing")
    with pytest.raises(ValueError, match=r"run2_s10\.tif"):
        emcore.read(folder, lazy=True)


def test_pictures_in_other_formats_of_which_one_is_odd_are_named_when_they_are_read(tmp_path):
    codecs = pytest.importorskip("imagecodecs")
    for i, plane in enumerate(VOLUME[:4]):
        (tmp_path / f"{i}.png").write_bytes(codecs.png_encode(plane if i != 2 else plane[:6]))
    with pytest.raises(ValueError, match=r"2\.png is \(6, 14\) uint8, other slices are \(12, 14\) uint8"):
        emcore.read(tmp_path)


def test_a_folder_without_slices_is_still_a_folder(tmp_path):
    with pytest.raises(ValueError, match="is a folder: name a file in it"):
        emcore.read(tmp_path)
    tifffile.imwrite(tmp_path / "stack.tif", VOLUME)
    with pytest.raises(ValueError, match="is a folder: name a file in it"):
        emcore.read(tmp_path)


def test_pages_of_a_packed_stack_are_left_in_the_file(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VOLUME, compression="zlib")
    stack = emcore.read(tmp_path / "a.tif", lazy=True)
    assert stack.data.chunks[0] == (1,) * 11
    np.testing.assert_array_equal(np.asarray(stack.data), VOLUME)
