"""Overlapping scans on one grid: transforms, grains across the seams, maps of other modalities, what is refused."""

import csv
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

import emcore
from emcore.cli import main
from emcore.core.signals import Axis, Signal
from emcore.datasets import adjusted_rand_index, far_from_borders, overlapping_scans
from emcore.methods.registration.canvas import canvas_of
from emcore.methods.registration.carrying import elected, elected_together, votes
from emcore.methods.registration.images import inside
from emcore.methods.registration.transforms import about, apart, apply, corners, grid_of, rotation
from emcore.workflows.grains import segment_grains
from emcore.workflows.stitch import stitch

pytest.importorskip("skimage")


@pytest.fixture(scope="module")
def sample():
    return overlapping_scans((44, 48), (1, 3), overlap=0.4, pattern_shape=(32, 32), grain_size=13, n_holes=4, seed=11)


@pytest.fixture(scope="module")
def segmentations(sample):
    return [segment_grains(scan) for scan in sample.scans]


@pytest.fixture(scope="module")
def result(sample, segmentations):
    return stitch(segmentations, maps={"photoluminescence": (sample.luminescence, sample.fiducial)})


def to_first(sample):
    return np.linalg.inv(sample.transforms[0]) @ sample.transforms


def farthest(result, transforms):
    return max(apart(a, b, shape) for a, b, shape in zip(result.transforms, transforms, result.shapes, strict=True))


def of_the_whole(labels, sample, origin, shape):
    """Labels of the whole at the positions of a mosaic, which lie between its own; -1 beyond it."""
    origin = about(np.eye(2), np.zeros(2), np.array(origin, dtype=float))
    places = apply(sample.transforms[0] @ origin, grid_of(shape))
    on = inside(places, labels >= 0)
    found = np.full(len(places), -1)
    found[on] = elected(*votes(labels, places[on]))
    return found.reshape(shape)


def test_turned_scans_lie_where_they_were_cut(sample, result):
    assert farthest(result, to_first(sample)) < 0.5
    assert result.model == "rigid"
    assert not result.patterns_turn
    assert np.array_equal(result.transforms[0], np.eye(3))
    assert (result.uncertainty[1:] < 0.5).all()
    assert (result.pair_correlation > 0.9).all()


def with_the_whole(segmentation, labels, sample, origin):
    """Index of a mosaic with the grains of the whole, everywhere and away from borders."""
    whole = of_the_whole(segmentation.labels, sample, origin, labels.shape)
    there = (whole >= 0) & (labels >= 0)
    inside_ = there & far_from_borders(whole, 1)
    return [adjusted_rand_index(whole[each], labels[each]) for each in (there, inside_)]


def test_grains_of_scans_side_by_side_are_those_of_the_whole():
    sample = overlapping_scans(seed=11)
    result = stitch(sample.scans)
    assert farthest(result, to_first(sample)) < 0.5
    index, inside_ = with_the_whole(segment_grains(sample.whole), result.labels, sample, result.origin)
    assert index > 0.95
    assert inside_ > 0.99


def test_as_much_is_recovered_as_true_labels_and_transforms_would(sample, result):
    whole = segment_grains(sample.whole)
    index, inside_ = with_the_whole(whole, result.labels, sample, result.origin)
    assert inside_ > 0.99
    canvas = canvas_of(to_first(sample), [np.ones(labels.shape, bool) for labels in sample.labels])
    labels = np.full(canvas.covered.shape[1], -1, dtype=np.int32)
    there = np.flatnonzero(canvas.covered.any(axis=0))
    labels[there] = elected_together(canvas, sample.labels, there)
    most, _ = with_the_whole(whole, labels.reshape(canvas.shape), sample, canvas.origin)
    assert index > most - 0.015


def test_grains_of_a_mosaic_are_counted_and_compared(result):
    assert result.size.sum() == (result.labels >= 0).sum() == (result.coverage > 0).sum()
    assert (np.diff(result.size) <= 0).all()
    assert np.nanmean(result.seam) > 0.9
    several = result.in_scan.sum(axis=1) > 1
    assert several.sum() > 5
    assert (result.likeness[several] > 0.5).all()
    assert np.isnan(result.likeness[~several]).all()


def test_grains_are_measured_in_the_units_of_the_scan(result):
    assert result.length_units == "nm"
    assert np.allclose(result.area, 16.0 * result.size)
    y, x = np.nonzero(result.labels == 2)
    axes = result.image.axes
    assert result.y[2] == pytest.approx(axes[0].values[y].mean())
    assert result.x[2] == pytest.approx(axes[1].values[x].mean())
    assert (axes[0].offset, axes[1].offset) == (4.0 * result.origin[0], 4.0 * result.origin[1])


def test_the_order_of_scans_only_changes_the_frame(segmentations, result):
    order = [2, 0, 1]
    other = stitch([segmentations[i] for i in order])
    back = np.linalg.inv(result.transforms[2])
    for place, scan in enumerate(order):
        assert apart(other.transforms[place], back @ result.transforms[scan], result.shapes[scan]) < 0.02
    assert other.n_grains == pytest.approx(result.n_grains, abs=2)


def test_a_map_of_another_modality_is_registered_and_averaged(sample, result):
    shift = about(np.eye(2), np.zeros(2), -np.array(result.origin, dtype=float))
    true = shift @ np.linalg.inv(sample.transforms[0]) @ sample.map_transform
    ends = apply(true, corners(sample.luminescence.shape))
    seen = apply(result.map_transforms[0], corners(sample.luminescence.shape))
    assert np.linalg.norm(ends - seen, axis=1).max() < 1
    planted = of_the_whole(sample.whole_labels, sample, result.origin, result.image.shape)
    for grain in range(10):
        most = np.bincount(planted[(result.labels == grain) & (planted >= 0)]).argmax()
        assert result.map_mean[grain, 0] == pytest.approx(sample.brightness[most], abs=0.08)
    assert (result.map_spread[:10] < 0.2).all()


def test_patterns_that_turn_with_the_sample_are_turned_back():
    sample = overlapping_scans(
        (40, 44), overlap=0.45, turn=25, pattern_shape=(32, 32), grain_size=12, patterns_turn=True, seed=11
    )
    result = stitch(sample.scans)
    assert result.patterns_turn
    assert farthest(result, to_first(sample)) < 0.5
    assert np.nanmean(result.seam) > 0.9


def test_of_both_ways_in_which_patterns_may_turn_the_surer_one_is_taken(monkeypatch):
    sample = overlapping_scans((40, 44), overlap=0.45, turn=25, pattern_shape=(32, 32), grain_size=12, seed=11)
    segmentations = [segment_grains(scan) for scan in sample.scans]
    module = sys.modules["emcore.workflows.stitch"]
    together = module.all_together

    def by_chance(materials, model, turning, near, everywhere):
        """Fits of patterns that stay are no better than chance allows, and elsewhere."""
        joint, model = together(materials, model, False, near, everywhere)
        if not turning:
            refined = replace(joint.matches[0].refined, score=9.5)
            matches = (replace(joint.matches[0], refined=refined),)
            joint = replace(joint, matches=matches, transforms=np.stack([np.eye(3), np.diag([-1.0, -1.0, 1.0])]))
        return joint, model

    monkeypatch.setattr(module, "all_together", by_chance)
    result = stitch(segmentations)
    assert result.patterns_turn
    assert farthest(result, to_first(sample)) < 0.5


@pytest.fixture(scope="module")
def texture():
    rng = np.random.default_rng(11)
    return ndimage.gaussian_filter(rng.standard_normal((220, 260)), 2.0)


def pieces(image, places, angles, shape=(96, 100), noise=0.1):
    """Pieces of an image about some middles, turned, of other gains and noise; and where they come from."""
    rng = np.random.default_rng(5)
    cut, transforms = [], []
    for place, angle in zip(places, angles, strict=True):
        transforms.append(about(rotation(angle), (np.array(shape) - 1) / 2, np.array(place, dtype=float)))
        values = ndimage.map_coordinates(image, apply(transforms[-1], grid_of(shape)).T, order=3).reshape(shape)
        cut.append(rng.uniform(0.5, 2) * values + noise * image.std() * rng.standard_normal(shape))
    return cut, np.linalg.inv(transforms[0]) @ np.stack(transforms)


def test_pure_shifts_are_found_to_a_part_of_a_position(texture):
    cut, true = pieces(texture, [(80, 80), (83.37, 121.62), (100.5, 90.25)], [0, 0, 0], (64, 70))
    for transform in ("auto", "translation"):
        observed = stitch(cut, transform=transform)
        assert farthest(observed, true) < 0.1, transform
    assert observed.labels is None
    assert observed.n_grains == 0
    assert observed.gain[0] == 1


def test_images_turned_all_the_way_round_are_found(texture):
    cut, true = pieces(texture, [(90, 90), (100.4, 141.6)], [0, 167])
    observed = stitch(cut)
    assert farthest(observed, true) < 0.25
    first = observed.image.data[-observed.origin[0] :, -observed.origin[1] :][:96, :100]
    alone = observed.coverage[-observed.origin[0] :, -observed.origin[1] :][:96, :100] == 1
    assert np.allclose(first[alone], cut[0][alone])


def test_scans_of_other_steps_are_brought_to_one(texture):
    cut, _ = pieces(texture, [(80, 80), (90, 140)], [0, 0])
    axes = tuple(Axis(name, size, 2.0, units="nm") for name, size in zip("yx", (48, 50), strict=True))
    coarse = Signal(cut[1].reshape(48, 2, 50, 2).mean(axis=(1, 3)), axes)
    fine = Signal(cut[0], tuple(Axis(name, size, 1.0, units="nm") for name, size in zip("yx", (96, 100), strict=True)))
    observed = stitch([fine, coarse], transform="rigid")
    assert np.allclose(observed.transforms[1], [[2, 0, 10.5], [0, 2, 60.5], [0, 0, 1]], atol=0.1)


def test_offsets_of_axes_are_checked_against_the_data(texture):
    cut, true = pieces(texture, [(80, 80), (90, 140)], [0, 0])
    for x, said in ((60.0, False), (40.0, True)):
        axes = [(Axis("y", 96, 1.0, y, "nm"), Axis("x", 100, 1.0, at, "nm")) for y, at in ((0.0, 0.0), (10.0, x))]
        observed = stitch([Signal(image, each) for image, each in zip(cut, axes, strict=True)])
        assert farthest(observed, true) < 0.1
        assert any("from where the offsets" in note for note in observed.provenance.notes) == said


def test_scans_that_match_nothing_are_named(texture, segmentations):
    cut, _ = pieces(texture, [(60, 60), (70, 110)], [0, 0])
    stranger = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal((40, 40)), 2.0)
    with pytest.raises(ValueError, match=r"scan 3 \(scan 3\) overlaps with none of the others"):
        stitch([*cut, stranger])
    other = replace(segmentations[1], signals=np.roll(segmentations[1].signals, 3, axis=0))
    with pytest.raises(ValueError, match=r"no two of scan 1 .* overlap for certain: nothing can be stitched"):
        stitch([segmentations[0], other], patterns_turn=False)


def test_an_image_that_fits_in_two_places_is_not_guessed():
    rng = np.random.default_rng(0)
    twice = np.tile(ndimage.gaussian_filter(rng.standard_normal((48, 48)), 1.5, mode="wrap"), (1, 2))
    noise = 0.3 * twice.std() * rng.standard_normal((2, 48, 96))
    with pytest.raises(ValueError, match="nothing can be stitched"):
        stitch([twice + noise[0], (twice + noise[1])[:, :48]], transform="translation")


@pytest.mark.parametrize(
    ("scans", "settings", "error", "message"),
    [
        ("a.npy", {}, TypeError, "a list of two scans or more"),
        ([np.eye(20)], {}, ValueError, "1 scan was given; two or more"),
        ([np.eye(20), np.full((20, 20), np.nan)], {}, ValueError, "scan 2, array, has no finite value"),
        ([np.eye(20), np.eye(4)], {}, ValueError, "at least 8 x 8 positions"),
        ([np.eye(20), np.eye(20)], {"transform": "rigit"}, ValueError, "did you mean 'rigid'"),
        ([np.eye(20), np.eye(20)], {"min_correlation": 2}, ValueError, "min_correlation=2 is out of range"),
        ([np.eye(20), np.eye(20)], {"patterns_turn": "yes"}, ValueError, "patterns_turn='yes' is not known"),
    ],
)
def test_what_makes_no_sense_is_refused(scans, settings, error, message):
    with pytest.raises(error, match=message):
        stitch(scans, **settings)


def test_scans_and_images_do_not_go_together(segmentations):
    with pytest.raises(ValueError, match=r"scan 2, .*, is an image and the first is not"):
        stitch([segmentations[0], np.eye(40)])


def test_a_map_without_anything_in_common_is_refused(segmentations):
    noise = np.random.default_rng(0).standard_normal((40, 60))
    with pytest.raises(ValueError, match=r"maps\['cathodo'\] does not correlate"):
        stitch(segmentations[:2], maps={"cathodo": noise})
    with pytest.raises(ValueError, match="and what it is registered on"):
        stitch(segmentations[:2], maps={"cathodo": (noise, noise[:20])})


def placed(**options):
    """A map beside a mosaic of two scans, and how far its corners are from where they are."""
    sample = overlapping_scans((44, 48), (1, 2), overlap=0.4, pattern_shape=(32, 32), grain_size=13, **options)
    found = stitch(sample.scans, maps={"luminescence": (sample.luminescence, sample.fiducial)})
    from_origin = about(np.eye(2), np.zeros(2), np.array(found.origin, dtype=float))
    truth = np.linalg.inv(sample.transforms[0]) @ sample.map_transform
    return apart(from_origin @ found.map_transforms[0], truth, sample.fiducial.shape)


def test_a_map_is_not_laid_on_where_one_hole_is_like_another():
    # Turned by 61 degrees one hole lies on another better than four do in their places.
    assert placed(n_holes=4, seed=11) < 3


def test_a_map_that_two_places_suit_is_refused():
    with pytest.raises(ValueError, match="does not correlate with the mosaic for certain"):
        placed(n_holes=1, seed=4)


def test_a_result_is_read_back_drawn_and_its_table_is_a_csv(result, tmp_path):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    assert emcore.load_result(result.save(tmp_path / "a.h5")) == result
    drawn = result.plot().axes
    titles = [axes.get_title("left") for axes in drawn]
    # Scans have a colour in their table, and pairs of them none.
    assert sum(line.get_marker() == "s" for axes in drawn for line in axes.lines) == result.n_scans
    assert "photoluminescence" in titles
    assert f"{result.n_grains} grains" in titles
    lines = list(csv.DictReader(result.write_table(tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()))
    assert len(lines) == result.n_grains
    assert float(lines[1]["photoluminescence mean"]) == pytest.approx(result.map_mean[1, 0], rel=1e-5)
    assert lines[0]["scans"] == " ".join(str(i + 1) for i in np.flatnonzero(result.in_scan[0]))


def test_the_verb_takes_results_and_scans(sample, segmentations, result, tmp_path, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    files = [str(each.save(tmp_path / f"{name}.h5")) for each, name in zip(segmentations[:2], "ab", strict=True)]
    for name, image in (("pl", sample.luminescence.data), ("mask", sample.fiducial)):
        np.save(tmp_path / f"{name}.npy", image)
    folder = tmp_path / "out"
    assert main(["stitch", *files, "--output", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == {
        "a_mosaic.stitch.pdf",
        "a_mosaic.stitch.h5",
        "a_mosaic_table.csv",
    }
    assert "scan 2" in capsys.readouterr().out
    assert apart(emcore.load_result(folder / "a_mosaic.stitch.h5").transforms[1], result.transforms[1], (44, 48)) < 0.3
    assert main(["stitch", *files, "--output", str(folder)]) == 1
    assert "a_mosaic" in capsys.readouterr().err


def test_scikit_image_is_an_extra_that_is_named(monkeypatch, texture):
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with pytest.raises(ImportError, match=r"pip install '.+\[image\]"):
        stitch([texture[:100, :100], texture[:100, 50:150]])


def test_pieces_of_real_images_are_stitched(data_folder):
    image = emcore.read(data_folder / "zeiss_sem.tif").data[:600].astype(float)
    cut, true = pieces(image, [(200, 200), (210.4, 270.7), (260.2, 220.9)], [0, 6, -9], shape=(120, 130), noise=0.05)
    assert farthest(stitch(cut), true) < 0.5
    with np.load(data_folder / "orientation_scan_32.npz") as file:
        scan = next(file[name] for name in file.files if file[name].ndim == 4)
    # The second scan runs from below to above: a quarter of a turn, patterns as they were.
    first, second = scan[:, :21], np.ascontiguousarray(np.rot90(scan[:, 11:], axes=(0, 1)))
    observed = stitch([first, second])
    assert not observed.patterns_turn
    true = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 31.0], [0.0, 0.0, 1.0]])
    assert apart(observed.transforms[1], true, second.shape[:2]) < 0.5
