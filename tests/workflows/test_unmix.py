"""Phases of spectrum images: against labelled synthetic ones and measured ones."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import emcore
from emcore.cli import main
from emcore.core.signals import Axis, Signal
from emcore.datasets import eds_phases, eds_spheres
from emcore.methods.nmf.fit import nmf, nmf_maps
from emcore.methods.unmixing.joining import spectral_angle
from emcore.methods.unmixing.weights import channel_weights
from emcore.workflows.unmix import unmix


def scores(result, spectra, maps):
    """Spectral angles and map errors of true phases after matching; a missing one is at 90 degrees, its map zero."""
    angles = spectral_angle(spectra, result.spectra)
    short = max(0, len(spectra) - result.n_components)
    angles = np.hstack([angles, np.full((len(spectra), short), 90.0)])
    observed = np.concatenate([result.maps, np.zeros((short, *maps.shape[1:]))])
    true, match = linear_sum_assignment(angles)
    errors = ((observed[match] - maps) ** 2).mean(axis=(1, 2)) / maps.sum(axis=0).mean() ** 2
    return angles[true, match], errors


@pytest.fixture(scope="module")
def sample():
    return eds_phases(minority=0.01)


@pytest.fixture(scope="module")
def result(sample):
    return unmix(sample.signal)


@pytest.fixture(scope="module")
def spheres():
    return eds_spheres()


@pytest.fixture(scope="module")
def joined(spheres):
    return unmix(spheres.signal, blocks=(64, 64))


def test_three_phases_are_found_with_their_spectra_and_maps_the_minority_too(sample, result):
    assert (result.n_components, result.rule) == (3, "gavish-donoho")
    angles, errors = scores(result, sample.spectra, sample.maps)
    assert angles.max() < 8
    assert angles[:2].max() < 1
    np.testing.assert_allclose(result.fraction, sample.maps.sum(axis=(1, 2)) / sample.maps.sum(), atol=0.005)
    assert errors.max() < 0.02


def test_every_field_has_the_shape_and_type_that_is_promised(result):
    expected = {
        "maps": ((3, 64, 64), np.float32),
        "spectra": ((3, 1000), np.float64),
        "fraction": ((3,), np.float64),
        "residual_map": ((64, 64), np.float32),
        "residual_spectrum": ((1000,), np.float64),
        "evr": ((20,), np.float64),
    }
    for name, (shape, dtype) in expected.items():
        assert (getattr(result, name).shape, getattr(result, name).dtype) == (shape, dtype), name
    np.testing.assert_allclose(result.spectra.sum(axis=1), 1)
    assert np.all(np.diff(result.fraction) <= 0)
    assert result.maps.min() >= 0
    assert result.blocks is result.block_ranks is result.contributions is None
    assert result.provenance.parameters["weighting"] == "poisson"
    assert result.above_edge >= 3


def test_energies_are_in_electronvolts_and_the_scan_keeps_its_units(sample, result):
    energy = result.mean.axes[0]
    assert (energy.name, energy.units, energy.scale, energy.offset) == ("energy", "eV", 20.0, -100.0)
    assert [axis.units for axis in result.image.axes] == ["nm", "nm"]
    np.testing.assert_array_equal(result.image.data, sample.signal.data.sum(axis=-1))
    np.testing.assert_allclose(result.mean.data, sample.signal.data.mean(axis=(0, 1)))


def test_the_residual_is_counting_noise_where_nothing_was_missed(sample, result):
    assert result.residual_map.mean() == pytest.approx(0.95, abs=0.05)
    assert result.residual_spectrum[sample.signal.data.sum(axis=(0, 1)) > 50].max() < 1.5


def test_the_residual_shows_where_and_at_which_energy_a_phase_was_missed(sample):
    two = unmix(sample.signal, 2)
    copper = sample.maps[2] > 0
    assert two.residual_map[copper].min() > 3 * two.residual_map[~copper].mean()
    assert two.mean.axes[0].values[two.residual_spectrum.argmax()] == pytest.approx(8048, abs=20)


def test_the_residual_is_the_definition(sample, result):
    data = np.asarray(sample.signal.data, dtype=float)
    squares = (data - np.tensordot(result.maps.astype(float), result.spectra, axes=(0, 0))) ** 2
    np.testing.assert_allclose(result.residual_map, squares.sum(axis=-1) / data.sum(axis=-1), rtol=1e-4)
    sums = data.sum(axis=(0, 1))
    filled = sums > 0
    observed = result.residual_spectrum[filled]
    np.testing.assert_allclose(observed, squares.sum(axis=(0, 1))[filled] / sums[filled], rtol=1e-4)


def test_maps_are_non_negative_least_squares_on_the_spectra(sample, result):
    from scipy.optimize import nnls

    data = sample.signal.data
    weights = channel_weights(data.sum(axis=(0, 1), dtype=float), data.sum(axis=-1).ravel().astype(float), True)
    for y, x in ((0, 0), (30, 41), (63, 63)):
        exact, _ = nnls((result.spectra * np.sqrt(weights)).T, data[y, x] * np.sqrt(weights))
        np.testing.assert_allclose(result.maps[:, y, x], exact, atol=1e-3)


def test_the_answer_is_the_same_to_the_last_bit_on_one_and_three_threads(sample, same):
    results = []
    for threads in (1, 3):
        with emcore.num_threads(threads):
            results.append(unmix(sample.signal, blocks=(32, 40)))
    assert same(*results)


def test_data_are_neither_changed_nor_need_they_be_writable(sample, result, same):
    data = sample.signal.data.copy()
    data.setflags(write=False)
    assert same(unmix(Signal(data, sample.signal.axes, title="EDS")), result)
    np.testing.assert_array_equal(data, sample.signal.data)


@pytest.mark.parametrize("at", [0, 1])
def test_the_energy_may_be_any_axis(sample, result, same, at):
    data = np.moveaxis(sample.signal.data, -1, at)
    axes = list(sample.signal.axes)
    axes.insert(at, axes.pop())
    for axis_of_energy in (axes[at], Axis("Energy", 1000)):
        axes[at] = axis_of_energy
        observed = unmix(Signal(data, tuple(axes), title="EDS"))
        assert same(observed, result, but=("provenance", "mean")), axis_of_energy
        np.testing.assert_array_equal(observed.mean.data, result.mean.data)


def test_where_data_lie_does_not_matter(sample, tmp_path, same):
    h5py, da = pytest.importorskip("h5py"), pytest.importorskip("dask.array")
    data = sample.signal.data
    np.save(tmp_path / "map.npy", data)
    with h5py.File(tmp_path / "map.h5", "w") as file:
        file["map"] = data
        expected = unmix(data, blocks=(32, 32))
        mapped = np.load(tmp_path / "map.npy", mmap_mode="r")
        for stored in (mapped, file["map"], da.from_array(data, chunks=(20, 64, 300))):
            assert same(unmix(stored, blocks=(32, 32)), expected), type(stored)
    assert same(unmix(tmp_path / "map.npy"), unmix(data), but=("provenance", "image", "mean"))


def test_the_strobe_is_left_out_and_said_so(sample, result):
    observed = unmix(eds_phases(minority=0.01, zero_peak=100).signal)
    assert 60 <= observed.mean.axes[0].offset <= 160
    assert any("strobe" in note for note in observed.provenance.notes)
    np.testing.assert_allclose(observed.fraction, result.fraction, atol=0.005)


def test_a_range_is_in_electronvolts_and_cuts_spectra_with_their_axis(sample):
    observed = unmix(sample.signal, signal_range=(6000, 9000))
    values = observed.mean.axes[0].values
    assert (values[0], values[-1], observed.spectra.shape[1]) == (6000, 9000, 151)
    np.testing.assert_array_equal(observed.image.data, sample.signal.data[..., 305:456].sum(axis=-1))


@pytest.mark.parametrize("blocks", [None, (32, 32)])
def test_masked_positions_have_no_say_and_zero_maps(sample, blocks):
    mask = np.zeros((64, 64), dtype=bool)
    mask[:, 40:] = True
    spoilt = sample.signal.data.copy()
    spoilt[mask] = np.random.default_rng(0).integers(0, 50, (mask.sum(), 1000))
    observed = [unmix(data, navigation_mask=mask, blocks=blocks) for data in (sample.signal.data, spoilt)]
    for name in ("maps", "spectra", "residual_map", "residual_spectrum", "fraction"):
        np.testing.assert_array_equal(getattr(observed[0], name), getattr(observed[1], name), err_msg=name)
    assert not observed[0].maps[:, mask].any()
    assert not observed[0].residual_map[mask].any()
    assert any("1536 of 4096 positions are masked" in note for note in observed[0].provenance.notes)
    if blocks is None:
        cut = unmix(sample.signal.data[:, :40])
        np.testing.assert_allclose(observed[0].maps[..., :40], cut.maps, atol=2e-3 * cut.maps.max())


def test_vacuum_is_found(sample):
    data = sample.signal.data.copy()
    data[:20, :30] = np.random.default_rng(0).poisson(0.002, (20, 30, 1000))
    observed = unmix(data, navigation_mask="vacuum")
    assert not observed.maps[:, :20, :30].any()
    assert np.all(observed.maps[:, 20:].sum(axis=0) > 0)


def test_empty_rows_columns_and_blocks_stay_in_place_with_zero_maps(sample):
    data = sample.signal.data.copy()
    data[5, 6] = 0
    data[..., 400:410] = 0
    data[32:, :32] = 0
    for blocks in (None, (32, 32)):
        observed = unmix(data, blocks=blocks)
        assert observed.n_components == 3
        assert not observed.maps[:, 5, 6].any()
        assert not observed.maps[:, 32:, :32].any()
        assert not observed.spectra[:, 400:410].any()
        assert np.isfinite(observed.residual_map).all()
        assert np.isfinite(observed.residual_spectrum).all()
    assert len(observed.blocks) == 3


@pytest.mark.parametrize(("options", "where"), [({}, ""), ({"blocks": (32, 64)}, " of 2 of 2 blocks")])
def test_a_factorisation_that_has_not_converged_says_so(sample, result, options, where, monkeypatch):
    assert not any("still improving" in note for note in result.provenance.notes)
    for module in ("endmembers", "pyramid"):
        monkeypatch.setattr(f"emcore.methods.unmixing.{module}.ITERATIONS", 2)
    for loss in ("frobenius", "kullback-leibler"):
        notes = unmix(sample.signal, loss=loss, **options).provenance.notes
        assert any(f"the factorisation{where} was still improving" in note for note in notes)


def test_the_likelihood_of_counts_finds_them_too(sample):
    observed = unmix(sample.signal, loss="kullback-leibler")
    angles, errors = scores(observed, sample.spectra, sample.maps)
    assert angles[:2].max() < 1
    assert angles.max() < 20
    assert errors.max() < 0.02


def test_other_values_than_counts_are_weighted_by_noise_that_is_not_known(sample):
    small = 1e-9 * sample.signal.data[:, :, 100:600]
    observed = unmix(small)
    assert observed.rule == "gavish-donoho"
    assert any("not whole numbers" in note for note in observed.provenance.notes)
    assert "square" in observed.residual_unit
    assert unmix(small, weighting="none").rule == "gap"


def test_positions_without_a_grid_are_unmixed_alike(sample, result):
    observed = unmix(sample.signal.data.reshape(-1, 1000))
    # Only next to which others a position lies is another.
    assert np.diag(spectral_angle(observed.spectra, result.spectra)).max() < 3
    np.testing.assert_allclose(observed.maps.reshape(result.maps.shape), result.maps, atol=0.05 * result.maps.max())
    with pytest.raises(ValueError, match="blocks are cut from a scan of two axes"):
        unmix(sample.signal.data.reshape(-1, 1000), blocks=(2, 2))


def test_blocks_find_all_five_phases_where_the_whole_loses_the_minority(spheres, joined):
    assert (joined.n_components, joined.rule) == (5, "joined")
    data = spheres.signal.data
    W, H, _, _ = nmf(data.reshape(-1, data.shape[-1]), 5)
    plain = SimpleNamespace(n_components=5, maps=W.T.reshape(spheres.maps.shape), spectra=H)
    whole = unmix(spheres.signal, 5)
    (angles, errors), (lost, wrong), (whole_angles, whole_errors) = (
        scores(each, spheres.spectra, spheres.maps) for each in (joined, plain, whole)
    )
    assert angles.max() < 10
    assert angles.mean() < 6.4
    assert lost.max() > 45
    assert lost.mean() > 5 * angles.mean()
    assert wrong.mean() > 3.7 * errors.mean()
    # Weighted by its noise and told the number, the whole loses none, but mixes them.
    assert whole_angles.max() < 45
    assert whole_angles.mean() > 2 * angles.mean()
    assert whole_errors.mean() > 2 * errors.mean()


def test_blocks_of_other_sizes_find_the_same_phases(spheres):
    for blocks in ((32, 32), (50, 70)):
        observed = unmix(spheres.signal, blocks=blocks)
        angles, _ = scores(observed, spheres.spectra, spheres.maps)
        assert observed.n_components == 5, blocks
        assert angles.mean() < 6.4, blocks


def test_with_known_spectra_blocks_and_whole_have_the_same_maps_without_seams(spheres, joined):
    data = spheres.signal.data
    rows = data.reshape(-1, data.shape[-1])
    weights = channel_weights(rows.sum(axis=0, dtype=float), rows.sum(axis=1).astype(float), True)
    whole = nmf_maps(rows, joined.spectra, weights=weights).T.reshape(joined.maps.shape)
    assert np.abs(joined.maps - whole).max() <= 1e-5 * whole.max()


def test_the_result_says_which_block_contributed_what(spheres, joined):
    assert joined.blocks.tolist()[:2] == [[0, 64, 0, 64], [0, 64, 64, 128]]
    assert joined.contributions.shape == (16, 5)
    names = [spheres.names[i] for i in spectral_angle(joined.spectra, spheres.spectra).argmin(axis=1)]
    first, last, left, right = joined.blocks.T
    for name in ("W", "Pd", "ScVO4"):
        where = np.argwhere(spheres.maps[spheres.names.index(name)] > 0)
        inside = [
            i
            for i in range(16)
            if np.any((where >= (first[i], left[i])).all(axis=1) & (where < (last[i], right[i])).all(axis=1))
        ]
        assert np.flatnonzero(joined.contributions[:, names.index(name)]).tolist() == inside, name
    assert np.all(joined.contributions[:, names.index("Si")] > 0)
    assert np.all((joined.contributions > 0).sum(axis=1) == joined.block_ranks)
    assert joined.contributions.sum() == pytest.approx(joined.image.data.sum(), rel=0.05)


def test_components_come_in_the_order_of_their_counts_not_of_their_brightness(sample):
    rng = np.random.default_rng(0)
    maps = np.stack([np.full((64, 64), 20.0), 400.0 * (sample.maps[2] > 0)])
    spectra = sample.spectra[[0, 2]]
    observed = unmix(rng.poisson(np.tensordot(maps, spectra, axes=(0, 0))), 2, weighting="none")
    np.testing.assert_allclose(observed.fraction, maps.sum(axis=(1, 2)) / maps.sum(), atol=0.02)
    assert np.diag(spectral_angle(observed.spectra, spectra)).max() < 10
    assert observed.maps[1][maps[1] > 0].mean() == pytest.approx(400, rel=0.1)


def test_blocks_of_their_own_accord_are_a_quarter_of_a_small_scan(sample):
    observed = unmix(sample.signal.data[:, :50], blocks="auto")
    assert observed.provenance.parameters["blocks"] == (16, 13)
    assert len(observed.blocks) == 4 * 3


def test_a_result_is_saved_and_read_back_with_and_without_blocks(result, joined, tmp_path):
    pytest.importorskip("h5py")
    for each in (result, joined):
        assert emcore.load_result(each.save(tmp_path / "r.h5", overwrite=True)) == each


def test_reports_are_written_for_one_and_for_many_components_with_and_without_blocks(result, joined, sample, tmp_path):
    pytest.importorskip("matplotlib")
    one = unmix(sample.signal.data.reshape(-1, 1000), 1)
    for i, each in enumerate((result, joined, one)):
        report = each.report(tmp_path / f"{i}.pdf")
        assert report.read_bytes()[:4] == b"%PDF"
        titles = [axes.get_title("left") for axes in each.plot().axes]
        assert sum(title.startswith("Spectrum") for title in titles) == each.n_components


def test_hyperspy_signals_are_spectra_in_electronvolts_over_components(result):
    pytest.importorskip("hyperspy")
    signals = result.to_hyperspy()
    spectra, maps = signals["spectra"], signals["maps"]
    assert spectra.axes_manager.signal_axes[0].units == "eV"
    assert spectra.axes_manager.signal_axes[0].scale == 20
    assert spectra.axes_manager.navigation_shape == (3,)
    assert maps.axes_manager.signal_axes[0].units == "nm"
    np.testing.assert_allclose(spectra.data / spectra.data.sum(axis=1, keepdims=True), result.spectra)
    assert spectra.data.sum() == pytest.approx(result.image.data.sum())
    np.testing.assert_array_equal(maps.data, result.maps)


# exSpy divides zero by zero where a phase has none of the elements.
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning")
def test_exspy_quantifies_the_phases(data_folder):
    pytest.importorskip("exspy")
    spectra = unmix(data_folder / "core_shell.hspy").to_hyperspy()["spectra"]
    spectra.set_signal_type("EDS_TEM")
    spectra.set_microscope_parameters(beam_energy=200)
    spectra.set_lines(["Fe_Ka", "Pt_La"])
    lines = spectra.get_lines_intensity(background_windows=spectra.estimate_background_windows())
    iron, platinum = spectra.quantification(lines, method="CL", factors=[1.45, 5.08])
    assert platinum.data[1] > 50
    assert iron.data[2] > 95


def test_the_command_line_unmixes_and_says_what_it_decided(sample, tmp_path, capsys):
    pytest.importorskip("h5py")
    np.save(tmp_path / "map.npy", sample.signal.data)
    words = ["unmix", str(tmp_path / "map.npy"), "--output", str(tmp_path)]
    assert main([*words, "--components", "2", "--range", "100,800", "--blocks", "32,32", "--mask-vacuum"]) == 0
    said = capsys.readouterr().out
    assert "2 components" in said
    assert "rule" not in said.partition("why")[2].partition("\n")[0]
    observed = emcore.load_result(tmp_path / "map.unmix.h5")
    assert observed.provenance.parameters["signal_range"] == (100.0, 800.0)
    assert (observed.spectra.shape[1], len(observed.blocks)) == (701, 4)
    assert (tmp_path / "map.unmix.pdf").stat().st_size > 0


@pytest.mark.parametrize("words", [["--range", "5,1"], ["--blocks", "7"], ["--loss", "l2"], ["--weighting", "gauss"]])
def test_a_wrong_option_ends_with_2(words, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["unmix", str(tmp_path / "map.npy"), *words])
    assert ended.value.code == 2


DATA = np.random.default_rng(0).poisson(3, (6, 7, 40))


def bad(where, value):
    data = DATA.astype(float)
    data[where] = value
    return data


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: unmix(bad((1, 2, 3), -1)), ValueError, r"negative values, first at \[1, 2, 3\].*negative='clip'"),
        (lambda: unmix(bad((1, 2), -1)), ValueError, r"negative values, first at \[1, 2, 0\].*numpy.clip"),
        (lambda: unmix(bad((..., 3), np.nan)), ValueError, r"NaN or infinity at every position, first at \[0, 0, 3\]"),
        (lambda: unmix(np.zeros((6, 7, 40))), ValueError, "no counts"),
        (lambda: unmix(DATA[0, 0]), ValueError, "a spectrum or curve at every position"),
        (lambda: unmix(DATA[:1, :1]), ValueError, "several positions"),
        (lambda: unmix(DATA + 0j), TypeError, "complex"),
        (lambda: unmix(DATA, 0), ValueError, "n_components=0"),
        (lambda: unmix(DATA, 41), ValueError, "n_components=41 is too many for 42 positions and 40 channels"),
        (lambda: unmix(DATA, "all"), ValueError, "n_components='all'"),
        (lambda: unmix(DATA, weighting="gauss"), ValueError, "weighting='gauss'"),
        (lambda: unmix(DATA, loss="l2"), ValueError, "loss='l2'"),
        (lambda: unmix(DATA, navigation_mask=np.ones((6, 7), dtype=bool)), ValueError, "every position"),
        (lambda: unmix(DATA, navigation_mask=np.zeros((7, 6), dtype=bool)), ValueError, r"shape \(7, 6\)"),
        (lambda: unmix(DATA, navigation_mask=np.zeros((6, 7))), TypeError, "array of bool"),
        (lambda: unmix(DATA, navigation_mask="dark"), ValueError, "'vacuum'"),
        (lambda: unmix(DATA, signal_range=(50, 60)), ValueError, "holds 0 channels"),
        (lambda: unmix(DATA, signal_range=(1, 2, 3)), ValueError, "give the first and the last energy"),
        (lambda: unmix(DATA, signal_range=5), ValueError, "give the first and the last energy"),
        (lambda: unmix(DATA, memory="much"), ValueError, "memory='much'"),
        (lambda: unmix(DATA, blocks=(9, 2)), ValueError, r"blocks\[0\]=9"),
        (lambda: unmix(DATA, blocks=(1, 1)), ValueError, "single positions"),
        (lambda: unmix(DATA, blocks=3), TypeError, "lines and columns"),
        (lambda: unmix(DATA, blocks="many"), ValueError, "blocks='many'"),
    ],
)
def test_bad_input_is_refused_with_what_was_found_and_what_to_do(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_the_simulation_of_two_particles_is_unmixed_better_than_by_weighted_coordinate_descent(data_folder):
    maps = np.stack([np.load(data_folder / f"eds_two_particles_map_p{i}.npy") for i in range(3)])
    signal = emcore.read(data_folder / "eds_two_particles.hspy")
    rows = signal.data.reshape(-1, signal.shape[-1]).astype(np.uint16)
    spectra = np.linalg.lstsq(maps.reshape(3, -1).T, rows.astype(float), rcond=None)[0]
    counts = maps * spectra.sum(axis=1)[:, None, None]
    observed = unmix(rows.reshape(signal.shape))
    angles, errors = scores(observed, spectra, counts)
    assert (observed.n_components, observed.rule) == (3, "gavish-donoho")
    # benches/peers/unmix.py: scikit-learn's coordinate descent on a weighted copy has 8.2 and 0.035.
    assert angles.mean() < 7.6
    assert errors.mean() < 0.032


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        # Carbon film; platinum; iron oxide. The strongest line of each first.
        ("core_shell.hspy", [(277,), (2050, 9442, 11071), (6404, 705, 525)]),
        ("bare_core.hspy", [(2050, 9442, 11071), (277,)]),
        # Alkali feldspar, plagioclase, biotite, iron oxide, apatite.
        ("rock.bcf", [(1740, 3314), (1487, 1041), (1254, 4510, 3314), (6404,), (3692, 2010)]),
    ],
)
def test_phases_of_measured_scans_have_the_lines_of_the_sample(data_folder, name, lines):
    observed = unmix(data_folder / name)
    values, mean = observed.mean.axes[0].values, observed.mean.data / observed.mean.data.sum()
    assert observed.n_components == len(lines)
    for spectrum, energies in zip(observed.spectra, lines, strict=True):
        for energy in energies:
            near = np.abs(values - energy) < 60
            assert spectrum[near].sum() > mean[near].sum(), (energies, energy)
        near = np.abs(values - energies[0]) < 60
        assert spectrum[near].sum() == max(each[near].sum() for each in observed.spectra), energies


def test_energies_beside_the_data_in_a_file_are_used(data_folder):
    observed = unmix(data_folder / "eels_si.npz")
    energy = observed.mean.axes[0]
    assert (energy.units, energy.offset, energy.values[-1]) == ("eV", 10, pytest.approx(200))
    assert observed.maps.shape[1:] == (24, 22)
    assert observed.n_components == 2
