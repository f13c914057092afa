"""pandas' tables and times, column by column, with their dtypes.

A column of NumPy's numbers and times is an array like any other (so a big one is a file); every other kind is the list
of its values and the name of its dtype. The stand-in of a table is ``{column: values}``.
"""

from __future__ import annotations

from typing import Any

from qjob.runtime.coding import (
    Coded,
    DecodeFunction,
    Decoder,
    EncodeFunction,
    Encoder,
    Unsavable,
    Where,
)
from qjob.runtime.optional import optional

_BY_NAME = ("string", "str", "boolean", "Int", "UInt", "Float", "object")
"""The dtypes that pandas makes anew of their name, as these begin."""


def _encode_frame(encoder: Encoder, value: Any, where: Where) -> Coded:
    columns = [_column(encoder, value.iloc[:, i], (where, label)) for i, label in enumerate(value.columns)]
    labels = _index(encoder, value.columns, (where, "columns"))
    index = _index(encoder, value.index, (where, "index"))
    named = {str(label): column["values"][0] for label, column in zip(value.columns, columns, strict=True)}
    return named, {"type": "pandas.DataFrame", "columns": columns, "labels": labels, "index": index}


def _encode_series(encoder: Encoder, value: Any, where: Where) -> Coded:
    column = _column(encoder, value, where)
    form = {"type": "pandas.Series", "column": column, "index": _index(encoder, value.index, (where, "index"))}
    return column["values"][0], form | {"name": encoder.encode(value.name, (where, "name"))}


def _encode_index(encoder: Encoder, value: Any, where: Where) -> Coded:
    index = _index(encoder, value, where)
    plain = value.tolist() if "range" in index else [level["values"][0] for level in index["levels"]]
    return plain, {"type": "pandas.Index", "index": index}


def _encode_moment(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    zone = getattr(value, "tz", None)
    form = {"type": "pandas.Timestamp", "unit": getattr(value, "unit", "ns")}
    return value.isoformat(), form | ({"zone": str(zone)} if zone is not None else {})


def _encode_duration(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    return value.total_seconds(), {"type": "pandas.Timedelta", "text": value.isoformat()}


def _column(encoder: Encoder, values: Any, where: Where) -> dict[str, Any]:
    """Return what describes a column or a level of an index: its dtype, and its values coded."""
    dtype, name = values.dtype, str(values.dtype)
    if name == "category":
        categories = _column(encoder, dtype.categories, where)
        codes = values.cat.codes if hasattr(values, "cat") else optional("pandas").Series(values.codes)
        form = {"dtype": name, "categories": categories, "ordered": bool(dtype.ordered)}
        return form | {"values": encoder.encode(codes.to_numpy(), where)}
    if getattr(dtype, "tz", None) is not None:
        moments = values.to_numpy(dtype="datetime64[ns]") if dtype.unit == "ns" else _utc(values, dtype.unit)
        return {"dtype": name, "values": encoder.encode(moments, where)}
    if getattr(dtype, "hasobject", True):
        return {"dtype": name, "values": encoder.encode(_objects(values, name), where)}
    return {"dtype": name, "values": encoder.encode(values.to_numpy(), where)}


def _utc(values: Any, unit: str) -> Any:
    return values.to_numpy(dtype=f"datetime64[{unit}]")


def _objects(values: Any, dtype: str) -> list[Any]:
    if not dtype.startswith(_BY_NAME):
        raise Unsavable(f"it has a column of dtype {dtype}", "use .astype(...) to make it one of numbers or text")
    if dtype == "object":
        return list(values)
    return [None if missing else value for value, missing in zip(values, values.isna(), strict=True)]


def _index(encoder: Encoder, index: Any, where: Where) -> dict[str, Any]:
    names = encoder.encode(list(index.names), where)
    if all(hasattr(index, name) for name in ("start", "stop", "step")):
        return {"range": [index.start, index.stop, index.step], "names": names}
    levels = [_column(encoder, index.get_level_values(i), where) for i in range(index.nlevels)]
    return {"levels": levels, "names": names, "is_multi": index.nlevels > 1 or hasattr(index, "levels")}


def _decode_frame(decoder: Decoder, _plain: Any, form: dict[str, Any]) -> Any:
    pandas = optional("pandas")
    index = _decoded_index(decoder, form["index"])
    columns = {i: _decoded_column(decoder, column, index) for i, column in enumerate(form["columns"])}
    frame = pandas.DataFrame(columns, index=index)
    frame.columns = _decoded_index(decoder, form["labels"])
    return frame


def _decode_series(decoder: Decoder, _plain: Any, form: dict[str, Any]) -> Any:
    series = _decoded_column(decoder, form["column"], _decoded_index(decoder, form["index"]))
    return series.rename(decoder.decode(*form["name"]))


def _decode_index(decoder: Decoder, _plain: Any, form: dict[str, Any]) -> Any:
    return _decoded_index(decoder, form["index"])


def _decode_moment(_decoder: Decoder, plain: Any, form: dict[str, Any]) -> Any:
    moment = optional("pandas").Timestamp(plain)
    moment = moment.tz_convert(form["zone"]) if "zone" in form else moment
    return moment.as_unit(form["unit"]) if moment == moment else moment  # NaT has no unit


def _decode_duration(_decoder: Decoder, _plain: Any, form: dict[str, Any]) -> Any:
    return optional("pandas").Timedelta(form["text"])


def _decoded_column(decoder: Decoder, column: dict[str, Any], index: Any = None) -> Any:
    pandas, name = optional("pandas"), column["dtype"]
    values = decoder.decode(*column["values"])
    if name == "category":
        categories = pandas.Index(_decoded_column(decoder, column["categories"]))
        values = pandas.Categorical.from_codes(values, categories=categories, ordered=column["ordered"])
        return pandas.Series(values, index=index)
    if name.startswith("datetime64[") and "," in name:
        zone = name.partition(",")[2].strip(" ]")
        moments = pandas.Series(values, index=index).dt.tz_localize("UTC")
        return moments.dt.tz_convert(zone)
    if isinstance(values, list) and not name.startswith(_BY_NAME):
        raise ValueError(f"a column of dtype {name}")
    return pandas.Series(values, index=index, dtype=name)


def _decoded_index(decoder: Decoder, form: dict[str, Any]) -> Any:
    pandas = optional("pandas")
    names = decoder.decode(*form["names"])
    if "range" in form:
        return pandas.RangeIndex(*form["range"], name=names[0])
    levels = [_decoded_column(decoder, level) for level in form["levels"]]
    if form["is_multi"]:
        return pandas.MultiIndex.from_arrays(levels, names=names)
    return pandas.Index(levels[0], name=names[0])


ENCODERS: dict[str, EncodeFunction] = {
    f"{module}.{name}": encode
    for name, encode, modules in (
        ("DataFrame", _encode_frame, ("pandas", "pandas.core.frame")),
        ("Series", _encode_series, ("pandas", "pandas.core.series")),
        ("Index", _encode_index, ("pandas", "pandas.core.indexes.base")),
        ("Timestamp", _encode_moment, ("pandas", "pandas._libs.tslibs.timestamps")),
        ("NaTType", _encode_moment, ("pandas._libs.tslibs.nattype", "pandas.api.typing")),
        ("Timedelta", _encode_duration, ("pandas", "pandas._libs.tslibs.timedeltas")),
    )
    for module in modules
}
DECODERS: dict[str, DecodeFunction] = {
    "pandas.DataFrame": _decode_frame,
    "pandas.Series": _decode_series,
    "pandas.Index": _decode_index,
    "pandas.Timestamp": _decode_moment,
    "pandas.Timedelta": _decode_duration,
}
