"""From a micrograph to its regions: against labelled synthetic images and real ones."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import emcore
from emcore.core.signals import Axis, Signal
from emcore.datasets import lattice_micrograph
from emcore.methods.nmf.fit import nmf
from emcore.methods.nmf.starts import from_pure_scores
from emcore.methods.pca.fit import pca
from emcore.methods.power_spectra.regions import mean_powers
from emcore.methods.power_spectra.windows import spectra_and_offset
from emcore.workflows.image import analyze_image


def off(found, true):
    return np.abs((np.asarray(found) - true + 90) % 180 - 90)


def far_from_borders(labels, distance):
    from scipy.ndimage import distance_transform_edt

    border = np.zeros(labels.shape, dtype=bool)
    border[1:] |= labels[1:] != labels[:-1]
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    return distance_transform_edt(~border) > distance


def partner(sample, regions):
    """The region that covers most of each true one."""
    return [int(np.bincount(regions[sample.labels == label]).argmax()) for label in range(len(sample.spacing))]


@pytest.fixture(scope="module")
def sample():
    return lattice_micrograph(shape=(500, 610), spacings=(7, 12), directions=(20, 110))


@pytest.fixture(scope="module")
def result(sample):
    return analyze_image(sample.image)


@pytest.mark.parametrize(
    "options",
    [{}, {"gradient": 5.0}, {"dtype": "uint8"}, {"dtype": "uint16", "gradient": 5.0, "seed": 1}],
    ids=["plain", "gradient", "u8", "u16-gradient"],
)
def test_three_lattices_in_noise_as_strong_as_they_are_found_without_settings(options):
    sample = lattice_micrograph(shape=(900, 1100), **options)
    result = analyze_image(sample.image)
    assert (result.n_components, result.rule) == (3, "gap")
    far = far_from_borders(sample.labels, 128)
    assert adjusted_rand_score(sample.labels[far], result.regions[far]) >= 0.99
    order = partner(sample, result.regions)
    assert sorted(order) == [0, 1, 2]
    assert np.allclose(result.spacing[order], sample.spacing, rtol=0.01)
    assert np.all(off(result.direction[order], sample.direction) < 0.5)
    assert np.allclose(result.area[order], np.bincount(sample.labels.ravel()) / sample.labels.size, atol=0.01)


def test_every_field_has_the_shape_and_type_that_is_promised(sample, result):
    k, n, ny, nx = 2, 128, (500 - 128) // 32 + 1, (610 - 128) // 32 + 1
    expected = {
        "maps": ((k, ny, nx), np.float32),
        "spectra": ((k, n, n), np.float32),
        "y": ((ny,), np.float64),
        "x": ((nx,), np.float64),
        "frequency_y": ((n,), np.float64),
        "frequency_x": ((n,), np.float64),
        "regions": ((500, 610), np.int32),
        "area": ((k,), np.float64),
        "spacing": ((k,), np.float64),
        "direction": ((k,), np.float64),
        "second_spacing": ((k,), np.float64),
        "second_direction": ((k,), np.float64),
        "angle": ((k,), np.float64),
        "evr": ((21,), np.float64),
    }
    for name, (shape, dtype) in expected.items():
        array = getattr(result, name)
        assert (array.shape, array.dtype) == (shape, dtype), name
        assert np.isfinite(array).all(), name
    assert result.n_components == k
    assert set(np.unique(result.regions)) == {0, 1}
    assert result.area.sum() == pytest.approx(1)
    assert np.all(np.diff(result.evr) <= 1e-6)
    assert 0 < result.evr.sum() <= 1
    assert result.y[0] == result.x[0] == 63.5
    assert np.all(np.diff(result.y) == 32)
    assert result.frequency_x[64] == result.frequency_y[64] == 0
    assert np.allclose(np.diff(result.frequency_x), 1 / 128)
    assert np.array_equal(result.image.data, sample.image)
    assert [axis.name for axis in result.image.axes] == ["y", "x"]


def test_spectra_sum_to_one_are_symmetric_and_have_their_peak_where_spacing_and_direction_say(result):
    assert np.allclose(result.spectra.sum(axis=(1, 2)), 1, rtol=1e-4)
    inner = result.spectra[:, 1:, 1:]
    assert np.allclose(inner, inner[:, ::-1, ::-1], atol=1e-9)
    for spectrum, spacing, direction in zip(result.spectra, result.spacing, result.direction, strict=True):
        iy, ix = np.unravel_index(np.argmax(spectrum), spectrum.shape)
        ky, kx = result.frequency_y[iy], result.frequency_x[ix]
        assert 1 / np.hypot(ky, kx) == pytest.approx(spacing, rel=0.1)
        # y points down in the image and in the spectrum, directions count with y up.
        assert off(np.degrees(np.arctan2(-ky, kx)), direction) < 5


def test_maps_times_spectra_give_back_the_windowed_spectra(sample, result):
    half = emcore.windowed_power_spectra(sample.image)
    full = emcore.full_plane(half.reshape(-1, *half.shape[2:]))
    model = np.einsum("kn,kyx->nyx", result.maps.reshape(2, -1), result.spectra)
    residual = np.sum((full - model) ** 2, dtype=float) / np.sum(full**2, dtype=float)
    # No factorisation of this rank does better than the singular values; this one comes close.
    best = 1 - result.evr[:2].sum()
    assert best <= residual + 1e-6
    assert residual < 1.02 * best


def test_the_factorisation_has_converged(sample, result):
    half = emcore.windowed_power_spectra(sample.image)
    rows = half.reshape(-1, half.shape[2] * half.shape[3])
    weights = np.tile(emcore.half_plane_weights(128), 128)
    w0 = result.maps.reshape(2, -1).T
    h0 = np.fft.ifftshift(result.spectra, axes=(1, 2))[..., :65].reshape(2, -1)
    now, later = (nmf(rows, 2, init="custom", W0=w0, H0=h0, weights=weights, max_iter=n, tol=0) for n in (1, 200))
    assert later.loss <= now.loss < 1.0002 * later.loss


def test_a_factorisation_that_has_not_converged_says_so(sample, result, monkeypatch):
    assert not any("still improving" in note for note in result.provenance.notes)
    for module in ("emcore.workflows.image", "emcore.methods.power_spectra.separation"):
        monkeypatch.setattr(f"{module}.ITERATIONS", 2)
    assert any("still improving after 2" in note for note in analyze_image(sample.image).provenance.notes)
    single = analyze_image(sample.image, n_components=1)
    assert not any("still improving" in note for note in single.provenance.notes)


def test_the_mean_power_of_a_region_is_that_of_its_windows():
    image = lattice_micrograph(shape=(128, 160)).image
    logarithms, offset = spectra_and_offset(image, window=64, step=16)
    power = emcore.windowed_power_spectra(image, window=64, step=16, scale="power")
    labels = np.arange(35) % 3 - 1
    found = offset * mean_powers(logarithms.reshape(35, -1), labels, 3).reshape(3, 64, 33)
    for label in (0, 1):
        assert np.allclose(found[label], power.reshape(35, 64, 33)[labels == label].mean(axis=0), rtol=1e-3)
    assert np.all(found[2] == 0)


def test_where_some_windows_are_pure_the_factors_to_start_from_are_the_answer():
    rng = np.random.default_rng(0)
    mixture = np.concatenate([2 * np.eye(3), rng.uniform(1, 2, size=(60, 1)) * rng.dirichlet(np.ones(3), size=60)])
    rows = (mixture @ rng.random((3, 40))).astype(np.float32)
    weights = np.sqrt(rng.integers(1, 3, size=40))
    w0, h0 = from_pure_scores(rows, pca(rows, 3, center=False, weights=weights), 3)
    assert np.allclose(w0 @ h0, rows, rtol=1e-3)


def test_components_come_in_the_order_of_their_energy(result):
    energy = [np.linalg.norm(m) * np.linalg.norm(s) for m, s in zip(result.maps, result.spectra, strict=True)]
    assert energy == sorted(energy, reverse=True)


def test_a_calibrated_image_gives_calibrated_lengths(sample, result):
    axes = (Axis("y", 500, 0.02, 5.0, "nm"), Axis("x", 610, 0.02, -3.0, "nm"))
    calibrated = analyze_image(Signal(sample.image, axes))
    assert np.allclose(calibrated.spacing, 0.02 * result.spacing)
    assert np.allclose(calibrated.direction, result.direction)
    assert np.allclose(calibrated.y, 5.0 + 0.02 * result.y)
    assert np.allclose(calibrated.x, -3.0 + 0.02 * result.x)
    assert np.allclose(calibrated.frequency_x, result.frequency_x / 0.02)
    assert calibrated.image.axes == axes
    assert np.array_equal(calibrated.regions, result.regions)


def test_axes_in_different_units_fall_back_to_pixels_and_say_so(sample, result):
    odd = analyze_image(Signal(sample.image, (Axis("y", 500, 0.1, 0, "nm"), Axis("x", 610, 2.0, 0, "s"))))
    assert np.allclose(odd.spacing, result.spacing)
    assert odd.image.axes[0].units == odd.image.axes[1].units == "px"
    assert any("pixels" in note for note in odd.provenance.notes)


def test_turning_the_image_turns_the_directions(sample, result):
    turned = analyze_image(np.rot90(sample.image))
    # Which of two nearly equal energies comes first may change.
    order = np.argsort(turned.spacing), np.argsort(result.spacing)
    assert np.all(off(turned.direction[order[0]], result.direction[order[1]] + 90) < 0.1)
    assert np.allclose(turned.spacing[order[0]], result.spacing[order[1]], rtol=1e-3)


def test_brightness_and_contrast_do_not_matter(sample, result):
    other = analyze_image(1000 + 3 * sample.image.astype(np.float64))
    assert np.mean(other.regions == result.regions) > 0.999
    assert np.allclose(other.spacing, result.spacing, rtol=1e-3)


def test_the_answer_is_the_same_to_the_last_bit_on_1_2_and_3_threads(sample, same):
    found = []
    for threads in (1, 2, 3):
        with emcore.num_threads(threads):
            found.append(analyze_image(sample.image))
        assert found[-1].provenance.threads == threads
    assert same(found[0], found[1])
    assert same(found[0], found[2])


def test_four_python_threads_at_once_give_the_same_answer(sample, result, same):
    found = [None] * 4

    def work(i):
        found[i] = analyze_image(sample.image)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(other, result) for other in found)


@pytest.mark.posix
def test_it_works_in_a_forked_process(sample, result, tmp_path):
    script = (
        "import os, sys, numpy as np, emcore\n"
        "image = np.load(sys.argv[1])\n"
        "first = emcore.analyze_image(image)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    again = emcore.analyze_image(image)\n"
        "    os._exit(0 if np.array_equal(first.maps, again.maps) else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    np.save(tmp_path / "image.npy", sample.image)
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "image.npy")], check=True, timeout=60)


@pytest.mark.posix
def test_an_interrupt_ends_an_analysis_and_the_next_one_works():
    script = (
        "import signal, sys, numpy as np, emcore\n"
        "image = np.random.default_rng(0).normal(size=(1000, 1200)).astype(np.float32)\n"
        "signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.2)\n"
        "try:\n"
        "    emcore.analyze_image(image, step=12)\n"
        "except KeyboardInterrupt:\n"
        "    emcore.analyze_image(image[:200, :200])\n"
        "else:\n"
        "    sys.exit('not interrupted')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_scikit_learn_matplotlib_and_h5py_are_not_imported(tmp_path):
    script = (
        "import sys, numpy as np, emcore\n"
        "emcore.analyze_image(np.random.default_rng(0).normal(size=(100, 100)), window=32)\n"
        "late = {'sklearn', 'scipy', 'matplotlib', 'h5py', 'rsciio'} & set(sys.modules)\n"
        "assert not late, late\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_input_is_not_changed(sample):
    image = sample.image.copy()
    image.flags.writeable = False
    analyze_image(image)
    assert np.array_equal(image, sample.image)


def test_the_number_of_components_can_be_given(sample, result, same):
    given = analyze_image(sample.image, n_components=2)
    assert given.rule == "given"
    assert same(given, result, but=("provenance", "rule", "reason"))
    for k in (1, 4):
        found = analyze_image(sample.image, n_components=k)
        assert found.maps.shape[0] == found.n_components == len(found.spacing) == k
        assert found.area.sum() == pytest.approx(1)


@pytest.mark.parametrize("rule", ["gap", "elbow", "jany", "threshold", "broken-stick"])
def test_the_rule_can_be_chosen(sample, rule):
    result = analyze_image(sample.image, rule=rule)
    choice = emcore.n_components(result.evr, rule, **({"n_total": 192} if rule == "broken-stick" else {}))
    assert (result.n_components, result.rule, result.reason) == (choice.n, choice.rule, choice.reason)


def test_noise_and_one_lattice_are_one_region():
    rng = np.random.default_rng(0)
    noise = analyze_image(rng.normal(size=(400, 400)))
    assert noise.n_components == 1
    assert np.isnan(noise.spacing).all()
    assert any("no peak" in note for note in noise.provenance.notes)
    lattice = lattice_micrograph(shape=(400, 400), spacings=[9], directions=[33])
    one = analyze_image(lattice.image)
    assert one.n_components == 1
    assert np.all(one.regions == 0)
    assert one.spacing[0] == pytest.approx(9, rel=0.01)
    assert off(one.direction[0], 33) < 0.5


@pytest.mark.parametrize(("window", "step"), [(8, None), (63, 20), (64, 64), (100, 7)])
def test_windows_and_steps_of_any_size_work(window, step):
    image = lattice_micrograph(shape=(230, 256), spacings=(3, 4), directions=(20, 110), noise=0.2).image
    result = analyze_image(image, window=window, step=step, n_components=2)
    used = step or window // 4
    assert result.maps.shape == (2, (230 - window) // used + 1, (256 - window) // used + 1)
    assert result.spectra.shape == (2, window, window)
    assert result.provenance.parameters["step"] == used


@pytest.mark.parametrize("shape", [(160, 160), (200, 200), (130, 700), (300, 260)])
def test_noise_in_few_windows_that_overlap_is_one_region(shape):
    for seed in range(3):
        assert analyze_image(np.random.default_rng(seed).normal(size=shape)).n_components == 1


def test_an_image_of_exactly_one_window_is_one_region():
    result = analyze_image(lattice_micrograph(shape=(128, 128), spacings=[9], directions=[33]).image)
    assert result.maps.shape == (1, 1, 1)
    assert np.all(result.regions == 0)
    assert result.spacing[0] == pytest.approx(9, rel=0.02)


def test_a_blank_part_belongs_to_no_region():
    image = lattice_micrograph(shape=(400, 600), spacings=[9], directions=[33]).image
    image[:, 300:] = 2.5
    result = analyze_image(image)
    assert np.all(result.regions[:, :200] >= 0)
    assert np.all(result.regions[:, -60:] == -1)
    assert result.area.sum() == pytest.approx(1)


def with_bar(image, height=70):
    image = image.copy()
    image[-height:] = 0
    image[-height] = 252
    for x in range(20, image.shape[1] - 60, 90):
        image[-height + 20 : -height + 40, x : x + 40 : 3] = 255
    return image


def test_an_information_bar_is_left_out_and_that_is_said():
    image = with_bar(lattice_micrograph(shape=(500, 610), spacings=(7, 12), directions=(20, 110), dtype="uint8").image)
    result = analyze_image(image)
    alone = analyze_image(image[:-70])
    assert np.all(result.regions[-70:] == -1)
    assert np.array_equal(result.regions[:-70], alone.regions)
    assert np.array_equal(result.maps, alone.maps)
    assert np.array_equal(result.area, alone.area)
    assert result.image.shape == (500, 610)
    assert any("below the picture, 70 rows, was left out" in note for note in result.provenance.notes)
    everything = analyze_image(image, include_info_bar=True)
    assert np.all(everything.regions >= 0)


def test_colour_becomes_luminance_and_a_stack_one_frame_and_both_are_said(sample):
    grey = lattice_micrograph(shape=(200, 220), dtype="uint8").image
    colour = analyze_image(np.repeat(grey[..., None], 3, axis=2), window=64)
    assert np.array_equal(colour.regions, analyze_image(grey, window=64).regions)
    assert colour.provenance.notes
    stack = np.stack([grey.T[:200], grey[:, :200]])
    second = analyze_image(stack, window=64, frame=1)
    assert np.array_equal(second.regions, analyze_image(grey[:, :200], window=64).regions)
    assert any("frame 1" in note for note in second.provenance.notes)
    assert second.provenance.parameters["frame"] == 1


def test_a_result_knows_where_it_came_from(sample, result):
    record = result.provenance
    assert record.method == "analyze_image"
    assert record.parameters == {
        "window": 128,
        "step": 32,
        "n_components": "auto",
        "rule": "gap",
        "dataset": None,
        "frame": None,
        "include_info_bar": False,
        "random_state": 0,
    }
    assert len(record.input_sha256) == 64
    assert record.elapsed > 0


def test_a_result_comes_back_from_its_file_unchanged(result, tmp_path):
    pytest.importorskip("h5py")
    back = emcore.load_result(result.save(tmp_path / "result.h5"))
    assert back == result


def test_high_entropy_alloy_separates_lamellae_moire_patch_and_matrix(data_folder):
    result = analyze_image(data_folder / "high_entropy_alloy.npy")
    assert result.n_components == 3
    # Places seen by eye: (y, x) in the middle of each kind.
    matrix, lamella, moire = (
        {int(result.regions[y, x]) for y, x in places}
        for places in (
            [(150, 800), (100, 950), (900, 120)],
            [(250, 450), (600, 560), (800, 340), (750, 800)],
            [(400, 350), (300, 330), (600, 350)],
        )
    )
    assert len(matrix) == len(lamella) == len(moire) == 1
    assert len(matrix | lamella | moire) == 3
    assert np.all((result.spacing > 4) & (result.spacing < 6))


def test_one_perfect_lattice_is_one_region_with_the_spacing_of_strontium_titanate(data_folder):
    result = analyze_image(data_folder / "sto_lattice.ser")
    assert result.n_components == 1
    assert np.all(result.regions == 0)
    assert result.image.axes[1].units == "nm"
    # d(110) = 0.3905 nm / sqrt 2, the scale of the microscope is good to a few per cent.
    assert result.spacing[0] == pytest.approx(0.3905 / np.sqrt(2), rel=0.04)

    assert result.second_spacing[0] == pytest.approx(result.spacing[0], rel=0.04)
    assert result.angle[0] == pytest.approx(90, abs=2)


def test_two_lattices_of_graphene_are_hexagonal_and_the_blob_on_them_has_no_spacing(data_folder):
    result = analyze_image(data_folder / "cases/graphene_boundary.npy")
    assert result.n_components == 3
    blob = int(result.regions[490, 450])
    lattices = [i for i in range(3) if i != blob]
    for spacing in (result.spacing, result.second_spacing):
        assert np.all((spacing[lattices] > 17) & (spacing[lattices] < 18.6))
        assert np.isnan(spacing[blob])
    assert result.angle[lattices] == pytest.approx(60, abs=2)
    turned = abs(np.diff(result.direction[lattices]))[0] % 60
    assert 25 < min(turned, 60 - turned) <= 30


def test_noise_of_scan_lines_is_no_lattice(data_folder):
    result = analyze_image(data_folder / "cases/tvips_line_noise.tif")
    assert np.isnan(result.spacing).all()
    assert np.isnan(result.angle).all()


@pytest.mark.parametrize("name", ["fei_sem.tif", "zeiss_sem.tif", "haadf_particles.emd"])
def test_textures_without_a_lattice_are_told_apart_in_calibrated_units(name, data_folder):
    result = analyze_image(data_folder / name)
    assert 2 <= result.n_components <= 5
    assert result.image.axes[1].units in ("um", "nm")
    assert result.area.sum() == pytest.approx(1)
    assert np.isnan(result.spacing).all() == np.isnan(result.direction).all()


def test_a_frame_of_an_image_series_is_analysed(data_folder):
    result = analyze_image(data_folder / "tilt_series.dm3", window=32, frame=10)
    assert result.regions.shape == (64, 64)


IMAGE = lattice_micrograph(shape=(150, 160), spacings=[9], directions=[33]).image


@pytest.mark.parametrize(
    ("image", "options", "error", "message"),
    [
        (IMAGE[:, :90], {}, ValueError, "window=90"),
        (IMAGE[:5], {}, ValueError, "at least 8"),
        (np.full((150, 150), 7), {}, ValueError, "constant"),
        (np.where(np.arange(160) == 3, np.nan, IMAGE), {}, ValueError, r"\[0, 3\]"),
        (np.where(np.arange(160) == 4, np.inf, IMAGE), {}, ValueError, r"\[0, 4\]"),
        (IMAGE.astype(complex), {}, TypeError, "complex"),
        (IMAGE.astype(object), {}, TypeError, "object"),
        (IMAGE.astype(str), {}, TypeError, "str|<U"),
        (IMAGE[0], {}, ValueError, "two dimensions"),
        (IMAGE[:0], {}, ValueError, "empty"),
        (IMAGE, {"window": 4}, ValueError, "window"),
        (IMAGE, {"window": "aut"}, ValueError, "auto"),
        (IMAGE[:5], {"window": "auto"}, ValueError, "at least 8"),
        (np.full((150, 150), 7), {"window": "auto"}, ValueError, "constant"),
        (IMAGE, {"window": 12.5}, TypeError, "window"),
        (IMAGE, {"step": 0}, ValueError, "step"),
        (IMAGE, {"n_components": 0}, ValueError, "n_components"),
        (IMAGE, {"n_components": 2.5}, TypeError, "n_components"),
        (IMAGE, {"n_components": "aut"}, ValueError, "auto"),
        (IMAGE, {"n_components": 3}, ValueError, "2 windows; a smaller step"),
        (IMAGE, {"rule": "elbw"}, ValueError, "elbow"),
        (IMAGE, {"rule": "minka"}, ValueError, "needs more"),
        (IMAGE, {"rule": ["gap"]}, ValueError, "is not known"),
        (IMAGE, {"rule": "gap", "n_components": 1}, ValueError, "leave one out"),
        (IMAGE, {"frame": 3}, ValueError, "frame"),
    ],
)
def test_bad_input_is_refused_with_a_reason(image, options, error, message):
    with pytest.raises(error, match=message):
        analyze_image(image, **options)
