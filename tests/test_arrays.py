"""The gate for arrays: any layout gives the bits of the contiguous copy, any nonsense is named."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import chainrule as cr
from chainrule.arrays import all_finite, as_array, as_matrix, check_out, first_not_finite

DTYPES = ("float32", "float64")


def misaligned(x):
    """The same elements one byte off their natural place."""
    buffer = b"\0" + x.tobytes()
    view = np.frombuffer(buffer, x.dtype, offset=1).reshape(x.shape)
    assert x.itemsize == 1 or not view.flags.aligned
    return view


def in_packed_struct(x):
    """A field of a struct of odd size: stride not a multiple of the item size."""
    m, n = x.shape
    table = np.zeros((m, n), np.dtype([("flag", "i1"), ("value", x.dtype)]))
    table["value"] = x
    return table["value"]


def every_second(x):
    big = np.full((2 * x.shape[0], 2 * x.shape[1]), np.nan, x.dtype)
    big[::2, 1::2] = x
    return big[::2, 1::2]


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def in_a_file(x, path):
    path.write_bytes(x.tobytes())
    return np.memmap(path, x.dtype, "r", shape=x.shape)


LAYOUTS = {
    "contiguous": np.array,
    "fortran": np.asfortranarray,
    "transposed": lambda x: x.T.copy().T,
    "rows reversed": lambda x: x[::-1].copy()[::-1],
    "columns reversed": lambda x: x[:, ::-1].copy()[:, ::-1],
    "every second": every_second,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "misaligned": misaligned,
    "packed struct": in_packed_struct,
    "read-only": read_only,
    "misaligned big-endian": lambda x: misaligned(x.astype(x.dtype.newbyteorder(">"))),
}


def matrices(dtype, max_rows=9):
    width = np.dtype(dtype).itemsize * 8
    numbers = st.floats(width=width, allow_nan=False, allow_infinity=False)
    return arrays(dtype, array_shapes(min_dims=2, max_dims=2, max_side=max_rows), elements=numbers)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_any_layout_gives_the_same_bits(layout, dtype, data):
    x = data.draw(matrices(dtype))
    view = LAYOUTS[layout](x)
    before = view.tobytes()
    y = as_matrix(view, "X", dtype)
    assert type(y) is np.ndarray
    assert y.dtype == np.dtype(dtype)
    assert y.dtype.isnative
    assert y.flags.c_contiguous
    assert y.flags.aligned
    assert y.tobytes() == x.tobytes()
    assert view.tobytes() == before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_same_answer(layout, dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(23, 5)).astype(dtype)
    y = rng.normal(size=(23, 2)).astype(dtype)
    net = cr.Network([cr.Dense(7, "tanh"), cr.Dense(2)], n_inputs=5, dtype=dtype)
    twin = net.copy()
    X, Y = LAYOUTS[layout](x), LAYOUTS[layout](y)
    assert net.predict(X).tobytes() == net.predict(x).tobytes()
    assert net.cost(X, Y) == net.cost(x, y)
    assert net.gradient(X, Y).theta.tobytes() == net.gradient(x, y).theta.tobytes()
    net.fit(X, Y, epochs=3)
    twin.fit(x, y, epochs=3)
    assert net.theta.tobytes() == twin.theta.tobytes()


@given(x=matrices("float64"))
def test_narrowing_rounds_as_numpy_does(x):
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32)
    if np.isfinite(narrow).all():
        assert as_matrix(x, "X", "float32").tobytes() == narrow.tobytes()
    else:
        row, column = first_not_finite(narrow)
        with pytest.raises(ValueError, match=rf"X at \({row}, {column}\) .*largest float32"):
            as_matrix(x, "X", "float32")


def test_no_copy_when_nothing_has_to_change(dtype):
    x = np.ones((4, 3), dtype)
    assert as_matrix(x, "X", dtype) is x
    frozen = read_only(x)
    assert as_matrix(frozen, "X", dtype, 3, 4) is frozen


def test_memory_maps_and_broadcasts(dtype, tmp_path):
    x = np.arange(12, dtype=dtype).reshape(4, 3)
    mapped = in_a_file(x, tmp_path / "x")
    y = as_matrix(mapped, "X", dtype)
    assert type(y) is np.ndarray
    assert np.shares_memory(y, mapped)
    row = np.broadcast_to(np.array([1, 2, 3], dtype), (4, 3))
    assert row.strides[0] == 0
    assert as_matrix(row, "X", dtype).tolist() == [[1, 2, 3]] * 4


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2], [3, 4]],
        ((1.0, 2), (3, 4)),
        [np.array([1.0, 2.0]), [3, 4]],
        np.array([[1, 2], [3, 4]], "i1"),
        np.array([[1, 2], [3, 4]], ">u2"),
        np.array([[1, 2], [3, 4]], "f2"),
        np.array([[1, 2], [3, 4]], "u8"),
        memoryview(np.array([[1.0, 2.0], [3.0, 4.0]])),
        np.ma.array([[1.0, 2.0], [3.0, 4.0]]),
    ],
)
def test_other_numbers_are_accepted(value, dtype):
    y = as_matrix(value, "X", dtype)
    assert y.dtype == dtype
    assert y.tolist() == [[1, 2], [3, 4]]


def test_bool_is_0_and_1(dtype):
    assert as_matrix(np.array([[True, False]]), "X", dtype).tolist() == [[1, 0]]


def test_big_whole_numbers_warn(dtype):
    with pytest.warns(UserWarning, match=r"X has whole numbers beyond 2\*\*53"):
        as_matrix(np.array([[2**53 + 1, 0]]), "X", dtype)
    with pytest.warns(UserWarning, match=r"X has .* 9223372036854775808 in size"):
        as_matrix(np.array([[-(2**63), 0]]), "X", dtype)
    with pytest.warns(UserWarning, match="X has whole numbers"):
        as_matrix(np.array([[2**64 - 1]], np.uint64), "X", dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_matrix(np.array([[2**53, -(2**53)]]), "X", dtype)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="long double is a double here")
def test_long_double_warns(dtype):
    with pytest.warns(UserWarning, match="X has dtype .*loses precision"):
        assert as_matrix(np.ones((2, 2), np.longdouble), "X", dtype).tolist() == [[1, 1], [1, 1]]
    huge = np.array([[1, np.longdouble("1e4000")]], np.longdouble)
    with (
        pytest.warns(UserWarning, match="loses precision"),
        pytest.raises(ValueError, match=r"X at \(0, 1\)"),
    ):
        as_matrix(huge, "X", dtype)


REFUSED = {
    "ragged": ([[1, 2], [3]], ValueError, "X is ragged: row 1 has 1 elements, row 0 has 2"),
    "ragged, a number": ([[1, 2], [3, 4], 5], ValueError, "X is ragged: row 2 has a single"),
    "ragged, arrays": ([np.ones(2), np.ones(3)], ValueError, "X is ragged: row 1 has 3"),
    "ragged inside": ([[[1], [2, 3]]], ValueError, r"X\[0\] is ragged: row 1"),
    "object": (np.array([[1.0]], object), TypeError, r"X has object dtype.*dtype=float"),
    "None": (None, TypeError, "X has object dtype.*NoneType"),
    "list with None": ([[1.0, None]], ValueError, r"X: column 1 has 1 missing value.*Encoder"),
    "generator": ((i for i in [1]), TypeError, "X has object dtype.*generator"),
    "dict": ({"a": 1}, TypeError, "X has object dtype.*dict"),
    "huge ints": ([[2**70]], TypeError, "X has object dtype"),
    "str": ([["1", "2"]], TypeError, "X must hold numbers, got dtype <U1"),
    "a str": ("abc", TypeError, "X must hold numbers"),
    "bytes": (np.array([[b"1"]]), TypeError, "X must hold numbers"),
    "dates": (np.array([["2020-01-01"]], "M8[D]"), TypeError, "X must hold numbers.*datetime"),
    "spans": (np.array([[1]], "m8[s]"), TypeError, "X must hold numbers.*timedelta"),
    "struct": (np.zeros((1, 1), "f8,f8"), TypeError, "X must hold numbers"),
    "complex": ([[1j, 2]], ValueError, "Complex data not supported: X"),
    "0-D": (3.0, ValueError, r"X: expected 2-D, got shape \(\)"),
    "1-D": ([1.0, 2], ValueError, r"X: expected 2-D, got shape \(2,\).*reshape\(-1, 1\)"),
    "empty list": ([], ValueError, r"X: expected 2-D, got shape \(0,\)"),
    "3-D": (np.ones((1, 2, 2)), ValueError, r"X: expected 2-D, got shape \(1, 2, 2\)"),
    "no rows": (np.ones((0, 2)), ValueError, r"X has 0 sample\(s\)"),
    "no columns": (np.ones((2, 0)), ValueError, r"X has 0 feature\(s\)"),
    "columns": (np.ones((2, 3)), ValueError, "X has 3 features, but Network is expecting 2"),
    "nan": ([[1, 2], [np.nan, 3]], ValueError, r"X must be finite, got nan at \(1, 0\)"),
    "inf": ([[1, np.inf], [np.nan, 3]], ValueError, r"X must be finite, got inf at \(0, 1\)"),
    "-inf": ([[1, 2], [3, -np.inf]], ValueError, r"X must be finite, got -inf at \(1, 1\)"),
    "inf - inf": ([[np.inf, -np.inf]], ValueError, r"X must be finite, got inf at \(0, 0\)"),
    "half inf": (np.array([[1, np.inf]], "f2"), ValueError, r"X must be finite, got inf"),
    "masked": (np.ma.array([[1.0, 2]], mask=[[0, 1]]), ValueError, "X has masked elements"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, dtype):
    value, kind, words = REFUSED[case]
    with pytest.raises(kind, match=words):
        as_matrix(value, "X", dtype, 2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_first_offender_is_named_in_every_layout(layout, dtype):
    x = np.ones((300, 40), dtype)
    x[7, 31] = np.nan
    x[250, 2] = np.inf
    with pytest.raises(ValueError, match=r"X must be finite, got nan at \(7, 31\)"):
        as_matrix(LAYOUTS[layout](x), "X", dtype)


def test_row_counts_must_agree(dtype):
    with pytest.raises(ValueError, match="Y has 4 rows, but X has 5 rows"):
        as_matrix(np.ones((4, 1), dtype), "Y", dtype, 1, 5)


def test_a_vector_as_one_column(dtype):
    assert as_matrix([1, 2, 3], "Y", dtype, 1, 3, column=True).tolist() == [[1], [2], [3]]
    with pytest.raises(ValueError, match="Y has 1 columns, but Network is expecting 2 columns"):
        as_matrix([1, 2], "Y", dtype, 2, unit="columns", column=True)


def test_zero_rows_where_allowed(dtype):
    assert as_matrix(np.ones((0, 2)), "X", dtype, 2, empty=True).shape == (0, 2)


def test_float32_overflow_is_named():
    x = np.array([[1, 2], [3, 3e39]])
    with pytest.raises(ValueError, match=r"X at \(1, 1\) .* is 3e\+39, beyond the largest float32"):
        as_matrix(x, "X", "float32")
    assert as_matrix(x, "X", "float64") is x
    # The largest that rounds to a finite number, and the first that does not.
    edge = float(np.finfo(np.float32).max) + 2.0**102
    assert np.isfinite(as_matrix([[edge]], "X", "float32")).all()
    with pytest.raises(ValueError, match="beyond the largest"):
        as_matrix([[edge + 2.0**102]], "X", "float32")


def test_large_finite_elements_pass(dtype):
    big = np.finfo(dtype).max
    for shape in ((1, 3), (2000, 4)):
        assert all_finite(np.full(shape, big, dtype))
        assert as_matrix(np.full(shape, -big, dtype), "X", dtype)[0, 0] == -big


@pytest.mark.parametrize("size", [1, 5, 4096, 4097, 10_000])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_all_finite_sees_one_in_any_place(size, bad, dtype):
    x = np.ones((1, size), dtype)
    assert all_finite(x)
    for place in {0, size // 2, size - 1}:
        x[0, place] = bad
        assert not all_finite(x)
        assert first_not_finite(x) == (0, place)
        x[0, place] = 1


def test_arrays_that_raise_or_change(dtype):
    class Raising:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("not today")

    class Changing:
        asked = 0

        def __array__(self, dtype=None, copy=None):
            self.asked += 1
            return np.ones((2, 1 + self.asked))

    with pytest.raises(RuntimeError, match="not today"):
        as_matrix(Raising(), "X", dtype)
    changing = Changing()
    assert as_matrix(changing, "X", dtype).shape == (2, 1 + changing.asked)


def test_as_array_wants_the_very_shape(dtype):
    assert as_array([1, 2], "theta", dtype, (2,)).tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"theta must have shape \(2,\), got shape \(3,\)"):
        as_array([1, 2, 3], "theta", dtype, (2,))
    with pytest.raises(ValueError, match=r"theta must be finite, got nan at index \(1,\)"):
        as_array([1, np.nan], "theta", dtype, (2,))


def test_check_out(dtype):
    other = "float64" if dtype == "float32" else "float32"
    good = np.zeros((4, 2), dtype)
    check_out(good, (4, 2), dtype, {"X": np.zeros((4, 3), dtype)})
    frozen = read_only(good)
    cases = [
        ([[0.0, 0.0]], TypeError, "out must be a numpy.ndarray, got list"),
        (np.zeros((4, 2), other), ValueError, f"out must have dtype {dtype}, got {other}"),
        (good.astype(good.dtype.newbyteorder(">")), ValueError, "out must have dtype"),
        (np.zeros((2, 4), dtype), ValueError, r"out must have shape \(4, 2\)"),
        (np.zeros((4, 2, 1), dtype), ValueError, r"out must have shape \(4, 2\)"),
        (frozen, ValueError, "out must be writable"),
        (np.zeros((2, 4), dtype).T, ValueError, "out must be C-contiguous"),
        (np.zeros((8, 2), dtype)[::2], ValueError, "out must be C-contiguous"),
    ]
    for out, kind, words in cases:
        with pytest.raises(kind, match=words):
            check_out(out, (4, 2), dtype, {})
    with pytest.raises(ValueError, match=re.escape("out must not share memory with X")):
        check_out(good, (4, 2), dtype, {"X": good[1:, :1]})
