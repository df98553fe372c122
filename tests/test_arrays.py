"""The gate for arrays: any layout gives the bits of the contiguous copy, any nonsense is named."""

from __future__ import annotations

import array
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
    "str": ([["1", "2"]], TypeError, "X must hold numbers, got dtype <U1; .*chainrule.Encoder"),
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


# --- tables and tensors of other libraries --------------------------------------------------------

ROWS = [[1.5, 2.0, 1.0], [3.25, -4.0, 0.0]]
CELLS = {"a": [1.5, 3.25], "n": [2, -4], "b": [True, False]}


def pandas_frames():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(CELLS)
    yield frame
    yield frame.astype(object)
    yield frame.astype("float64")
    yield frame.astype({"a": "float32", "n": "int8"})
    yield frame.astype({"a": "Float64", "n": "Int64", "b": "boolean"})
    yield frame.astype({"a": "Float32", "n": "Int8"})
    yield pd.concat([frame, frame])[2:]
    yield frame.set_axis([0, 1, 1], axis=1)  # names may repeat: only the place counts
    yield frame.astype({"a": pd.SparseDtype("float64", 0.0)})
    pa = pytest.importorskip("pyarrow")
    yield pa.table(CELLS).to_pandas(types_mapper=pd.ArrowDtype)


def polars_frames():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(CELLS)
    yield frame
    yield frame.cast(pl.Float64)
    yield frame.cast({"a": pl.Float32, "n": pl.Int8})
    yield frame.cast({"a": pl.Decimal(10, 2)})
    yield frame.cast({"n": pl.Int128})


def arrow_tables():
    pa = pytest.importorskip("pyarrow")
    table = pa.table(CELLS)
    yield table
    yield pa.RecordBatch.from_pydict(CELLS)
    yield pa.concat_tables([table.slice(0, 1), table.slice(1)])
    yield table.set_column(0, "a", table["a"].cast(pa.decimal128(10, 2)))
    yield table.set_column(0, "a", table["a"].cast(pa.float32()))


@pytest.mark.parametrize("frames", [pandas_frames, polars_frames, arrow_tables])
def test_tables(frames, dtype):
    for frame in frames():
        X = as_matrix(frame, "X", dtype, 3, 2)
        assert X.tolist() == ROWS
        assert X.dtype == dtype
        assert X.flags.c_contiguous
        assert X.flags.aligned


def columns_of_numbers():
    """Each of the values 1, 2, 4 as one column of a library."""
    values = [1.0, 2.0, 4.0]
    pd = pytest.importorskip("pandas")
    yield pd.Series(values)
    yield pd.Series([1, 2, 4], dtype="Int64")
    yield pd.Series([1, 2, 4], dtype=object)
    yield pd.array([1, 2, 4])
    yield pd.Index(values)
    pl = pytest.importorskip("polars")
    yield pl.Series("y", values)
    pa = pytest.importorskip("pyarrow")
    yield pa.array(values)
    yield pa.chunked_array([values[:1], values[1:]])


def test_columns(dtype):
    for column in columns_of_numbers():
        assert as_matrix(column, "Y", dtype, 1, 3, column=True).tolist() == [[1], [2], [4]]
        with pytest.raises(ValueError, match=r"X: expected 2-D, got shape \(3,\)"):
            as_matrix(column, "X", dtype)


def test_a_wide_table_keeps_the_bits():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    x = np.random.default_rng(0).normal(size=(50, 20))
    names = [f"c{k}" for k in range(20)]
    for frame in (
        pd.DataFrame(x, columns=names),
        pl.DataFrame(x, schema=names),
        pa.table(dict(zip(names, x.T, strict=True))),
    ):
        assert as_matrix(frame, "X", "float64").tobytes() == x.tobytes()
        assert as_matrix(frame, "X", "float32").tobytes() == (x.astype("f4").tobytes())


def frames_of(cells):
    """The same columns in every library that can hold them."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    return [pd.DataFrame(cells), pl.DataFrame(cells), pa.table(cells)]


BAD_TABLES = {
    "text": (
        {"a": [1.0, 2.0], "city": ["Rome", "Oslo"]},
        TypeError,
        "X: column 'city' holds text such as 'Rome' in row 0; encode it with chainrule.Encoder",
    ),
    "gap": (
        {"a": [1.0, 2.0, 3.0], "b": [None, 5.0, None]},
        ValueError,
        r"X: column 'b' has 2 missing value\(s\) in 3 rows, the first in row 0; .*Encoder",
    ),
    "gap in whole numbers": (
        {"n": [1, None]},
        ValueError,
        r"X: column 'n' has 1 missing value\(s\) in 2 rows, the first in row 1",
    ),
    "gap in truth values": ({"b": [True, None]}, ValueError, "X: column 'b' has 1 missing value"),
    "nan": ({"a": [1.0, float("nan")]}, ValueError, "X: column 'a' has 1 missing value"),
    "inf": ({"a": [1.0, -np.inf]}, ValueError, "X: column 'a' must be finite, got -inf in row 1"),
    "dates": (
        {"when": np.array(["2020-01-01"], "M8[us]")},
        TypeError,
        "X: column 'when' holds dates .*convert them to numbers first",
    ),
    "spans": ({"t": np.array([1], "m8[us]")}, TypeError, "X: column 't' holds spans of time"),
    "no rows": ({"a": np.zeros(0)}, ValueError, r"X has 0 sample\(s\)"),
    "no columns": ({}, ValueError, r"X has 0 "),
    "too few": ({"a": [1.0]}, ValueError, "X has 1 features, but Network is expecting 2"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(case, dtype):
    cells, kind, words = BAD_TABLES[case]
    for frame in frames_of(cells):
        with pytest.raises(kind, match=words):
            as_matrix(frame, "X", dtype, 2)


def test_bad_columns(dtype):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    for column in (pd.Series([1, None], name="y"), pl.Series("y", [1, None])):
        with pytest.raises(ValueError, match="Y: column 'y' has 1 missing value"):
            as_matrix(column, "Y", dtype, column=True)
    for column in (pd.Series([1, None]), pa.array([1, None]), pd.array([1, None])):
        with pytest.raises(ValueError, match="Y has 1 missing value"):
            as_matrix(column, "Y", dtype, column=True)
    with pytest.raises(
        TypeError, match=r"Y holds text such as 'a' in row 1; encode it with chainrule\.Target"
    ):
        as_matrix(pd.Series([None, "a"]), "Y", dtype, column=True)
    mixed = pd.DataFrame({"m": [1, "x"]})
    with pytest.raises(TypeError, match="X: column 'm' mixes numbers and text: row 0 has 1"):
        as_matrix(mixed, "X", dtype)
    with pytest.raises(TypeError, match=r"pass its \.collect\(\)"):
        as_matrix(pl.LazyFrame({"a": [1]}), "X", dtype)


def test_big_whole_numbers_in_a_table_warn(dtype):
    for frame in frames_of({"id": [2**53 + 1, 0], "a": [0.5, 1.5]}):
        with pytest.warns(UserWarning, match=r"X: column 'id' has whole numbers beyond 2\*\*53"):
            as_matrix(frame, "X", dtype)


class OnlyDLPack:
    """A tensor that speaks DLPack alone, in the memory of `device`."""

    def __init__(self, array, device=1):
        self.array, self.where = array, device

    def __dlpack__(self, **options):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.where, 0


def test_dlpack(dtype):
    x = np.arange(6.0).reshape(2, 3)
    assert as_matrix(OnlyDLPack(x), "X", dtype).tolist() == x.tolist()
    assert as_matrix(OnlyDLPack(x[:, ::-1]), "X", dtype).tolist() == x[:, ::-1].tolist()
    with pytest.raises(ValueError, match=r"X lies on another device.*copy it there first"):
        as_matrix(OnlyDLPack(x, device=2), "X", dtype)


def test_torch(dtype):
    torch = pytest.importorskip("torch")
    x = torch.arange(6.0).reshape(2, 3)
    for tensor in (x, x.double(), x.to(torch.bfloat16), x.half(), x.int(), x.T.contiguous().T):
        assert as_matrix(tensor, "X", dtype).tolist() == x.tolist()
    assert as_matrix([x[0], x[1]], "X", dtype).tolist() == x.tolist()
    for tensor in (
        x.clone().requires_grad_(),
        torch.nn.Parameter(x),
        x.clone().requires_grad_() * 2,
    ):
        with pytest.raises(ValueError, match=r"X is a tensor that requires a gradient.*X\.detach"):
            as_matrix(tensor, "X", dtype)
    with pytest.raises(ValueError, match=r"X lies on meta.*X\.cpu"):
        as_matrix(torch.ones(2, 3, device="meta"), "X", dtype)
    with pytest.raises(TypeError, match=r"X is a sparse tensor; pass X\.to_dense"):
        as_matrix(torch.eye(2).to_sparse(), "X", dtype)
    with pytest.raises(ValueError, match="Complex data not supported"):
        as_matrix(x * 1j, "X", dtype)


def test_jax(dtype):
    jnp = pytest.importorskip("jax.numpy")
    x = jnp.arange(6.0).reshape(2, 3)
    for value in (x, x.astype(jnp.bfloat16), x.astype(int), x.T.T):
        assert as_matrix(value, "X", dtype).tolist() == x.tolist()


def test_buffers_and_sparse(dtype):
    cells = array.array("d", [1.0, 2.0])
    assert as_matrix(cells, "Y", dtype, column=True).tolist() == [[1], [2]]
    assert as_matrix(memoryview(cells), "Y", dtype, column=True).tolist() == [[1], [2]]
    sparse = pytest.importorskip("scipy.sparse")
    for matrix in (sparse.csr_matrix(np.eye(2)), sparse.coo_array(np.eye(2))):
        with pytest.raises(TypeError, match=r"X is a sparse .*; pass X\.toarray\(\)"):
            as_matrix(matrix, "X", dtype)


def test_gaps_in_lists_and_objects(dtype):
    with pytest.raises(ValueError, match=r"X: column 1 has 1 missing value\(s\) in 2 rows.*row 1"):
        as_matrix([[1, 2], [3, None]], "X", dtype)
    with pytest.raises(ValueError, match=r"Y has 2 missing value\(s\) in 3 rows.*row 0"):
        as_matrix([None, 2, None], "Y", dtype, column=True)
    with pytest.raises(ValueError, match="X: column 0 has 1 missing"):
        as_matrix(np.array([[np.nan], [1.0]], object), "X", dtype)
    with pytest.raises(ValueError, match=r"got nan at .*a missing value"):
        as_matrix([[1.0, np.nan]], "X", dtype)
    with pytest.raises(TypeError, match="object dtype"):
        as_matrix(np.array([["", 1]], object), "X", dtype)


def test_every_public_call_takes_tables(dtype):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 2)).astype(dtype), rng.normal(size=(12, 1)).astype(dtype)
    twin = cr.Network([cr.Dense(3, "tanh"), cr.Dense(1)], n_inputs=2, dtype=dtype)
    for X, Y in zip(
        frames_of({"a": x[:, 0], "b": x[:, 1]}), frames_of({"y": y[:, 0]}), strict=True
    ):
        net, plain = twin.copy(), twin.copy()
        assert net.predict(X).tobytes() == net.predict(x).tobytes()
        assert net(X).tobytes() == net(x).tobytes()
        assert net.cost(X, Y) == net.cost(x, y)
        assert net.gradient(X, Y).theta.tobytes() == net.gradient(x, y).theta.tobytes()
        assert net.trace(X, Y).cost == net.trace(x, y).cost
        assert cr.Scaling.fit(X, Y) == cr.Scaling.fit(x, y)
        net.fit(X, Y, epochs=2, validation_data=(X, Y))
        plain.fit(x, y, epochs=2, validation_data=(x, y))
        assert net.theta.tobytes() == plain.theta.tobytes()
        assert cr.Trainer(net).step(X, Y) == cr.Trainer(plain).step(x, y)
        assert net.theta.tobytes() == plain.theta.tobytes()
        net.scaling = plain.scaling = cr.Scaling.fit(X, Y)
        assert net.predict(X).tobytes() == plain.predict(x).tobytes()


def test_nothing_changes_when_a_table_is_refused(dtype, unchanged):
    net = cr.Network([cr.Dense(1)], n_inputs=2, dtype=dtype)
    for frame in frames_of({"a": [1.0, 2.0], "b": [None, 5.0]}):
        with unchanged(net), pytest.raises(ValueError, match="column 'b'"):
            net.fit(frame, [1.0, 2.0], epochs=1)
        with unchanged(net), pytest.raises(ValueError, match="column 'b'"):
            net.fit([[1.0, 2.0]] * 2, [1.0, 2.0], epochs=1, validation_data=(frame, [1.0, 2.0]))
