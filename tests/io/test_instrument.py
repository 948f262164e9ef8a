"""What files say of microscope, detector, sample and kind of signal comes with what is read, as HyperSpy has it."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emcore
from emcore.core.signals import Axis, Signal
from emcore.datasets import correlated_scan
from emcore.io.instrument import about, with_mapped
from emcore.io.registry import read_all

# Of every real file that says something: the kind of its first signal, and keV.
KNOWN = {
    "bare_core.hspy": ("EDS_TEM", 200.0),
    "cases/cl_wavelength_first.dm4": ("CL", 5.0),
    "cases/eds_4x3.bcf": ("EDS_SEM", 15.0),
    "cases/eds_large_counts.bcf": ("EDS_SEM", 10.0),
    "cases/eds_stopped.bcf": ("EDS_SEM", 20.0),
    "cases/eels_energy_first.dm3": ("EELS", 200.0),
    "cases/eels_line.hspy": ("EELS", 80.0),
    "cases/eels_line_format_1.hdf5": ("EELS", 80.0),
    "cases/eels_round_off.hspy": ("EELS", 200),
    "cases/hitachi.bcf": ("EDS_SEM", 15),
    "cases/merlin_hot_pixel.mib": ("electron_diffraction", None),
    "cases/py4dstem_datacube.h5": ("electron_diffraction", None),
    "cases/rock_low_dose.bcf": ("EDS_SEM", 20.0),
    "cases/sparc.h5": ("CL_SEM", None),
    "cases/tescan.tif": ("", 10.0),
    "cases/tia/line_patterns_EDS_1.ser": ("EDS_TEM", 200.0),
    "cases/tia/line_patterns_EDS_2.ser": ("electron_diffraction", 200.0),
    "cases/transients_uneven_axis.hspy": ("Transient", None),
    "cases/tvips_line_noise.tif": ("", 99.0),
    "cases/velox_eds.emd": ("EDS_TEM", 300.0),
    "cases/zeiss_512.tif": ("", 5.0),
    "core_shell.hspy": ("EDS_TEM", 200.0),
    "fei_sem.tif": ("", 10.0),
    "haadf_particles.emd": ("", 200.0),
    "merlin/001_4x2_6bit.mib": ("electron_diffraction", None),
    "ni_ebsd.h5": ("EBSD", 20.0),
    "rock.bcf": ("EDS_SEM", 20.0),
    "sto_lattice.emi": ("", 80.0),
    "sto_lattice.ser": ("", 80.0),
    "test1.blo": ("electron_diffraction", 200.0),
    "test2.blo": ("electron_diffraction", 200.0),
    "tilt_series.dm3": ("", 300.0),
    "zeiss_sem.tif": ("", 25.0),
}
# What exSpy adds to spectra where nothing is said of them.
DEFAULTS = ("energy_resolution_MnKa", "azimuth_angle", "elevation_angle", "tilt_alpha")


def kind_of_instrument(signals: list[Signal]) -> tuple[str, float | None]:
    """Kind and energy of the largest signal that has a kind, else of the first."""
    known = [signal.metadata.get("instrument", {}) for signal in sorted(signals, key=lambda s: -np.prod(s.shape))]
    said = next((each for each in known if each.get("signal_type")), known[0])
    columns = [part for part in said.get("Acquisition_instrument", {}).values() if isinstance(part, dict)]
    return said.get("signal_type", ""), next((each["beam_energy"] for each in columns if "beam_energy" in each), None)


def leaves(tree: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{at}.{key}".strip("."))
    elif tree is not None and not (isinstance(tree, str | list | tuple | np.ndarray) and len(tree) == 0):
        yield at, tree.tolist() if isinstance(tree, np.ndarray) else list(tree) if isinstance(tree, tuple) else tree


def by_hyperspy(path: Path) -> list[Any]:
    hs = pytest.importorskip("hyperspy.api")
    with warnings.catch_warnings(action="ignore"):  # of what it imports and finds on its way
        read = hs.load(str(path))
    return read if isinstance(read, list) else [read]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_kind_and_energy_of_every_real_file_are_known(name, data_folder):
    assert kind_of_instrument(read_all(data_folder / name, True)) == KNOWN[name]


# HyperSpy knows of a .ser file nothing, and does not tell which of its readers a file ending in .h5 is for.
@pytest.mark.parametrize("name", sorted(name for name in KNOWN if Path(name).suffix not in (".h5", ".hdf5", ".ser")))
def test_nothing_that_hyperspy_knows_of_the_instrument_is_lost(name, data_folder):
    theirs = by_hyperspy(data_folder / name)
    ours = {tuple(sorted(signal.shape)): signal.metadata for signal in read_all(data_folder / name, True)}
    for signal in theirs:
        said = signal.metadata.as_dictionary()
        known = ours[tuple(sorted(signal.data.shape))]
        here = dict(leaves(known.get("instrument", {})))
        for place, value in leaves({key: said.get(key) for key in ("Acquisition_instrument", "Sample")}):
            if place not in here:
                assert place.endswith(DEFAULTS), f"{place} = {value} is lost"
            elif len(ours) == 1:
                assert here[place] == pytest.approx(value) if isinstance(value, float) else here[place] == value, place
        assert known.get("date") == said["General"].get("date")


def test_results_of_the_command_line_are_of_the_kind_that_the_file_says(data_folder):
    pytest.importorskip("exspy")
    result = emcore.unmix(data_folder / "core_shell.hspy", 2)
    spectra = result.to_hyperspy()["spectra"]
    assert type(spectra).__name__ == "EDSTEMSpectrum"
    lines = spectra.get_lines_intensity(["Fe_Ka", "Pt_La"])
    composition = spectra.quantification(lines, method="CL", factors=[1.45, 5.08])
    np.testing.assert_allclose(sum(each.data for each in composition), 100)
    assert spectra.metadata.Sample.elements == ["Fe", "Pt"]


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("core_shell.hspy", "EDSTEMSpectrum"),
        ("rock.bcf", "EDSSEMSpectrum"),
        ("cases/eels_line.hspy", "EELSSpectrum"),
        ("cases/eels_energy_first.dm3", "EELSSpectrum"),
        ("haadf_particles.emd", "Signal2D"),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_what_was_read_goes_to_hyperspy_as_hyperspy_reads_it(name, cls, lazy, data_folder):
    pytest.importorskip("exspy")
    theirs = next(signal for signal in by_hyperspy(data_folder / name) if type(signal).__name__ == cls)
    (signal,) = (s for s in read_all(data_folder / name, lazy) if sorted(s.shape) == sorted(theirs.data.shape))
    with warnings.catch_warnings(action="ignore"):
        ours = signal.to_hyperspy()
    assert type(ours).__name__.removeprefix("Lazy") == cls
    assert ours._lazy == hasattr(signal.data, "dask")
    assert ours.axes_manager.navigation_shape == theirs.axes_manager.navigation_shape
    if ours._lazy:
        ours.compute(progressbar=False)
    np.testing.assert_array_equal(ours.data, theirs.data)
    np.testing.assert_allclose(ours.axes_manager[-1].scale_as_quantity, theirs.axes_manager[-1].scale_as_quantity)
    assert ours.metadata.Acquisition_instrument.as_dictionary().keys() == (
        theirs.metadata.Acquisition_instrument.as_dictionary().keys()
    )


def test_patterns_over_reciprocal_lengths_are_of_electrons_and_images_are_not():
    pytest.importorskip("hyperspy")
    reciprocal = Axis("ky", 4, 0.1, units="1/nm"), Axis("kx", 5, 0.1, units="1/nm")
    scan = Signal(np.zeros((3, 4, 5)), (Axis("x", 3, navigation=True), *reciprocal))
    assert scan.to_hyperspy().metadata.Signal.signal_type == "electron_diffraction"
    assert Signal(np.zeros((4, 5)), reciprocal).to_hyperspy().metadata.get_item("Signal.signal_type", "") == ""
    other = Signal(scan.data, scan.axes, metadata=about({"Signal": {"signal_type": "EBSD"}}))
    assert other.to_hyperspy().metadata.Signal.signal_type == "EBSD"


@pytest.mark.parametrize("ending", [".hspy", ".h5", ".zspy"])
def test_a_scan_that_is_written_says_what_it_is_when_it_is_read(ending, data_folder, tmp_path):
    if ending == ".zspy":
        pytest.importorskip("zarr")
    source = emcore.read(data_folder / "core_shell.hspy")
    small = Signal(source.data[20:40, 20:40], (*(a.crop(0, 20) for a in source.axes[:2]), source.axes[2]))
    small.metadata.update(source.metadata)
    emcore.denoise(small, 2, out=tmp_path / f"a{ending}")
    assert emcore.read(tmp_path / f"a{ending}").metadata["instrument"] == source.metadata["instrument"]


def test_each_signal_of_a_correlation_keeps_its_own_kind():
    pytest.importorskip("hyperspy")
    sample = correlated_scan(shape=(16, 16))
    kinds = ("electron_diffraction", "EDS_TEM")
    for signal, kind in zip((sample.diffraction, sample.eds), kinds, strict=True):
        signal.metadata.update(about({"Signal": {"signal_type": kind}}))
    result = emcore.correlate([sample.diffraction, sample.eds], 3)
    signals = result.to_hyperspy()
    assert tuple(mean.metadata["instrument"]["signal_type"] for mean in result.means) == kinds
    assert {s.metadata.get_item("Signal.signal_type", "") for s in signals.values()} == {"", *kinds}


def test_spectra_for_other_programs_say_what_they_are(data_folder, tmp_path):
    pytest.importorskip("rsciio")
    result = emcore.unmix(data_folder / "rock.bcf", 2, dataset="EDX")
    result.export(tmp_path, maps=(), tables=(), figures=(), spectra=("msa",))
    lines = (line.partition(":") for line in (tmp_path / "rock.spectra_1.msa").read_text().splitlines())
    said = {name.strip("# "): value.strip() for name, _, value in lines}
    assert (said["SIGNALTYPE"], float(said["BEAMKV"]), said["XUNITS"]) == ("EDS", 20.0, "eV")


def test_what_cannot_be_understood_is_left_out_and_the_rest_is_kept():
    mapping = {"A.kV": ("M.energy", float), "A.name": ("M.name", None), "B.C": ("M.other", None)}
    mapping |= {"A.x (um)": ("M.Stage.x", lambda x: x[1] / 0), "A.list": None}
    said = {"A": {"kV": "two hundred", "name": b"Titan\0", "x (um)": (1, 2), "list": [1]}, "B": 3}
    assert with_mapped({"M": {"kept": 1}}, said, mapping) == {"M": {"kept": 1, "name": b"Titan\0"}}
    known = about({"Sample": {"name": b"Titan\0", "nan": float("nan"), "none": None, "odd": object(), "deep": {}}})
    assert json.loads(json.dumps(known)) == {"instrument": {"Sample": {"name": "Titan"}, "signal_type": ""}}


# Makers of whom there is no real file here; written as they document it.


def column(signal: Signal, name: str = "SEM") -> dict[str, Any]:
    part: dict[str, Any] = signal.metadata["instrument"]["Acquisition_instrument"][name]
    return part


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"Beam Voltage": 15.0, "Magnification": 500.0, "Working Distance": 11.0}, [15.0, 500.0, 11.0]),
        ({"KV": 20, "Magnification": 1000.0, "WD": 12.5}, [20.0, 1000.0, 12.5]),
    ],
    ids=["Oxford", "Bruker"],
)
def test_headers_of_ebsd_name_the_microscope(header, expected, tmp_path, read_both):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5oina", "w") as file:
        for key, value in {"Y Cells": 2, "X Cells": 3, "Y Step": 1.0, "X Step": 1.0, **header}.items():
            file[f"1/EBSD/Header/{key}"] = [value]
            file[f"1/EDS/Header/{key}"] = [value]
        file["1/EBSD/Data/Pattern"] = np.zeros((6, 4, 5), "u1")
        file["1/EDS/Data/Spectrum"] = np.zeros((6, 7), "u4")
        file["1/EDS/Header/Channel Width"] = [10.0]
        file["1/EDS/Header/Detector Elevation"] = [np.pi / 6]
        file["1/EDS/Header/Detector Elevation"].attrs["Unit"] = "rad"
    patterns, spectra = (
        read_both(tmp_path / "a.h5oina", f"1/{name}") for name in ("EBSD/Data/Pattern", "EDS/Data/Spectrum")
    )
    for signal, kind in ((patterns, "EBSD"), (spectra, "EDS_SEM")):
        assert signal.metadata["instrument"]["signal_type"] == kind
        said = column(signal)
        assert [said[name] for name in ("beam_energy", "magnification", "working_distance")] == expected
    assert column(spectra)["Detector"] == {"EDS": {"elevation_angle": pytest.approx(30)}}


@pytest.mark.parametrize(
    ("hardware", "instrument"),
    [
        ({"autostem": {"high_tension_v": 60000}, "convergence_angle_rad": 0.03, "signal_type": "eels"}, {}),
        ({"signal_type": "EELS"}, {"high_tension": 60000, "convergence_angle": 0.03}),
    ],
)
def test_nion_swift_has_volts_and_radians(hardware, instrument, tmp_path, read_both):
    h5py = pytest.importorskip("h5py")
    said = {"dimensional_calibrations": [{}, {}], "datum_dimension_count": 1}
    said |= {"metadata": {"hardware_source": hardware, "instrument": instrument}}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.zeros((3, 4), "f4")
        file["data"].attrs["properties"] = json.dumps(said)
    observed = read_both(tmp_path / "a.h5")
    assert observed.metadata["instrument"]["signal_type"] == "EELS"
    assert column(observed, "TEM") == {"beam_energy": pytest.approx(60), "convergence_angle": pytest.approx(30)}


@pytest.mark.parametrize(("energy", "expected"), [(300_000.0, 300.0), (8040.0, None)])
def test_the_energy_of_a_dectris_detector_is_that_of_electrons_unless_photons_have_it(
    energy, expected, tmp_path, read_both
):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a_master.h5", "w") as file:
        file["entry/instrument/detector/detectorSpecific/photon_energy"] = energy
        file["entry/instrument/detector/detectorSpecific/data_collection_date"] = np.bytes_("2025-05-03T01:51:00.302")
        file["entry/instrument/detector/description"] = np.bytes_("Dectris ARINA")
        file["entry/instrument/detector/count_time"] = 1e-4
        file["entry/data/data_000001"] = np.zeros((3, 4, 5), "u2")
    observed = read_both(tmp_path / "a_master.h5")
    camera = {"Camera": {"name": "Dectris ARINA", "exposure": 1e-4}}
    assert column(observed, "TEM") == ({"beam_energy": expected} if expected else {}) | {"Detector": camera}
    assert (observed.metadata["date"], observed.metadata["time"]) == ("2025-05-03", "01:51:00.302")


def test_nexus_names_the_voltage_and_the_elements(tmp_path, read_both):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        file["entry/data/counts"] = np.zeros((3, 4))
        file["entry/data"].attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x"]})
        file["entry/instrument/ebeam_column/electron_source/voltage"] = 200_000
        file["entry/sample/atom_types"] = "Al, Cu"
    observed = read_both(tmp_path / "a.nxs")
    assert column(observed, "TEM") == {"beam_energy": 200.0}
    assert observed.metadata["instrument"]["Sample"] == {"elements": ["Al", "Cu"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[SemImageFile]\r\nInstructName=SU8000\r\nAcceleratingVoltage=5000 Volt\r\nMagnification=25000\r\n"
            "WorkingDistance=3900 um\r\n",
            {"beam_energy": 5.0, "magnification": 25000.0, "working_distance": 3.9, "microscope": "SU8000"},
        ),
        (
            "$CM_FORMAT JEOL/EO\n$CM_INSTRUMENT JSM-7500F\n$CM_ACCEL_VOLT 15.00\n$CM_MAG 10000\n$$SM_WD 8.0\n",
            {"beam_energy": 15.0, "magnification": 10000.0, "working_distance": 8.0, "microscope": "JSM-7500F"},
        ),
    ],
    ids=["Hitachi", "JEOL"],
)
def test_a_text_beside_a_picture_names_the_microscope(text, expected, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 8), "u1"), datetime="2024:05:06 07:08:09")
    (tmp_path / "a.txt").write_text(text)
    observed = emcore.read(tmp_path / "a.tif")
    assert column(observed) == expected
    assert (observed.metadata["date"], observed.metadata["time"]) == ("2024-05-06", "07:08:09")


def test_metadata_of_another_kind_cost_no_data(tmp_path, read_both):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        file.attrs["file_format"] = "HyperSpy"
        group = file.create_group("Experiments/map")
        group["data"] = np.arange(12).reshape(3, 4)
        for i, size in enumerate((3, 4)):
            said = {"size": size, "scale": 1.0, "offset": 0.0, "index_in_array": i, "navigate": i == 0}
            group.create_group(f"axis-{i}").attrs.update(said)
        group["metadata/Sample"] = 3.0
        group["metadata/Acquisition_instrument/TEM"] = [1, 2]
        group["metadata/Acquisition_instrument/reference"] = group.ref
    assert read_both(tmp_path / "a.hspy").data.sum() == 66


def test_metadata_of_hyperspy_before_format_1_2_lay_flat(tmp_path, read_both):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        group = file.create_group("Experiments/map")
        group["data"] = np.zeros((3, 4))
        for i, size in enumerate((3, 4)):
            said = {"size": size, "scale": 1.0, "offset": 0.0, "index_in_array": i, "navigate": i == 0}
            group.create_group(f"axis-{i}").attrs.update(said)
        flat = group.create_group("mapped_parameters")
        flat.attrs.update({"signal_type": "EDS_TEM", "record_by": "spectrum"})
        flat.create_group("TEM").attrs.update({"beam_energy": 200.0, "tilt_stage": 10.0})
        flat.create_group("TEM/EDS").attrs["elevation_angle"] = 35.0
        flat.create_group("Sample")["_list_elements"] = ["Fe", "Pt"]
    observed = read_both(tmp_path / "a.hdf5")
    detector = {"EDS": {"elevation_angle": 35.0}}
    assert column(observed, "TEM") == {"beam_energy": 200.0, "Detector": detector, "Stage": {"tilt_alpha": 10.0}}
    assert observed.metadata["instrument"]["signal_type"] == "EDS_TEM"
    assert observed.metadata["instrument"]["Sample"] == {"elements": ["Fe", "Pt"]}
