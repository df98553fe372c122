"""Encoder and Target: from any table to X and Y, by name, with the mapping stored."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import doctest
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import FormatError, tables

CITIES = {
    "city": ["Rome", "Oslo", "Rome", "Bern"],
    "rooms": [2, 3, 4, 1],
    "area": [50.5, 70.25, 90.0, 30.0],
    "sold": [True, False, True, False],
}
NAMES = ("city=Bern", "city=Oslo", "city=Rome", "rooms", "area", "sold")
X_CITIES = [
    [0, 0, 1, 2, 50.5, 1],
    [0, 1, 0, 3, 70.25, 0],
    [0, 0, 1, 4, 90.0, 1],
    [1, 0, 0, 1, 30.0, 0],
]


def as_pandas(table):
    return pytest.importorskip("pandas").DataFrame(table)


def as_pandas_nullable(table):
    pandas = pytest.importorskip("pandas")
    types = {"int64": "Int64", "double": "Float64", "bool": "boolean", "string": "string"}

    def nullable(kind):
        return pandas.api.types.pandas_dtype(types[str(kind)]) if str(kind) in types else None

    return as_arrow(table).to_pandas(types_mapper=nullable)


def as_pandas_arrow(table):
    return as_arrow(table).to_pandas(types_mapper=pytest.importorskip("pandas").ArrowDtype)


def as_pandas_object(table):
    return as_pandas(table).astype(object)


def as_pandas_categories(table):
    frame = as_pandas(table)
    text = [name for name, cells in table.items() if any(isinstance(c, str) for c in cells)]
    return frame.astype(dict.fromkeys(text, "category"))


def as_polars(table):
    return pytest.importorskip("polars").DataFrame(table)


def as_arrow(table):
    return pytest.importorskip("pyarrow").table(table)


def as_arrow_batch(table):
    return pytest.importorskip("pyarrow").RecordBatch.from_pydict(table)


def as_arrow_dictionaries(table):
    frame = as_arrow(table)
    for k, name in enumerate(table):
        if any(isinstance(cell, str) for cell in table[name]):
            frame = frame.set_column(k, name, frame.column(name).dictionary_encode())
    return frame


def as_arrow_chunks(table):
    frame = as_arrow(table)
    return pytest.importorskip("pyarrow").concat_tables([frame.slice(0, 1), frame.slice(1)])


def as_dict(table):
    return table


FORMS = {
    form.__name__.removeprefix("as_"): form
    for form in (
        as_dict,
        as_pandas,
        as_pandas_nullable,
        as_pandas_arrow,
        as_pandas_object,
        as_pandas_categories,
        as_polars,
        as_arrow,
        as_arrow_batch,
        as_arrow_dictionaries,
        as_arrow_chunks,
    )
}


@pytest.fixture(params=[*FORMS, "csv", "parquet"])
def form(request, tmp_path):
    """What makes a table of a dict, in each library and file type in turn."""
    if request.param in FORMS:
        return FORMS[request.param]

    def written(table):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.{request.param}"
        if request.param == "csv":
            as_pandas(table).to_csv(path, index=False)
        else:
            pytest.importorskip("pyarrow")
            as_pandas(table).to_parquet(path)
        return path

    return written


def refused(call, *words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the words are checked below)
        call()
    message = str(caught.value)
    for word in words:
        assert word in message, message
    assert message.isascii()
    return message


# --- what is learnt and what comes out ------------------------------------------------------------


def test_every_form_of_a_table_gives_the_same_encoder_and_the_same_matrix(form):
    encoder = cr.Encoder.fit(form(CITIES))
    assert encoder.names == NAMES
    assert encoder.features == tuple(CITIES)
    assert encoder == cr.Encoder.fit(CITIES)
    X = encoder.transform(form(CITIES))
    assert X.tolist() == X_CITIES
    assert X.dtype == np.float64
    assert X.flags.c_contiguous


def test_columns_are_found_by_name_in_any_order_and_others_are_not_looked_at(form):
    encoder = cr.Encoder.fit(CITIES)
    other = dict(reversed(CITIES.items())) | {"note": ["a", "b", "c", "d"], "x": [1.0] * 4}
    assert encoder.transform(form(other)).tolist() == X_CITIES
    message = refused(
        lambda: encoder.transform(form({"rooms": [1], "note": ["x"]})),
        "missing 3 of the 4 columns",
        "city, area, sold",
        "the table has rooms, note",
    )
    assert len(message) < 300


def test_fit_in_one_form_transform_in_another(form):
    encoder = cr.Encoder.fit(form(CITIES))
    for other in FORMS.values():
        assert encoder.transform(other(CITIES)).tolist() == X_CITIES


def test_features_exclude_and_their_order():
    encoder = cr.Encoder.fit(CITIES, ["sold", "city"])
    assert encoder.names == ("sold", "city=Bern", "city=Oslo", "city=Rome")
    assert cr.Encoder.fit(CITIES, exclude=["city", "rooms"]).names == ("area", "sold")
    assert cr.Encoder.fit(CITIES, ["area", "city"], exclude=["city"]).names == ("area",)
    with pytest.raises(TypeError, match="features must be a list of column names, got 'city'"):
        cr.Encoder.fit(CITIES, "city")
    with pytest.raises(ValueError, match="features has 'city' twice"):
        cr.Encoder.fit(CITIES, ["city", "city"])
    refused(lambda: cr.Encoder.fit(CITIES, ["town"]), "no column 'town'", "city, rooms")
    refused(lambda: cr.Encoder.fit(CITIES, categorical=["town"]), "no column 'town'")
    refused(lambda: cr.Encoder.fit(CITIES, exclude=["town"]), "no column 'town'")
    refused(lambda: cr.Encoder.fit(CITIES, exclude=list(CITIES)), "no column is left")
    refused(lambda: cr.Encoder.fit(CITIES, ["area"], ["city"]), "categorical: city is not among")


def test_numbers_and_truth_values_as_categories(form):
    table = {"code": [10, 9, 10, 2], "size": [1.5, -2.0, 1.5, 1.5], "on": [True, False, True, True]}
    encoder = cr.Encoder.fit(form(table), categorical=["code", "size", "on"])
    named = [name.lower() for name in encoder.names]
    assert named[:3] == ["code=2", "code=9", "code=10"]  # by size, not as text
    assert [name.removesuffix(".0") for name in named[3:]] == [
        *("size=-2", "size=1.5"),
        *("on=false", "on=true"),
    ]
    X = encoder.transform(form(table))
    assert X.tolist() == [
        [0, 0, 1, 0, 1, 0, 1],
        [0, 1, 0, 1, 0, 1, 0],
        [0, 0, 1, 0, 1, 0, 1],
        [1, 0, 0, 0, 1, 0, 1],
    ]
    for other in FORMS.values():
        assert encoder.transform(other(table)).tolist() == X.tolist()


def test_a_level_may_be_spelled_as_another_type_would():
    encoder = cr.Encoder.fit({"zip": ["01", "02", "x"]})
    assert encoder.transform({"zip": [1, 2]}).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert encoder.transform({"zip": [2.0, None, 1.0][::2]}).tolist() == [[0, 1, 0], [1, 0, 0]]
    # two levels of one number: only the text counts
    twice = cr.Encoder.fit({"zip": ["1", "01"]})
    assert twice.transform({"zip": ["01", "1"]}).tolist() == [[1, 0], [0, 1]]
    assert twice.transform({"zip": [1]}).tolist() == [[0, 1]]
    refused(lambda: twice.transform({"zip": [1.0, "1.0"][1:]}), "'1.0' is none of")


def test_categories_of_pandas_and_polars_keep_their_order():
    pandas = pytest.importorskip("pandas")
    sizes = pandas.Categorical(["L", "S", "M", None], categories=["S", "M", "XL", "L"])
    encoder = cr.Encoder.fit(pandas.DataFrame({"size": sizes}), missing="mean")
    assert encoder.names == ("size=S", "size=M", "size=L", "size=missing")  # XL never occurs
    encoder = cr.Encoder.fit(
        pandas.DataFrame({"v": pandas.Categorical([2.5, 1.0], categories=[2.5, 1.0])})
    )
    assert encoder.names == ("v=2.5", "v=1")
    assert encoder.transform({"v": [1, 2.5]}).tolist() == [[0, 1], [1, 0]]
    polars = pytest.importorskip("polars")
    enum = polars.Series("size", ["L", "S", None, "S"], dtype=polars.Enum(["S", "M", "L"]))
    assert cr.Encoder.fit(enum.to_frame(), missing="mean").names == (
        *("size=S", "size=L", "size=missing"),
    )
    plain = polars.Series("size", ["L", "S", "M"], dtype=polars.Categorical)
    assert cr.Encoder.fit(plain.to_frame()).names == ("size=L", "size=M", "size=S")
    arrow = pytest.importorskip("pyarrow")
    ordered = arrow.DictionaryArray.from_arrays([1, 0, 1], ["small", "large"], ordered=True)
    assert cr.Encoder.fit(arrow.table({"s": ordered})).names == ("s=small", "s=large")


def test_sklearns_encoder_gives_the_same_columns():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    rng = np.random.default_rng(0)
    cells = rng.choice(["b", "a", "ä", "zz", "B"], 50)
    theirs = preprocessing.OneHotEncoder(sparse_output=False).fit_transform(cells.reshape(-1, 1))
    assert cr.Encoder.fit({"c": cells}).transform({"c": cells}).tolist() == theirs.tolist()


@given(st.data())
def test_one_hot_of_any_text(data):
    text = st.text(min_size=1, max_size=8).filter(str.strip)
    levels = data.draw(st.lists(text, min_size=1, max_size=6, unique=True))
    cells = data.draw(st.lists(st.sampled_from(levels), min_size=1, max_size=30))
    encoder = cr.Encoder.fit({"c": cells})
    X = encoder.transform({"c": cells})
    assert (X.sum(axis=1) == 1).all()
    assert ((X == 0) | (X == 1)).all()
    names = [name.removeprefix("c=") for name in encoder.names]
    assert [names[k] for k in X.argmax(axis=1)] == cells
    assert names == sorted(set(cells))
    again = cr.Encoder.from_json(json.loads(json.dumps(encoder.as_json())))
    assert again == encoder
    assert again.transform({"c": cells}).tobytes() == X.tobytes()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_come_through_with_their_bits(values):
    X = cr.Encoder.fit({"v": values}).transform({"v": values})
    assert X.tobytes() == np.array(values).tobytes()


# --- missing cells --------------------------------------------------------------------------------

GAPS = {
    "age": [1.0, None, 3.0, 8.0, None],
    "city": ["Rome", "Oslo", None, "Rome", "Rome"],
    "on": [True, None, False, True, True],
    "n": [1, 2, 3, 4, 6],
}


def test_missing_is_an_error_that_names_columns_and_counts(form):
    refused(
        lambda: cr.Encoder.fit(form(GAPS)),
        "'age' in 2 of 5 rows",
        "'city' in 1 of 5 rows",
        "'on' in 1 of 5 rows",
        'missing="mean", "indicator" or "drop"',
    )
    encoder = cr.Encoder.fit(form(GAPS), ["n"])
    refused(lambda: encoder.transform(form({"n": [1.0, None]})), "'n' in 1 of 2 rows", "first: ")


def test_missing_mean(form):
    encoder = cr.Encoder.fit(form(GAPS), missing="mean")
    assert encoder.names == ("age", "city=Oslo", "city=Rome", "city=missing", "on", "n")
    X = encoder.transform(form(GAPS))
    assert X.tolist() == [
        [1, 0, 1, 0, 1, 1],
        [4, 1, 0, 0, 0.75, 2],
        [3, 0, 0, 1, 0, 3],
        [8, 0, 1, 0, 1, 4],
        [4, 0, 1, 0, 1, 6],
    ]
    # the mean of the training rows, not of the rows at hand; a column that had no gap has one too
    row = {"age": [None, 100.0], "city": [None, "Oslo"], "on": [None, True], "n": [None, 7.0]}
    assert encoder.transform(form(row)).tolist() == [
        [4, 0, 0, 1, 0.75, 3.2],
        [100, 1, 0, 0, 1, 7],
    ]


def test_missing_indicator(form):
    encoder = cr.Encoder.fit(form(GAPS), missing="indicator")
    assert encoder.names == (
        *("age", "age=missing", "city=Oslo", "city=Rome", "city=missing"),
        *("on", "on=missing", "n"),
    )
    X = encoder.transform(form(GAPS))
    assert X[:, 1].tolist() == [0, 1, 0, 0, 1]
    assert X[:, 0].tolist() == [1, 4, 3, 8, 4]
    assert X[:, 6].tolist() == [0, 1, 0, 0, 0]


def test_missing_indicator_as_sklearn_does_it():
    impute = pytest.importorskip("sklearn.impute")
    rng = np.random.default_rng(1)
    values = rng.normal(size=(40, 3))
    values[rng.random((40, 3)) < 0.2] = np.nan
    values[:, 1] = np.nan_to_num(values[:, 1])
    table = {"a": values[:, 0], "b": values[:, 1], "c": values[:, 2]}
    theirs = impute.SimpleImputer(add_indicator=True).fit_transform(values)
    X = cr.Encoder.fit(table, missing="indicator").transform(table)
    np.testing.assert_allclose(X, theirs[:, [0, 3, 1, 2, 4]], rtol=1e-14)


def test_missing_drop(form):
    encoder = cr.Encoder.fit(form(GAPS), missing="drop")
    assert encoder.names == ("age", "city=Rome", "on", "n")  # Oslo stood in a dropped row
    assert encoder.kept(form(GAPS)).tolist() == [0, 3]
    assert encoder.transform(form(GAPS)).tolist() == [[1, 1, 1, 1], [8, 1, 1, 4]]
    assert cr.Encoder.fit(CITIES).kept(form(CITIES)).tolist() == [0, 1, 2, 3]
    none = form({"age": [None], "city": ["Rome"], "on": [True], "n": [1]})
    assert encoder.transform(none).shape == (0, 4)
    bare = form({"a": [1.0, None], "b": [None, 2.0]})
    refused(lambda: cr.Encoder.fit(bare, missing="drop"), "every row", "'a' in 1 of 2 rows")


def test_a_category_that_had_no_gap_and_then_has_one():
    encoder = cr.Encoder.fit({"c": ["a", "b"]}, missing="mean")
    refused(lambda: encoder.transform({"c": ["a", None]}), "'c' in 1 of 2 rows")
    lenient = cr.Encoder.fit({"c": ["a", "b"]}, missing="mean", handle_unknown="ignore")
    assert lenient.transform({"c": ["a", None]}).tolist() == [[1, 0], [0, 0]]
    strict = cr.Encoder.fit({"c": ["a", "b"]}, handle_unknown="ignore")
    refused(lambda: strict.transform({"c": ["a", None]}), "'c' in 1 of 2 rows")


def test_text_that_says_missing_is_the_level_of_the_gaps():
    encoder = cr.Encoder.fit({"c": ["missing", "z", None]}, missing="mean")
    assert encoder.names == ("c=missing", "c=z")
    assert encoder.transform({"c": [None, "z", "missing"]}).tolist() == [[1, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize("gap", [None, np.nan, "", "  ", decimal.Decimal("sNaN"), "NA", "NaT"])
def test_marks_of_a_missing_cell(gap):
    if gap in ("NA", "NaT"):
        gap = getattr(pytest.importorskip("pandas"), gap)
    encoder = cr.Encoder.fit({"v": [1.0, gap, 3], "c": ["a", "b", gap]}, missing="mean")
    X = encoder.transform({"v": [gap], "c": [gap]})
    assert X.tolist() == [[2, 0, 0, 1]]


def test_words_that_mean_a_gap_in_a_csv_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("v,c,b\n1,NA,true\nNA,x,\nnull,None,False\nNaN,x,n/a\n5,,TRUE\n")
    table = tables.frame(path)
    assert table["v"].missing.tolist() == [False, True, True, True, False]
    assert table["c"].missing.tolist() == [False, False, False, False, True]  # NA may be a name
    assert table["b"].kind == "boolean"
    assert table["b"].missing.tolist() == [False, True, False, True, False]
    encoder = cr.Encoder.fit(path, missing="mean")
    assert encoder.transform(path)[:, 0].tolist() == [1, 3, 3, 3, 5]
    refused(lambda: cr.Encoder.fit(path), str(path), "'v' in 3 of 5 rows (first: line 3)")


def test_a_column_as_numbers_and_as_text(form):
    table = tables.frame(form(GAPS))
    assert np.isnan(table["age"].numbers()).tolist() == [False, True, False, False, True]
    assert table["on"].numbers()[[0, 2, 3, 4]].tolist() == [1, 0, 1, 1]
    assert np.isnan(table["on"].numbers()[1])
    assert table["city"].texts().tolist() == ["Rome", "Oslo", None, "Rome", "Rome"]
    assert table["age"].texts()[1] is None
    numbers = cr.Target.fit({"n": [1, 2, None]}, "n", missing="drop")
    assert numbers.transform({"n": [None, 5]}).tolist() == [[5]]


def test_means_of_huge_numbers():
    huge = sys.float_info.max
    encoder = cr.Encoder.fit({"v": [huge, huge, None], "w": [-5e-324, -5e-324, 0]}, missing="mean")
    assert encoder.inputs[0].mean == huge
    assert encoder.transform({"v": [None], "w": [None]})[0, 0] == huge


# --- unknown levels -------------------------------------------------------------------------------


def test_unknown_level(form):
    encoder = cr.Encoder.fit(form(CITIES))
    table = {**CITIES, "city": ["Rome", "Paris", "Paris", "Bern"]}
    refused(
        lambda: encoder.transform(form(table)),
        "column 'city'",
        "'Paris' is none of the model's 3 levels: Bern, Oslo, Rome",
        "2 rows",
        'handle_unknown="ignore"',
    )
    lenient = cr.Encoder.fit(form(CITIES), handle_unknown="ignore")
    X = lenient.transform(form(table))
    assert X[:, :3].tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_the_line_of_a_file_is_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("c,v\na,1\n\nb,2\n\nz,3\n")
    encoder = cr.Encoder.fit({"c": ["a", "b"], "v": [1.0, 2.0]})
    with pytest.raises(FormatError, match=r"t\.csv: column 'c', line 6: 'z' is none of"):
        encoder.transform(path)
    with pytest.raises(FormatError, match="line 6"):  # also of a part of the rows
        encoder.transform(tables.frame(path).take([2, 0]))


# --- bad tables -----------------------------------------------------------------------------------


def test_no_rows_and_no_columns():
    refused(lambda: cr.Encoder.fit({"a": []}), "0 rows")
    refused(lambda: cr.Encoder.fit({}), "no column")
    pandas = pytest.importorskip("pandas")
    refused(lambda: cr.Encoder.fit(pandas.DataFrame()), "no column")
    encoder = cr.Encoder.fit({"a": [1], "c": ["x"]})
    assert encoder.transform({"a": [], "c": []}).shape == (0, 2)


def test_duplicate_names():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame([[1.0, 2.0, 3.0]], columns=["a", "b", "a"])
    refused(lambda: cr.Encoder.fit(table), "columns 1 and 3 are both named 'a'")
    encoder = cr.Encoder.fit(table, ["b"])
    assert encoder.transform(table).tolist() == [[2.0]]
    both = pandas.DataFrame([[1.0, 2.0]], columns=[1, "1"])
    refused(lambda: cr.Encoder.fit(both), "both named '1'")


def test_names_that_are_not_text():
    pandas = pytest.importorskip("pandas")
    encoder = cr.Encoder.fit(pandas.DataFrame(np.eye(2)))
    assert encoder.names == ("0", "1")
    assert encoder.transform(pandas.DataFrame(np.eye(2))).tolist() == [[1, 0], [0, 1]]
    assert cr.Encoder.fit(pandas.DataFrame(np.eye(2)), [1]).names == ("1",)
    deep = pandas.DataFrame(np.eye(2), columns=pandas.MultiIndex.from_tuples([("a", 1), ("a", 2)]))
    assert cr.Encoder.fit(deep).names == ("('a', 1)", "('a', 2)")
    assert cr.Encoder.from_json(json.loads(json.dumps(cr.Encoder.fit(deep).as_json()))).transform(
        deep
    ).tolist() == [[1, 0], [0, 1]]


def test_unicode_names_and_levels(form):
    table = {"größe": [1, 2], "город": ["Осло", "Ørsta"]}
    encoder = cr.Encoder.fit(form(table))
    assert encoder.names == ("größe", "город=Ørsta", "город=Осло")
    assert encoder.transform(form(table)).tolist() == [[1, 0, 1], [2, 1, 0]]


def test_a_column_with_no_value_at_all(form):
    table = form({"a": [1.0, 2.0], "gone": [None, None]})
    for missing in ("mean", "indicator"):
        refused(lambda m=missing: cr.Encoder.fit(table, missing=m), "'gone' has no value in any")
    refused(lambda: cr.Encoder.fit(table), "'gone' in 2 of 2 rows")
    refused(lambda: cr.Encoder.fit(table, missing="drop"), "'gone' in 2 of 2 rows")
    encoder = cr.Encoder.fit({"a": [1.0, 3.0], "gone": ["x", None]}, missing="mean")
    assert encoder.transform(table).tolist() == [[1, 0, 1], [2, 0, 1]]


def test_constant_columns(form):
    encoder = cr.Encoder.fit(form({"a": [7.5] * 4, "c": ["x"] * 4}))
    assert encoder.names == ("a", "c=x")
    assert encoder.transform(form({"a": [7.5], "c": ["x"]})).tolist() == [[7.5, 1]]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([1, "x", 3], ["mixes numbers and text", "row 0 has 1 (int)", "row 1 has 'x' (str)"]),
        (["x", True], ["mixes text and truth values"]),
        ([True, 2], ["mixes truth values and numbers"]),
        ([2**70, 1], ["beyond 64 bits"]),
        ([datetime.date(2020, 1, 1)] * 2, ["dates (date)", "convert them to numbers"]),
        ([datetime.timedelta(1)] * 2, ["dates (timedelta)"]),
        ([b"x", b"y"], ["bytes objects, not numbers or text"]),
        ([1j, 2], ["complex", "numbers"]),
        ([[1], [2]], ["list objects"]),
        ([1.0, float("inf")], ["is inf in row 1, not a finite number"]),
        ([1.0, -float("inf")], ["is -inf in row 1"]),
    ],
)
@pytest.mark.parametrize("form", ["dict", "pandas object"])
def test_cells_that_are_neither_numbers_nor_text(cells, words, form):
    table = {"good": [1.0] * len(cells), "bad": cells}
    if form == "pandas object":
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame(table).assign(bad=pandas.Series(cells, dtype=object))
    refused(lambda: cr.Encoder.fit(table), "column 'bad'", *words)
    assert cr.Encoder.fit(table, ["good"]).names == ("good",)
    encoder = cr.Encoder.fit({"bad": [1.0]})
    refused(lambda: encoder.transform(table), "column 'bad'", *words)


def test_dates_of_every_library_are_refused(form):
    pandas = pytest.importorskip("pandas")
    dates = list(pandas.date_range("2020-01-01", periods=3))
    table = form({"when": dates, "a": [1, 2, 3]})
    refused(lambda: cr.Encoder.fit(table), "'when'", "dates", "convert them to numbers first")
    assert cr.Encoder.fit(table, exclude=["when"]).names == ("a",)


def test_spans_of_time_and_nested_columns():
    polars = pytest.importorskip("polars")
    arrow = pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    spans = [datetime.timedelta(1)]
    tables_with = {
        "spans": [
            pandas.DataFrame({"a": spans}),
            polars.DataFrame({"a": spans}),
            arrow.table({"a": spans}),
            {"a": np.array([1], "m8[s]")},
        ],
        "one column of each part": [
            polars.DataFrame({"a": [[1]]}),
            polars.DataFrame({"a": [{"x": 1}]}),
            arrow.table({"a": [[1]]}),
        ],
        "dates": [pandas.DataFrame({"a": pandas.period_range("2020-01", periods=1, freq="M")})],
        "bytes": [{"a": np.array([b"x"])}, arrow.table({"a": [b"x"]})],
        "complex": [{"a": np.array([1j])}, pandas.DataFrame({"a": [1j]})],
    }
    for word, them in tables_with.items():
        for table in them:
            refused(lambda t=table: cr.Encoder.fit(t), "column 'a'", word)


def test_text_without_end_is_no_category():
    names = [f"person {k}" for k in range(50)]
    refused(lambda: cr.Encoder.fit({"n": names}), "50 different values in 50 rows", "categorical")
    assert len(cr.Encoder.fit({"n": names}, categorical=["n"]).names) == 50
    assert len(cr.Encoder.fit({"n": names * 2}).names) == 50
    assert len(cr.Encoder.fit({"n": names[:20]}).names) == 20


def test_too_many_columns(monkeypatch):
    monkeypatch.setattr(sys.modules["chainrule.columns.encoder"], "COLUMN_LIMIT", 3)
    refused(lambda: cr.Encoder.fit({"c": list("abcd")}), "more than 3 columns")
    assert len(cr.Encoder.fit({"c": list("abc")}).names) == 3


def test_a_column_of_another_kind_than_it_was(form):
    encoder = cr.Encoder.fit({"v": [1.5, 2.5], "b": [True, False], "c": ["1", "x"]})
    good = {"v": [True, False], "b": [1, 0], "c": [1, 1]}
    assert encoder.transform(form(good)).tolist() == [[1, 1, 1, 0], [0, 0, 1, 0]]
    bad = {"v": ["abc"], "b": [True], "c": ["x"]}
    refused(lambda: encoder.transform(form(bad)), "column 'v'", "'abc'", "numbers are needed")
    bad = {"v": [1], "b": [3], "c": ["x"]}
    refused(lambda: encoder.transform(form(bad)), "column 'b' is 3", "truth values")
    bad = {"v": [1], "b": ["yes"], "c": ["x"]}
    refused(lambda: encoder.transform(form(bad)), "column 'b'", "'yes'", "truth values are needed")


def test_a_column_of_numbers_with_a_slip_is_not_taken_for_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('v,w\n1,a\n2,b\n"1,5",c\n4,d\n')
    message = refused(lambda: cr.Encoder.fit(path), str(path), "column 'v'", "in 3 of 4 cells")
    assert "line 4 '1,5' has a decimal comma; write 1.5" in message
    chosen = cr.Encoder.fit(path, categorical=["v"])
    assert chosen.names[:4] == ("v=1", "v=1,5", "v=2", "v=4")
    assert chosen.transform(path).sum() == 8
    path.write_text("v\n1e400\n2\n")
    refused(lambda: cr.Encoder.fit(path), "too large for float64")
    path.write_text("v\n2020-01-31\n2021-02-28\n")
    refused(lambda: cr.Encoder.fit(path), "dates such as '2020-01-31'")
    assert cr.Encoder.fit(path, categorical=["v"]).names == ("v=2020-01-31", "v=2021-02-28")


def test_what_is_no_table():
    for value in (np.eye(2), [[1.0]], 3, None, [{"a": 1}]):
        with pytest.raises(TypeError, match="table must be a DataFrame"):
            cr.Encoder.fit(value)
    with pytest.raises(ValueError, match="column 'b' has 1 rows, but column 'a' has 2"):
        cr.Encoder.fit({"a": [1, 2], "b": [1]})
    with pytest.raises(ValueError, match="column 'a' must be 1-D"):
        cr.Encoder.fit({"a": np.eye(2)})
    with pytest.raises(ValueError, match="column 'a' must be an array or a list, got 'xyz'"):
        cr.Encoder.fit({"a": "xyz"})
    with pytest.raises(ValueError, match="column 'a' must be an array or a list, got 3"):
        cr.Encoder.fit({"a": 3})
    polars = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"pass its \.collect\(\)"):
        cr.Encoder.fit(polars.LazyFrame({"a": [1]}))


def test_other_tables():
    structured = np.array([(1, "x"), (2, "y")], dtype=[("a", "i4"), ("c", "U3")])
    assert cr.Encoder.fit(structured).names == ("a", "c=x", "c=y")
    pandas = pytest.importorskip("pandas")
    assert cr.Encoder.fit(pandas.Series([1.0, 2.0], name="a")).names == ("a",)
    mixed = {"a": pandas.Series([1, 2]), "b": np.array([1.0, 2.0]), "c": ("x", "y")}
    assert cr.Encoder.fit(mixed).names == ("a", "b", "c=x", "c=y")
    arrow = pytest.importorskip("pyarrow")

    class Stream:
        def __arrow_c_stream__(self, requested_schema=None):
            return arrow.table({"a": [1, 2]}).__arrow_c_stream__(requested_schema)

    assert cr.Encoder.fit(Stream()).transform(Stream()).tolist() == [[1], [2]]


def test_other_types_of_arrow():
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table(
        {
            "half": arrow.array([np.float16(1.5), None], arrow.float16()),
            "decimal": arrow.array([decimal.Decimal("2.5"), None]),
            "view": arrow.array(["x", None], arrow.string_view()),
            "large": arrow.array(["x", None], arrow.large_string()),
            "tiny": arrow.array([3, None], arrow.int8()),
            "null": arrow.nulls(2),
        }
    )
    encoder = cr.Encoder.fit(table, exclude=["null"], missing="mean")
    assert encoder.transform(table).tolist() == [
        [1.5, 2.5, 1, 0, 1, 0, 3],
        [1.5, 2.5, 0, 1, 0, 1, 3],
    ]
    refused(lambda: cr.Encoder.fit(table, missing="mean"), "'null' has no value")


CELL = st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.text(max_size=4),
    st.dates(),
    st.decimals(-1000, 1000, places=2),
    st.binary(max_size=2),
)
COLUMN = st.one_of(
    st.lists(CELL, min_size=3, max_size=3),
    *(
        st.lists(st.one_of(st.none(), cell), min_size=3, max_size=3)
        for cell in (
            st.floats(allow_nan=False, allow_infinity=False),
            st.integers(-(2**53), 2**53),
            st.booleans(),
            st.text(max_size=4),
        )
    ),
)


@pytest.mark.parametrize("library", ["dict", "pandas", "pandas_object", "polars", "arrow"])
@given(
    columns=st.lists(COLUMN, min_size=1, max_size=3),
    missing=st.sampled_from(["error", "mean", "indicator", "drop"]),
)
def test_any_table_is_encoded_or_refused(library, columns, missing):
    cells = {f"c{k}": column for k, column in enumerate(columns)}
    try:
        table = FORMS[library](cells)
    except Exception:  # the library itself refuses it
        assume(False)
    try:
        encoder = cr.Encoder.fit(table, missing=missing)
        X = encoder.transform(table)
    except (TypeError, ValueError) as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert "column" in said or "missing values" in said
        return
    assert X.shape == (len(encoder.kept(table)), len(encoder.names))
    assert np.isfinite(X).all()
    again = cr.Encoder.from_json(json.loads(json.dumps(encoder.as_json())))
    assert again == encoder
    assert again.transform(table).tobytes() == X.tobytes()
    for name, column in cells.items():
        if f"{name}=missing" in encoder.names and missing != "drop":
            marks = X[:, encoder.names.index(f"{name}=missing")]
            gaps = tables.frame(table)[name].missing | np.array(
                [str(c) == "missing" for c in column]
            )
            assert marks.tolist() == gaps.tolist()


# --- the encoder itself ---------------------------------------------------------------------------


def test_it_cannot_be_changed():
    encoder = cr.Encoder.fit(CITIES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        encoder.missing = "drop"
    with pytest.raises(dataclasses.FrozenInstanceError):
        encoder.inputs[0].levels = ()
    assert isinstance(encoder.inputs, tuple)
    assert isinstance(encoder.inputs[0].levels, tuple)
    assert hash(encoder) == hash(cr.Encoder.fit(CITIES))
    for twin in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert twin == encoder


def test_repr_tells():
    encoder = cr.Encoder.fit(CITIES, missing="mean", handle_unknown="ignore")
    assert " ".join(repr(encoder).split()) == (
        "Encoder 4 columns -> 6 inputs: city (3 levels), rooms, area, sold (boolean) "
        "| missing: mean | unknown levels: ignore"
    )
    wide = cr.Encoder.fit({f"column number {k}": [1.0] for k in range(300)})
    assert len(repr(wide)) < 250
    target = cr.Target.fit({"y": [f"class {k}" for k in range(300)] * 2}, "y", missing="drop")
    assert " ".join(repr(target).split()) == (
        "Target y: classification, 300 classes: class 0, class 1, class 10, class 100, class 101, "
        "class 102, class 103, class 104, class 105, class 106, ... (300 in all) | missing: drop"
    )
    for shown in (encoder, wide, target):
        assert max(map(len, repr(shown).splitlines())) < 80


def test_options_are_checked():
    with pytest.raises(ValueError, match="missing must be one of error, mean, indicator, drop"):
        cr.Encoder.fit(CITIES, missing="median")
    with pytest.raises(ValueError, match="handle_unknown must be one of error, ignore"):
        cr.Encoder.fit(CITIES, handle_unknown="zero")
    with pytest.raises(TypeError, match="inputs must be of Number and Category"):
        cr.Encoder(("city",))


def test_it_lives_in_the_metadata_of_a_model(tmp_path):
    encoder = cr.Encoder.fit(GAPS, missing="indicator")
    target = cr.Target.fit({"y": ["a", "b"]}, "y")
    net = cr.Network([cr.Dense(1)], n_inputs=len(encoder.names))
    net.metadata["encoder"] = encoder.as_json()
    net.metadata["target"] = target.as_json()
    net.save(tmp_path / "m.safetensors")
    again = cr.load(tmp_path / "m.safetensors")
    assert cr.Encoder.from_json(again.metadata["encoder"]) == encoder
    assert cr.Target.from_json(again.metadata["target"]) == target
    X = cr.Encoder.from_json(again.metadata["encoder"]).transform(GAPS)
    assert X.tobytes() == encoder.transform(GAPS).tobytes()


def changed(value, *path, to):
    value = copy.deepcopy(value)
    inside = value
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = to
    return value


GOOD = cr.Encoder.fit(GAPS, missing="indicator").as_json()


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        "x",
        {**GOOD, "more": 1},
        changed(GOOD, "missing", to="median"),
        changed(GOOD, "missing", to=None),
        changed(GOOD, "handle_unknown", to=3),
        changed(GOOD, "inputs", to=[]),
        changed(GOOD, "inputs", to={}),
        changed(GOOD, "inputs", 0, to="age"),
        changed(GOOD, "inputs", 1, to=GOOD["inputs"][0]),
        changed(GOOD, "inputs", 0, "kind", to="date"),
        changed(GOOD, "inputs", 0, "kind", to=["number"]),
        changed(GOOD, "inputs", 0, "name", to=5),
        changed(GOOD, "inputs", 0, "mean", to="4"),
        changed(GOOD, "inputs", 0, "mean", to=True),
        changed(GOOD, "inputs", 0, "mean", to=float("nan")),
        changed(GOOD, "inputs", 0, "mean", to=10**400),
        changed(GOOD, "inputs", 0, "indicator", to=1),
        changed(GOOD, "inputs", 1, "levels", to="ab"),
        changed(GOOD, "inputs", 1, "levels", to=[1, 2]),
        changed(GOOD, "inputs", 1, "levels", to=["a", "a"]),
        changed(GOOD, "inputs", 1, "levels", to=[]),
        changed(GOOD, "inputs", 1, "gaps", to="yes"),
    ],
)
def test_a_description_that_was_tampered_with(value):
    with pytest.raises(FormatError, match="encoder: "):
        cr.Encoder.from_json(value)


# --- targets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        ([1.5, 2.5, 3.5], "regression", ()),
        ([1.0, 2.0, 1.0] * 10, "regression", ()),
        (["b", "a", "b"], "classification", ("a", "b")),
        ([True, False, True], "classification", (False, True)),
        ([3, 1, 2] * 5, "classification", (1, 2, 3)),
        ([3, 1, 2] * 4, "regression", ()),  # 4 rows for each class
        (list(range(20)) * 5, "classification", tuple(range(20))),
        (list(range(21)) * 5, "regression", ()),
        ([7] * 50, "regression", ()),
    ],
)
def test_the_dtype_decides_the_task(form, cells, task, classes):
    table = form({"y": cells})
    target = cr.Target.fit(table, "y")
    assert target.task == task
    if task == "regression":
        assert target.classes == ()
        Y = target.transform(table)
        assert Y.tolist() == [[cell] for cell in cells]
        assert Y.dtype == np.float64
        assert target.outputs == ("y",)
    else:
        assert [str(c).lower() for c in target.classes] == [str(c).lower() for c in classes]
        Y = target.transform(table)
        assert Y.dtype == np.int64
        assert [classes[k] for k in Y] == cells
        labels = target.labels(Y).tolist()
        assert [str(c).lower() for c in labels] == [str(c).lower() for c in cells]
        assert len(target.outputs) == len(classes)


def test_task_overrides():
    assert cr.Target.fit({"y": [1, 2] * 50}, "y", "regression").task == "regression"
    floats = cr.Target.fit({"y": [2.0, 1.0, 1.0]}, "y", "classification")
    assert floats.classes == (1, 2)
    assert floats.labels([1, 0]).dtype == np.int64
    halves = cr.Target.fit({"y": [0.5, 1.0]}, "y", "classification")
    assert halves.classes == (0.5, 1)
    assert halves.transform({"y": [1, 0.5]}).tolist() == [1, 0]
    many = [f"label {k}" for k in range(9)]
    refused(lambda: cr.Target.fit({"y": many}, "y"), "9 different labels in 9 rows", "task=")
    assert len(cr.Target.fit({"y": many}, "y", "classification").classes) == 9
    refused(lambda: cr.Target.fit({"y": many}, "y", "regression"), "'label 0'", "numbers")
    with pytest.raises(ValueError, match="task must be one of regression, classification"):
        cr.Target.fit(CITIES, "rooms", "ranking")


def test_several_targets_are_a_regression():
    target = cr.Target.fit(CITIES, ["area", "rooms"])
    assert target.outputs == ("area", "rooms")
    assert target.transform(CITIES).tolist() == [[50.5, 2], [70.25, 3], [90, 4], [30, 1]]
    refused(lambda: cr.Target.fit(CITIES, ["area", "city"]), "column 'city'", "'Rome'")
    refused(lambda: cr.Target.fit(CITIES, ["area", "rooms"], "classification"), "one target column")
    refused(lambda: cr.Target.fit(CITIES, []), "at least one column")
    refused(lambda: target.labels([0]), "a regression has no classes")


def test_missing_targets(form):
    table = form({"y": [1.5, None, 2.5], "c": ["a", "b", None]})
    for name in ("y", "c"):
        refused(lambda n=name: cr.Target.fit(table, n), f"'{name}' in 1 of 3 rows")
    target = cr.Target.fit(table, "y", missing="drop")
    assert target.kept(table).tolist() == [0, 2]
    assert target.transform(table).tolist() == [[1.5], [2.5]]
    classes = cr.Target.fit(table, "c", missing="drop", task="classification")
    assert classes.kept(table).tolist() == [0, 1]
    assert classes.transform(table).tolist() == [0, 1]
    gone = form({"y": [None, None]})
    refused(lambda: cr.Target.fit(gone, "y", missing="drop"), "no row has a value of the target y")


def test_bad_targets():
    refused(lambda: cr.Target.fit(CITIES, "price"), "no column 'price'")
    refused(lambda: cr.Target.fit({"y": ["a", "a"]}, "y"), "'a' in every row", "two classes")
    refused(lambda: cr.Target.fit({"y": [1.0, np.inf]}, "y"), "inf in row 1")
    refused(lambda: cr.Target.fit({"y": []}, "y"), "no row")
    target = cr.Target.fit({"y": ["a", "b"]}, "y")
    refused(lambda: target.transform({"y": ["a", "z"]}), "row 1: 'z' is none", "2 classes: a, b")
    refused(lambda: target.transform({"x": ["a"]}), "no column 'y'")


def test_classes_of_pandas_keep_their_order():
    pandas = pytest.importorskip("pandas")
    sizes = pandas.Categorical(["L", "S", "M", "S"], categories=["S", "M", "XL", "L"])
    target = cr.Target.fit(pandas.DataFrame({"y": sizes}), "y", "classification")
    assert target.classes == ("S", "M", "L")
    assert target.labels([[0], [2]]).tolist() == [["S"], ["L"]]


def test_digits_and_diabetes():
    digits = tables.frame("digits")
    target = cr.Target.fit(digits, tables.PACKAGED["digits"])
    encoder = cr.Encoder.fit(digits, exclude=target.columns)
    whole = tables.read("digits")
    assert target.classes == tuple(range(10))
    assert target.transform(digits).tolist() == whole.values[:, -1].astype(int).tolist()
    assert encoder.transform(digits).tobytes() == np.array(whole.values[:, :-1]).tobytes()
    assert cr.Target.fit("diabetes", "progression").task == "regression"


GOOD_TARGET = cr.Target.fit({"y": ["a", "b"]}, "y").as_json()


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {**GOOD_TARGET, "more": 1},
        {**GOOD_TARGET, "columns": []},
        {**GOOD_TARGET, "columns": "y"},
        {**GOOD_TARGET, "columns": [1]},
        {**GOOD_TARGET, "columns": ["y", "y"]},
        {**GOOD_TARGET, "columns": ["y", "z"]},
        {**GOOD_TARGET, "classes": ["a"]},
        {**GOOD_TARGET, "classes": ["a", "a"]},
        {**GOOD_TARGET, "classes": ["1", 1]},
        {**GOOD_TARGET, "classes": ["a", None]},
        {**GOOD_TARGET, "classes": ["a", ["b"]]},
        {**GOOD_TARGET, "classes": "ab"},
        {**GOOD_TARGET, "classes": [0.5, float("inf")]},
        {**GOOD_TARGET, "missing": "mean"},
    ],
)
def test_a_target_that_was_tampered_with(value):
    with pytest.raises(FormatError, match="target: "):
        cr.Target.from_json(value)


@given(
    st.lists(
        st.one_of(st.text(max_size=5).filter(str.strip), st.integers(), st.booleans()),
        min_size=2,
        max_size=10,
    )
)
def test_any_classes_go_through_json(cells):
    try:
        target = cr.Target.fit({"y": cells}, "y", "classification")
    except ValueError:
        return
    again = cr.Target.from_json(json.loads(json.dumps(target.as_json())))
    assert again == target
    assert again.labels(again.transform({"y": cells})).tolist() == cells


# --- the whole way --------------------------------------------------------------------------------


def test_from_a_table_to_predictions(form, tmp_path):
    rng = np.random.default_rng(0)
    m = 120
    cities = rng.choice(["Rome", "Oslo", "Bern"], m).tolist()
    rooms = rng.integers(1, 6, m).tolist()
    price = [2.0 * r + {"Rome": 3, "Oslo": 5, "Bern": 8}[c] for c, r in zip(cities, rooms)]  # noqa: B905
    table = form({"city": cities, "rooms": rooms, "price": price})
    target = cr.Target.fit(table, "price")
    encoder = cr.Encoder.fit(table, exclude=target.columns)
    X, Y = encoder.transform(table), target.transform(table)
    net = cr.Network([cr.Dense(1)], X.shape[1], dtype="float64")
    net.fit(X, Y, epochs=300, batch_size=m, optimizer=cr.Rprop())
    flat = cr.Encoder.from_json(encoder.as_json())
    found = net.predict(flat.transform(form({"rooms": [2], "city": ["Oslo"]})))
    assert found[0, 0] == pytest.approx(9.0, abs=1e-3)


def test_the_examples_in_the_docstrings():
    for name in ("encoder", "target"):
        found = doctest.testmod(sys.modules[f"chainrule.columns.{name}"])
        assert found.attempted >= 4
        assert not found.failed


def test_nothing_is_imported():
    code = (
        "import sys, chainrule as cr; e = cr.Encoder.fit({'c': ['a', 'b'], 'v': [1, None]}, "
        "missing='mean'); e.transform({'c': ['a'], 'v': [None]}); cr.Encoder.fit('diabetes'); "
        "print(sorted({'pandas', 'polars', 'pyarrow', 'narwhals'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
