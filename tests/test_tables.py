"""Tables: what is read, what is refused and with which words; the split of the rows."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule import FormatError, tables
from chainrule.tables import csv_file, names

ANY = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def write(tmp_path):
    def write(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refused(path, *words, **options):
    """Read, expect a FormatError with the path and all the words, and return its text."""
    with pytest.raises(FormatError) as caught:
        tables.read(path, **options)
    message = str(caught.value)
    assert str(path) in message
    for word in words:
        assert word in message, message
    return message


# --- the packaged tables --------------------------------------------------------------------------


def test_diabetes():
    table = tables.read("diabetes")
    assert ",".join(table.columns) == "age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,progression"
    assert table.values.shape == (442, 11)
    assert table.values[0].tolist() == [59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87, 151]
    assert table.values[:, -1].sum() == 67243  # as in scikit-learn
    assert table.values[:, 2].sum() == pytest.approx(11658.1, abs=1e-9)


def test_digits():
    table = tables.read("digits")
    names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    assert table.columns == (*names, "digit")
    assert table.values.shape == (1797, 65)
    assert np.bincount(table.values[:, -1].astype(int)).tolist() == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]  # fmt: skip
    assert table.values[:, :-1].sum() == 561718
    assert table.values.max() == 16


@pytest.mark.parametrize("name", tables.PACKAGED)
def test_packaged_table_knows_its_target(name):
    assert tables.PACKAGED[name] == tables.header(name)[-1]


def test_packaged_name_wins_over_a_file_and_a_path_does_not(write, monkeypatch):
    path = write("a,b\n1,2\n", "digits")
    monkeypatch.chdir(path.parent)
    assert len(tables.read("digits")) == 1797
    assert len(tables.read("./digits")) == 1


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n3,4\n",
        b"\xef\xbb\xbfa,b\n1,2\n3,4\n",
        b"a,b\r\n1,2\r\n3,4\r\n",
        b"a,b\r\n1,2\n3,4",
        b"a,b\n\n1,2\n\n\n3,4\n\n",
        b"a,b\n  \n1,2\n \t\n3,4\n",
        b" a , b \n 1.0 ,\t2\n+3, 4e0\n",
        b'"a",b\n"1","2"\n"3",4\n',
    ],
)
def test_forms_of_the_same_table(write, content):
    table = tables.read(write(content))
    assert table.columns == ("a", "b")
    assert table.values.tolist() == [[1, 2], [3, 4]]
    assert table.values.dtype == np.float64
    assert len(table) == 2


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("-5", -5.0),
        ("+5", 5.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e-3", 0.001),
        ("1E+3", 1000.0),
        ("-0", -0.0),
        ("1e-4951", 0.0),
        ("4.9e-324", 5e-324),
        ("1." + "0" * 400 + "1", 1.0),
        ("0" * 400 + "7", 7.0),
        ("1.7976931348623157e308", sys.float_info.max),
    ],
)
def test_numbers(write, cell, value):
    got = tables.read(write(f"a,b\n{cell},1\n")).values[0, 0]
    assert got == value
    assert np.signbit(got) == np.signbit(value)
    assert tables.refusal(cell) == ""


@ANY
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_every_float_reads_back(write, values):
    path = write("x,y\n" + "".join(f"{v!r},{-v!r}\n" for v in values))
    got = tables.read(path).values
    assert got.tobytes() == np.array([[v, -v] for v in values]).tobytes()


def test_quoted_text_keeps_line_ends_and_quotes(write):
    path = write('name,x\n"two\nlines, ""quoted""",1\nplain,2\n')
    table = tables.read(path, text=["name"])
    assert table.text == {"name": ('two\nlines, "quoted"', "plain")}
    assert table.columns == ("x",)
    assert table.values.tolist() == [[1], [2]]
    assert table.lines.tolist() == [2, 4]
    assert table.path == str(path)


def test_columns_are_taken_by_name_and_in_the_order_asked_for(write):
    path = write("id,a,b,c\nAnna,1,2,3\nBert,4,5,6\n")
    assert tables.header(path) == ("id", "a", "b", "c")
    assert tables.read(path, ["c", "a"]).values.tolist() == [[3, 1], [6, 4]]
    assert tables.read(path, ["b"], text=["b"]).text == {"b": ("2", "5")}
    only_text = tables.read(path, [], text=["id"])
    assert only_text.values.shape == (2, 0)
    refused(path, "no column 'd'", "it has id, a, b, c", columns=["a", "d"])


def test_one_column(write):
    assert tables.read(write("a\n1\n\n2\n")).values.tolist() == [[1], [2]]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("", "the cell is empty"),
        ("  ", "the cell is empty"),
        ('""', "the cell is empty"),
        ("nan", "not a finite number"),
        ("NaN", "not a finite number"),
        ("-Infinity", "not a finite number"),
        ("inf", "not a finite number"),
        ("1e400", "too large for float64"),
        ("-1e400", "too large for float64"),
        ("1" * 400, "too large for float64"),
        ('"1,5"', "decimal comma; write 1.5"),
        ("1_000", "not a plain decimal number"),
        ("0x10", "not a plain decimal number"),
        ("\uff11\uff12", "not a"),
        ("\u0663", "not a"),
        ("1.2.3", "not a"),
        ("1 2", "not a number"),
        ("1e", "not a number"),
        ("--1", "not a number"),
        ("-", "not a number"),
        ("abc", "'abc' is not a number"),
        ("=1+1", "not a number"),
        ("@cmd", "not a number"),
        ("1j", "not a number"),
        ("True", "not a number"),
        ("1\u00a0", "not a number"),
        ('"1\n"', "not a number"),
        ("x" * 1000, "...' is not a number"),
    ],
)
def test_bad_cell(write, cell, words):
    path = write(f"a,b\n1,2\n\n3,{cell}\n")
    message = refused(path, "line 4", "column 'b'", words)
    assert len(message) < 200 + len(str(path))


def test_control_characters_are_not_repeated(write):
    message = refused(write("a,\x1b[31mred\n1,\x1b[2J\n"), "is not a number")
    assert "\x1b" not in message


def test_ragged_row(write):
    refused(write("a,b\n1,2\n3\n"), "line 3", "1 field(s), expected 2")
    refused(write("a,b\n1,2,3\n"), "line 2", "3 field(s), expected 2")
    refused(write('a,b\n"1\n",2\n3,4,5\n'), "line 2")  # the first fault counts
    refused(write('t,b\n"1\n",2\n3,4,5\n'), "line 4", "3 field(s)", text=["t"])


@pytest.mark.parametrize(
    "content", ["", "\n\n", "\r\n \n", "a,b\n", "a,b", "\ufeff", "a,b\n\n  \n"]
)
def test_no_rows(write, content):
    refused(write(content), "no data rows")


def test_encodings(write):
    text = "a,b\n1,2\n"
    refused(write(text.encode("utf-16")), "line 1", "UTF-16", "save it as UTF-8")
    refused(write(b"\xfe\xff" + text.encode("utf-16-be")), "UTF-16")
    refused(write(text.encode("utf-32")), "UTF-32")
    refused(write(text.encode("utf-16-le")), "line 1", "NUL")
    refused(write("a,gr\xfcn\n1,2\n".encode("latin-1")), "line 1", "not UTF-8 at byte 4 ", "0xfc")
    refused(write(b"\xef\xbb\xbfa,\xff\n"), "line 1", "not UTF-8 at byte 5 ")
    refused(write(b"\xef\xbb\xbfa,b\n1,2\n3,\xff\n"), "line 3", "not UTF-8 at byte 13 ")
    refused(write(b"a,b\n1,2\n3,\x004\n"), "line 3", "NUL")


def test_lone_carriage_returns(write):
    for content in (b"a,b\r1,2\r", b"a,b\n1,2\r3,4\n", b"a,b\n1,2\r\r\n", b"a,b\n1,2\r"):
        refused(write(content), "carriage return")


def test_unclosed_quote(write):
    refused(write('a,b\n1,2\n"3,4\n5,6\n'), "line 3", "quote opened here is never closed")
    refused(write('a,b\n"x\ny","open\n5,6\n'), "line 3", "never closed", text=["a", "b"])
    refused(write('a,b\n"say ""hi""\n5,6\n'), "line 2", "never closed", text=["a", "b"])
    refused(write('a,b\n"x\ny ""z"" \n'), "line 2", "never closed", text=["a", "b"])
    endless = 'a,b\n1,2\n"3,4\n' + "5,6\n" * 100_000
    refused(write(endless), "line 3", "longer than 131072", "quote opened at line 3")
    refused(write('a,b\n"12"x,3\n'), "line 2", "expected after")


def test_long_field_and_line(write, monkeypatch):
    refused(write("a,b\n1," + "9" * 10_000_000 + "\n"), "line 2", "longer than 131072 characters")
    message = refused(write('a,b\n"1",' + "9" * 200_000 + "\n"), "line 2", "longer than")
    assert "quote" not in message
    monkeypatch.setattr(csv_file, "LINE_LIMIT", 1000)
    refused(write("a,b\n1,2\n" + "3" * 2000), "line 3", "longer than 1000 bytes")


def test_too_many_columns(write, monkeypatch):
    monkeypatch.setattr(names, "COLUMN_LIMIT", 3)
    assert tables.read(write("a,b,c\n1,2,3\n")).values.shape == (1, 3)
    refused(write("a,b,c,d\n1,2,3,4\n"), "4 columns, at most 3")


def test_bad_names(write):
    refused(write("a,b,a\n1,2,3\n"), "line 1", "columns 1 and 3 are both named 'a'")
    refused(write("a, a\n1,2\n"), "columns 1 and 2")
    refused(write(",a\n0,1\n"), "column 1 of 2 has no name", "index=False")
    message = refused(write("a,,b\n0,1,2\n"), "column 2 of 3 has no name")
    assert "index" not in message
    refused(write("1,2.5\n3,4\n"), "line 1", "must name the columns")
    refused(write("\n\n1,2.5\n3,4\n"), "line 3", "must name the columns")
    assert tables.header(write("1,b\n3,4\n")) == ("1", "b")


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_other_separators(write, mark, name):
    path = write(f"a{mark}b\n1{mark}2\n")
    refused(path, f"separated by {name}", columns=["a"])


@pytest.mark.parametrize("end", [4 + 4 * 50_000, 4 + 4 * 200_000])
def test_changed_while_reading(write, monkeypatch, end):
    path = write("a,b\n" + "1,2\n" * 100_000)
    records = csv_file.records

    def changing(file, path):
        for record in records(file, path):
            if record[0] == 1:
                path.write_text("a,b\n" + "1,2\n" * ((end - 4) // 4))
            yield record

    monkeypatch.setattr(csv_file, "records", changing)
    refused(path, "changed while reading")


def test_not_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="packaged tables are diabetes and digits"):
        tables.read("diabetis")
    with pytest.raises(FileNotFoundError, match="no such file"):
        tables.read(tmp_path / "none.csv")
    with pytest.raises(IsADirectoryError, match="a directory"):
        tables.read(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for endless in (pipe, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            tables.read(endless)


@ANY
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(write, content):
    try:
        table = tables.read(write(content))
    except FormatError:
        pass
    else:
        assert len(table) == len(table.lines) > 0
        assert np.isfinite(table.values).all()


@ANY
@given(st.text(alphabet='ab12.,-e"\n\r \t\x00;', max_size=60))
def test_any_csv_like_text_is_read_or_refused(write, content):
    path = write("a,b\n" + content)
    try:
        table = tables.read(path)
    except FormatError:
        refused(path, "line" if "line" in refused(path) else "no data rows")
    else:
        assert table.values.shape == (len(table), 2)


# --- Parquet --------------------------------------------------------------------------------------


def parquet(path, columns):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet  # noqa: PLC0415

    parquet.write_table(pyarrow.table(columns), path)
    return path


def test_parquet(tmp_path):
    columns = {
        "x": [1.5, 2.5],
        "n": [1, 2],
        "yes": [True, False],
        "name": ["Anna ", "Bert"],
    }
    path = parquet(tmp_path / "t.parquet", columns)
    assert tables.header(path) == ("x", "n", "yes", "name")
    table = tables.read(path, ["n", "x", "yes"], text=["name"])
    assert table.values.tolist() == [[1, 1.5, 1], [2, 2.5, 0]]
    assert table.text == {"name": ("Anna", "Bert")}
    assert table.lines.tolist() == [1, 2]
    assert tables.read(path, [], text=["n"]).text == {"n": ("1", "2")}
    hidden = path.rename(tmp_path / "no_suffix")
    assert len(tables.read(hidden, ["x"])) == 2
    refused(hidden, "no column 'z'", columns=["z"])


def test_bad_parquet(tmp_path, write):
    path = tmp_path / "t.parquet"
    refused(parquet(path, {"x": [1.0, None]}), "row 2", "column 'x'", "empty")
    refused(parquet(path, {"x": [1.0, float("nan")]}), "row 2", "not a finite number")
    refused(parquet(path, {"x": ["a", "b"]}), "column 'x'", "expected numbers")
    refused(parquet(path, {"x": ["a", None]}), "row 2", "empty", columns=[], text=["x"])
    refused(parquet(path, {"x": [[1.0]]}), "expected text", columns=[], text=["x"])
    refused(parquet(path, {"x": np.zeros(0)}), "no data rows")
    refused(write(b"a,b\n1,2\n", "t.pq"), "not a readable Parquet file")
    parquet(path, {"x": np.arange(1000.0)})
    whole = path.read_bytes()
    for length in (4, 100, len(whole) // 2, len(whole) - 1):
        refused(write(whole[:length], "cut.parquet"), "not a readable Parquet file")


def test_parquet_without_pyarrow(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        tables.read(write(b"PAR1", "t.parquet"))


# --- split ----------------------------------------------------------------------------------------


@ANY
@given(st.integers(2, 3000), st.floats(0, 1, exclude_max=True), st.integers(0, 2**63 - 1))
def test_split(m, fraction, seed):
    train, held = tables.split(m, fraction, seed)
    assert sorted([*train, *held]) == list(range(m))
    assert (np.diff(train) > 0).all()
    assert (np.diff(held) > 0).all()
    assert len(train) > 0
    assert (len(held) > 0) == (fraction > 0)
    assert abs(len(held) - fraction * m) <= 1
    again = tables.split(m, fraction, seed)
    assert np.array_equal(train, again[0])
    assert np.array_equal(held, again[1])


def test_split_depends_on_the_seed_and_is_random():
    held = np.array([tables.split(100, 0.2, seed)[1] for seed in range(200)])
    assert len({tuple(h) for h in held}) == 200
    counts = np.bincount(held.ravel(), minlength=100)  # 40 expected, deviation 5.7
    assert counts.min() > 15
    assert counts.max() < 70


def test_split_of_the_packaged_table_does_not_change():
    train, held = tables.split(442, 0.2, 0)
    assert (len(train), len(held)) == (354, 88)
    again = tables.split(442, 0.2, 0)[1]
    assert np.array_equal(held, again)


@pytest.mark.parametrize(
    ("m", "fraction"), [(0, 0), (0, 0.5), (1, 0.5), (5, 1.0), (5, -0.1), (5, float("nan"))]
)
def test_split_refuses(m, fraction):
    with pytest.raises(ValueError, match=r"fraction|row\(s\)"):
        tables.split(m, fraction, 0)


def test_split_of_one_row_with_nothing_held_out():
    train, held = tables.split(1, 0, 0)
    assert (train.tolist(), held.tolist()) == ([0], [])


# --- by columns -----------------------------------------------------------------------------------


def kinds(table):
    return {name: table[name].kind for name in table.names}


def test_frame_of_a_csv_file(write):
    path = write("w,x,p,t,b,g\n1,1.5,1.0,ab,true,\n-2,2,2.0,1x,FALSE,\n+3,3,3.,,True,\n")
    table = tables.frame(path)
    assert table.names == ("w", "x", "p", "t", "b", "g")
    assert len(table) == 3
    assert kinds(table) == {
        "w": "integer", "x": "real", "p": "real", "t": "text", "b": "boolean", "g": "real",
    }  # fmt: skip
    assert table["w"].values.tolist() == [1, -2, 3]
    assert table["b"].values.tolist() == [True, False, True]
    assert table["t"].texts().tolist() == ["ab", "1x", None]
    assert table["p"].texts().tolist() == ["1.0", "2.0", "3."]
    assert table["g"].missing.all()
    assert table.path == str(path)
    assert table.place(0) == "line 2"
    assert tables.frame(table) is table
    assert tables.frame(path, ["t", "w"]).names == ("t", "w")
    with pytest.raises(FormatError, match=r"no column 'z'; it has w, x"):
        tables.frame(path, ["z"])
    with pytest.raises(FormatError, match="no data rows"):
        tables.frame(write("a\n"))
    assert repr(table) == "Frame: 3 rows, 6 columns: w, x, p, t, b, g"


def test_part_of_a_frame_keeps_lines_and_kinds(write):
    table = tables.frame(write("a,b\n1,x\n\n2.5,y\n3,z\n"))
    part = table.take([2, 1])
    assert part["a"].values.tolist() == [3, 2.5]
    assert part["b"].texts().tolist() == ["z", "y"]
    assert [part.place(k) for k in range(2)] == ["line 5", "line 4"]
    assert table.take([0, 2])["a"].kind == "real"  # as the whole column is
    masked = table.take(np.array([False, True, False]))
    assert masked["a"].values.tolist() == [2.5]
    assert masked.take([0]).place(0) == "line 4"
    assert len(table.take([])) == 0


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2"], "integer"),
        (["1", "2.0"], "integer"),
        (["1.0", "2.0"], "real"),
        (["1", "2e0"], "real"),
        (["9223372036854775807", "-9223372036854775807"], "real"),  # 2**63 as a float
        (["9007199254740993", "1"], "integer"),
        (["123456789012345678901234567890"], "real"),
        (["nan", "1"], "integer"),
        (["nan", "x"], "text"),
        (["true", "yes"], "text"),
        (["1", "x", "y"], "text"),
        (["1", "x"], "refused"),
        (["1", "1e400"], "refused"),
        (["2020-01-31", "2020-1-3 10:00"], "refused"),
        (["2020-01-31", "later"], "text"),
        (["\u0663", "x"], "text"),
    ],
)
def test_kind_of_a_column_of_a_csv_file(write, cells, kind):
    assert tables.frame(write("a\n" + "".join(f"{c}\n" for c in cells)))["a"].kind == kind


def test_whole_numbers_keep_all_digits(write):
    table = tables.frame(write("a\n9007199254740993\n1\n"))
    assert table["a"].values.tolist() == [9007199254740993, 1]


def test_frame_of_a_parquet_file(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = tmp_path / "t.parquet"
    frame = pandas.DataFrame(
        {
            " x ": [1.5, None, 2.5],
            "n": pandas.array([1, None, 3], dtype="Int64"),
            "c": pandas.Categorical(["b", "a", "b"], categories=["b", "a"], ordered=True),
            "t": ["x", "y", None],
            "b": [True, False, True],
            "day": pandas.date_range("2020-01-01", periods=3),
        },
        index=["r", "s", "t"],
    )
    frame.to_parquet(path)
    table = tables.frame(path)
    assert table.names == ("x", "n", "c", "t", "b", "day")  # neither spaces nor the index
    assert tables.header(path) == table.names
    assert kinds(table) == {
        "x": "real", "n": "integer", "c": "category", "t": "text", "b": "boolean", "day": "refused",
    }  # fmt: skip
    assert table["c"].levels == ("b", "a")
    assert table["n"].missing.tolist() == [False, True, False]
    assert table.place(0) == "row 1"
    assert tables.frame(path, ["b", "x"]).names == ("b", "x")
    assert tables.read(path, ["b"], text=["c"]).text == {"c": ("b", "a", "b")}
    with pytest.raises(FormatError, match="no column 'z'"):
        tables.frame(path, ["z"])


def test_frame_of_a_damaged_parquet_file(tmp_path):
    path = parquet(tmp_path / "t.parquet", {"x": np.arange(1000.0)})
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes(100) + whole[300:])
    with pytest.raises(FormatError, match="not a readable Parquet file"):
        tables.frame(path)
    with pytest.raises(FormatError, match="no data rows"):
        tables.frame(parquet(path, {"x": np.zeros(0)}))


def test_packaged_tables_by_columns():
    for name in tables.PACKAGED:
        table, whole = tables.frame(name), tables.read(name)
        assert table.names == whole.columns
        for k, column in enumerate(table.names):
            assert table[column].numbers().tolist() == whole.values[:, k].tolist()


@ANY
@given(st.text(alphabet='a12.,-e"\n tTrueNA;\u00e9', max_size=80))
def test_any_csv_like_text_is_viewed_or_refused(write, content):
    try:
        table = tables.frame(write("a,b\n" + content))
    except FormatError:
        return
    for name in table.names:
        column = table[name]
        assert len(column) == len(column.missing) == len(table) > 0
        assert column.kind in {"integer", "real", "boolean", "text", "refused"}
        assert bool(column.refusal) == (column.kind == "refused")
        gaps = column.missing.tolist()
        assert [text is None for text in column.texts().tolist()] == gaps
        if column.kind in {"integer", "real", "boolean"}:
            assert np.isnan(column.numbers()).tolist() == gaps


# --- write ----------------------------------------------------------------------------------------

COLUMNS = {
    "y": np.array([0.1, -2.5e-300, np.nan]),
    "small": np.array([0.1, 1e30, 3.0], np.float32),
    "n": [1, -2, None],
    "text": ["a,b", 'say "x"\nor not', None],
    "sure": [True, None, False],
}


def test_write_csv(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("old")
    tables.write(path, COLUMNS)
    assert path.read_text() == (
        'y,small,n,text,sure\n0.1,0.1,1,"a,b",true\n'
        '-2.5e-300,1e+30,-2,"say ""x""\nor not",\n,3.0,,,false\n'
    )
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
    assert "\n".join(tables.csv_lines(COLUMNS)) + "\n" == path.read_text()
    table = tables.frame(path)
    assert table["y"].numbers()[:2].tolist() == [0.1, -2.5e-300]
    assert table["text"].texts().tolist() == ["a,b", 'say "x"\nor not', None]
    pandas = pytest.importorskip("pandas")
    assert pandas.read_csv(path)["small"].astype("float32")[0] == np.float32(0.1)


def test_text_that_looks_like_a_formula(tmp_path):
    cells = ["=1+1", "@cmd", "+x", "-y", "-5", "+5", "\tz", "plain"]
    lines = list(tables.csv_lines({"=name": cells}))
    assert lines[:5] == ["'=name", "'=1+1", "'@cmd", "'+x", "'-y"]
    assert lines[5:] == ["-5", "+5", "'\tz", "plain"]
    assert list(tables.csv_lines({"v": [-5, 5]})) == ["v", "-5", "5"]


def test_write_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as file  # noqa: PLC0415

    path = tmp_path / "t.parquet"
    tables.write(path, COLUMNS)
    table = file.read_table(path)
    assert table.column_names == list(COLUMNS)
    assert [str(kind) for kind in table.schema.types] == [
        *("double", "float", "int64", "string", "bool"),
    ]
    assert table["n"].to_pylist() == [1, -2, None]
    assert table["y"].to_pylist() == [0.1, -2.5e-300, None]
    assert table["text"].to_pylist() == COLUMNS["text"]
    assert table["sure"].to_pylist() == [True, None, False]
    tables.write(tmp_path / "u.pq", arrow.table({"a": [1, 2]}))
    assert tables.read(tmp_path / "u.pq").values.tolist() == [[1], [2]]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.parquet", "u.pq"]


@ANY
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            st.one_of(
                st.none(),
                st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0")),
            ),
        ),
        min_size=1,
        max_size=10,
    ),
    st.sampled_from(["csv", "parquet"]),
)
def test_what_is_written_reads_back(tmp_path, rows, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    numbers, texts = [row[0] for row in rows], [row[1] for row in rows]
    path = tmp_path / f"t.{suffix}"
    tables.write(path, {"v": numbers, "t": texts, "k": ["key"] * len(rows)})
    table = tables.frame(path)
    gaps = np.array([v is None for v in numbers])
    assert table["v"].missing.tolist() == gaps.tolist()
    got = table["v"].numbers()[~gaps]
    assert got.tobytes() == np.array([v for v in numbers if v is not None]).tobytes()
    if suffix == "parquet":
        back = [None if t is None or not t.strip() else t for t in texts]
        assert table["t"].texts().tolist() == back


def test_write_refuses(tmp_path):
    for name in ("t.txt", "t", "t.csv.gz"):
        with pytest.raises(ValueError, match=r"path must end in \.csv, \.parquet or \.pq"):
            tables.write(tmp_path / name, {"a": [1]})
    with pytest.raises(ValueError, match="column 'b' has 1 rows, but column 'a' has 2"):
        tables.write(tmp_path / "t.csv", {"a": [1, 2], "b": [1]})
    for suffix in ("csv", "parquet"):
        old = tmp_path / f"t.{suffix}"
        old.write_text("old")
        if suffix == "parquet":
            pytest.importorskip("pyarrow")
        with pytest.raises(ValueError, match="column 'a' mixes"):
            tables.write(old, {"a": [1, "x"]})
        assert old.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.csv", "t.parquet"]
    with pytest.raises(FileNotFoundError):
        tables.write(tmp_path / "none" / "t.csv", {"a": [1]})


def test_write_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(
        ImportError, match=r"/t\.parquet: writing Parquet needs pyarrow \(chainrule\[parquet\]\)"
    ):
        tables.write(tmp_path / "t.parquet", {"a": [1]})
    assert not list(tmp_path.iterdir())
