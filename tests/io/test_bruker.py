"""Bruker's container is judged by the chunks that its files use: nothing cut is decoded, nothing whole is refused."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emcore.io.formats.bruker import _ends
from emcore.io.read import read
from emcore.io.registry import read_all

pytest.importorskip("rsciio", reason="reading microscope files needs the extra io")

NAMES = ["rock.bcf", "cases/eds_4x3.bcf", "cases/eds_stopped.bcf", "cases/eds_large_counts.bcf"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_whole_with_the_chunks_that_are_used(name, tmp_path, data_folder):
    """The last chunk that is used is read to its last byte, so that one byte less is refused before it is decoded."""
    data = (data_folder / name).read_bytes()
    with (data_folder / name).open("rb") as file:
        needed = max(_ends(file, len(data)))
    assert needed <= len(data)
    (tmp_path / "a.bcf").write_bytes(data[:needed])
    whole, cut = read_all(data_folder / name), read_all(tmp_path / "a.bcf")
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
    for end in (needed - 1, needed - 4096, len(data) // 2, 4096, 0x14C, 0x130, 12):
        (tmp_path / "a.bcf").write_bytes(data[:end])
        with pytest.raises(ValueError, match=r"a\.bcf cannot be read as Bruker \.bcf: truncated"):
            read(tmp_path / "a.bcf")


def test_every_chunk_of_a_scattered_file_is_looked_for(tmp_path, data_folder):
    """Chunks need not lie in order: one that lies at the end of the container is missed although it is not the last."""
    path = data_folder / "rock.bcf"
    with path.open("rb") as file:
        ends = list(_ends(file, path.stat().st_size))
    sizes = path.stat().st_size
    assert len(ends) > 300
    assert max(ends) <= sizes
    assert len(set(ends)) == len(ends)


@pytest.mark.parametrize("name", [*NAMES, "cases/hitachi.bcf", "cases/rock_low_dose.bcf"])
@pytest.mark.parametrize("lazy", [False, True])
def test_counts_are_those_that_another_decoder_finds(name, lazy, data_folder):
    from rsciio.bruker import file_reader

    theirs = [item["data"] for item in file_reader(str(data_folder / name)) if item["data"].ndim == 3]
    ours = [signal.data for signal in read_all(data_folder / name, lazy) if len(signal.shape) == 3]
    assert theirs
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.asarray(one), other)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_otherwise_or_refused_and_ends_no_process(data, data_folder, tmp_path_factory):
    whole = bytearray((data_folder / "cases/eds_4x3.bcf").read_bytes())
    for _ in range(data.draw(st.integers(1, 40))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.bcf"
    path.write_bytes(whole)
    with contextlib.suppress(ValueError, OSError, MemoryError):
        for signal in read_all(path):
            assert np.isfinite(signal.data).all()


def test_a_small_map_whose_container_is_shorter_than_it_says_is_read(data_folder):
    assert [signal.shape for signal in read_all(data_folder / "cases/eds_4x3.bcf")] == [(3, 4), (3, 4, 1024)]


def test_pixels_as_a_unit_are_no_calibration(data_folder):
    picture, spectra = read_all(data_folder / "cases/hitachi.bcf")
    assert [(axis.scale, axis.units) for axis in (*picture.axes, *spectra.axes[:2])] == [(1.0, "px")] * 4
    assert (spectra.axes[2].scale, spectra.axes[2].units) == (pytest.approx(0.01), "keV")


def test_pixels_of_a_spectrum_image_need_not_be_square(data_folder):
    picture, spectra = read_all(data_folder / "cases/eds_stopped.bcf")
    for signal in (picture, spectra):
        observed = {axis.name: (axis.scale, axis.units) for axis in signal.axes}
        assert observed["y"] == (pytest.approx(0.4168974972), "um")
        assert observed["x"] == (pytest.approx(0.4145152257), "um")
