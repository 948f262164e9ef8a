"""A result can be saved, read back to the last bit, and opened by NeXus viewers."""

import dataclasses
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Axis, Signal
from emcore.io.read import as_signal, read
from emcore.results.result import Result, load_result, to_hyperspy

h5py = pytest.importorskip("h5py", reason="results files need the extra hdf5")


@dataclass(frozen=True, eq=False)
class Analysis(Result):
    maps: NDArray[np.float32] = dataclasses.field(metadata={"axes": ("component", "y", "x"), "default": True})
    y: NDArray[np.float64] = dataclasses.field(metadata={"units": lambda result: result.image.axes[0].units})
    x: NDArray[np.float64] = dataclasses.field(metadata={"units": lambda result: result.image.axes[1].units})
    regions: NDArray[np.int32] = dataclasses.field(
        metadata={"axes": ("image.y", "image.x"), "long_name": "regions of equal periodicity"}
    )
    evr: NDArray[np.float64] = dataclasses.field(metadata={"axes": ("index",), "long_name": "explained variance"})
    area: NDArray[np.float64]
    n_components: int
    rule: str
    image: Signal
    provenance: Provenance
    extra: Any = None


def analysis(**changed: Any) -> Analysis:
    rng = np.random.default_rng(0)
    image = Signal(
        rng.integers(0, 255, (40, 60), dtype=np.uint8),
        (Axis("y", 40, 0.1, units="nm"), Axis("x", 60, 0.1, 3.0, units="nm")),
        "/somewhere/a.tif",
        "a",
        {"date": "2020-01-01"},
    )
    fields: dict[str, Any] = {
        "maps": rng.random((2, 3, 5), dtype=np.float32),
        "y": np.array([0.8, 1.6, 2.4]),
        "x": 3.0 + 0.8 * np.arange(5),
        "regions": rng.integers(0, 2, (40, 60), dtype=np.int32),
        "evr": np.array([0.5, 0.25, 0.01]),
        "area": np.array([0.25, 0.75]),
        "n_components": 2,
        "rule": "gap",
        "image": image,
        "provenance": Provenance(
            "analyze_image",
            {"window": 128, "step": None, "reduce": ("crop", 8)},
            {"emcore": "0"},
            "a.tif",
            notes=("a note", "another"),
        ),
    }
    return Analysis(**{**fields, **changed})


def test_a_saved_result_is_read_back_equal(tmp_path):
    result = analysis()
    assert load_result(result.save(tmp_path / "a.h5")) == result


@dataclass(frozen=True, eq=False)
class Anything(Result):
    array: NDArray[Any]
    value: Any
    provenance: Provenance


@dataclass(frozen=True, eq=False)
class Sized(Result):
    values: NDArray[Any] = dataclasses.field(metadata={"axes": ("y", "x"), "signal_axes": 1})


dtypes = st.one_of(
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="?", sizes=(64, 128)),
    hnp.boolean_dtypes(),
    hnp.unicode_string_dtypes(endianness="=", min_len=1, max_len=5),
)
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(), inner, max_size=3),
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(array=arrays, value=values, parameters=st.dictionaries(st.text(), values, max_size=4), notes=st.lists(st.text()))
@example(np.zeros(2), "a\0b", {"a/b": 1, "": 2, "item_0": 3, ".": 4, "z": "\ud800"}, ["\n", ""])
@example(np.zeros(2), 2**70, {"a": -(2**63), "b": -(2**63) - 1}, [])
def test_any_array_and_any_plain_value_come_back_to_the_last_bit(array, value, parameters, notes):
    provenance = Provenance("m", parameters, elapsed=0.25, notes=tuple(notes))
    result = Anything(array, value, provenance)
    with tempfile.TemporaryDirectory() as folder:
        back = load_result(result.save(Path(folder) / "a.h5"))
    assert back == result
    assert back.array.dtype == array.dtype
    assert back.array.tobytes() == np.ascontiguousarray(array).tobytes()
    assert repr(back.value) == repr(value)
    assert repr(back.provenance) == repr(provenance)


@pytest.mark.parametrize(
    "changed",
    [
        {"maps": analysis().maps + 1},
        {"maps": analysis().maps.astype(np.float64)},
        {"rule": "elbow"},
        {"n_components": 3},
        {"image": dataclasses.replace(analysis().image, source="")},
        {"provenance": Provenance("other")},
        {"extra": 1},
    ],
)
def test_results_differ_when_any_field_does(changed):
    assert analysis() == analysis()
    assert analysis() != analysis(**changed)


def test_nexus_viewers_find_what_to_plot(tmp_path):
    with h5py.File(analysis().save(tmp_path / "a.h5")) as file:
        entry = file[file.attrs["default"]]
        assert (file.attrs["NX_class"], entry.attrs["NX_class"]) == ("NXroot", "NXentry")
        assert entry.attrs["default"] == "maps"
        for name in ("maps", "regions", "evr", "image"):
            group = entry[name]
            assert group.attrs["NX_class"] == "NXdata"
            signal = group[group.attrs["signal"]]
            assert [group[axis].shape[0] for axis in group.attrs["axes"]] == list(signal.shape)
            assert [group.attrs[f"{axis}_indices"] for axis in group.attrs["axes"]] == list(range(signal.ndim))
            assert signal.attrs["long_name"]
        assert list(entry["maps"].attrs["axes"]) == ["component", "y", "x"]
        assert entry["maps/x"].attrs["units"] == "nm"
        np.testing.assert_array_equal(entry["maps/x"][()], analysis().x)
        np.testing.assert_allclose(entry["regions/x"][()], 3.0 + 0.1 * np.arange(60))
        assert (entry["regions/x"].attrs["units"], entry["regions/x"].attrs["long_name"]) == ("nm", "x (nm)")
        assert entry["regions/data"].attrs["long_name"] == "regions of equal periodicity"
        assert entry["provenance"].attrs["NX_class"] == "NXprocess"
        assert entry["provenance/parameters/window"][()] == 128
        assert list(entry["provenance/notes"].asstr()[()]) == ["a note", "another"]
        assert entry["title"].asstr()[()] == "Analysis of a.tif"


@pytest.mark.filterwarnings("ignore")
def test_an_independent_nexus_reader_accepts_the_file(tmp_path):
    with np.printoptions():  # importing it changes how NumPy prints
        nexus = pytest.importorskip("nexusformat.nexus", reason="nexusformat is not installed")
    root = nexus.nxload(str(analysis().save(tmp_path / "a.h5")))
    assert root.plottable_data.nxpath == "/entry/maps"
    assert [axis.nxname for axis in root.plottable_data.nxaxes] == ["component", "y", "x"]
    assert all(group.plottable_data is not None for group in root.entry.NXdata)


def test_an_existing_file_is_not_touched_without_overwrite(tmp_path):
    path = tmp_path / "a.h5"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"a\.h5 exists: .*overwrite=True"):
        analysis().save(path)
    assert path.read_text() == "mine"
    assert analysis().save(path, overwrite=True) == path
    assert load_result(path) == analysis()


def test_a_failed_save_leaves_nothing_and_harms_nothing(tmp_path):
    path = tmp_path / "a.h5"
    path.write_text("mine")
    for bad, message in (
        ({"extra": object()}, "extra is a object"),
        ({"area": np.array([object()])}, "field area has dtype"),
    ):
        with pytest.raises(TypeError, match=message):
            analysis(**bad).save(path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_written_to_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match=r"folder .*missing does not exist"):
        analysis().save(tmp_path / "missing" / "a.h5")
    with pytest.raises(OSError, match=r"file is not a folder"):
        analysis().save(tmp_path / "file" / "a.h5")
    with pytest.raises(FileExistsError, match="is a folder"):
        analysis().save(tmp_path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_is_no_result_is_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.h5 does not exist"):
        load_result(tmp_path / "a.h5")
    (tmp_path / "a.h5").write_text("no")
    with pytest.raises(ValueError, match=r"a\.h5 is not an emcore result: it is no HDF5 file"):
        load_result(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["entry/data"] = np.eye(3)
    with pytest.raises(ValueError, match=r"b\.h5 .* was not written by emcore"):
        load_result(tmp_path / "b.h5")


def test_a_damaged_or_foreign_result_is_refused_by_name(tmp_path):
    path = analysis().save(tmp_path / "a.h5")

    def changed(change: Any) -> Path:
        shutil.copy(path, tmp_path / "b.h5")
        with h5py.File(tmp_path / "b.h5", "r+") as file:
            change(file["entry"])
        return tmp_path / "b.h5"

    for change, message in (
        (lambda e: e.attrs.__setitem__("emcore_result", "os.system"), "'os.system', which this version does not know"),
        (lambda e: e.attrs.__setitem__("emcore_format", 99), "newer version"),
        (lambda e: e.__delitem__("maps"), "has no maps"),
        (lambda e: e.__delitem__("values"), "damaged"),
        (lambda e: e["values/rule"].attrs.__delitem__("emcore_type"), "damaged"),
        (lambda e: e["maps"].__delitem__("data"), "damaged"),
    ):
        with pytest.raises(ValueError, match=message):
            load_result(changed(change))
    (tmp_path / "b.h5").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"b\.h5"):
        load_result(tmp_path / "b.h5")


def test_a_field_added_later_takes_its_default_from_old_files(tmp_path):
    path = analysis(extra="new").save(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["entry/values/extra"]
    assert load_result(path).extra is None


def test_reading_a_result_as_a_measurement_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=r"emcore\.load_result"):
        read(analysis().save(tmp_path / "a.h5"))


def test_a_wrong_declaration_of_axes_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"field values declares axes \('y', 'x'\) but has shape \(3,\)"):
        Sized(np.zeros(3)).save(tmp_path / "a.h5")


def test_parameters_that_a_file_cannot_keep_are_refused_by_name():
    with pytest.raises(TypeError, match=r"parameters\['a'\]\[1\] is a ndarray"):
        Provenance("m", {"a": [1, np.zeros(2)]})
    with pytest.raises(TypeError, match="keys that are not text"):
        Provenance("m", {"a": {1: 2}})
    assert Provenance("m", {"a": np.float32(0.5)}).parameters == {"a": 0.5}


def test_provenance_names_input_and_versions():
    signal = as_signal(np.eye(4))
    record = Provenance.record("m", {}, signal, elapsed=1.5, threads=2, notes=["colour"])
    assert record.input_sha256 == signal.sha256()
    assert record.versions["numpy"] == np.__version__
    assert record.notes == ("colour",)
    assert record.created.endswith("+00:00")


@pytest.mark.filterwarnings("ignore")
def test_hyperspy_signals_are_calibrated(tmp_path):
    pytest.importorskip("hyperspy", reason="needs the extra hyperspy")
    signals = analysis().to_hyperspy()
    assert set(signals) == {"maps", "regions", "evr", "image"}
    maps = signals["maps"].axes_manager
    assert [a.name for a in maps.navigation_axes] == ["component"]
    x, y = maps.signal_axes
    assert (x.name, x.units, x.size, x.offset) == ("x", "nm", 5, 3.0)
    assert (x.scale, y.scale) == (pytest.approx(0.8), pytest.approx(0.8))
    x, y = signals["regions"].axes_manager.signal_axes
    assert (x.scale, x.offset, x.units, y.size) == (0.1, 3.0, "nm", 40)
    assert as_signal(signals["image"]) == dataclasses.replace(analysis().image, source="", metadata={})
    one = Sized(np.zeros((3, 4))).to_hyperspy()["values"].axes_manager
    assert (len(one.navigation_axes), len(one.signal_axes)) == (1, 1)
    volumes = to_hyperspy(
        np.zeros((2, 3, 4, 5)), tuple(Axis(n, int(s)) for n, s in ("t2", "z3", "y4", "x5")), signal_axes=3
    )
    assert (len(volumes.axes_manager.navigation_axes), len(volumes.axes_manager.signal_axes)) == (1, 3)


def test_without_hyperspy_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "hyperspy", None)
    with pytest.raises(ImportError, match=r"install '.+\[hyperspy\]"):
        analysis().to_hyperspy()


def test_without_h5py_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"install '.+\[hdf5\]"):
        analysis().save(tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []
