"""Bad input is named, located and answered with what to do; good input is taken as it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import emcore
from emcore.core.validation import (
    PIXEL_TYPES,
    as_image,
    as_pixels,
    as_rows,
    check_count,
    check_finite,
    check_number,
    check_option,
)

FLOATS = [t for t in PIXEL_TYPES if t.kind == "f"]
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=70)

arrays = st.sampled_from(PIXEL_TYPES).flatmap(
    lambda t: hnp.arrays(t, SHAPES, elements=hnp.from_dtype(t, allow_nan=False, allow_infinity=False))
)
float_arrays = st.sampled_from(FLOATS).flatmap(
    lambda t: hnp.arrays(t, SHAPES, elements=hnp.from_dtype(t, allow_nan=False, allow_infinity=False))
)


def expected_range(array):
    """32-bit integers are rounded to float32, the type in which kernels compute on them."""
    array = array if array.dtype == np.float64 else array.astype(np.float32)
    return array.min(), array.max()


@given(arrays)
def test_the_value_range_is_numpys(array):
    assert check_finite(array, "X") == expected_range(array)


@given(arrays, st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_the_value_range_of_strided_views_is_numpys(array, rows, columns, turned):
    view = array[::rows, ::-columns]
    view = view.T if turned else view
    assert check_finite(view, "X") == expected_range(view)


@given(float_arrays, st.data())
def test_the_first_position_that_is_not_finite_is_named(array, data):
    rows, columns = array.shape
    places = data.draw(st.lists(st.tuples(st.integers(0, rows - 1), st.integers(0, columns - 1)), min_size=1))
    for place in places:
        array[place] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    row, column = min(places)
    with pytest.raises(ValueError, match="NaN or infinity") as raised:
        check_finite(array, "X")
    assert f"first at [{row}, {column}]; replace or crop such values" in str(raised.value)


@given(arrays)
def test_the_first_negative_value_is_named_where_none_is_allowed(array):
    negative = np.argwhere(array < 0)
    if len(negative) == 0:
        check_finite(array, "X", nonnegative=True)
    else:
        with pytest.raises(ValueError, match="Negative values in data passed to X") as raised:
            check_finite(array, "X", nonnegative=True)
        assert f"first at [{negative[0][0]}, {negative[0][1]}];" in str(raised.value)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_positions_in_a_large_array_are_exact(threads):
    with emcore.num_threads(threads):
        check_positions_in_a_large_array()


def check_positions_in_a_large_array():
    array = np.zeros((3000, 1000), np.float32)
    array[2345, 678] = np.nan
    array[2346:, :] = np.inf
    array[1234, 999] = -1
    with pytest.raises(ValueError, match=r"\[2345, 678\]"):
        as_rows(array)
    array[np.isfinite(array) == 0] = 0
    with pytest.raises(ValueError, match=r"\[1234, 999\]"):
        as_rows(array, nonnegative=True)
    assert check_finite(array, "X") == (-1, 0)


def test_positions_in_stacks_have_all_their_indices():
    array = np.zeros((4, 5, 6))
    array[2, 3, 4] = np.inf
    with pytest.raises(ValueError, match=r"first at \[2, 3, 4\]"):
        check_finite(array, "stack")
    with pytest.raises(ValueError, match=r"first at \[3\]"):
        check_finite(np.array([0, 1, 2, np.nan]), "evr")


@given(arrays)
def test_pixel_types_are_taken_without_a_copy_and_never_changed(array):
    before = array.copy()
    array.flags.writeable = False
    assert np.shares_memory(as_rows(array), array)
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("dtype", PIXEL_TYPES, ids=str)
def test_strided_views_are_taken_without_a_copy(dtype):
    array = np.arange(120).reshape(10, 12).astype(dtype)
    for view in (array.T, array[::2, 1::3], array[::-1, ::-1]):
        assert np.shares_memory(as_image(view), array)


@pytest.mark.parametrize(
    ("given", "taken"),
    [("?", "u1"), ("i1", "i2"), ("f2", "f4"), ("i8", "f8"), ("u8", "f8"), (np.longdouble, "f8")],
)
def test_other_real_types_become_the_next_wider_pixel_type(given, taken):
    array = np.arange(6).reshape(2, 3).astype(given)
    taken_array = as_rows(array)
    assert taken_array.dtype == taken
    np.testing.assert_array_equal(taken_array, array)


@given(arrays)
def test_foreign_byte_order_becomes_native_with_the_same_values(array):
    swapped = array.astype(array.dtype.newbyteorder())
    taken = as_rows(swapped)
    assert taken.dtype.isnative
    np.testing.assert_array_equal(taken, array)


@pytest.mark.parametrize("dtype", [t for t in PIXEL_TYPES if t.itemsize > 1], ids=str)
def test_unaligned_memory_is_copied(dtype):
    buffer = np.zeros(1 + 12 * dtype.itemsize, np.uint8)
    array = buffer[1:].view(dtype).reshape(3, 4)
    array[...] = np.arange(12).reshape(3, 4)
    assert not array.flags.aligned
    taken = as_rows(array)
    assert taken.flags.aligned
    np.testing.assert_array_equal(taken, array)


def test_the_field_of_a_packed_record_is_taken_with_its_values():
    records = np.zeros((5, 7), np.dtype([("flag", "u1"), ("count", "<f4")]))
    records["count"] = np.arange(35).reshape(5, 7)
    assert check_finite(as_rows(records["count"]), "X") == (0, 34)


def test_a_memory_map_stays_in_its_file(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(12, dtype=np.uint16).reshape(3, 4))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(as_rows(mapped), mapped)
    assert check_finite(mapped, "X") == (0, 11)


def test_lists_are_taken():
    assert as_rows([[1, 2], [3, 4]]).dtype == np.float64


def test_a_masked_array_without_masked_values_is_taken_and_one_with_them_is_refused():
    array = np.ma.MaskedArray(np.ones((3, 4), np.float32))
    assert as_rows(array).shape == (3, 4)
    array[1, 2] = np.ma.masked
    array[2, :] = np.ma.masked
    with pytest.raises(ValueError, match=r"^X has 5 masked values; fill or crop them first$"):
        as_rows(array)


def sparse_matrix():
    from scipy import sparse

    return sparse.csr_array(np.eye(3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (sparse_matrix, r"^spectra is a sparse matrix; give a dense array, for example spectra\.toarray\(\)$"),
        (lambda: np.ones((2, 2), complex), "spectra holds complex numbers; give their modulus or real part"),
        (lambda: np.ones((2, 2), np.complex64), "spectra holds complex numbers"),
        (lambda: np.array([[1, None]]), "spectra holds Python objects; an array of real numbers is needed"),
        (lambda: [["a", "b"]], "spectra holds strings"),
        (lambda: np.array([[b"a"]]), "spectra holds the type"),
        (lambda: np.zeros((2, 2), "M8[s]"), r"spectra holds the type datetime64\[s\]"),
        (lambda: np.zeros((2, 2), [("a", "f4")]), "spectra holds the type"),
        (lambda: None, "spectra holds Python objects"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused_by_type(make, message):
    with pytest.raises(TypeError, match=message):
        as_rows(make(), "spectra")


@given(hnp.array_shapes(min_dims=0, max_dims=5, max_side=3).filter(lambda shape: len(shape) != 2))
def test_a_wrong_number_of_dimensions_is_refused_with_the_shape(shape):
    with pytest.raises(ValueError, match="a 2-D array is needed") as raised:
        as_image(np.zeros(shape))
    assert str(raised.value).startswith(f"image has shape {shape} ({len(shape)}-D)")


def test_several_numbers_of_dimensions_may_be_allowed():
    assert as_pixels(np.zeros((2, 3, 4)), "stack", (2, 3)).shape == (2, 3, 4)
    with pytest.raises(ValueError, match="a 2-D or 3-D array is needed"):
        as_pixels(np.zeros(5), "stack", (2, 3))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_an_empty_array_is_refused_with_its_shape(shape):
    with pytest.raises(ValueError, match="at least one value is needed") as raised:
        as_rows(np.zeros(shape))
    assert str(raised.value).startswith(f"X is empty, shape {shape}")


def test_integers_outside_the_range_of_floats_are_not_silently_infinite():
    with pytest.raises(TypeError, match="Python objects"):
        as_rows([[10**400, 1]])


@given(st.text(max_size=8))
@settings(max_examples=50)
def test_an_unknown_option_is_refused_with_all_the_known_ones(text):
    options = ["hann", "hann-symmetric", "none"]
    if text in options:
        assert check_option(text, options, "taper") == text
    else:
        with pytest.raises(ValueError, match="is not known") as raised:
            check_option(text, options, "taper")
        assert str(raised.value).endswith("Choose from 'hann', 'hann-symmetric', 'none'")


@pytest.mark.parametrize(("wrong", "near"), [("hanning", "hann"), ("Hann", "hann"), ("non", "none")])
def test_the_nearest_option_is_named(wrong, near):
    with pytest.raises(ValueError, match=f"did you mean '{near}'"):
        check_option(wrong, ["hann", "hamming", "none"], "taper")


@pytest.mark.parametrize("wrong", [None, 3, ("hann",), ["hann"], b"hann"])
def test_what_is_no_string_is_no_option(wrong):
    with pytest.raises(ValueError, match=r"taper=.* is not known"):
        check_option(wrong, ["hann", "none"], "taper")


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_whole_numbers_of_every_kind_are_counts(value):
    assert type(check_count(value, "k", 1, 3)) is int


@pytest.mark.parametrize("wrong", [3.0, "3", None, True, np.True_, np.float32(3), [3]])
def test_what_is_no_whole_number_is_no_count(wrong):
    with pytest.raises(TypeError, match=r"^k=.*; a whole number is needed$"):
        check_count(wrong, "k", 1)


def test_a_count_out_of_range_is_refused_with_its_limits_and_their_reason():
    with pytest.raises(ValueError, match=r"^k=9 is out of range; it must be between 1 and 8 \(X has 8 rows\)$"):
        check_count(9, "k", 1, 8, "X has 8 rows")
    with pytest.raises(ValueError, match=r"^k=0 is out of range; it must be at least 1$"):
        check_count(0, "k", 1)


@pytest.mark.parametrize("value", [1, 1.5, np.float32(1.5), np.int64(2)])
def test_real_numbers_of_every_kind_are_numbers(value):
    assert check_number(value, "tol", 0) == value


@pytest.mark.parametrize("wrong", ["1", None, True, 1j, [1.0]])
def test_what_is_no_real_number_is_no_number(wrong):
    with pytest.raises(TypeError, match=r"^tol=.*; a number is needed$"):
        check_number(wrong, "tol", 0)


@pytest.mark.parametrize("wrong", [-1e-9, 1.1, np.nan, np.inf, -np.inf])
def test_a_number_out_of_range_is_refused_with_its_limits(wrong):
    with pytest.raises(ValueError, match=r"^l1_ratio=.* is out of range; it must be between 0 and 1$"):
        check_number(wrong, "l1_ratio", 0, 1)


def test_counts_end_where_those_of_kernels_do():
    assert check_count(2**63 - 1, "k", 1) == 2**63 - 1
    with pytest.raises(ValueError, match=r"at least 1 and below 2\^63"):
        check_count(2**63, "k", 1)
