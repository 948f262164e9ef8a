"""HDF5 files that microscopes and programs wrote: what is in them, by an independent reader or by their makers."""

import importlib.util
from pathlib import Path

import h5py
import numpy as np
import pytest

from emcore.io.errors import BadFile
from emcore.io.formats.hdf5_zarr import read_hdf5

# File, title (or number) of the data set, shape, and name, scale, offset, unit, navigation of each axis.
CASES = [
    (
        "eels_line_format_1.hdf5",
        0,
        (40, 586),
        [("x", 0.00321902, 0.0, "um", True), ("Energy loss", 0.5, 428.5, "eV", False)],
    ),
    (
        "eels_line.hspy",
        0,
        (40, 586),
        [("x", 0.00321902, 0.0, "um", True), ("Energy loss", 0.5, 428.5, "eV", False)],
    ),
    (
        "colour_record.hdf5",
        0,
        (3, 128, 128, 4),
        [
            ("stack_element", 1.0, 0.0, "px", True),
            *((name, 1.0, 0.0, "px", False) for name in ("y", "x", "colour")),
        ],
    ),
    (
        "transients_uneven_axis.hspy",
        0,
        (30, 30, 525),
        [
            ("Y", 46.8251, -5952428.96395, "nm", True),
            ("X", 46.8251, 8221428.968, "nm", True),
            ("Time", 0.004, 2.4, "ns", False),
        ],
    ),
    (
        "py4dstem_datacube.h5",
        "datacube",
        (2, 3, 4, 5),
        [
            ("Rx", 0.126797, 0.0, "nm", True),
            ("Ry", 0.126797, 0.0, "nm", True),
            ("Qx", 0.0442516, 0.0, "1/A", False),
            ("Qy", 0.0442516, 0.0, "1/A", False),
        ],
    ),
    (
        "sparc.h5",
        "Large Area Spectrum with Spectrometer",
        (512, 4, 4),
        [
            ("Wavelength", None, 376.316345, "nm", False),
            ("y", 0.107597, -0.164575, "mm", True),
            ("x", 0.107597, -0.153242, "mm", True),
        ],
    ),
    (
        "iv_nsid.hf5",
        0,
        (50, 50, 53),
        [
            ("x", 0.102040816, 0.0, "nm", True),
            ("y", 0.102040816, 0.0, "nm", True),
            (r"$\sqrt E$", None, 8591.7926, None, False),
        ],
    ),
    (
        "velox_eds.emd",
        5,
        (16, 16, 4096),
        [
            ("y", 3.59924926, -32.3932, "nm", True),
            ("x", 3.59924926, -39.5917, "nm", True),
            ("X-ray energy", 0.01, -0.25, "keV", False),
        ],
    ),
    (
        "velox_eds.emd",
        "HAADF",
        (16, 16),
        [("y", 3.59924926, 0.0, "nm", False), ("x", 3.59924926, 0.0, "nm", False)],
    ),
]


# RosettaSciIO compiles the decoder of a lazy spectrum image, for longer than all else takes.
WAYS = [(*case, lazy) for case in CASES for lazy in (False, True) if not (lazy and case[:2] == ("velox_eds.emd", 5))]


@pytest.mark.parametrize(("name", "title", "shape", "axes", "lazy"), WAYS, ids=[f"{w[0]}:{w[1]}:{w[4]}" for w in WAYS])
def test_a_makers_file_has_the_axes_that_its_maker_gave_it(name, title, shape, axes, lazy, data_folder):
    signals = read_hdf5(data_folder / "cases" / name, lazy)
    observed = signals[title] if isinstance(title, int) else next(each for each in signals if each.title == title)
    assert observed.flagged
    assert observed.shape == np.asarray(observed.data).shape == shape
    assert [axis.name for axis in observed.axes] == [axis[0] for axis in axes]
    assert [axis.navigation for axis in observed.axes] == [axis[4] for axis in axes]
    for axis, (_, scale, offset, units, _) in zip(observed.axes, axes, strict=True):
        assert axis.values[0] == pytest.approx(offset, rel=1e-5, abs=1e-9)
        assert axis.even == (scale is not None)
        assert scale is None or axis.scale == pytest.approx(scale, rel=1e-5)
        assert units is None or axis.units == units


def test_uneven_axes_are_the_positions_that_the_file_lists(data_folder):
    with h5py.File(data_folder / "cases/iv_nsid.hf5") as file:
        field = file["Measurement_000/Channel_000/IV_BFO/$\\sqrt E$"][()]
    with h5py.File(data_folder / "cases/sparc.h5") as file:
        wavelengths = file["Acquisition2/ImageData/DimensionScaleC"][()]
    np.testing.assert_array_equal(read_hdf5(data_folder / "cases/iv_nsid.hf5", True)[0].axes[2].values, field)
    spectra = read_hdf5(data_folder / "cases/sparc.h5", True)[-1]
    np.testing.assert_allclose(spectra.axes[0].values, wavelengths * 1e9)


def test_patterns_behind_a_link_are_meant_and_never_the_flat_field(data_folder):
    master = data_folder / "cases/arina/test_00_master.h5"
    try:
        import hdf5plugin  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match=r"compressed with bitshuffle.*install '.+\[hdf5plugin\]"):
            read_hdf5(master, False)
    else:
        (patterns,) = read_hdf5(master, False)
        assert patterns.shape == (16, 192, 192)
        assert patterns.dtype == np.uint32


def test_patterns_whose_file_is_missing_are_named(data_folder, tmp_path):
    master = tmp_path / "test_00_master.h5"
    master.write_bytes((data_folder / "cases/arina/test_00_master.h5").read_bytes())
    with pytest.raises(BadFile, match=r"test_00_data_000001\.h5, which must lie beside it"):
        read_hdf5(master, False)


@pytest.mark.parametrize("lazy", [False, True])
def test_without_the_decoder_of_eds_streams_all_else_of_a_velox_file_is_read(lazy, data_folder, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "sparse" else find(name, *rest))
    signals = read_hdf5(data_folder / "cases/velox_eds.emd", lazy)
    assert [signal.title for signal in signals] == ["EDS"] * 4 + ["HAADF", "C", "Ca", "O", "Cu"]
    assert signals[4].axis("x").scale == pytest.approx(3.59924926)
    assert np.asarray(signals[4].data).max() > 0
    assert all(signal.notes == signals[0].notes and "[io]'" in signal.notes[0] for signal in signals)


def test_what_hyperspy_saves_next_is_read_and_said(data_folder, tmp_path):
    newer = tmp_path / "newer.hspy"
    newer.write_bytes(Path(data_folder / "cases/eels_line.hspy").read_bytes())
    with h5py.File(newer, "a") as file:
        file.attrs["file_format_version"] = "4.0"
    (signal,) = read_hdf5(newer, False)
    assert "newer HyperSpy (format 4.0" in signal.notes[0]
    with h5py.File(newer, "a") as file:
        group = next(iter(file["Experiments"].values()))
        group.move("axis-0", "dimension-0")
    for lazy in (False, True):
        with pytest.raises(
            BadFile, match=r"written by a newer HyperSpy \(format 4\.0; 3\.3 is the newest known here\)"
        ):
            read_hdf5(newer, lazy)


def test_a_file_of_the_newest_known_format_is_read_whatever_else_is_in_it(data_folder):
    for lazy in (False, True):
        (signal,) = read_hdf5(data_folder / "cases/future.hspy", lazy)
        assert signal.shape == (10, 10, 10, 10)
        assert not signal.notes
