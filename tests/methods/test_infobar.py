"""The information bar of a microscope is recognised, and nothing else is."""

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


@pytest.mark.parametrize(("name", "bar"), [("fei_sem.tif", 79), ("zeiss_sem.tif", 77)])
def test_information_bars_of_real_microscopes_are_found(name, bar, data_folder):
    assert info_bar_height(emcore.read(data_folder / name).data) == bar
