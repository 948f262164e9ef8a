"""Virtual detectors see what they should, and the direct beam is found where it is."""

import numpy as np
import pytest

from emcore.datasets import polycrystal_scan
from emcore.io.read import read
from emcore.scans.detectors import annulus, disc, find_beam, masked_beam, pacbed, sum_by_label, virtual_images
from emcore.scans.patterns import PatternRows, as_pattern_rows, axes_of_scan, line_said, scan_of_patterns

TYPES = ["u1", "u2", "u4", "i2", "i4", "f4", "f8"]


def scan(dtype, shape=(5, 7, 20, 24), seed=0):
    """Patterns that use the whole range of an integer type."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return rng.normal(100, 20, shape).astype(kind)
    info = np.iinfo(kind)
    return rng.integers(info.min, info.max, shape, dtype=kind, endpoint=True)


def planted(kind, rng):
    """A beam under noise, between reflections, with hot pixels; its centre and radius."""
    side = int(rng.integers(48, 160))
    center = side / 2 + rng.uniform(-side / 6, side / 6, 2)
    radius = rng.uniform(3, side / 8)
    ky, kx = np.ogrid[:side, :side]

    def spot(dy, dx):
        away = np.hypot(ky - center[0] - dy, kx - center[1] - dx)
        return np.exp(-((away / radius) ** 2)) if kind == "blurred" else np.clip(radius + 0.5 - away, 0, 1)

    pattern = spot(0, 0)
    if kind == "convergent":
        for turn in np.radians(np.arange(0, 360, 60)):
            pattern = pattern + 0.3 * spot(2.2 * radius * np.sin(turn), 2.2 * radius * np.cos(turn))
    pattern = 200 * pattern + 3 + 5 * np.exp(-np.hypot(ky - center[0], kx - center[1]) / (side / 4))
    pattern = rng.poisson(50 * pattern) / 50
    for _ in range(15):
        pattern[tuple(rng.integers(0, side, 2))] = rng.uniform(1, 20) * 200
    row, column = rng.integers(0, side - 1, 2)
    pattern[row, column : column + 2] = 600
    return pattern, center, radius


@pytest.mark.parametrize("kind", ["disc", "blurred", "convergent"])
def test_the_beam_is_found_within_a_tenth_of_a_pixel_in_spite_of_hot_pixels(kind):
    rng = np.random.default_rng(1)
    for _ in range(30):
        pattern, center, radius = planted(kind, rng)
        beam = find_beam(pattern)
        assert np.hypot(*(beam.center - center)) < 0.1
        if kind != "blurred":
            assert beam.radius == pytest.approx(radius, rel=0.07)
            assert beam.edge < 1.0 + 0.1 * radius
        assert beam.is_disc(pattern.shape)


@pytest.mark.parametrize("row_and_column", [(3.2, 40.0), (60.4, 2.1)])
def test_a_beam_at_the_edge_of_the_detector_is_found(row_and_column):
    ky, kx = np.ogrid[:64, :64]
    beam = find_beam(np.clip(9.5 - np.hypot(ky - row_and_column[0], kx - row_and_column[1]), 0, 1))
    assert np.hypot(*np.subtract(beam.center, row_and_column)) < 5
    mask = disc((64, 64), beam.center, beam.mask_radius)
    assert mask[np.hypot(ky - row_and_column[0], kx - row_and_column[1]) < 5].all()


def test_the_mask_leaves_nothing_of_a_beam():
    for radius in (2.0, 5.3, 17.0):
        for blur in (0.3, 1.0):
            ky, kx = np.ogrid[:128, :128]
            away = np.hypot(ky - 60.3, kx - 66.1)
            pattern = 0.5 - 0.5 * np.tanh((away - radius) / blur / 0.8)
            beam = find_beam(pattern)
            assert pattern[~disc((128, 128), beam.center, beam.mask_radius)].max() < 0.1
            assert beam.mask_radius < radius + 6 * blur + 1.5


def test_a_wide_maximum_is_no_beam():
    ky, kx = np.ogrid[:60, :60]
    assert masked_beam(np.exp(-(((ky - 25) / 30.0) ** 2) - ((kx - 25) / 30.0) ** 2), True, None)[1] is None


def test_a_large_disc_with_an_edge_is_a_beam():
    ky, kx = np.ogrid[:64, :64]
    beam = find_beam(np.clip(20.5 - np.hypot(ky - 31, kx - 33), 0, 1))
    assert beam.is_disc((64, 64))
    assert beam.radius == pytest.approx(20, abs=0.2)


def test_a_pattern_without_contrast_has_no_beam():
    with pytest.raises(ValueError, match="pattern is constant, every pixel is 3"):
        find_beam(np.full((9, 9), 3))
    with pytest.raises(ValueError, match=r"NaN or infinity, first at \[2, 1\]"):
        find_beam(np.where(np.arange(9).reshape(3, 3) == 7, np.nan, 1.0))


@pytest.mark.parametrize("dose", [1e-4, 1e-2, 0.1, 1.0, 100.0])
def test_hot_pixels_in_empty_or_noisy_patterns_are_no_beam(dose):
    rng = np.random.default_rng(0)
    for shape in ((64, 96), (5, 5), (2, 9)):
        for _ in range(5):
            pattern = rng.poisson(dose, shape).astype(np.float64)
            pattern[1, 4] += 100 * dose + 50
            with pytest.raises(ValueError, match="no bright disc stands out of the pattern"):
                find_beam(pattern)
            center, radius, said = masked_beam(pattern, True, None)
            assert center is radius is None
            assert said == ("no bright disc stands out of the mean pattern: nothing was masked",)


@pytest.mark.parametrize("name", ["cases/merlin_hot_pixel.mib", "cases/tia/line_patterns_EDS_2.ser", "test2.blo"])
def test_real_patterns_without_a_beam_have_none(name, data_folder):
    data = np.asarray(read(data_folder / name).data)
    mean = data.reshape(-1, *data.shape[-2:]).mean(axis=0)
    assert masked_beam(mean, True, None)[:2] == (None, None)


@pytest.mark.parametrize(("name", "radius"), [("merlin/001_4x2_6bit.mib", 26.64), ("test1.blo", 4.63)])
def test_real_beams_are_found(name, radius, data_folder):
    data = np.asarray(read(data_folder / name).data)
    assert find_beam(data.reshape(-1, *data.shape[-2:]).mean(axis=0)).radius == pytest.approx(radius, abs=0.01)


def test_a_faint_beam_of_few_counts_is_a_beam():
    ky, kx = np.ogrid[:64, :64]
    truth = 0.02 + 1.5 * (np.hypot(ky - 30, kx - 33) <= 8)
    assert find_beam(np.random.default_rng(0).poisson(truth)).radius == pytest.approx(8, abs=0.7)


def test_a_disc_holds_the_pixels_whose_middle_is_no_farther_than_its_radius():
    center, radius = (3.2, 5.7), 2.9
    mask, ring = disc((8, 11), center, radius), annulus((8, 11), center, 1.4, radius)
    for row, column in np.ndindex(8, 11):
        away = np.hypot(row - center[0], column - center[1])
        assert mask[row, column] == (away <= radius)
        assert ring[row, column] == (1.4 < away <= radius)


@pytest.mark.parametrize("dtype", TYPES)
def test_bright_field_and_annulus_and_rest_add_up_to_the_total(dtype):
    patterns = scan(dtype)
    shape, center = patterns.shape[2:], (9.3, 13.8)
    bright, ring = disc(shape, center, 4.0), annulus(shape, center, 4.0, 8.5)
    rest = ~(bright | ring)
    assert not (bright & ring).any()
    images = virtual_images(patterns, [bright, ring, rest, np.ones(shape, bool)])
    np.testing.assert_allclose(images[:3].sum(axis=0), images[3], rtol=3e-6, atol=np.abs(images).max() * 1e-6)
    total = patterns.sum(axis=(2, 3), dtype=np.float64)
    np.testing.assert_allclose(images[3], total, rtol=3e-6, atol=np.abs(images).max() * 1e-6)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_virtual_images_of_counts_are_exact(dtype):
    patterns = scan(dtype)
    mask = disc(patterns.shape[2:], (9.3, 13.8), 6.0)
    observed = virtual_images(patterns, mask)
    assert np.array_equal(observed, patterns[:, :, mask].sum(axis=2, dtype=np.int64))


def test_a_detector_may_weigh_pixels():
    patterns = scan("u1")
    ky = np.broadcast_to(np.arange(20.0)[:, None], (20, 24))
    expected = np.einsum("yxij,ij->yx", patterns.astype(float), ky)
    np.testing.assert_allclose(virtual_images(patterns, ky), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(5, 7, 20, 24), (40, 30, 8, 9)])
def test_sums_over_patterns_are_exact_for_integers(dtype, shape):
    patterns = scan(dtype, shape)
    labels = np.random.default_rng(2).integers(-1, 3, shape[:2])
    sums = sum_by_label(patterns, labels, 3)
    wide = patterns.astype(np.int64 if np.dtype(dtype).kind in "iu" else np.float64)
    for label in range(3):
        expected = wide[labels == label].sum(axis=0)
        if np.dtype(dtype).kind in "iu":
            assert np.array_equal(sums[label], expected)
        else:
            np.testing.assert_allclose(sums[label], expected, rtol=1e-6)
    np.testing.assert_allclose(pacbed(patterns), wide.mean(axis=(0, 1)), rtol=1e-6 if dtype == "f4" else 1e-14)


@pytest.mark.parametrize(
    "view",
    [
        lambda data: data[:, :, ::-1],
        lambda data: data[:, :, :, ::-1],
        lambda data: data[::-1, :, ::-1, ::-1],
        lambda data: data[::2, 1:, 2:15, ::3],
        lambda data: data.transpose(1, 0, 3, 2),
        lambda data: np.asfortranarray(data),
        lambda data: data.astype(data.dtype.newbyteorder()),
    ],
)
def test_any_view_of_a_scan_gives_what_its_copy_gives(view):
    patterns = view(scan("u2"))
    before = patterns.copy()
    mask = disc(patterns.shape[2:], (3.2, 5.1), 4.0)
    labels = np.arange(patterns.shape[0] * patterns.shape[1]).reshape(patterns.shape[:2]) % 2
    assert np.array_equal(virtual_images(patterns, mask), virtual_images(before.astype("u2"), mask))
    assert np.array_equal(sum_by_label(patterns, labels, 2), sum_by_label(before.astype("u2"), labels, 2))
    assert np.array_equal(patterns, before)


def test_patterns_that_run_backwards_in_the_file_are_not_copied():
    patterns = scan("u1")[:, :, ::-1]
    assert np.shares_memory(as_pattern_rows(patterns).rows, patterns)


def test_the_truth_of_a_synthetic_scan_is_found():
    sample = polycrystal_scan((12, 16))
    beam = find_beam(pacbed(sample.patterns))
    assert np.hypot(*np.subtract(beam.center, sample.beam_center)) < 0.1
    assert beam.radius == pytest.approx(sample.beam_radius, rel=0.1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: virtual_images(np.zeros((2, 3, 8, 8)), np.zeros((8, 9))), ValueError, "must agree"),
        (lambda: virtual_images(np.zeros((3, 8, 8)), np.zeros((8, 8))), ValueError, r"patterns has shape \(3, 8, 8\)"),
        (lambda: pacbed(np.zeros((2, 3, 8, 8), complex)), TypeError, "complex"),
        (lambda: pacbed(np.full((2, 3, 8, 8), np.inf)), ValueError, r"first at \[0, 0, 0, 0\]"),
        (lambda: disc((8, 8), (4, 4), -1), ValueError, "radius"),
        (lambda: annulus((8, 8), (4, 4), 3, 2), ValueError, "inner"),
        (lambda: disc((8, 8), (np.nan, 4), 1), ValueError, "center"),
    ],
)
def test_bad_requests_are_refused_with_a_reason(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 9), "one picture is no scan"),
        ((2, 3, 4, 8, 9), "3 axes of positions"),
    ],
)
def test_what_is_no_scan_of_patterns_is_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        scan_of_patterns(np.zeros(shape))


def test_a_series_becomes_one_line_and_says_how_to_fold_it():
    patterns = scan("u1", (6, 1, 9, 8))[:, 0]
    line = scan_of_patterns(patterns)
    assert [axis.size for axis in axes_of_scan(line)] == [1, 6]
    assert "scan_shape=(y, x)" in line_said(line)[-1]
    folded = scan_of_patterns(patterns, (2, 3))
    assert folded.shape == (2, 3, 9, 8)
    assert not line_said(folded)
    assert np.array_equal(folded.data[1, 0], patterns[3])
    with pytest.raises(ValueError, match=r"scan_shape=\(4, 2\) does not fit: array holds 6 patterns"):
        scan_of_patterns(patterns, (4, 2))


def test_a_spectrum_image_holds_no_patterns():
    from emcore.core.signals import Axis, Signal

    cube = Signal(np.zeros((4, 5, 30)), (Axis("y", 4, navigation=True), Axis("x", 5, navigation=True), Axis("e", 30)))
    with pytest.raises(ValueError, match="spectrum or curve of 30 points"):
        scan_of_patterns(cube)


@pytest.mark.parametrize("name", ["test1.blo", "test2.blo", "merlin/001_4x2_6bit.mib"])
def test_real_scans_are_mapped_and_hold_what_reading_gives(data_folder, name):
    from emcore.io.read import read

    mapped, whole = scan_of_patterns(data_folder / name), read(data_folder / name)
    assert [axis.scale for axis in mapped.axes] == [axis.scale for axis in whole.axes]
    base = mapped.data
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    np.testing.assert_array_equal(mapped.data, whole.data)
    assert np.shares_memory(as_pattern_rows(mapped).rows, mapped.data)


def test_of_an_archive_the_scan_is_read(data_folder, tmp_path):
    assert scan_of_patterns(data_folder / "orientation_scan_32.npz").shape == (32, 32, 64, 64)
    np.savez(tmp_path / "a.npz", larger=np.zeros((900, 900)), scan=np.zeros((2, 3, 8, 9), np.uint8))
    assert scan_of_patterns(tmp_path / "a.npz").shape == (2, 3, 8, 9)
    with pytest.raises(ValueError, match="one picture is no scan"):
        scan_of_patterns(tmp_path / "a.npz", dataset="larger")


def test_a_scan_in_a_berkeley_emd_file_is_read_with_its_axes(tmp_path):
    h5py = pytest.importorskip("h5py")
    patterns = scan("u2", (4, 5, 10, 12))
    with h5py.File(tmp_path / "a.emd", "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("data/scan")
        group.attrs["emd_group_type"] = 1
        group["data"] = patterns
        for i, (name, size) in enumerate(zip(("y", "x", "ky", "kx"), patterns.shape, strict=True)):
            axis = group.create_dataset(f"dim{i + 1}", data=np.arange(size) * (1.5 if i < 2 else 0.02))
            axis.attrs["name"], axis.attrs["units"] = np.bytes_(name), np.bytes_("[n_m]" if i < 2 else "[n_m^-1]")
    observed = scan_of_patterns(tmp_path / "a.emd")
    assert np.array_equal(observed.data, patterns)
    assert [(axis.name, axis.units) for axis in observed.axes] == [
        ("y", "nm"),
        ("x", "nm"),
        ("ky", "1/nm"),
        ("kx", "1/nm"),
    ]
    assert observed.axis("kx").scale == pytest.approx(0.02)


def test_a_scan_in_a_hyperspy_file_is_read_with_its_axes(tmp_path):
    hs = pytest.importorskip("hyperspy.api")
    patterns = scan("u2", (4, 5, 10, 12))
    signal = hs.signals.Signal2D(patterns)
    for axis, scale, units in zip(
        signal.axes_manager._axes, (2, 2, 0.1, 0.1), ("nm",) * 2 + ("1/nm",) * 2, strict=True
    ):
        axis.scale, axis.units = scale, units
    signal.save(tmp_path / "a.hspy")
    observed = scan_of_patterns(tmp_path / "a.hspy")
    assert np.array_equal(observed.data, patterns)
    assert [(axis.scale, axis.units) for axis in observed.axes[1:3]] == [(2, "nm"), (0.1, "1/nm")]


def test_only_patterns_without_numbers_have_sums_without_one():
    patterns = np.random.default_rng(0).random((3, 4, 8, 8)).astype("f4")
    patterns[1, 2, 3, 4] = np.nan
    matrix = PatternRows(patterns.reshape(12, 64), (3, 4), (8, 8), ())
    image = virtual_images(matrix, np.ones((8, 8)))
    assert np.argwhere(~np.isfinite(image)).tolist() == [[1, 2]]
    with pytest.raises(ValueError, match="too large for sums"):
        virtual_images(matrix, np.full((8, 8), 1e308))
