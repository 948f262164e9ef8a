"""Spectrum images of which not all was measured, or in which some values are no counts."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import emcore
from emcore.cli import main
from emcore.core.signals import Signal, default_axes
from emcore.datasets import eds_phases
from emcore.workflows.unmix import unmix

COUNTS = eds_phases(shape=(24, 25), zero_peak=0).signal.data[..., 20:220].reshape(600, 200)
ROWS = COUNTS.astype(np.float32)


@pytest.fixture(scope="module")
def alone():
    return {kind: unmix(data, 3) for kind, data in (("u", COUNTS), ("f", ROWS))}


def assert_unmixed_as(result, alone, there):
    """What was found at some positions is what is found of them alone, but for rounding; the others are zero."""
    for name in ("n_components", "rule", "reason", "above_edge"):
        assert getattr(result, name) == getattr(alone, name), name
    for name in ("spectra", "fraction", "residual_spectrum", "evr"):
        np.testing.assert_allclose(getattr(result, name), getattr(alone, name), rtol=1e-9, atol=1e-12)
    there = there.reshape(result.image.shape)
    for values, expected in ((result.maps, alone.maps), (result.residual_map[None], alone.residual_map[None])):
        np.testing.assert_allclose(values[:, there], expected.reshape(len(expected), -1), rtol=1e-5, atol=1e-4)
        assert not values[:, ~there].any()
    assert np.array_equal(result.image.data[there], alone.image.data.ravel())
    np.testing.assert_allclose(result.mean.data, alone.mean.data, rtol=1e-12)
    assert np.array_equal(result.measured, there)
    assert result.n_empty == np.count_nonzero(~there)


@given(
    places=st.lists(st.integers(0, 600), min_size=1, max_size=60),
    kind=st.sampled_from(["zero", "constant", "nan", "inf", "u zero", "u constant"]),
)
@example(places=[5, 22, 35, 47, 61, 65, 68, 76, *range(100, 117)], kind="constant")  # next to what noise is measured by
@settings(max_examples=6, deadline=None)
def test_phases_are_those_of_the_measured_positions_wherever_empty_ones_lie(alone, places, kind):
    rows = COUNTS if kind[0] == "u" else ROWS
    empty = np.zeros(200, dtype=rows.dtype)
    if kind in ("nan", "inf"):
        empty[7] = float(kind)
    if kind.endswith("constant"):
        empty[:] = 9
    padded, there = np.insert(rows, places, empty, axis=0), np.insert(np.ones(600, bool), places, False)
    before = padded.copy()
    result = unmix(padded, 3)
    assert_unmixed_as(result, alone[rows.dtype.kind], there)
    reason = {"zero": "zero throughout", "constant": "constant"}.get(kind.split()[-1], "with NaN or infinity")
    are = "is" if len(places) == 1 else "are"
    said = f"{len(places)} of {len(padded)} positions {are} empty ({len(places)} {reason})"
    assert any(said in note for note in result.provenance.notes)
    assert np.array_equal(padded, before, equal_nan=True)


def faulty(there):
    """Counts with every fault that is put right, and the same without them."""
    data = np.where(there[:, None], ROWS, 0).reshape(24, 25, 200)
    right = data.copy()
    data[2, 20, 5] = np.nan
    data[3, 4] = -np.inf
    data[6, 7] = 4.0
    right[2, 20] = right[3, 4] = right[6, 7] = 0
    data[20:, :, ::9] -= np.float32(1e-7) * (data[20:, :, ::9] == 0)
    return data, right


@pytest.mark.parametrize(
    ("place", "blocks"),
    [("memory", None), ("memory map", None), ("Dask", None), ("HDF5", None), ("memory", (24, 25)), ("Dask", (24, 25))],
)
@pytest.mark.usefixtures("nothing_is_loaded")
def test_what_is_put_right_is_the_same_wherever_the_data_lie(tmp_path, place, blocks):
    da, h5py = pytest.importorskip("dask.array"), pytest.importorskip("h5py")
    there = np.arange(600) > 40
    data, right = (np.tile(each, (2, 2, 1)) for each in faulty(there))
    np.save(tmp_path / "map.npy", data)
    expected = unmix(right, 2, blocks=blocks)
    with h5py.File(tmp_path / "map.h5", "w") as file:
        stored = {
            "memory": data.copy(),
            "memory map": np.load(tmp_path / "map.npy", mmap_mode="r"),
            "Dask": da.from_array(data, chunks=(7, 11, -1)),
            "HDF5": file.create_dataset("map", data=data, chunks=(4, 5, 200)),
        }[place]
        memory = None if place in ("memory", "Dask") else "3.7 MB"
        result = unmix(Signal(stored, default_axes(data.shape)), 2, memory=memory, blocks=blocks)
        assert np.array_equal(np.asarray(stored), data, equal_nan=True)
    assert result.n_empty == 176
    assert np.array_equal(result.measured, right.any(axis=-1))
    for name in ("maps", "spectra", "residual_map", "residual_spectrum"):
        a, b = getattr(result, name), getattr(expected, name)
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max(), name
    notes = " ".join(result.provenance.notes)
    assert "176 of 2400 positions are empty (164 zero throughout, 4 constant, 8 with NaN or infinity)" in notes
    assert re.search(r"\d+ of 480000 values are negative by rounding, at most 1e-07 beside \d+: set to zero", notes)


def test_a_few_negative_values_are_clipped_where_that_is_asked_for_and_more_refused(alone):
    data = ROWS.copy()
    data[4, 5] = data[300, 150] = -3
    before = data.copy()
    with pytest.raises(ValueError, match=r"first at \[4, 5\], 2 of 120000, the smallest -3: .*negative='clip'"):
        unmix(data)
    result = unmix(data, negative="clip")
    assert np.array_equal(result.spectra, unmix(np.maximum(data, 0)).spectra)
    assert "negative values were set to zero, as asked for: 2 of 120000, the smallest -3" in result.provenance.notes
    assert result.provenance.parameters["negative"] == "clip"
    assert np.array_equal(data, before)
    integers = data.astype(np.int16)
    assert np.array_equal(unmix(integers, negative="clip").spectra, result.spectra)
    data[:, :2] -= 30
    with pytest.raises(ValueError, match=r"1\d\d\d of 120000.*numpy\.clip"):
        unmix(data)
    with pytest.raises(ValueError, match=r"negative='clip' is for less than 0\.1 %"):
        unmix(data, negative="clip")
    with pytest.raises(ValueError, match="did you mean 'clip'"):
        unmix(data, negative="clp")


def test_the_provenance_is_of_what_was_given_and_not_of_what_was_put_right():
    data = ROWS.copy()
    data[0, 0] = -1e-7
    assert unmix(data).provenance.input_sha256 == Signal(data, default_axes(data.shape)).sha256()


def test_bright_positions_are_those_of_what_was_measured():
    stopped = ROWS.reshape(24, 25, 200).copy()
    stopped[0, :5] = np.arange(200) == 50  # vacuum
    stopped[2:] = 0
    result = unmix(stopped, navigation_mask="vacuum")
    assert result.n_empty == 22 * 25
    assert np.array_equal(np.argwhere(~result.measured[:2]), [[0, i] for i in range(5)])


def test_values_with_fractions_are_no_counts_though_hardly_any_position_was_measured():
    data = np.zeros((5000, 40), dtype=np.float32)
    data[1000:1040] = ROWS[:40, :40] + np.float32(0.25)
    assert any("not whole numbers" in note for note in unmix(data).provenance.notes)


def test_a_scan_that_was_stopped_says_so(data_folder):
    pytest.importorskip("rsciio")
    result = unmix(data_folder / "cases" / "eds_stopped.bcf")
    assert (result.n_empty, result.n_components) == (8681, 1)
    assert "8681 of 8700 positions are empty (8681 zero throughout): they take no part" in result.provenance.notes
    assert np.count_nonzero(result.measured) == 19
    assert result.mean.data.sum() == pytest.approx(result.image.data.sum() / 19)
    assert np.array_equal(result.measured, result.image.data > 0)


def test_a_position_without_a_count_at_a_low_dose_is_counted_and_no_more(data_folder):
    pytest.importorskip("rsciio")
    for name, empty in (("rock.bcf", 0), ("cases/rock_low_dose.bcf", 1)):
        result = unmix(data_folder / name, 1)
        assert result.n_empty == empty == np.count_nonzero(~result.measured)
        notes = [note for note in result.provenance.notes if "empty" in note]
        assert notes == ["1 of 7500 positions is empty (1 zero throughout): it takes no part"] * empty


def test_rounding_is_set_to_zero_in_a_real_file(data_folder):
    path = data_folder / "cases" / "eels_round_off.hspy"
    result = unmix(path, 3)
    said = "1581 of 17408 values are negative by rounding, at most 5.95e-09"
    assert any(note.startswith(said) for note in result.provenance.notes)
    signal = emcore.read(path)
    assert signal.data.min() < 0
    clipped = unmix(np.maximum(signal.data, 0), 3)
    assert np.array_equal(result.spectra, clipped.spectra)


def test_a_few_positions_bear_no_more_components_than_they_can_tell_apart(data_folder):
    pytest.importorskip("rsciio")
    result = unmix(data_folder / "cases" / "eds_large_counts.bcf")
    assert (result.n_components, result.rule) == (1, "gavish-donoho")
    assert result.reason.endswith("; 12 positions bear 1, 15 for each")
    assert unmix(data_folder / "cases" / "eds_large_counts.bcf", 3).n_components == 3
    few = unmix(np.random.default_rng(0).poisson(np.exp(np.random.default_rng(1).normal(3, 1, (29, 40)))))
    assert (few.n_components, "29 positions bear 1" in few.reason) == (1, True)


def test_the_command_line_says_what_is_empty_and_clips(tmp_path, capsys):
    pytest.importorskip("h5py")
    data = ROWS.reshape(24, 25, 200).copy()
    data[10:] = 0
    data[0, 0, 0] = -2
    np.save(tmp_path / "map.npy", data)
    words = ["unmix", str(tmp_path / "map.npy"), "--output", str(tmp_path)]
    assert main(words) == 1
    assert "1 of 120000, the smallest -2" in capsys.readouterr().err
    assert main([*words, "--negative", "clip"]) == 0
    said = capsys.readouterr().out
    assert "scan      25 × 24 positions, 350 of them empty; 200 channels" in said
    assert "note      350 of 600 positions are empty (350 zero throughout): they take no part" in said
    observed = emcore.load_result(tmp_path / "map.unmix.h5")
    assert (observed.n_empty, int((~observed.measured).sum())) == (350, 350)
    assert f"residual  {observed.residual_map[:10].mean():.3g} " in said
    with pytest.raises(SystemExit):
        main([*words, "--negative", "clp"])


def test_the_pages_hatch_what_was_not_measured():
    pytest.importorskip("matplotlib")
    data = ROWS.reshape(24, 25, 200).copy()
    data[15:] = 0
    figure = unmix(data, 2).plot()
    drawn = {axes.get_title("left"): axes for axes in figure.axes}
    for title in ("Counts", "Phases", "Residual"):
        assert drawn[title].patch.get_hatch(), title
    assert np.array_equal(
        np.isnan(drawn["Counts"].images[0].get_array().filled(np.nan)).all(axis=1), np.arange(24) > 14
    )
    assert (drawn["Phases"].images[0].get_array()[15:, :, 3] == 0).all()
    masked = unmix(data, 2, navigation_mask=np.arange(600).reshape(24, 25) < 25).plot()
    text = [text.get_text() for axes in masked.axes for text in axes.findobj(lambda a: hasattr(a, "get_text"))]
    assert "left out" in text
