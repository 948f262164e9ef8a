"""Positions without a measurement: which they are, and that they leave no trace in what is found of the others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emcore
from emcore.datasets import iv_curves
from emcore.scans.gaps import common_points, find_gaps, measured_part

TYPES = ["u1", "u2", "i2", "f4", "f8"]


def naive(rows, constant=True):
    """Which rows are empty, one after another."""
    kinds = []
    for row in rows.astype(float):
        if not np.isfinite(row).all():
            kinds.append("invalid")
        elif not row.any():
            kinds.append("zero")
        elif constant and len(row) >= 8 and len(set(row.tolist())) == 1:
            kinds.append("constant")
        else:
            kinds.append("")
    return np.array(kinds)


@given(data=st.data(), dtype=st.sampled_from(TYPES), d=st.sampled_from([1, 2, 7, 8, 63, 64, 65, 700]))
@settings(max_examples=60, deadline=None)
def test_the_rows_found_are_those_that_a_look_at_every_value_finds(data, dtype, d):
    n = data.draw(st.integers(1, 12))
    kinds = data.draw(
        st.lists(st.sampled_from(["zero", "constant", "nan", "inf", "one", "any"]), min_size=n, max_size=n)
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    rows = rng.integers(0, 4, (n, d)).astype(dtype)
    for row, kind in zip(rows, kinds, strict=True):
        place = data.draw(st.integers(0, d - 1))
        if kind in ("zero", "one"):
            row[:] = 0
        if kind == "one":
            row[place] = 1
        if kind == "constant":
            row[:] = 3
        if kind in ("nan", "inf") and dtype[0] == "f":
            row[place] = float(kind)
    before = rows.copy()
    for constant in (True, False):
        gaps, expected = find_gaps(rows, constant), naive(rows, constant)
        assert np.array_equal(gaps.empty, expected != "")
        counts = [int((expected == kind).sum()) for kind in ("zero", "constant", "invalid")]
        assert [gaps.zero, gaps.constant, gaps.invalid] == counts
        measured = rows[expected == ""]
        assert np.array_equal(gaps.of_measured(rows), measured)
        if dtype[0] == "f" and len(measured):
            assert (gaps.low, gaps.high) == (measured.min(), measured.max())
    assert np.array_equal(rows, before, equal_nan=True)


def test_it_is_said_how_many_are_empty_and_why():
    rows = np.array([[0.0] * 8, [2.0] * 8, [np.nan, *[1.0] * 7], [*[1.0] * 7, -np.inf], [*[1.0] * 7, 2.0]])
    said = "4 of 5 positions are empty (1 zero throughout, 1 constant, 2 with NaN or infinity)"
    assert find_gaps(rows).said == said
    assert find_gaps(rows).notes == (f"{said}: they take no part",)
    assert find_gaps(rows[-1:]).notes == ()


def test_a_scan_of_which_too_little_was_measured_is_refused():
    rows = np.zeros((6, 8))
    with pytest.raises(ValueError, match=r"scan: 6 of 6 positions are empty \(6 zero throughout\), too few are left"):
        find_gaps(rows).check("scan", (2, 3, 8))
    rows[:, 5] = np.nan
    with pytest.raises(ValueError, match=r"scan contains NaN or infinity at every position, first at \[0, 0, 5\]"):
        find_gaps(rows).check("scan", (2, 3, 8))
    rows[0] = 1, 2, 3, 4, 5, 6, 7, 8
    with pytest.raises(ValueError, match="5 of 6 positions are empty"):
        find_gaps(rows).check("scan", (2, 3, 8))


def test_the_common_points_of_curves_are_those_that_none_lacks():
    rows = np.ones((5, 10))
    rows[0, 8:], rows[1, :2], rows[2, 5] = np.nan, np.inf, np.nan
    rows[3] = np.nan
    common, short = common_points(rows)
    assert common == slice(2, 8)
    assert short.tolist() == [True, True, False, False, False]
    apart = np.array([[1, np.nan, np.nan], [np.nan, np.nan, 1]])
    assert (common_points(apart)[0].stop - common_points(apart)[0].start, common_points(apart[:0])[0]) == (
        0,
        slice(0, 0),
    )


@given(
    places=st.lists(st.integers(0, 80), max_size=8), kind=st.sampled_from([0.0, np.nan, np.inf]), whole=st.booleans()
)
@settings(max_examples=15, deadline=None)
def test_curves_are_grouped_as_if_empty_positions_were_not_there(places, kind, whole):
    sample = iv_curves(shape=(8, 10), seed=2)
    curves = sample.curves.reshape(80, -1)
    empty = np.zeros(curves.shape[1], dtype=curves.dtype)
    empty[slice(None) if whole or kind == 0 else 7] = kind
    padded = np.insert(curves, places, empty, axis=0)
    there = np.insert(np.ones(80, dtype=bool), places, False)
    before = padded.copy()
    alone = emcore.cluster_curves(curves, 3, x=sample.bias)
    result = emcore.cluster_curves(padded, 3, x=sample.bias)
    assert np.array_equal(result.labels[there], alone.labels)
    assert (result.labels[~there] == -1).all()
    assert result.n_empty == len(places)
    for name in (
        "signals",
        "spread",
        "low",
        "high",
        "area",
        "conductance",
        "conductance_spread",
        "r_squared",
        "inertia",
    ):
        assert np.array_equal(getattr(result, name), getattr(alone, name), equal_nan=True), name
    assert np.array_equal(result.image.data[there], alone.image.data)
    assert not result.image.data[~there].any()
    assert np.array_equal(result.mean.data, alone.mean.data)
    assert np.array_equal(padded, before, equal_nan=True)


def test_lines_at_the_edges_of_a_picture_are_left_out_if_they_are_many_or_no_numbers():
    picture = np.random.default_rng(0).random((20, 30))
    picture[:3] = 0.25
    assert measured_part(picture, 3) == (slice(3, 20), slice(0, 30))
    assert measured_part(picture, 4) == (slice(0, 20), slice(0, 30))
    picture[1] = 0.5  # of another value: a single line each
    assert measured_part(picture, 3) == (slice(0, 20), slice(0, 30))
    picture[:, :2], picture[:, 2:6], picture[-1] = np.inf, 7, np.nan
    assert measured_part(picture, 4) == (slice(0, 19), slice(6, 30))
    picture[:] = np.nan
    assert measured_part(picture, 2) == (slice(0, 20), slice(0, 30))
