"""Tables and columns of pandas, polars and Arrow, none of which is imported here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cells import REFUSED, column_of_array, column_of_cells, is_missing, refused
from .frame import Column, Frame, spelled

# --- pandas ---------------------------------------------------------------------------------------


def _from_pandas(pandas: Any, value: Any) -> Frame | None:
    if isinstance(value, pandas.DataFrame):

        def maker(k: int) -> Callable[[], Column]:
            return lambda: _pandas_column(pandas, str(value.columns[k]), value.iloc[:, k])

        make = [maker(k) for k in range(value.shape[1])]
        return Frame(value.columns, make, len(value))
    if isinstance(value, (pandas.Series, pandas.Index, pandas.api.extensions.ExtensionArray)):
        if isinstance(value, pandas.MultiIndex):
            return None
        series = pandas.Series(value)
        name = "" if series.name is None else str(series.name)
        return Frame([name], [lambda: _pandas_column(pandas, name, series)], len(series), flat=True)
    return None


def _pandas_column(pandas: Any, name: str, series: Any) -> Column:
    dtype, types = series.dtype, pandas.api.types
    if isinstance(dtype, np.dtype):
        return column_of_array(name, series.to_numpy())
    if isinstance(dtype, pandas.CategoricalDtype):
        levels = [spelled(level) for level in dtype.categories]
        return _category(name, np.asarray(series.cat.codes), levels)
    missing = series.isna().to_numpy(dtype=bool)
    if types.is_bool_dtype(dtype):
        return Column(name, "boolean", series.to_numpy(dtype=bool, na_value=False), missing)
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        if types.is_integer_dtype(dtype):
            numbers = series.to_numpy(dtype=dtype.numpy_dtype, na_value=0)
            return Column(name, "integer", numbers, missing)
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return Column(name, "real", numbers, missing | np.isnan(numbers))
    if types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pandas.PeriodDtype):
        return refused(name, len(series), REFUSED["M"], dtype)
    return column_of_cells(name, series.tolist())


def _category(name: str, codes: NDArray[Any], levels: Sequence[str]) -> Column:
    """A category from the numbers of its levels, -1 where missing."""
    values = np.array([*levels, None], object)[codes]  # -1 is the last
    blank = np.array([is_missing(level) for level in levels] + [True], bool)
    return Column(name, "category", values, blank[codes], tuple(levels))


# --- polars ---------------------------------------------------------------------------------------


def _from_polars(polars: Any, value: Any) -> Frame | None:
    if isinstance(value, polars.LazyFrame):
        raise TypeError("a LazyFrame is not computed yet; pass its .collect()")
    if isinstance(value, polars.DataFrame):

        def maker(k: int) -> Callable[[], Column]:
            return lambda: _polars_column(polars, value.columns[k], value.to_series(k))

        make = [maker(k) for k in range(value.width)]
        return Frame(value.columns, make, value.height)
    if isinstance(value, polars.Series):
        make = [lambda: _polars_column(polars, value.name, value)]
        return Frame([value.name], make, len(value), flat=True)
    return None


def _polars_column(polars: Any, name: str, series: Any) -> Column:
    dtype = series.dtype
    gaps = series.null_count() > 0  # without gaps nothing has to be filled, which is faster
    missing = series.is_null().to_numpy() if gaps else np.zeros(len(series), bool)

    def filled(blank: Any) -> NDArray[Any]:
        return np.asarray((series.fill_null(blank) if gaps else series).to_numpy())

    if dtype == polars.Boolean:
        return Column(name, "boolean", filled(False), missing)
    if dtype.is_integer():
        if str(dtype) in {"Int128", "UInt128"}:  # which NumPy does not have
            return column_of_cells(name, series.to_list())
        return Column(name, "integer", filled(0), missing)
    if dtype.is_numeric():
        if dtype not in {polars.Float32, polars.Float64}:
            series = series.cast(polars.Float64)
        numbers = filled(float("nan"))
        return Column(name, "real", numbers, missing | np.isnan(numbers))
    if isinstance(dtype, polars.Enum):
        codes = series.to_physical().cast(polars.Int64).fill_null(-1).to_numpy()
        return _category(name, codes, dtype.categories.to_list())
    if dtype == polars.Categorical:
        series = series.cast(polars.String)
    if dtype.is_temporal():
        kind = "m" if dtype == polars.Duration else "M"
        return refused(name, len(series), REFUSED[kind], dtype)
    if dtype.is_nested():
        return refused(name, len(series), "holds {dtype}; make one column of each part", dtype)
    return column_of_cells(name, series.to_list())


# --- Arrow ----------------------------------------------------------------------------------------


def _from_arrow(arrow: Any, value: Any) -> Frame | None:
    if isinstance(value, arrow.RecordBatch):
        value = arrow.Table.from_batches([value])
    if isinstance(value, arrow.Table):
        names = value.column_names

        def maker(k: int) -> Callable[[], Column]:
            return lambda: arrow_column(arrow, names[k], value.column(k))

        return Frame(names, [maker(k) for k in range(len(names))], value.num_rows)
    if isinstance(value, (arrow.Array, arrow.ChunkedArray)):
        return Frame([""], [lambda: arrow_column(arrow, "", value)], len(value), flat=True)
    return None


def arrow_column(arrow: Any, name: str, column: Any) -> Column:
    """The column of an Arrow array or chunked array."""
    types = arrow.types
    if isinstance(column, arrow.Array):
        column = arrow.chunked_array([column])
    if isinstance(column.type, arrow.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    kind = column.type
    if types.is_dictionary(kind):
        return _arrow_dictionary(arrow, name, column)
    gaps = column.null_count > 0
    missing = column.is_null().to_numpy() if gaps else np.zeros(len(column), bool)

    def filled(blank: Any) -> NDArray[Any]:
        whole = column.fill_null(blank) if gaps else column
        return np.asarray(whole.to_numpy())

    if types.is_boolean(kind):
        return Column(name, "boolean", filled(False), missing)
    if types.is_integer(kind):
        return Column(name, "integer", filled(0), missing)
    if types.is_floating(kind) or types.is_decimal(kind):
        if not (types.is_float32(kind) or types.is_float64(kind)):
            column = column.cast(arrow.float64())
        numbers = filled(np.nan)
        return Column(name, "real", numbers, missing | np.isnan(numbers))
    if types.is_duration(kind):
        return refused(name, len(column), REFUSED["m"], kind)
    if types.is_temporal(kind):
        return refused(name, len(column), REFUSED["M"], kind)
    if types.is_nested(kind):
        return refused(name, len(column), "holds {dtype}; make one column of each part", kind)
    return column_of_cells(name, column.to_pylist())


def _arrow_dictionary(arrow: Any, name: str, column: Any) -> Column:
    column = column.unify_dictionaries()
    ordered = column.type.ordered
    values = column.cast(column.type.value_type)
    plain = arrow_column(arrow, name, values)
    if plain.kind == "refused":
        return plain
    levels = column.chunk(0).dictionary.to_pylist() if column.num_chunks and ordered else []
    kind = "category" if ordered else "text"
    return Column(name, kind, plain.texts(), plain.missing, tuple(map(spelled, levels)))


READERS: dict[str, Callable[[Any, Any], Frame | None]] = {
    "pandas": _from_pandas,
    "polars": _from_polars,
    "pyarrow": _from_arrow,
}
