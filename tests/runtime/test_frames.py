"""Tables come back with their values, their dtypes and their indexes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qjob.runtime.persisted import add_values, read_values

np: Any = pytest.importorskip("numpy")
pd: Any = pytest.importorskip("pandas")
testing: Any = pytest.importorskip("pandas.testing")


def there_and_back(value: Any, directory: Path) -> Any:
    """Save a value, and return what is read."""
    add_values(directory / "results.json", {"value": value}, None)
    return read_values(directory / "results.json", allow_pickle=False)["value"]


COLUMNS: dict[str, Any] = {
    "whole": [1, 2, 3],
    "bytes": np.array([1, 2, 3], "u1"),
    "float": [0.1, np.nan, -0.0],
    "complex": np.array([1j, 2, 3], "c8"),
    "text": ["a", None, "c"],
    "object": pd.Series([1, "x", (1, 2)], dtype=object),
    "category": pd.Categorical(["u", "v", None], categories=["v", "u", "w"], ordered=True),
    "time": pd.to_datetime(["2024-02-29", None, "2024-03-01"]),
    "time of a zone": pd.date_range("2024-10-27", periods=3, freq="h", tz="Europe/Berlin"),
    "duration": pd.to_timedelta([1, 2, 3], unit="s"),
    "nullable": pd.array([1, None, 3], dtype="Int64"),
    "nullable truth": pd.array([True, None, False], dtype="boolean"),
    "nullable text": pd.array(["a", None, "b"], dtype="string"),
}
TABLE = pd.DataFrame(COLUMNS)
FRAMES: dict[str, Any] = {
    "every dtype": TABLE,
    "big": pd.DataFrame({"x": np.arange(5000) / 7, 2: np.arange(5000)}),
    "levels": TABLE[["text", "whole", "float"]].set_index(["text", "whole"]),
    "named index": TABLE[["whole"]].set_index(pd.Index(["a", "b", "c"], name="id")),
    "levels of columns": pd.DataFrame(np.eye(2), columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    "the same column twice": pd.DataFrame(np.eye(2), columns=["a", "a"]),
    "steps": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(3, 7, 2, name="i")),
    "no columns": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": np.zeros(0)}),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
def test_a_table_comes_back(frame: Any, tmp_path: Path) -> None:
    testing.assert_frame_equal(there_and_back(frame, tmp_path), frame)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_comes_back(name: str, tmp_path: Path) -> None:
    testing.assert_series_equal(there_and_back({"in": [TABLE[name]]}, tmp_path)["in"][0], TABLE[name])


@pytest.mark.parametrize(
    "index", [pd.Index([1, 2], name="x"), pd.RangeIndex(3), FRAMES["levels"].index, pd.Index(["a", None])]
)
def test_an_index_comes_back(index: Any, tmp_path: Path) -> None:
    testing.assert_index_equal(there_and_back(index, tmp_path), index)


@pytest.mark.parametrize(
    "moment",
    [
        pd.Timestamp("2024-02-29T00:00:00.000000001"),
        pd.Timestamp("2024-02-29", tz="Europe/Berlin"),
        pd.Timestamp("2024-02-29").as_unit("s"),
        pd.NaT,
        pd.Timedelta(1),
        pd.Timedelta(days=-1, microseconds=1),
    ],
    ids=str,
)
def test_a_moment_comes_back(moment: Any, tmp_path: Path) -> None:
    back = there_and_back(moment, tmp_path)
    assert type(back) is type(moment)
    assert repr(back) == repr(moment)
    assert getattr(back, "unit", None) == getattr(moment, "unit", None)


@pytest.mark.parametrize("dtype", ["period[D]", "Sparse[int64]", "interval"])
def test_a_column_that_cannot_come_back_is_reported(dtype: str, tmp_path: Path) -> None:
    values: Any = {
        "period[D]": pd.period_range("2024", periods=2),
        "Sparse[int64]": pd.arrays.SparseArray([1, 0]),
        "interval": pd.interval_range(0, 2),
    }[dtype]
    with pytest.raises(TypeError, match=r"^result_data\['value'\]: pandas.*column of dtype .*use \.astype"):
        there_and_back(pd.DataFrame({"a": values}), tmp_path)


def test_a_big_column_is_a_file_of_its_own(tmp_path: Path) -> None:
    there_and_back(FRAMES["big"], tmp_path)
    assert len(list((tmp_path / "results.arrays").iterdir())) == 2
