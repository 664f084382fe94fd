"""Builds what is missing of a stage's index, in a process of its own: `python -m dunwu.analysis.index_worker RUN STAGE`.

The newest files come first, since they are what is looked at. The newest few that make no whole block yet are left to whoever
opens the index. When all of a stage is indexed, its self-evolution is computed and kept, too (`evolution_store`).

Of two workers at once the second does nothing; one that is killed leaves whole blocks. Started by `index_store`.
"""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from dunwu.analysis.evolution_store import stage_evolution
from dunwu.analysis.index_store import StageIndex
from dunwu.analysis.rollout_index import (
    BLOCK_FILES,
    block_paths,
    current_blocks,
    draw,
    index_folders,
    missing_blocks,
    remove_leftovers,
    write_block,
)
from dunwu.errors import RunError
from dunwu.runs.derived import derived_folder
from dunwu.runs.lock import FolderLock
from dunwu.runs.rollout_files import RolloutFile, rollout_files

_NICENESS = 10


def build(run: Path, stage: str, goes_on: Callable[[], bool] = lambda: True) -> int:
    """Build what is missing; return how many blocks that was.

    Args:
        goes_on: asked before each block; what is not built then is left for the next time.
    Raises:
        OSError: there is no place to write them.
    """
    files = rollout_files(run / stage)
    indexed = {fact.number for _, facts in current_blocks(index_folders(run, stage), files) for fact in facts}
    todo = missing_blocks(files, indexed)
    if not todo:
        return 0
    folder = derived_folder(run) / "rollouts" / stage
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FolderLock(folder)
    except RunError:
        return 0  # another worker is at it
    try:
        built = _write(folder, todo, goes_on)
    finally:
        lock.release()
    numbers = {(file.number - 1) // BLOCK_FILES for file in files}
    for path in block_paths(folder):  # of a stage that was set aside, or rewound
        if (int(path.stem.rpartition("-")[2]) - 1) // BLOCK_FILES not in numbers:
            path.unlink(missing_ok=True)
    return built


def _write(folder: Path, todo: Sequence[Sequence[RolloutFile]], goes_on: Callable[[], bool]) -> int:
    remove_leftovers(folder)
    for built, block in enumerate(todo):
        if not goes_on():
            return built
        write_block(folder, draw(block))
    return len(todo)


def main(arguments: Sequence[str]) -> int:
    """Run as a program: RUN STAGE [PARENT]; it ends soon after the process PARENT has ended, whose child it is."""
    run, stage, *parent = arguments
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    build(Path(run), stage, lambda: not parent or os.getppid() == int(parent[0]))
    snapshot = StageIndex(Path(run), stage).indexed()
    if snapshot.settled:
        with suppress(RunError):  # a file went away meanwhile: whoever looks at the page is told
            stage_evolution(Path(run), stage, snapshot)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
