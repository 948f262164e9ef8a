"""Regions of differing local symmetry, against labelled synthetic images and real ones."""

import numpy as np
import pytest

import emcore
from emcore.core.signals import Axis, Signal
from emcore.datasets import adjusted_rand_index, crystal_grains, far_from_borders

SHAPE = (260, 300)


@pytest.fixture(scope="module")
def sample():
    return crystal_grains(SHAPE)


@pytest.fixture(scope="module")
def result(sample):
    return emcore.local_symmetry(sample.image)


@pytest.mark.parametrize(
    ("kinds", "turns"),
    [
        (("hexagonal", "hexagonal"), (0.0, 22.0)),
        (("hexagonal", "square"), (0.0, 10.0)),
        (("hexagonal", "square", "none"), (0.0, 10.0, 0.0)),
        (("square",) * 3, (0.0, 15.0, 40.0)),
        (("hexagonal",), (7.0,)),
        (("none",), (0.0,)),
    ],
    ids=["turned", "kinds", "noise-beside", "three", "one", "noise"],
)
def test_grains_under_noise_of_half_their_contrast_are_found_without_settings(kinds, turns):
    sample = crystal_grains((320, 340), kinds, turns, seed=11)
    result = emcore.local_symmetry(sample.image)
    assert result.n_regions == len(kinds)
    said = any("no lattice stands out" in note for note in result.provenance.notes)
    assert said == (kinds == ("none",))
    far = far_from_borders(sample.labels, 14)
    assert len(kinds) == 1 or adjusted_rand_index(sample.labels[far], result.labels[far]) >= 0.95


@pytest.mark.parametrize("seed", [11, 12])
def test_rotations_tell_kinds_of_lattice_apart_and_reflections_orientations_too(seed):
    kinds = crystal_grains(SHAPE, ("hexagonal", "square"), (0.0, 10.0), seed=seed)
    result = emcore.local_symmetry(kinds.image, "rotation")
    far = far_from_borders(kinds.labels, 24)
    assert result.n_regions == 2
    assert adjusted_rand_index(kinds.labels[far], result.labels[far]) >= 0.95
    order = [int(np.bincount(result.labels[far & (kinds.labels == i)]).argmax()) for i in (0, 1)]
    hexagonal, square = result.scores[order]
    assert hexagonal[1] > square[1] + 0.1  # three turns
    assert square[2] > hexagonal[2] + 0.1  # four
    turned = crystal_grains(SHAPE, seed=seed)
    mirrors = emcore.local_symmetry(turned.image, "reflection", 2)
    assert adjusted_rand_index(turned.labels[far], mirrors.labels[far]) >= 0.95


@pytest.mark.parametrize("seed", [11, 12])
def test_rotations_see_grains_of_one_kind_as_one_and_the_boundary_between_them(seed):
    sample = crystal_grains(SHAPE, noise=0.3, seed=seed)
    result = emcore.local_symmetry(sample.image, "rotation")
    assert result.n_regions == 2
    near = ~far_from_borders(sample.labels, 24)
    assert near[result.labels == 0].mean() > 0.9  # the smaller region
    assert (result.labels[~far_from_borders(sample.labels, 1)] == 0).mean() > 0.9


def test_pooled_scores_do_not_tell_orientations_apart(sample):
    assert emcore.local_symmetry(sample.image, pool="max").n_regions == 1


def test_every_field_has_the_shape_and_type_that_is_promised(sample, result):
    k, d, p = 2, 80, 5
    ny, nx = ((size - 2 * (result.patch + result.window) - 1) // result.stride + 1 for size in SHAPE)
    expected = {
        "labels": (SHAPE, np.int32),
        "confidence": (SHAPE, np.float32),
        "maps": ((p, ny, nx), np.float32),
        "y": ((ny,), np.float64),
        "x": ((nx,), np.float64),
        "scores": ((k, d), np.float64),
        "centers": ((k, p), np.float64),
        "components": ((p, d), np.float64),
        "evr": ((p,), np.float64),
    } | dict.fromkeys(
        ("share", "spacing", "direction", "second_spacing", "second_direction", "angle"), ((k,), np.float64)
    )
    for name, (shape, dtype) in expected.items():
        array = getattr(result, name)
        assert (array.shape, array.dtype) == (shape, dtype), name
        assert np.isfinite(array).all(), name
    assert result.features.shape == (d, 2)
    assert set(np.unique(result.labels)) == {0, 1}
    assert result.share.sum() == pytest.approx(1)
    assert result.share[0] <= result.share[1]
    assert np.allclose(result.share, np.bincount(result.labels.ravel()) / result.labels.size)
    assert 0 <= result.confidence.min() < 0.1
    assert result.confidence.max() > 0.9


def test_each_region_has_the_spacing_and_direction_of_its_lattice(sample, result):
    assert np.allclose(result.spacing, sample.spacing, rtol=0.02)
    order = [int(np.bincount(result.labels[sample.labels == i]).argmax()) for i in (0, 1)]
    off = (result.direction[order] - sample.direction + 30) % 60 - 30
    assert np.abs(off).max() < 2
    assert np.allclose(result.angle, 60, atol=2)


def test_confidence_is_least_at_borders(sample, result):
    near = ~far_from_borders(result.labels, 1)
    assert np.median(result.confidence[near]) < 0.3 < np.median(result.confidence[~near])


def test_gain_offset_and_slope_of_the_brightness_do_not_matter(sample, result):
    other = emcore.local_symmetry(1000 + 3 * sample.image.astype(np.float64))
    assert np.mean(other.labels == result.labels) > 0.999
    y, x = np.indices(SHAPE)
    sloping = emcore.local_symmetry(sample.image + 0.05 * x + 0.03 * y, patch=result.patch, window=result.window)
    assert np.mean(sloping.labels == result.labels) > 0.99


def test_turning_the_image_turns_the_regions(sample, result):
    sizes = {"patch": result.patch, "window": result.window, "stride": 3}
    # Points lie symmetrically in an image of this size.
    image = sample.image[:247, :289]
    one, other = (emcore.local_symmetry(each, **sizes) for each in (image, np.rot90(image)))
    agree = np.mean(np.rot90(one.labels) == other.labels)
    assert max(agree, 1 - agree) > 0.99


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float64"])
def test_pixels_of_any_type_give_the_same_regions(sample, result, dtype):
    counts = np.clip(np.round(60 + 40 * sample.image), 0, 255).astype(dtype)
    other = emcore.local_symmetry(counts)
    assert np.mean(other.labels == result.labels) > 0.98
    assert other.image.data.dtype == dtype


@pytest.mark.parametrize("fill", [np.nan, 0.0])
def test_lines_without_a_measurement_take_no_part(sample, result, fill):
    padded = np.full((300, 340), fill, dtype=np.float32)
    part = np.s_[20:280, 35:335]
    padded[part] = sample.image
    before = padded.copy()
    other = emcore.local_symmetry(padded)
    if np.isnan(fill):  # zeros at the edges must be 16 lines at least
        assert np.array_equal(other.labels[part], result.labels)
        assert (other.labels >= 0).sum() == sample.image.size
        assert other.n_empty == padded.size - sample.image.size
        assert not other.confidence[other.labels < 0].any()
        assert np.array_equal(other.y, result.y + 20)
        assert other.measured is not None
    else:
        assert (other.labels[:20] == -1).all()
        assert (other.labels[:, :35] == -1).all()
    assert np.array_equal(padded, before, equal_nan=True)


def test_results_are_the_same_on_one_and_two_threads(sample, result, same):
    with emcore.num_threads(1):
        assert same(emcore.local_symmetry(sample.image), result)


def test_sizes_may_have_units_and_a_calibrated_image_gives_calibrated_lengths(sample, result):
    axes = (Axis("y", SHAPE[0], 0.2, 5.0, "A"), Axis("x", SHAPE[1], 0.02, -3.0, "nm"))
    calibrated = emcore.local_symmetry(Signal(sample.image, axes), patch="0.24 nm", window="3 A")
    assert (calibrated.patch, calibrated.window) == (12, 15)
    assert np.allclose(calibrated.spacing, 0.02 * result.spacing, rtol=0.05)
    assert calibrated.image.axes[1].units == "nm"
    assert calibrated.sizes.startswith("asked for")
    with pytest.raises(ValueError, match="no calibration"):
        emcore.local_symmetry(sample.image, patch="1 nm")


def test_the_number_asked_for_is_given_and_plain_k_means_of_the_same_components_agrees(sample):
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    from emcore.methods.symmetry.descriptors import described, descriptors_for

    result = emcore.local_symmetry(sample.image, n_regions=3)
    assert (result.n_regions, result.rule, result.reason) == (3, "given", "n_regions=3 was asked for")
    how = descriptors_for(sample.image, "translation", None, None, None, None)
    scores = described(sample.image, how).scores
    places = PCA(5, random_state=0).fit_transform(scores.reshape(-1, scores.shape[2]).astype(np.float64))
    two = KMeans(2, n_init=10, random_state=0).fit_predict(places)
    ours = emcore.local_symmetry(sample.image, n_regions=2)
    points = ours.labels[np.ix_(ours.y.astype(int), ours.x.astype(int))].ravel()
    assert adjusted_rand_index(two, points) > 0.99


def test_a_stack_gives_one_frame_and_says_so(sample):
    stack = np.stack([sample.image, np.zeros(SHAPE, np.float32)])
    assert any("the first was analysed" in note for note in emcore.local_symmetry(stack).provenance.notes)
    with pytest.raises(ValueError, match="constant"):
        emcore.local_symmetry(stack, frame=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"score": "rotations"}, ValueError, "did you mean 'rotation'"),
        ({"pool": "mean"}, ValueError, "pool"),
        ({"pool": "max", "score": "rotation"}, ValueError, "leave it out"),
        ({"window": 9, "score": "reflection"}, ValueError, "leave it out"),
        ({"n_regions": "many"}, ValueError, "n_regions"),
        ({"n_regions": 0}, ValueError, "n_regions"),
        ({"n_regions": 2.5}, TypeError, "n_regions"),
        ({"stride": 0}, ValueError, "stride"),
        ({"n_components": 0}, ValueError, "n_components"),
        ({"patch": "wide"}, ValueError, "is no length"),
        ({"patch": 1.5}, TypeError, "patch"),
        ({"patch": 60, "window": 30}, ValueError, "too small for window 30 and patch 60"),
        ({"patch": 70, "score": "rotation"}, ValueError, "too small for patch 70"),
        ({"stride": 90, "n_regions": 20}, ValueError, "too many: stride=90"),
    ],
)
def test_bad_requests_are_refused_with_a_reason(options, error, message):
    with pytest.raises(error, match=message):
        emcore.local_symmetry(crystal_grains((130, 140)).image, **options)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.ones((90, 90)), ValueError, "constant, every pixel is 1.0"),
        (np.ones((90, 90), complex), TypeError, "complex"),
        (np.ones(90), ValueError, "two dimensions"),
        (np.eye(20), ValueError, "20 x 20 px, too small"),
        (
            np.where(np.arange(8100).reshape(90, 90) == 4000, np.nan, np.random.default_rng(0).random((90, 90))),
            ValueError,
            "44, 40",
        ),
    ],
)
def test_bad_images_are_refused_with_a_reason(image, error, message):
    with pytest.raises(error, match=message):
        emcore.local_symmetry(image)


def test_two_grains_of_graphene_by_translations_and_one_by_the_largest_of_them(data_folder):
    path = data_folder / "cases" / "graphene_boundary.npy"
    result = emcore.local_symmetry(path)
    # The smallest is a blob of hydrocarbon.
    assert result.n_regions == 3
    assert result.share[0] < 0.1
    assert np.isnan(result.spacing).tolist() == [True, False, False]
    assert (np.abs((result.direction[1] - result.direction[2] + 30) % 60 - 30)) > 20
    assert len(np.unique(result.labels[:300, 150:450])) == 2
    pooled = emcore.local_symmetry(path, pool="max")
    assert pooled.n_regions == 2
    assert (pooled.labels[:300] == 1).mean() > 0.99


def test_the_boundary_between_grains_of_graphene_by_rotations(data_folder):
    path = data_folder / "cases" / "graphene_boundary.npy"
    inside = np.s_[60:330, 60:450]  # away from the blob, and from the edges
    grains = emcore.local_symmetry(path).labels[inside]
    regions = emcore.local_symmetry(path, "rotation", 2, stride=5).labels[inside]
    near, far = ~far_from_borders(grains, 12), far_from_borders(grains, 60)
    boundary = int(np.bincount(regions[near]).argmax())
    assert np.mean(regions[near] == boundary) > 0.9
    assert np.mean(regions[far] != boundary) > 0.8


def test_lamellae_of_an_alloy_its_matrix_and_a_moire_patch(data_folder):
    path = data_folder / "high_entropy_alloy.npy"
    result = emcore.local_symmetry(path, stride=8)
    assert result.n_regions == 3
    assert len({int(result.labels[place]) for place in ((900, 665), (200, 900), (400, 250))}) == 3
    five = emcore.local_symmetry(path, n_regions=5, stride=8)
    parts = {"lamella": np.s_[880:1000, 640:690], "matrix": np.s_[100:350, 820:1000], "moire": np.s_[300:600, 230:400]}
    shares = [np.bincount(five.labels[part].ravel(), minlength=5) / five.labels[part].size for part in parts.values()]
    assert len({int(share.argmax()) for share in shares}) == 3
    assert min(share.max() for share in shares) > 0.75
