"""Results files of earlier versions are read, to the last bit.

`data/results-0.1.0.zip` holds a file of each workflow as version 0.1.0 wrote it, `data/results-0.1.0.json` what was
in it.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

import emcore

pytest.importorskip("h5py", reason="results files need the extra hdf5")
DATA = Path(__file__).parent / "data"
WRITTEN = json.loads((DATA / "results-0.1.0.json").read_text())


@pytest.mark.parametrize("name", WRITTEN)
def test_a_results_file_of_0_1_0_is_read_to_the_last_bit(name, tmp_path):
    with ZipFile(DATA / "results-0.1.0.zip") as archive:
        result = emcore.load_result(archive.extract(f"{name}.h5", tmp_path))
    written = WRITTEN[name]
    assert type(result) is getattr(emcore, written["class"])
    assert result.provenance.method == written["method"]
    assert result.provenance.versions["emcore"] == "0.1.0"
    assert result.provenance.input_sha256 == written["input_sha256"]
    arrays = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    assert written["arrays"] == {
        key: [
            str(array.dtype),
            list(array.shape),
            hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16],
        ]
        for key, array in arrays.items()
        if isinstance(array, np.ndarray)
    }
    assert emcore.load_result(result.save(tmp_path / "again.h5")) == result


@pytest.mark.parametrize("name", WRITTEN)
def test_a_results_file_of_0_1_0_is_drawn(name, tmp_path):
    Figure = pytest.importorskip("matplotlib.figure").Figure
    with ZipFile(DATA / "results-0.1.0.zip") as archive:
        result = emcore.load_result(archive.extract(f"{name}.h5", tmp_path))
    assert result.plot().axes
    axes = Figure().add_subplot()
    result.plot(ax=axes)
    assert axes.has_data()
    assert result.plot(0).axes
