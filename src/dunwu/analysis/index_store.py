"""Opens the index of a stage's rollouts at once, whatever of it is there, and has the rest built in the background.

A snapshot never changes; asking again gives a newer one once files were added. Whole blocks that are missing are built by
`index_worker`, beside this process; the newest files, which make no block yet, by a thread. Called by the dashboard, which
holds one store.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dunwu.analysis.index_columns import Column, read_index_columns
from dunwu.analysis.rollout_index import FileFacts, current_blocks, draw_file, index_folders, missing_blocks
from dunwu.errors import RunError
from dunwu.runs.rollout_files import RolloutFile, evaluation_files, rollout_files

_AT_ONCE_SECONDS = 0.3
"""As long as an index is waited for before it is shown as far as it is."""
_LARGE_FILES = 256
_SETTLED_NS = 2_000_000_000
_LOOK_AGAIN_SECONDS = 1.0
"""For so long a whole index counts as up to date."""


class Snapshot:
    """The indexed rollouts of a stage in the order of their files, a column at a time, each read when it is first asked for."""

    def __init__(
        self,
        parts: Sequence[tuple[Sequence[FileFacts], Path | pa.Table]],
        paths: Sequence[RolloutFile],
        num_files: int,
    ) -> None:
        self._sources = [source for _, source in parts]
        self.files = [fact for facts, _ in parts for fact in facts]
        self.num_files = num_files
        self._paths = paths
        self._columns: dict[str, Column] = {}
        self._lock = threading.Lock()
        self.cache: dict[Any, Any] = {}
        """What whoever asks has computed of this snapshot, by a key of their own."""

    @property
    def complete(self) -> bool:
        """Whether every file of the stage is in it."""
        return len(self.files) == self.num_files

    @property
    def settled(self) -> bool:
        """Whether all of the stage, and something, is in blocks on disk: what follows from it can be kept there, too."""
        whole = self.complete and all(isinstance(source, Path) for source in self._sources)
        return whole and bool(self._sources)

    @cached_property
    def starts(self) -> np.ndarray:
        """(files + 1,) the first row of each file."""
        return np.concatenate([[0], np.cumsum([fact.num_rows for fact in self.files])]).astype(np.int64)

    @property
    def num_rows(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def file_of_row(self) -> np.ndarray:
        """(rows,) the place in `files` of each row's file."""
        return np.repeat(np.arange(len(self.files), dtype=np.int32), np.diff(self.starts))

    def load(self, *names: str) -> None:
        """Read several columns at once, which is quicker than one after the other."""
        with self._lock:
            if missing := [name for name in names if name not in self._columns]:
                self._columns.update(read_index_columns(self._sources, missing))

    def column(self, name: str) -> np.ndarray:
        """(rows,) one of the columns of `rollout_rows.SCHEMA`; of text the codes, see `values`."""
        self.load(name)
        return self._columns[name].array

    def values(self, name: str) -> list[str]:
        """The texts that a text column's codes stand for."""
        self.load(name)
        texts = self._columns[name].texts
        assert texts is not None, f"{name} is no column of texts"
        return list(texts.to_pylist())

    def path(self, row: int) -> tuple[RolloutFile, int]:
        """Return the file that holds a row, and the row's place in it."""
        place = self.place(row)
        return self._paths[place], row - int(self.starts[place])

    def place(self, row: int) -> int:
        """Return the place in `files` of the file that holds a row; to know it of one row `file_of_row` need not be made."""
        return int(np.searchsorted(self.starts, row, side="right")) - 1

    def file(self, place: int) -> RolloutFile:
        """Return the file at a place in `files`."""
        return self._paths[place]


class StageIndex:
    """The index of one stage's rollouts, or of one evaluation's samples, kept up with what is on disk. Thread-safe."""

    def __init__(self, run: Path, stage: str, evaluations: bool = False) -> None:
        self._run, self._stage, self._evaluations = run, stage, evaluations
        self._lock = threading.Lock()
        self._drawn: dict[RolloutFile, tuple[FileFacts, pa.Table]] = {}
        self._thread: threading.Thread | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._state: Any = None
        self._snapshot: Snapshot | None = None
        self._looked = 0.0
        self._folders: list[int] | None = None
        self._listed: tuple[list[RolloutFile], list[tuple[Sequence[FileFacts], Path | pa.Table]]] | None = (
            None
        )
        self.trouble = ""
        """Why the index cannot be kept, if it cannot."""

    def snapshot(self) -> Snapshot:
        """Return the rollouts as far as they are indexed, and let the rest be indexed in the background."""
        deadline = time.monotonic() + _AT_ONCE_SECONDS
        snapshot = self._look()
        thread = self._thread
        if not snapshot.complete and thread is not None and thread.is_alive():
            # Of a large stage the newest file is waited for, of a small one all of them.
            while thread.is_alive() and time.monotonic() < deadline:
                thread.join(0.02)
                if self._drawn and snapshot.num_files > _LARGE_FILES:
                    break
            snapshot = self._look()
        return snapshot

    def indexed(self) -> Snapshot:
        """Return what blocks hold, and let nothing be built."""
        files = self._list()
        return self._assemble(self._parts(files), files)

    def complete_snapshot(self) -> Snapshot:
        """Return all rollouts, however long that takes, without keeping an index."""
        files = self._list()
        parts = self._parts(files)
        done = {fact.number: None for facts, _ in parts for fact in facts}
        drawn = [draw_file(file) for file in files if self._evaluations or file.number not in done]
        parts += [((facts,), table) for facts, table in drawn]
        return self._assemble(parts, files)

    def close(self) -> None:
        """Stop what is being built; what is built stays."""
        self._closed = True
        if self._worker is not None and self._worker.poll() is None:
            self._worker.terminate()
            self._worker.wait()
        if self._thread is not None:
            self._thread.join()

    def _folder_times(self) -> list[int] | None:
        """Return when files were last added to the folders or taken away; None: so lately that another could follow unseen."""
        folders = [self._run / self._stage / ("evaluation" if self._evaluations else "rollouts")]
        folders += [] if self._evaluations else index_folders(self._run, self._stage)
        try:
            times = [folder.stat().st_mtime_ns for folder in folders if folder.is_dir()]
        except OSError:
            return None
        settled = time.time_ns() - _SETTLED_NS
        return times if times and all(at < settled for at in times) else None

    def _list(self) -> list[RolloutFile]:
        folder = self._run / self._stage
        return evaluation_files(folder) if self._evaluations else rollout_files(folder)

    def _look(self) -> Snapshot:
        with self._lock:
            now = time.monotonic()
            if (
                self._snapshot is not None
                and self._snapshot.complete
                and now - self._looked < _LOOK_AGAIN_SECONDS
            ):
                return self._snapshot
            if self._listed is None or now - self._looked >= _LOOK_AGAIN_SECONDS:
                self._looked = now
                folders = self._folder_times()
                whole = self._snapshot is not None and self._snapshot.complete
                if self._snapshot is not None and whole and folders is not None and folders == self._folders:
                    return self._snapshot
                self._folders = folders
                files = self._list()
                known = set(files)
                self._drawn = {file: found for file, found in list(self._drawn.items()) if file in known}
                self._listed = (files, self._parts(files))
            files, parts = self._listed
            in_blocks = {fact.number for facts, _ in parts for fact in facts}
            loose = [file for file in files if self._evaluations or file.number not in in_blocks]
            drawn = [self._drawn[file] for file in loose if file in self._drawn]
            state = ([source for _, source in parts], [facts for facts, _ in drawn], len(files))
            if self._snapshot is None or state != self._state:
                self._state = state
                self._snapshot = self._assemble(
                    [*parts, *(((facts,), table) for facts, table in drawn)], files
                )
            if not self._closed and len(drawn) < len(loose):
                self._build(files, loose, in_blocks)
            return self._snapshot

    def _parts(self, files: Sequence[RolloutFile]) -> list[tuple[Sequence[FileFacts], Path | pa.Table]]:
        if self._evaluations:
            return []
        found = current_blocks(index_folders(self._run, self._stage), files)
        return [(facts, path) for path, facts in found]

    def _assemble(
        self, parts: list[tuple[Sequence[FileFacts], Path | pa.Table]], files: Sequence[RolloutFile]
    ) -> Snapshot:
        places = {(file.number, file.label): place for place, file in enumerate(files)}
        parts = sorted(parts, key=lambda part: places[part[0][0].number, part[0][0].label])
        facts = [fact for found, _ in parts for fact in found]
        paths = [files[places[fact.number, fact.label]] for fact in facts]
        return Snapshot(parts, paths, len(files))

    def _build(self, files: Sequence[RolloutFile], loose: Sequence[RolloutFile], in_blocks: set[int]) -> None:
        blocks = [] if self._evaluations else missing_blocks(files, in_blocks)
        if blocks and not self.trouble:
            self._start_worker()
        elsewhere = set() if self.trouble else {file for block in blocks for file in block}
        todo = [file for file in reversed(loose) if file not in self._drawn and file not in elsewhere]
        if todo and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._draw, args=(todo,), daemon=True)
            self._thread.start()

    def _draw(self, files: Sequence[RolloutFile]) -> None:
        for file in files:
            if self._closed:
                return
            try:
                self._drawn[file] = draw_file(file)
            except OSError:  # it went away meanwhile: the next look will not list it
                continue

    def _start_worker(self) -> None:
        if self._worker is not None:
            code = self._worker.poll()
            if code is None:
                return
            if code != 0:
                self.trouble = "the index of the rollouts cannot be written; it is made anew each time"
                return
        command = [sys.executable, "-m", "dunwu.analysis.index_worker", str(self._run), self._stage]
        command.append(str(os.getpid()))
        self._worker = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


class IndexStore:
    """The indices of all stages that somebody looks at, made when they are first asked for."""

    def __init__(self) -> None:
        self._indices: dict[tuple[Path, str, bool], StageIndex] = {}
        self._lock = threading.Lock()

    def index(self, run: Path, stage: str, *, evaluations: bool = False) -> StageIndex:
        """Return the index of a stage's rollouts, or of the samples of its evaluations."""
        with self._lock:
            return self._indices.setdefault((run, stage, evaluations), StageIndex(run, stage, evaluations))

    def close(self) -> None:
        """Stop whatever is being built."""
        with self._lock:
            for index in self._indices.values():
                index.close()
            self._indices.clear()


def require_rows(snapshot: Snapshot, row: int) -> None:
    """Refuse a row that there is not.

    Raises:
        RunError: the message says how many there are.
    """
    if not 0 <= row < snapshot.num_rows:
        raise RunError(f"there is no rollout {row}; {snapshot.num_rows:,} are indexed, counted from 0")
