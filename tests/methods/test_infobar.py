"""The information bar of a microscope is recognised, and nothing else is."""

import io

import numpy as np
import pytest

import emcore
from emcore.datasets import lattice_micrograph
from emcore.methods.power_spectra.infobar import info_bar_height


def with_bar(image, height=70):
    image = image.copy()
    image[-height:] = 0
    image[-height] = 252
    for x in range(20, image.shape[1] - 60, 90):
        image[-height + 20 : -height + 40, x : x + 40 : 3] = 255
    return image


def test_only_what_looks_like_an_information_bar_is_taken_for_one():
    image = lattice_micrograph(shape=(500, 610), dtype="uint8").image
    assert info_bar_height(with_bar(image)) == 70
    assert info_bar_height(image) == 0
    blank = image.copy()
    blank[-70:] = 0
    assert info_bar_height(blank) == 0  # no text
    assert info_bar_height(with_bar(image, 150)) == 0  # too high
    ragged = image.copy()
    y, x = np.mgrid[:500, :610]
    ragged[y > 430 + 20 * np.sin(x / 50)] = 0
    ragged[450:480, 100:120] = 255
    assert info_bar_height(ragged) == 0  # no straight edge
    assert info_bar_height(with_bar(image).astype(np.float32)) == 0


@pytest.mark.parametrize(
    ("name", "bar"),
    [("fei_sem.tif", 79), ("zeiss_sem.tif", 77), ("cases/zeiss_512.tif", 34), ("cases/tescan.tif", 120)],
)
def test_information_bars_of_real_microscopes_are_found(name, bar, data_folder):
    assert info_bar_height(emcore.read(data_folder / name).data) == bar


def text(image, rows, ground, ink):
    """A bar whose text reads like that of TESCAN: cells divided by rules, letters with soft edges."""
    image = image.copy()
    image[-rows:] = ground
    for top in range(8, rows - 14, 20):
        for x in range(20, image.shape[1] - 60, 18):
            image[-rows + top : -rows + top + 12, x : x + 10 : 3] = ink
            image[-rows + top : -rows + top + 12, x + 1 : x + 10 : 3] = (int(ground) + int(ink)) // 2
    image[-rows + 26, : image.shape[1] // 2] = ink
    return image


@pytest.mark.parametrize(("dtype", "top"), [("uint8", 255), ("uint16", 65535), ("int16", 32767)])
@pytest.mark.parametrize(("ground", "ink"), [(0.0, 1.0), (1.0, 0.0), (0.376, 1.0), (0.8, 0.1)])
@pytest.mark.parametrize("picture", ["grey", "dark", "saturated"])
def test_a_bar_may_be_of_any_grey_and_type_below_any_picture(dtype, top, ground, ink, picture):
    rng = np.random.default_rng(0)
    image = (rng.random((300, 400)) * top).astype(dtype)
    if picture == "dark":
        image[240:][rng.random((60, 400)) < 0.45] = 0
    elif picture == "saturated":
        image[rng.random(image.shape) < 0.45] = top
    assert info_bar_height(text(image, 55, int(ground * top), int(ink * top))) == 55


@pytest.mark.parametrize(("picture", "ground"), [(0, 0), (255, 255)])
def test_a_line_divides_a_bar_from_a_picture_of_its_own_value(picture, ground):
    rng = np.random.default_rng(0)
    image = np.where(rng.random((300, 400)) < 0.8, picture, rng.integers(0, 255, (300, 400))).astype(np.uint8)
    barred = text(image, 50, ground, 255 - ground)
    barred[-50] = 128
    assert info_bar_height(barred) == 50


@pytest.mark.parametrize("rows", [3, 4, 20, 200])
@pytest.mark.parametrize(("picture", "ground"), [(0, 96), (255, 96), (0, 255), (255, 0)])
def test_rows_of_one_value_above_a_bar_of_another_are_the_picture(rows, picture, ground):
    image = np.random.default_rng(0).integers(0, 255, (300, 400), dtype=np.uint8)
    image[245 - rows : 245] = picture
    assert info_bar_height(text(image, 55, ground, 255 - ground)) == 55


@pytest.mark.parametrize("row", [-1, -2, -4, -20, -33])
def test_a_single_odd_row_hides_no_bar(row):
    rng = np.random.default_rng(0)
    image = text(rng.integers(0, 255, (300, 400), dtype=np.uint8), 55, 96, 255)
    image[row] = rng.integers(0, 255, 400)
    assert info_bar_height(image) == 55


@pytest.mark.parametrize("quality", [85, 95])
def test_jpeg_hides_no_bar_and_makes_none(quality, data_folder):
    pillow = pytest.importorskip("PIL.Image", reason="Pillow writes JPEG")
    skimage = pytest.importorskip("skimage.data", reason="scikit-image has other people's pictures")

    def packed(image):
        file = io.BytesIO()
        pillow.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=quality)
        return np.asarray(pillow.open(file))

    tescan = (emcore.read(data_folder / "cases/tescan.tif").data // 257).astype(np.uint8)
    assert info_bar_height(packed(tescan)) == 120
    for name, bar in (("fei_sem.tif", 79), ("zeiss_sem.tif", 77), ("cases/zeiss_512.tif", 34)):
        assert info_bar_height(packed(emcore.read(data_folder / name).data)) == bar
    for name in ("camera", "coins", "text"):
        image = getattr(skimage, name)()
        for turned in (image, image[::-1], image.T, image // 32):
            assert info_bar_height(packed(turned)) == 0


def test_measured_pictures_have_no_bar(data_folder):
    skimage = pytest.importorskip("skimage.data", reason="scikit-image has other people's pictures")
    names = ("camera", "coins", "page", "text", "cell")
    pictures = [getattr(skimage, name)() for name in names]
    for name in ("sto_lattice.ser", "haadf_particles.emd", "cases/tvips_line_noise.tif"):
        pictures.append(np.asarray(emcore.read(data_folder / name).data))
    for picture in pictures:
        for turned in (picture, picture[::-1], picture.T, np.where(picture > picture.mean(), 255, 0).astype(np.uint8)):
            assert info_bar_height(turned) == 0


def test_what_a_microscope_leaves_empty_is_no_bar():
    rng = np.random.default_rng(0)
    for dose in (0.001, 0.01, 0.1, 3.0):
        stem = rng.poisson(20 * dose, (300, 400)).astype(np.uint16)
        for stopped in (250, 270, 285):
            empty, blanked, dark = stem.copy(), stem.copy(), stem.copy()
            empty[stopped:] = 0  # the scan was stopped
            blanked[stopped:] = rng.poisson(0.01, (300 - stopped, 400))  # the beam was blanked, the detector not
            dark[stopped:] = rng.poisson(0.1 * dose, (300 - stopped, 400))
            assert [info_bar_height(image) for image in (stem, empty, blanked, dark)] == [0, 0, 0, 0]
    saturated = rng.integers(0, 255, (300, 400), dtype=np.uint8)
    saturated[250:] = 255
    saturated[265:275, 100:120] = 240  # a particle that does not quite saturate
    ramp = np.broadcast_to(np.linspace(255, 0, 300)[:, None], (300, 400)).astype(np.uint8)
    assert info_bar_height(ramp) == 0
    assert info_bar_height(np.minimum(saturated, 255)[:, :90]) == 0


def test_what_the_maker_says_of_a_bar_is_taken_where_the_rows_look_like_one():
    image = with_bar(lattice_micrograph(shape=(500, 610), dtype="uint8").image, 120)
    assert info_bar_height(image) == 0  # too high for a guess
    assert info_bar_height(image, 120) == 120
    assert info_bar_height(image[:380], 120) == 0  # was cut off before
    assert info_bar_height(image[:380].astype(np.float32), 120) == 0
