"""The index of a stage's rollouts: narrow rows of every rollout there is, so that lists over millions need not read their texts.

Rows are drawn once from each file (`rollout_rows`) and kept, many files to a block, in the run's folder for derived figures
(`runs.derived`). A block holds for its files as long as their sizes and times, or sizes and last bytes, are the same: a copy of
the run brings its index along, and a file that was written anew is read anew. `index_worker` builds blocks in a process of its
own, `index_store` puts them together with the newest files. Called by these two.
"""

import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic_core import from_json

from dunwu.analysis.rollout_rows import SCHEMA, rows_of
from dunwu.errors import RunError
from dunwu.runs.derived import derived_folders
from dunwu.runs.files import TEMPORARY_PREFIX, canonical_json, write_file_with
from dunwu.runs.rollout_files import RolloutFile

BLOCK_FILES = 128
_SETTLED_NS = 600 * 10**9
"""When its newest file is so old, the last block of a stage is made though it is not whole: the stage has most likely ended."""
_VERSION = 2
_FACTS = b"dunwu.index"
_DICTIONARIES = ("prompt_id", "kind", "language")


class FileFacts(NamedTuple):
    """What the index knows of one file.

    Args:
        tail: a checksum of the file's last bytes.
        words: how often each of `rollout_rows.WORDS` occurs in it.
        kinds, languages: those of its problems.
        damage: why it cannot be read; "" if it can.
    """

    number: int
    label: str
    num_bytes: int
    modified_ns: int
    tail: int
    num_rows: int
    first_step: int
    last_step: int
    words: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    damage: str = ""

    def holds_for(self, file: RolloutFile) -> bool:
        """Whether the file is the one that was read."""
        if (self.number, self.label, self.num_bytes) != (file.number, file.label, file.num_bytes):
            return False
        return self.modified_ns == file.modified_ns or self.tail == _tail(file)


@dataclass(frozen=True)
class Block:
    """Rows of some files, in the files' order. `table` has SCHEMA, with text as dictionaries."""

    files: tuple[FileFacts, ...]
    table: pa.Table


def missing_blocks(files: Sequence[RolloutFile], indexed: set[int]) -> list[list[RolloutFile]]:
    """Return the files of each block that is not in the index and can be made, the newest first.

    Block k holds the rollouts k * BLOCK_FILES + 1 to (k + 1) * BLOCK_FILES; only the stage's last one can still grow, and is made
    once it is whole or has not grown for a while.
    """
    blocks: dict[int, list[RolloutFile]] = {}
    for file in files:
        blocks.setdefault((file.number - 1) // BLOCK_FILES, []).append(file)
    last = max(blocks, default=0)
    settled = time.time_ns() - _SETTLED_NS
    return [
        block
        for key, block in sorted(blocks.items(), reverse=True)
        if (key != last or len(block) == BLOCK_FILES or all(file.modified_ns < settled for file in block))
        and not indexed.issuperset(file.number for file in block)
    ]


def draw(files: Sequence[RolloutFile]) -> Block:
    """Read files into a block; a damaged one has no rows and says why."""
    tables, facts = [SCHEMA.empty_table()], []
    for file in files:
        found, table = draw_file(file)
        facts.append(found)
        tables.append(table)
    return Block(tuple(facts), _encoded(pa.concat_tables(tables)))


def block_paths(folder: Path) -> list[Path]:
    """List the blocks in a folder."""
    return sorted(folder.glob("block-*.parquet"))


def write_block(folder: Path, block: Block) -> Path:
    """Write a block under the name of its first file."""
    facts = {"version": _VERSION, "files": [list(file) for file in block.files]}
    table = block.table.replace_schema_metadata({_FACTS: canonical_json(facts).encode()})
    path = folder / f"block-{block.files[0].number:06d}.parquet"
    write_file_with(path, lambda target: pq.write_table(table, target, compression="zstd"))
    return path


def read_facts(path: Path) -> list[FileFacts]:
    """Read which files a block is of; one that cannot be read, or is of another version, is of none."""
    try:
        found = from_json(pq.read_metadata(path).metadata[_FACTS])
        if found["version"] != _VERSION:
            return []
        return [
            FileFacts._make(tuple(fact) if isinstance(fact, list) else fact for fact in facts)
            for facts in found["files"]
        ]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return []


def current_blocks(
    folders: Iterable[Path], files: Sequence[RolloutFile]
) -> Iterator[tuple[Path, list[FileFacts]]]:
    """Yield the blocks in some folders all of whose files are as they were read, each file in one block only."""
    by_number = {file.number: file for file in files}
    seen: set[int] = set()
    for folder in folders:
        for path in block_paths(folder):
            facts = _remembered_facts(path, path.stat().st_mtime_ns)
            numbers = {fact.number for fact in facts}
            current = all(
                fact.number in by_number and fact.holds_for(by_number[fact.number]) for fact in facts
            )
            if facts and current and not numbers & seen:
                seen |= numbers
                yield path, facts


def index_folders(run: Path, stage: str) -> list[Path]:
    """List the folders in which blocks of a stage may lie."""
    return [folder / "rollouts" / stage for folder in derived_folders(run)]


def read_block(path: Path, columns: Sequence[str]) -> pa.Table:
    """Read some columns of a block's rows, text as dictionaries."""
    texts = [name for name in columns if name in _DICTIONARIES]
    with pq.ParquetFile(path, read_dictionary=texts, memory_map=True) as file:
        return file.read(columns=list(columns), use_threads=False).replace_schema_metadata(None)


def remove_leftovers(folder: Path) -> None:
    """Remove what a worker that was killed left behind."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        path.unlink(missing_ok=True)


def draw_file(file: RolloutFile) -> tuple[FileFacts, pa.Table]:
    """Return one file's facts and rows."""
    facts = FileFacts(file.number, file.label, file.num_bytes, file.modified_ns, _tail(file), 0, 0, 0)
    try:
        rows = rows_of(file.path)
    except (RunError, pa.ArrowException, ValueError) as error:
        return facts._replace(damage=str(error)), SCHEMA.empty_table()
    kinds, languages = (tuple(pc.unique(rows.table[name]).to_pylist()) for name in ("kind", "language"))
    whole = facts._replace(
        num_rows=rows.table.num_rows,
        first_step=rows.first_step,
        last_step=rows.last_step,
        words=rows.words,
        kinds=kinds,
        languages=languages,
    )
    return whole, rows.table


@lru_cache(maxsize=100_000)
def _tail(file: RolloutFile) -> int:
    return zlib.crc32(file.tail())


@lru_cache(maxsize=4096)
def _remembered_facts(path: Path, _modified_ns: int) -> list[FileFacts]:
    return read_facts(path)


def _encoded(table: pa.Table) -> pa.Table:
    arrays: list[Any] = [
        table[name].dictionary_encode() if name in _DICTIONARIES else table[name]
        for name in table.column_names
    ]
    return pa.table(arrays, names=table.column_names)
