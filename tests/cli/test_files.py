"""Which files a verb takes: names that begin with a number below zero, stores that are folders, what a folder holds."""

import numpy as np
import pytest

from emcore.cli import main
from emcore.cli.files import expand
from emcore.io.registry import CURVES, FOLDERS, FORMATS, IMAGE, SCAN, SPECTRA, suffixes


@pytest.mark.parametrize("name", ["-40.npy", "-40", "-.5nm.npy", "-3,2.npy"])
def test_a_name_that_begins_as_a_negative_number_is_a_file(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with open(name, "wb") as file:
        np.save(file, np.arange(30.0).reshape(5, 6))
    assert main(["info", name]) == 0
    assert "(5, 6)" in capsys.readouterr().out


def test_a_range_below_zero_is_a_value(tmp_path, capsys):
    assert main(["unmix", str(tmp_path / "none.npy"), "--range", "-20,300", "--output", str(tmp_path)]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_a_file_whose_name_begins_as_an_option_is_a_file_and_an_option_stays_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("-gold.npy", "--quiet"):
        with open(name, "wb") as file:
            np.save(file, np.arange(30.0).reshape(5, 6))
    assert main(["info", "-gold.npy"]) == 0
    assert "(5, 6)" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["image", "--quiet"])
    with pytest.raises(SystemExit):
        main(["info", "-silver.npy"])


def test_a_store_that_is_a_folder_is_a_file_to_a_verb(tmp_path):
    for name in ("a.zspy", "a.zarr", "unnamed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".zgroup").write_text('{"zarr_format": 2}')
        assert expand([tmp_path / name], SPECTRA) == ([tmp_path / name], [])
    assert expand([tmp_path], SPECTRA)[0] == [tmp_path / "a.zarr", tmp_path / "a.zspy"]


def test_every_format_is_searched_for_in_folders_or_lies_beside_one_that_is():
    searched = {ending for content in (IMAGE, SCAN, SPECTRA, CURVES) for ending in suffixes(content)}
    assert {*FORMATS, *FOLDERS} - searched == {".emi", ".raw", ".xml", ".msa", ".emsa", ".csv"}


def test_a_file_that_goes_with_another_names_it(tmp_path, capsys):
    (tmp_path / "scan.hdr").write_text("HDR,")
    (tmp_path / "scan.mib").write_bytes(b"MQ1,")
    assert main(["info", str(tmp_path / "scan.hdr")]) == 1
    said = capsys.readouterr().err
    assert "files ending in '.hdr' are not read; scan.mib beside it is" in said
    assert len(said) < 400
