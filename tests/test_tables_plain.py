"""Plain CSV files, read many rows at a time, against Python's csv module and float()."""

import csv
import random
from contextlib import suppress

import numpy as np
import pytest

from chainrule import FormatError, tables
from chainrule.tables import csv_file, plain_csv

NUMBERS = (
    "0", "-0", "+7", "007", "1.", ".5", "-.25", "1e3", "2E-3", "1.5e+300", "4.9e-324", "1e-400",
    "1.7976931348623157e308", "9007199254740993", "-9223372036854775807", "0.1", "3.0", "12", "-5",
    "123456789012345678901234567890",
)  # fmt: skip
GAPS = ("", " ", "NA", "n/a", "NaN", "null", "None", "\t")
WORDS = ("red", "dark red", "gr\u00fcn", "\u0663", "true", "FALSE", "2020-01-31", "1 2", "'x'")
SLIPS = ("1e400", "inf", "1_000", "0x10", "1.2.3", "--1", "\uff11", "\u00a01", "1;5", "\x0b7")
QUOTED = ('"a,b"', '"1"', '"two\nlines"', '"say ""hi"""', '""', 'a"b', '"open', '"1"x')


def cells_of(random, kind, m):
    """Cells of one column, as they stand in the file."""
    pools = {
        "real": [*NUMBERS, *(repr(random.gauss(0, 10.0 ** random.randint(-9, 9))) for _ in "abcd")],
        "whole": ["0", "-3", "+12", "9007199254740993", "44"],
        "points": ["1.0", "2.", "-3.00"],
        "gaps": [*NUMBERS[:8], *GAPS],
        "bool": ["true", "False", "TRUE", ""],
        "text": list(WORDS),
        "slips": [*NUMBERS, random.choice(SLIPS)],
        "mixed": [*NUMBERS, *WORDS, *GAPS, *SLIPS],
        "quoted": [*WORDS, *NUMBERS, random.choice(QUOTED)],
    }
    pad = random.choice(["", "", " ", "\t", "  "])
    return [f"{random.choice(['', pad])}{random.choice(pools[kind])}{pad}" for _ in range(m)]


def table_of(seed):
    """A file at random: mostly plain, sometimes with something that is not."""
    source = random.Random(seed)
    m, n = source.choice([1, 2, 7, 60]), source.choice([1, 2, 3, 6])
    kinds = ["real", "whole", "points", "gaps", "bool", "text", "slips", "mixed", "quoted"]
    columns = [
        cells_of(source, source.choices(kinds, [6, 3, 2, 3, 1, 3, 1, 1, 1])[0], m) for _ in range(n)
    ]
    lines = [",".join(row) for row in zip(*columns, strict=True)]
    lines.insert(0, ",".join(f"c{k}" for k in range(n)))
    for _ in range(source.choice([0, 0, 0, 1, 2])):
        place = source.randint(0, len(lines))
        lines.insert(place, source.choice(["", " ", "1", "1,2,3", "c0,c0", "x\ry", "a\0b"]))
    end = source.choice(["\n", "\n", "\r\n", "\r"] if source.random() < 0.1 else ["\n", "\r\n"])
    text = end.join(lines) + source.choice([end, end, "", end + end, "\r"])
    content = source.choice([b"", b"", b"\xef\xbb\xbf"]) + text.encode()
    return content + b"\xff\n" if source.random() < 0.02 else content


def answer(read):
    """What reading gives, to the bit, or the words of the refusal."""
    try:
        found = read()
    except FormatError as error:
        return str(error)
    if isinstance(found, tables.Table):
        values, texts, lines = found.values, dict(found.text), found.lines
        assert values.flags.c_contiguous
        assert lines.dtype == np.int64
        return found.columns, values.shape, values.dtype, values.tobytes(), texts, lines.tolist()
    columns = [found[name] for name in found.names]
    return found.names, found.lines.tolist(), [
        (c.kind, c.refusal, c.values.dtype, c.missing.tobytes(), c.texts().tolist(),
         c.cells.tolist(), c.values.tolist() if c.values.dtype == object else c.values.tobytes())
        for c in columns
    ]  # fmt: skip


def ways(path):
    """The ways to read the table: all as columns, as numbers, and the second as text."""
    yield lambda: tables.frame(path)
    yield lambda: tables.read(path)
    yield lambda: tables.read(path, ["c0"], text=["c1"])
    yield lambda: tables.read(path, [], text=["c0"])


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_at_once_and_row_by_row_agree(tmp_path, monkeypatch, block):
    monkeypatch.setattr(plain_csv, "BLOCK", block)
    plain, path, taken = csv_file.read_plain, tmp_path / "t.csv", 0
    for seed in range(400):
        path.write_bytes(table_of(seed))
        for read in ways(path):
            at_once = answer(read)
            with monkeypatch.context() as patch:
                patch.setattr(csv_file, "read_plain", lambda *_: None)
                assert answer(read) == at_once, seed
            with monkeypatch.context() as patch:
                patch.setattr(csv_file, "_read_rows", lambda *_: pytest.fail("row by row"))
                with suppress(pytest.fail.Exception):
                    taken += not isinstance(answer(read), str)
    assert csv_file.read_plain is plain
    assert taken > 400  # enough of the tables were plain


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_numbers_and_text_are_those_of_csv_and_float(tmp_path, monkeypatch, block):
    monkeypatch.setattr(plain_csv, "BLOCK", block)
    path, read = tmp_path / "t.csv", 0
    for seed in range(600):
        path.write_bytes(table_of(seed))
        try:
            table = tables.frame(path)
        except FormatError:
            continue
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) > 1 or (row and row[0].strip())]
        if len(table.names) == 1:
            continue  # where a blank row is a gap: see the test above
        read += 1
        names, *rows = rows
        assert table.names == tuple(names)
        for k, name in enumerate(names):
            written = [row[k].strip() for row in rows]
            column = table[name]
            assert column.cells.tolist() == written
            filled = [cell for cell, gap in zip(written, column.missing, strict=True) if not gap]
            got = column.values[~column.missing]
            if column.kind == "real":
                assert got.tobytes() == np.array(list(map(float, filled))).tobytes(), seed
                assert np.isnan(column.numbers()).tolist() == column.missing.tolist()
            elif column.kind == "integer":
                assert got.tolist() == [int(cell.partition(".")[0]) for cell in filled], seed
    assert read > 200


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a,b\n1,2\n3,4\n", [2, 3]),
        (b"a,b\r\n1,2\r\n3,4", [2, 3]),
        (b"\xef\xbb\xbfa,b\n1 ,red\n+3,\xc3\xa4\n", [2, 3]),
        (b"\n\na,b\n1,2\n", [4]),
        (b'"a\nb",c\n1,2\n', [3]),
        (b"a\n1\n2\n", [2, 3]),
    ],
)
def test_plain_tables_are_read_at_once(tmp_path, monkeypatch, content, lines):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    monkeypatch.setattr(csv_file, "_read_rows", lambda *_: pytest.fail("row by row"))
    assert tables.frame(path).lines.tolist() == lines


def test_a_late_slip_is_told_with_its_line(tmp_path):
    path = tmp_path / "t.csv"
    rows = ["1.5,2"] * 300_000
    rows[250_000] = "1.5,2x"
    rows[280_000] = "1.5"
    path.write_text("a,b\n" + "\n".join(rows))
    with pytest.raises(FormatError, match="line 250002, column 'b': '2x' is not a number"):
        tables.read(path)
    with pytest.raises(FormatError, match=r"line 280002: 1 field\(s\), expected 2"):
        tables.frame(path)


def test_spaces_of_other_scripts_and_long_fields(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n\u00a0red\u3000,\u20091\n\u2028x,2\n", encoding="utf-8")
    table = tables.frame(path)
    assert table["a"].texts().tolist() == ["red", "x"]
    assert table["b"].values.tolist() == [1, 2]
    path.write_text("a,b\n1,2\n" + "x" * 131_073 + ",2\n")
    with pytest.raises(FormatError, match="line 3: field longer than 131072 characters"):
        tables.frame(path)
    path.write_text("a,b\n1,2\n" + "x" * 131_072 + ",2\n")
    assert len(tables.frame(path)["a"].texts()[1]) == 131_072


def test_labels_that_repeat_are_stored_once(tmp_path):
    path = tmp_path / "t.csv"
    for quote in ("", '"'):
        path.write_text("a,b\n" + "".join(f"{k},{quote}kind {k % 3}{quote}\n" for k in range(3000)))
        cells = tables.frame(path)["b"].cells
        assert len(set(map(id, cells))) == 3
