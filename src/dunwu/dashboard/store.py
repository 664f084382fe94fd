"""The run folders that the dashboard shows: finds them under the folders it was given, and names each by an id for addresses.

Every request asks it anew, so that a run that begins while the page is open appears. What is in a run
is `run_view`'s matter. Called by the routes.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dunwu.dashboard.errors import ApiError
from dunwu.dashboard.run_view import RunView

_MARKS = ("recipe.toml", "events.jsonl", "manifest.json", ".lock")
"""A folder with one of these is shown as a run, whole or not; a whole one has all but the lock."""
_DEPTH = 3
_FRESH_SECONDS = 1.0


@dataclass(frozen=True)
class RunEntry:
    """One run folder: the id in addresses, the name shown, and where it is."""

    id: str
    name: str
    path: Path


class RunStore:
    """Finds run folders. Safe to use from several threads.

    Args:
        roots: run folders, or folders that hold some, up to three levels deep.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(dict.fromkeys(Path(root).absolute() for root in roots))
        self._lock = threading.Lock()
        self._entries: tuple[RunEntry, ...] = ()
        self._looked_at: float | None = None
        self._views: dict[Path, RunView] = {}

    def runs(self) -> tuple[RunEntry, ...]:
        """List the run folders; looked up again when the last list is older than a second."""
        with self._lock:
            now = time.monotonic()
            if self._looked_at is None or now - self._looked_at > _FRESH_SECONDS:
                self._entries = tuple(self._look())
                self._looked_at = now
            return self._entries

    def entry(self, run_id: str) -> RunEntry:
        """Return the run with an id.

        Raises:
            ApiError: 404, there is none (any more).
        """
        for entry in self.runs():
            if entry.id == run_id:
                return entry
        places = ", ".join(map(str, self.roots))
        raise ApiError(404, f"there is no run {run_id!r} under {places}; it may have been moved or deleted")

    def path(self, run_id: str) -> Path:
        """Return the folder of a run; raises as `entry`."""
        return self.entry(run_id).path

    def view(self, run_id: str) -> RunView:
        """Return the reader of a run, which remembers what it has read; raises as `entry`."""
        path = self.path(run_id)
        with self._lock:
            return self._views.setdefault(path, RunView(path))

    def stage_path(self, run_id: str, stage: str) -> Path:
        """Return the folder of a run's stage, which may not have begun.

        Raises:
            ApiError: 404, there is no such run; 400, the stage is not a plain name.
        """
        if not stage or stage.startswith(".") or "/" in stage or "\\" in stage or "\0" in stage:
            raise ApiError(400, f"{stage!r} is not the name of a stage")
        return self.path(run_id) / stage

    def _look(self) -> Iterator[RunEntry]:
        seen: set[Path] = set()
        ids: set[str] = set()
        for root in self.roots:
            for path in _run_folders(root, _DEPTH):
                real = path.resolve()
                if real in seen:  # a link to it, or a root within another
                    continue
                seen.add(real)
                parts = path.relative_to(root).parts or (root.name or "run",)
                yield RunEntry(_free("~".join(parts).replace(",", "."), ids), "/".join(parts), path)


def _run_folders(folder: Path, depth: int) -> Iterator[Path]:
    """Yield run folders in the order of their names; nothing inside a run folder is looked at."""
    if any((folder / mark).exists() for mark in _MARKS):
        yield folder
        return
    if depth == 0:
        return
    try:
        with os.scandir(folder) as found:
            names = sorted(
                e.name for e in found if not e.name.startswith(".") and e.is_dir(follow_symlinks=True)
            )
    except OSError:  # gone, or not ours to read
        return
    for name in names:
        yield from _run_folders(folder / name, depth - 1)


def _free(wanted: str, taken: set[str]) -> str:
    run_id, number = wanted, 2
    while run_id in taken:
        run_id, number = f"{wanted}~{number}", number + 1
    taken.add(run_id)
    return run_id
