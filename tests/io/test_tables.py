"""Spectra in tables with commas: as emcore exports them, and as spreadsheets write them."""

import numpy as np
import pytest

import emcore
from emcore.datasets import eds_phases


def test_what_was_exported_is_read_again_with_its_energies(tmp_path):
    result = emcore.unmix(eds_phases(shape=(20, 20)).signal)
    result.export(tmp_path, maps=(), tables=(), spectra="csv")
    (file,) = tmp_path.glob("*.spectra.csv")
    signal = emcore.read(file)
    assert (signal.axes[0].navigation, signal.axes[1]) == (True, result.mean.axes[0])
    assert signal.metadata["names"] == [f"component {i}" for i in range(1, result.n_components + 1)]
    np.testing.assert_allclose(signal.data, result.spectra, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "shape", "axis", "title"),
    [
        ("energy (keV),counts\n1,5\n1.5,6\n2,7\n", (3,), ("energy", 3, 0.5, 1.0, "keV"), "counts"),
        ("\ufeffEnergy [eV];a;b\r\n1;5;0\r\n2;6;0\r\n", (2, 2), ("Energy", 2, 1.0, 1.0, "eV"), "table"),
        ("# from a spreadsheet\n1\t5\t2\n2\t6\t3\n\n", (2, 2), ("point", 2, 1.0, 1.0, ""), "table"),
        ("counts\n1\n2\n3\n4\n", (4,), ("channel", 4, 1.0, 0.0, "px"), "counts"),
    ],
)
def test_heads_units_and_delimiters_are_what_they_look_like(tmp_path, text, shape, axis, title):
    (tmp_path / "table.csv").write_text(text, encoding="utf-8", newline="")
    signal = emcore.read(tmp_path / "table.csv")
    along = signal.axes[-1]
    assert signal.shape == shape
    assert (along.name, along.size, along.scale, along.offset, along.units) == axis
    assert signal.title == title


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("energy,counts\n1,2\n3\n", "line 2 of the numbers, '3', is not 2 numbers"),
        ("energy,counts\n1,two\n", "line 1 of the numbers, '1,two', is not 2 numbers"),
        ("energy,counts\n", "has no lines of numbers"),
        ("# nothing\n", "has no lines of numbers"),
        ("energy,counts\nnan,1\n2,2\n", "the first column says where the points lie, and holds NaN"),
        ("a\0b,\xff\n", "is not 2 numbers|no lines|damaged|not CSV"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused_with_its_line(tmp_path, text, said):
    (tmp_path / "table.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=said):
        emcore.read(tmp_path / "table.csv")
