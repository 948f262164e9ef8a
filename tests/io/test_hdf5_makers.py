"""What makers and programs lay out in HDF5 comes with the axes that they meant; written here by h5py."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from emcore.io.errors import BadFile
from emcore.io.formats.hdf5_zarr import read_hdf5

MEANT = [
    ("y", 3, 2.0, 0.0, "nm", True),
    ("x", 4, 2.0, 1.0, "nm", True),
    ("Energy", 7, 10.0, -100.0, "eV", False),
]


def axes_of(signal):
    return [(axis.name, axis.size, axis.scale, axis.offset, axis.units, axis.navigation) for axis in signal.axes]


# NSID and USID


def test_nsid_says_what_kind_of_dimension_each_is(cube, tmp_path, read_both):
    kinds = {"x": "SPATIAL", "y": "SPATIAL", "Energy": "SPECTRAL", "Time": "TEMPORAL"}
    for names, flags in (
        (("Energy", "y", "x"), [False, True, True]),
        (("y", "x", "Energy"), [True, True, False]),
        (("Time", "y", "x"), [True, False, False]),
    ):
        with h5py.File(tmp_path / "a.hf5", "w") as file:
            group = file.create_group("Measurement_000/Channel_000/map")
            group["map"] = cube
            for i, name in enumerate(names):
                scale = group.create_dataset(name, data=0.5 * np.arange(cube.shape[i]))
                scale.make_scale(name)
                scale.attrs.update({"dimension_type": kinds[name], "units": "nm" if name in "xy" else "eV"})
                group["map"].dims[i].attach_scale(scale)
                group["map"].dims[i].label = name
        observed = read_both(tmp_path / "a.hf5")
        assert observed.flagged
        assert [axis.name for axis in observed.axes] == list(names)
        assert [axis.navigation for axis in observed.axes] == flags


def write_usid(file: h5py.File, main, positions, spectral):
    """Each dimension as name, unit and values, the fastest first."""
    group = file.create_group("Measurement_000/Channel_000")
    group["Raw_Data"] = main
    for kind, dims in (("Position", positions), ("Spectroscopic", spectral)):
        sizes = [len(values) for _, _, values in dims]
        grid = np.indices(sizes[::-1]).reshape(len(sizes), -1)[::-1]
        values = np.stack([dims[i][2][grid[i]] for i in range(len(dims))])
        for what, array in (("Indices", grid), ("Values", values)):
            made = group.create_dataset(f"{kind}_{what}", data=array.T if kind == "Position" else array)
            made.attrs.update({"labels": [dim[0] for dim in dims], "units": [dim[1] for dim in dims]})
            group["Raw_Data"].attrs[f"{kind}_{what}"] = made.ref


def test_usid_matrices_come_in_all_their_dimensions(cube, tmp_path, read_both):
    energies = -100 + 10 * np.arange(7.0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        positions = [("x", "nm", 1 + 2 * np.arange(4.0)), ("y", "nm", 2 * np.arange(3.0))]
        write_usid(file, cube.reshape(12, 7), positions, [("Energy", "eV", energies)])
    observed = read_both(tmp_path / "a.h5")
    assert axes_of(observed) == MEANT
    np.testing.assert_array_equal(observed.data, cube)


def test_a_usid_matrix_without_what_it_refers_to_is_an_array(cube, tmp_path, read_both):
    with h5py.File(tmp_path / "all.h5", "w") as file, h5py.File(tmp_path / "a.h5", "w") as copy:
        write_usid(file, cube.reshape(12, 7), [("x", "nm", np.arange(12.0))], [("Energy", "eV", np.arange(7.0))])
        file.copy("Measurement_000/Channel_000/Raw_Data", copy)
    assert read_both(tmp_path / "a.h5", "Raw_Data").shape == (12, 7)


def test_usid_records_are_one_signal_for_each_field(tmp_path, read_both):
    records = np.zeros((12, 1), [("Amplitude [V]", "f4"), ("Phase [rad]", "f4"), ("Q", "f4")])
    records["Q"] = np.arange(12).reshape(12, 1)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        positions = [("x", "nm", 2 * np.arange(4.0)), ("y", "nm", 2 * np.arange(3.0))]
        write_usid(file, records, positions, [("Nothing", "", np.arange(1.0))])
    observed = read_both(tmp_path / "a.h5", "Measurement_000/Channel_000/Raw_Data/Q")
    np.testing.assert_array_equal(observed.data, np.arange(12).reshape(3, 4))
    assert [(axis.name, axis.navigation) for axis in observed.axes] == [("y", False), ("x", False)]


# EBSD


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        (("nRows", "nColumns", "Step Y", "Step X"), "Scan 1/EBSD"),
        (("NROWS", "NCOLS", "YSTEP", "XSTEP"), "Scan 0/EBSD"),
        (("Y Cells", "X Cells", "Y Step", "X Step"), "1/EBSD"),
    ],
    ids=["EDAX", "Bruker", "Oxford"],
)
def test_maps_of_patterns_have_rows_and_columns(keys, place, tmp_path, read_both):
    patterns = np.random.default_rng(0).integers(0, 255, (6, 5, 4), dtype="u1")
    with h5py.File(tmp_path / "a.oh5", "w") as file:
        group = file.create_group(place)
        group["Data/Pattern"] = patterns
        group["Data/Quality"] = np.arange(6.0)
        group["Header/Static background"] = np.ones((5, 4))
        for key, value in zip(keys, (2, 3, 0.5, 0.25), strict=True):
            group[f"Header/{key}"] = [value]
    observed = read_both(tmp_path / "a.oh5", f"{place}/Data/Pattern")
    assert axes_of(observed) == [
        ("y", 2, 0.5, 0.0, "um", True),
        ("x", 3, 0.25, 0.0, "um", True),
        ("pattern_y", 5, 1.0, 0.0, "px", False),
        ("pattern_x", 4, 1.0, 0.0, "px", False),
    ]
    np.testing.assert_array_equal(observed.data, patterns.reshape(2, 3, 5, 4))
    quality = read_both(tmp_path / "a.oh5", f"{place}/Data/Quality")
    assert [(axis.name, axis.size, axis.navigation) for axis in quality.axes] == [("y", 2, False), ("x", 3, False)]


def test_the_part_of_a_map_that_was_measured_has_its_own_rows_and_columns(tmp_path, read_both):
    rows, columns = np.indices((2, 3)).reshape(2, -1)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("Scan 0/EBSD")
        group["Data/RawPatterns"] = np.zeros((6, 5, 4), "u1")
        group["SEM/IY"], group["SEM/IX"] = rows + 7, columns + 2
        for key, value in {"NROWS": 9, "NCOLS": 8, "YSTEP": 1.5, "XSTEP": 1.5}.items():
            group[f"Header/{key}"] = value
    assert read_both(tmp_path / "a.h5", "Scan 0/EBSD/Data/RawPatterns").shape == (2, 3, 5, 4)


def test_maps_of_apex_have_the_energies_of_the_sum_spectrum_beside_them(tmp_path, read_both):
    counts = np.random.default_rng(0).poisson(2, (3, 4, 7)).astype("i2")
    spectrum = np.zeros(1, [("eVOffset", "f4"), ("evPch", "f4"), ("SpectrumCounts", "i4", (7,))])
    spectrum["eVOffset"], spectrum["evPch"], spectrum["SpectrumCounts"] = 5.0, 10.0, counts.sum((0, 1))
    cells = np.zeros((3, 4), [("Spectrum", "i2", (7,))])
    cells["Spectrum"] = counts
    with h5py.File(tmp_path / "a.edaxh5", "w") as file:
        area = file.create_group("Project/Sample/Area 1")
        area["FOVIMAGE"] = np.arange(30, dtype="u1")
        area["FOVIMAGE"].attrs.update({"PixelHeight": [5], "PixelWidth": [6]})
        area["FOVIPR"] = np.array([(0.5, 0.25)], [("MicronsPerPixelX", "f4"), ("MicronsPerPixelY", "f4")])
        live = area.create_group("Live Map 1")
        live["SPC"], live["SPD"] = spectrum, cells
        said = {"MicronPerPixelX": 2.0, "MicronPerPixelY": 3.0, "NumberOfLines": 3, "NumberOfPoints": 4}
        live["SPD"].attrs.update(said | {"NumberofChannels": 7})
    observed = read_both(tmp_path / "a.edaxh5", "Project/Sample/Area 1/Live Map 1/SPD")
    np.testing.assert_array_equal(observed.data, counts)
    assert axes_of(observed) == [
        ("y", 3, 3.0, 0.0, "um", True),
        ("x", 4, 2.0, 0.0, "um", True),
        ("Energy", 7, 10.0, 5.0, "eV", False),
    ]
    image = read_both(tmp_path / "a.edaxh5", "Project/Sample/Area 1/FOVIMAGE")
    assert [axis[:5] for axis in axes_of(image)] == [("y", 5, 0.25, 0.0, "um"), ("x", 6, 0.5, 0.0, "um")]
    whole = read_both(tmp_path / "a.edaxh5", "Project/Sample/Area 1/Live Map 1/SPC")
    np.testing.assert_array_equal(whole.data, counts.sum((0, 1)))


# Nion


@pytest.mark.parametrize("below", [False, True])
def test_nion_swift_says_in_json_what_its_axes_are(below, cube, tmp_path, read_both):
    calibrations = [{"offset": axis[3], "scale": axis[2], "units": axis[4]} for axis in MEANT]
    said = {"dimensional_calibrations": calibrations, "collection_dimension_count": 2, "datum_dimension_count": 1}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = cube
        written = {"title": "map", "data_sources": [said]} if below else {"title": "map", **said}
        file["data"].attrs["properties"] = json.dumps(written)
    observed = read_both(tmp_path / "a.h5", "map")
    assert observed.flagged
    assert [axis[1:] for axis in axes_of(observed)] == [axis[1:] for axis in MEANT]


# Delmic


def write_acquisition(file: h5py.File, number, data, labels, title, **physical):
    group = file.create_group(f"Acquisition{number}")
    image = group.create_dataset("ImageData/Image", data=data)
    for i, label in enumerate(labels):
        image.dims[i].label = label
    group["ImageData/TOffset"] = 100.0 - number
    group["PhysicalData/Title"] = title
    for name, value in physical.items():
        group[f"PhysicalData/{name}"] = value
        group[f"PhysicalData/{name}"].attrs["State"] = [114]
    return group["ImageData"]


def test_images_of_angles_at_all_positions_are_one_scan(tmp_path, read_both):
    angles = np.arange(6 * 5 * 4, dtype="u2").reshape(6, 5, 4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        survey = write_acquisition(file, 0, np.zeros((1, 1, 1, 2, 3)), "CTZYX", "Secondary electrons concurrent")
        for label, step, middle in (("Y", 2e-6, 1e-6), ("X", 1e-6, 0.0)):
            survey[f"DimensionScale{label}"], survey[f"{label}Offset"] = step, middle
            survey[f"DimensionScale{label}"].attrs.update({"UNIT": "m", "State": 114})
        for i in range(6):  # written in the reverse order
            data = angles[5 - i].reshape(1, 1, 1, 5, 4)
            write_acquisition(file, i + 1, data, "CTZYX", "Angle-resolved", PolePosition=[[1.0, 2.0]])
    assert len(read_hdf5(tmp_path / "a.h5", False)) == 2
    observed = read_both(tmp_path / "a.h5", "Angle-resolved")
    np.testing.assert_array_equal(observed.data, angles.reshape(2, 3, 5, 4))
    assert axes_of(observed) == [
        ("y", 2, 2.0, 0.0, "um", True),
        ("x", 3, 1.0, -1.0, "um", True),
        ("angle_y", 5, 1.0, 0.0, "px", False),
        ("angle_x", 4, 1.0, 0.0, "px", False),
    ]


def test_times_and_wavelengths_of_delmic_are_two_axes_of_the_signal(tmp_path, read_both):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        within = write_acquisition(file, 0, np.zeros((7, 6, 1, 2, 3), "u2"), "CTZYX", "Temporal Spectrum")
        for label, values, units in (("C", 4e-7 + 1e-9 * np.arange(7), "m"), ("T", 1e-9 * np.arange(6), "s")):
            within[f"DimensionScale{label}"] = values
            within[f"DimensionScale{label}"].attrs.update({"UNIT": units, "State": 114})
    observed = read_both(tmp_path / "a.h5")
    assert [(axis.name, axis.units, axis.navigation) for axis in observed.axes] == [
        ("Wavelength", "nm", False),
        ("Time", "s", False),
        ("y", "px", True),
        ("x", "px", True),
    ]
    np.testing.assert_allclose(observed.axes[0].values, 400 + np.arange(7))


def test_a_colour_picture_beside_them_is_one(tmp_path, read_both):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        image = write_acquisition(file, 0, np.zeros((3, 1, 1, 5, 6), "u1"), "CTZYX", "Overview")["Image"]
        image.attrs.update({"CLASS": "IMAGE", "IMAGE_SUBCLASS": np.bytes_("IMAGE_TRUECOLOR")})
    observed = read_both(tmp_path / "a.h5")
    assert [(axis.name, axis.size, axis.navigation) for axis in observed.axes] == [
        ("colour", 3, False),
        ("y", 5, False),
        ("x", 6, False),
    ]


# Dectris


def write_master(folder: Path, parts):
    for i, part in enumerate(parts, 1):
        with h5py.File(folder / f"s_data_{i:06d}.h5", "w") as file:
            file.create_dataset("entry/data/data", data=part, chunks=(1, *part.shape[1:]))
    with h5py.File(folder / "s_master.h5", "w") as file:
        file["entry/instrument/detector/detectorSpecific/flatfield"] = np.ones((500, 500))
        for i in range(1, len(parts) + 1):
            file[f"entry/data/data_{i:06d}"] = h5py.ExternalLink(f"s_data_{i:06d}.h5", "entry/data/data")
    return folder / "s_master.h5"


def test_a_series_in_several_files_is_one(tmp_path, read_both):
    patterns = np.arange(5 * 6 * 7, dtype="u4").reshape(5, 6, 7)
    observed = read_both(write_master(tmp_path, [patterns[:3], patterns[3:]]))
    np.testing.assert_array_equal(observed.data, patterns)
    assert [(axis.name, axis.navigation) for axis in observed.axes] == [("pattern", True), ("y", False), ("x", False)]
    (tmp_path / "s_data_000002.h5").unlink()
    with pytest.raises(BadFile, match=r"they are in s_data_000002\.h5, which must lie beside it"):
        read_hdf5(tmp_path / "s_master.h5", True)


# Velox


def write_json(group: h5py.Group, name: str, said):
    written = np.frombuffer(json.dumps(said).encode(), "u1")
    group.create_dataset(name, data=written[:, None])


def test_a_velox_map_of_eels_has_its_rows_along_y(tmp_path):
    spectra = np.arange(16 * 20 * 9, dtype="f4").reshape(16, 20, 9)
    with h5py.File(tmp_path / "a.emd", "w") as file:
        file["Version"] = [json.dumps({"format": "Velox", "version": "10"})]
        file.create_group("Presentation/Displays/ImageDisplay")
        file.create_group("Data/Image")
        place = {"Offset": {"x": 0, "y": 0}, "PixelSize": {"width": 2e-9, "height": 3e-9}}
        place |= {"PixelUnitX": "m", "PixelUnitY": "m"}
        write_json(file.create_group("Data/SpectrumImage/a"), "Metadata", {"BinaryResult": place})
        eels = file.create_group("Data/EelsSpectrumImage/b")
        eels["Data"] = spectra.transpose(1, 2, 0)
        write_json(eels, "Metadata", {})
        write_json(eels, "AcquisitionMetadata", {"Data": {"offset": 100.0, "dispersion": 0.5}})
    for lazy in (False, True):
        (observed,) = read_hdf5(tmp_path / "a.emd", lazy)
        np.testing.assert_array_equal(np.asarray(observed.data), spectra)
        assert [(axis.name, axis.size, axis.units, axis.navigation) for axis in observed.axes] == [
            ("y", 16, "nm", True),
            ("x", 20, "nm", True),
            ("Energy-loss", 9, "eV", False),
        ]
        assert [axis.scale for axis in observed.axes] == pytest.approx([3.0, 2.0, 0.5])
        assert observed.flagged
        assert not observed.notes
    with h5py.File(tmp_path / "a.emd", "a") as file:
        del file["Data/EelsSpectrumImage/b"]
    with pytest.raises(BadFile, match="the spectrum image was left out: it is kept in a form that only Velox reads"):
        read_hdf5(tmp_path / "a.emd", False)
