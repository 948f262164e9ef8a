"""Patterns, several signals and pictures of which not all was measured: as if only the rest had been scanned."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emcore
from emcore.cli import correlate, diffraction, grains
from emcore.datasets import adjusted_rand_index, bent_polycrystal, correlated_scan, lattice_micrograph, polycrystal_scan

PATTERNS = polycrystal_scan(scan_shape=(10, 12), pattern_shape=(32, 32), n_grains=3).patterns
SCAN = correlated_scan(shape=(16, 16))
SIGNALS = [np.asarray(SCAN.diffraction.data), np.asarray(SCAN.eds.data)]
GRAINS = np.asarray(bent_polycrystal(scan_shape=(24, 28), pattern_shape=(48, 48), n_grains=4).patterns.data)


def same_but(a, b, names):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


@given(
    places=st.lists(st.integers(0, 120), min_size=1, max_size=12),
    kind=st.sampled_from(["zero", "constant", "nan"]),
    options=st.sampled_from(
        [{}, {"normalize": "sum", "reduce": None}, {"normalize": "sqrt", "reduce": 4, "mask_beam": False}]
    ),
)
@settings(max_examples=8, deadline=None)
def test_patterns_are_grouped_as_if_empty_ones_were_not_there(places, kind, options):
    patterns = PATTERNS.reshape(120, 32, 32).astype(np.float32 if kind == "nan" else PATTERNS.dtype)
    empty = np.full((32, 32), 5 if kind == "constant" else 0, dtype=patterns.dtype)
    if kind == "nan":
        empty[3, 4] = np.nan
    padded, there = np.insert(patterns, places, empty, axis=0), np.insert(np.ones(120, bool), places, False)
    before = padded.copy()
    alone, result = (emcore.cluster_diffraction(each[None], 3, **options) for each in (patterns, padded))
    assert np.array_equal(result.labels[0, there], alone.labels[0])
    assert (result.labels[0, ~there] == -1).all()
    assert same_but(result, alone, ["signals", "area", "beam_radius"])
    # Which positions are neighbours, by which noise is known, is another matter.
    assert options == {} or result.inertia == alone.inertia
    assert np.array_equal(result.mean.data, alone.mean.data)
    assert np.array_equal(result.image.data[0, there], alone.image.data[0])
    assert not result.image.data[0, ~there].any()
    assert result.n_empty == len(places)
    assert np.array_equal(padded, before, equal_nan=True)


@pytest.mark.parametrize("fill", [0, 7, np.nan])
def test_grains_are_those_of_the_part_that_was_scanned(fill):
    patterns = GRAINS.astype(np.float32) if np.isnan(fill) else GRAINS
    padded = np.full((30, 33, 48, 48), fill, dtype=patterns.dtype)
    part = np.s_[2:26, 5:33]
    padded[part] = patterns
    alone, result = emcore.segment_grains(patterns), emcore.segment_grains(padded)
    there = np.zeros((30, 33), dtype=bool)
    there[part] = True
    for name in ("labels", "segments", "correlation", "confidence"):
        assert np.array_equal(getattr(result, name)[part], getattr(alone, name)), name
    assert (result.labels[~there] == -1).all()
    assert (result.segments[~there] == -1).all()
    assert not result.confidence[~there].any()
    assert same_but(result, alone, ["signals", "size", "diameter", "history", "kept", "n_grains", "n_segments"])
    assert (result.reason, result.n_empty) == (alone.reason, 30 * 33 - 24 * 28)


def test_holes_in_a_scan_belong_to_no_grain_and_change_the_others_little():
    alone = emcore.segment_grains(GRAINS)
    holed = GRAINS.copy()
    holed[4:8, 5:20] = holed[20, 3:] = 0
    result = emcore.segment_grains(holed)
    there = holed.any(axis=(2, 3))
    assert np.array_equal(result.labels >= 0, there)
    assert adjusted_rand_index(result.labels[there], alone.labels[there]) > 0.9
    assert result.size.sum() == there.sum()


@pytest.mark.parametrize("fill", [0, np.nan])
def test_signals_are_correlated_as_if_only_the_measured_part_had_been_scanned(fill):
    signals = [each.astype(np.float32) for each in SIGNALS] if np.isnan(fill) else SIGNALS
    padded = [np.full((20, 16, *each.shape[2:]), fill, dtype=each.dtype) for each in signals]
    for each, signal in zip(padded, signals, strict=True):
        each[:16] = signal
    alone, result = emcore.correlate(signals, 3), emcore.correlate(padded, 3)
    for name in ("memberships", "scores", "alone"):
        values = getattr(result, name)
        assert np.array_equal(values[..., :16, :], getattr(alone, name)), name
        assert not values[..., 16:, :].any()
    assert np.array_equal(result.labels[:16], alone.labels)
    assert (result.labels[16:] == -1).all()
    assert same_but(result, alone, ["area", "positions", "evr", "validity"])
    assert result.n_empty == 4 * 16
    for of_padded, expected in zip(
        result.cluster_signals(0.7, signals=padded), alone.cluster_signals(0.7), strict=True
    ):
        assert np.array_equal(of_padded, expected)
    assert [each.tolist() for each in result.cluster_signals(0.7)] == [
        each.tolist() for each in alone.cluster_signals(0.7)
    ]


def test_a_spectrum_without_counts_beside_a_pattern_is_measured():
    patterns, spectra = SIGNALS[0], SIGNALS[1].copy()
    spectra[3, 4:9] = 0
    result = emcore.correlate([patterns, spectra], 3)
    assert result.n_empty == 0
    assert "signal 1: 5 more are one value throughout, taken as measured" in result.provenance.notes
    spectra = spectra.astype(np.float32)
    spectra[3, 4] = np.nan
    assert np.argwhere(emcore.correlate([patterns, spectra], 3).labels < 0).tolist() == [[3, 4]]


def test_every_verb_says_how_many_positions_are_empty(tmp_path):
    pytest.importorskip("h5py")
    stopped = GRAINS.copy()
    stopped[20:] = 0
    results = {
        "diffraction": (diffraction, emcore.cluster_diffraction(stopped, 3)),
        "grains": (grains, emcore.segment_grains(stopped)),
        "correlate": (correlate, emcore.correlate([stopped, stopped[:, :, ::2, ::2]], 3)),
    }
    for name, (verb, result) in results.items():
        assert any(line.startswith("  scan ") and "112 of them empty" in line for line in verb.tell(result)), name
        assert "112 of 672 positions are empty (112 zero throughout): they take no part" in result.provenance.notes
        assert emcore.load_result(result.save(tmp_path / f"{name}.h5")).n_empty == 112 == (result.labels < 0).sum()


@pytest.mark.parametrize(("fill", "dtype"), [(0, np.uint16), (255, np.uint16), (np.nan, np.float64)])
def test_a_picture_that_was_stopped_is_that_of_its_measured_part(fill, dtype):
    picture = lattice_micrograph(shape=(200, 240), spacings=(7, 12), directions=(20, 110)).image
    picture = np.clip(100 + 20 * picture / picture.std(), 1, 254).astype(dtype)
    padded = np.full((260, 252), fill, dtype=dtype)
    part = np.s_[10:210, :240]
    padded[part] = picture
    alone, result = emcore.analyze_image(picture, window=64), emcore.analyze_image(padded, window=64)
    assert np.array_equal(result.regions[part], alone.regions)
    assert np.count_nonzero(result.regions >= 0) == np.count_nonzero(alone.regions >= 0)
    assert same_but(result, alone, ["maps", "spectra", "spacing", "area", "evr", "n_components"])
    assert np.array_equal(result.y, alone.y + 10)
    assert np.array_equal(result.x, alone.x)
    assert result.n_empty == 260 * 252 - 200 * 240 == np.count_nonzero(~result.measured)
    said = f"{result.n_empty} of 65520 pixels are empty, lines or columns at the edges: they take no part"
    assert said in result.provenance.notes
    assert (alone.n_empty, alone.measured) == (0, None)


def test_a_hole_in_a_picture_is_refused_with_its_place():
    picture = np.random.default_rng(0).random((90, 100))
    picture[:5], picture[40, 50] = np.nan, np.nan
    with pytest.raises(ValueError, match=r"image contains NaN or infinity, first at \[40, 50\]"):
        emcore.analyze_image(picture, window=32)


def test_the_page_of_a_picture_hatches_what_was_not_measured():
    pytest.importorskip("matplotlib")
    picture = np.random.default_rng(0).random((80, 64))
    picture[64:] = 0
    image, regions, *_ = emcore.analyze_image(picture, window=32, n_components=1).plot().axes
    assert image.patch.get_hatch()
    assert regions.patch.get_hatch()
    shown = np.ma.filled(image.images[0].get_array(), np.nan)
    assert np.array_equal(np.isnan(shown).all(axis=1), np.arange(80) >= 64)
    assert "not measured" in [text.get_text() for text in image.findobj(lambda each: hasattr(each, "get_text"))]
