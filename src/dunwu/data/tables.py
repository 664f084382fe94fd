"""Reads rows from JSONL and Parquet files, data set folders saved to disk, and data sets of the Hugging Face
hub.

Knows columns and rows, nothing of problems. Only the hub needs the `datasets` package. Called by
`data.task_file`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dunwu.config.keys import nearest
from dunwu.errors import DataError, DependencyError

_JSONL, _PARQUET = (".jsonl", ".ndjson", ".json"), (".parquet",)
_HUB_NAME = re.compile(r"[\w.-]+(?:/[\w.-]+)?")


@dataclass(frozen=True)
class Row:
    """The wanted columns of one row, and where it stands ("train.jsonl line 3")."""

    where: str
    values: dict[str, Any]


def read_rows(source: str, columns: Sequence[str], *, split: str, subset: str | None = None) -> Iterator[Row]:
    """Yield the rows of a table, only the wanted columns of each.

    Args:
        source: a .jsonl or .parquet file; a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk`
            wrote, or that holds .jsonl or .parquet files named after the split; or a hub name.
        columns: names that every row must have.
        split: of a folder or hub data set; ignored for a single file.
        subset: configuration of a hub data set.
    Raises:
        DataError: no such file, split or column (the nearest is named), a line that is no JSON object, no
            rows.
        DependencyError: a hub name, and no `datasets` package.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        rows = _read_folder(path, columns, split)
    elif path.is_file():
        rows = _read_file(path, columns)
    elif (
        path.suffix in (*_JSONL, *_PARQUET)
        or not _HUB_NAME.fullmatch(source)
        or source.startswith((".", "~"))
    ):
        raise DataError(f"there is no file or folder {source}; paths are relative to where the command runs")
    else:
        rows = _read_hub(source, columns, split, subset)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise DataError(f"{source} has no rows")


def _read_file(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    if path.suffix in _JSONL:
        return _read_jsonl(path, columns)
    if path.suffix in _PARQUET:
        try:
            file = pq.ParquetFile(path)
        except pa.ArrowInvalid as error:
            raise DataError(f"{path} is not a Parquet file: {error}") from error
        _require_columns(columns, file.schema_arrow.names, str(path))
        tables = (pa.Table.from_batches([batch]) for batch in file.iter_batches(columns=list(columns)))
        return _rows_of(tables, path.name)
    raise DataError(f"{path}: files end in {', '.join((*_JSONL, *_PARQUET))}; convert this one")


def _read_jsonl(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path.name} line {number}"
            try:
                values = json.loads(line)
            except json.JSONDecodeError as error:
                hint = (
                    "; this looks like one JSON array: write one object per line"
                    if line.lstrip()[0] == "["
                    else ""
                )
                raise DataError(f"{where} is not JSON: {error.msg} at column {error.colno}{hint}") from error
            if not isinstance(values, dict):
                raise DataError(f"{where} holds a {type(values).__name__}; each line must be one JSON object")
            _require_columns(columns, list(values), where)
            yield Row(where, {column: values[column] for column in columns})


def _read_folder(path: Path, columns: Sequence[str], split: str) -> Iterator[Row]:
    if (path / "dataset_dict.json").is_file():
        splits = json.loads((path / "dataset_dict.json").read_text())["splits"]
        if split not in splits:
            raise DataError(f"{path} has no split {split!r}; it has {', '.join(splits)}")
        path = path / split
    if (path / "state.json").is_file():
        files = [
            path / file["filename"] for file in json.loads((path / "state.json").read_text())["_data_files"]
        ]
        return _read_arrow(files, columns, path)
    found = sorted(file for file in path.rglob(f"{split}*") if file.suffix in (*_JSONL, *_PARQUET))
    if not found:
        raise DataError(
            f"{path} is no data set folder: it has neither state.json nor dataset_dict.json nor files named "
            f"{split}*.jsonl or {split}*.parquet"
        )
    return (row for file in found for row in _read_file(file, columns))


def _read_arrow(files: Sequence[Path], columns: Sequence[str], folder: Path) -> Iterator[Row]:
    tables = [pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in files]
    for table in tables:
        _require_columns(columns, table.column_names, str(folder))
    return _rows_of((table.select(list(columns)) for table in tables), folder.name)


def _read_hub(name: str, columns: Sequence[str], split: str, subset: str | None) -> Iterator[Row]:
    try:
        import datasets
    except ImportError as error:
        raise DependencyError(
            f"{name!r} is no file here, and to read it from the hub the datasets package is needed: "
            "pip install 'dunwu[tasks]'"
        ) from error
    try:
        dataset = datasets.load_dataset(name, subset, split=split)
    except Exception as error:  # the hub client raises what its many layers raise
        raise DataError(
            f"{name!r} is no file here, and as a data set of the hub (split {split!r}) it fails: {error}"
        ) from error
    _require_columns(columns, dataset.column_names, name)
    for number, values in enumerate(dataset.select_columns(list(columns)), start=1):
        yield Row(f"{name} row {number}", values)


def _rows_of(tables: Iterator[pa.Table], name: str) -> Iterator[Row]:
    number = 0
    for table in tables:
        for values in table.to_pylist():
            number += 1
            yield Row(f"{name} row {number}", values)


def _require_columns(wanted: Sequence[str], present: Sequence[str], where: str) -> None:
    for column in wanted:
        if column not in present:
            by_lower = {name.lower(): name for name in present}
            near = nearest(column, list(by_lower))
            hint = f"; did you mean {by_lower[near]!r}?" if near else ""
            raise DataError(f"{where} has no column {column!r}; it has {', '.join(map(repr, present))}{hint}")
