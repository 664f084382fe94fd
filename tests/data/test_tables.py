"""Rows from every kind of source."""

import json
import sys
import types
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dunwu.data.tables import Row, read_rows
from dunwu.errors import DataError, DependencyError

ROWS = [{"q": "1+1", "a": 2, "note": "x"}, {"q": "2+2", "a": 4, "note": "y"}]
COLUMNS = ["q", "a"]


def read(source: Path | str, columns: list[str] | None = None, split: str = "train") -> list[Row]:
    return list(read_rows(str(source), columns or COLUMNS, split=split))


def write_jsonl(path: Path, rows: list[Any] = ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def write_parquet(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    return path


def expected(name: str, word: str) -> list[Row]:
    return [Row(f"{name} {word} {i}", {"q": row["q"], "a": row["a"]}) for i, row in enumerate(ROWS, start=1)]


def test_jsonl_skips_empty_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl")
    assert read(path) == expected("a.jsonl", "line")
    path.write_text("\ufeff" + json.dumps(ROWS[0]) + "\n\n" + json.dumps(ROWS[1]) + "\n", encoding="utf-8")
    assert [row.where for row in read(path)] == ["a.jsonl line 1", "a.jsonl line 3"]


def test_parquet(tmp_path: Path) -> None:
    assert read(write_parquet(tmp_path / "a.parquet")) == expected("a.parquet", "row")


def test_folders_written_by_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_list(ROWS)
    dataset.save_to_disk(tmp_path / "one", num_shards=2)
    assert read(tmp_path / "one") == expected("one", "row")
    datasets.DatasetDict({"train": dataset, "test": dataset.select([1])}).save_to_disk(tmp_path / "dict")
    assert read(tmp_path / "dict") == expected("train", "row")
    assert [row.values["q"] for row in read(tmp_path / "dict", split="test")] == ["2+2"]
    with pytest.raises(DataError, match=r"no split 'dev'; it has train, test"):
        read(tmp_path / "dict", split="dev")
    with pytest.raises(DataError, match=r"no column 'answer'"):
        read(tmp_path / "one", ["q", "answer"])


def test_folder_of_files_is_read_by_split(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    write_jsonl(tmp_path / "data" / "test.jsonl", ROWS[:1])
    assert len(read(tmp_path)) == 2
    assert len(read(tmp_path, split="test")) == 1
    with pytest.raises(DataError, match=r"no data set folder.*dev\*\.jsonl"):
        read(tmp_path, split="dev")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{'q': 1}", r"a\.jsonl line 2 is not JSON: .* at column 2"),
        ('[{"q": 1, "a": 2}', r"line 2 is not JSON.*one JSON array"),
        ("[1]", r"line 2 holds a list"),
        ('{"q": "x", "Answer": 1}', r"line 2 has no column 'a'; it has 'q', 'Answer'"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + line + "\n")
    with pytest.raises(DataError, match=message):
        read(path)


def test_missing_column_names_the_nearest(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"Question": "x", "answer": "y"}])
    with pytest.raises(DataError, match=r"no column 'questoin'.*did you mean 'Question'\?"):
        read(path, ["questoin"])
    with pytest.raises(DataError, match=r"no column 'notes'.*did you mean 'note'\?"):
        read(write_parquet(tmp_path / "a.parquet"), ["notes"])


@pytest.mark.parametrize("source", ["missing.jsonl", "./missing", "a/b/c", "~/missing", "missing.parquet"])
def test_missing_file_is_named(source: str) -> None:
    with pytest.raises(DataError, match="there is no file or folder"):
        read(source)


def test_files_of_another_kind_and_damaged_ones(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("q,a\n1,2\n")
    with pytest.raises(DataError, match=r"files end in \.jsonl"):
        read(tmp_path / "a.csv")
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(DataError, match="not a Parquet file"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_empty_file_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(DataError, match="has no rows"):
        read(tmp_path / "a.jsonl")


class FakeHubDataset:
    column_names = ("q", "a", "note")

    def select_columns(self, columns: list[str]) -> list[dict[str, Any]]:
        return [{column: row[column] for column in columns} for row in ROWS]


def test_hub_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, subset: str | None, *, split: str) -> FakeHubDataset:
        asked.append((name, subset, split))
        if name == "org/none":
            raise FileNotFoundError("no such data set")
        return FakeHubDataset()

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    rows = list(read_rows("org/name", COLUMNS, split="test", subset="main"))
    assert rows == expected("org/name", "row")
    assert asked == [("org/name", "main", "test")]
    with pytest.raises(DataError, match=r"'org/none' is no file here.*no such data set"):
        read("org/none")
    with pytest.raises(DataError, match="no column 'z'"):
        read("org/name", ["z"])


def test_hub_without_the_datasets_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DependencyError, match=r"pip install 'dunwu\[tasks\]'"):
        read("org/name")
