"""Builds what is missing of a stage's index, in a process of its own: `python -m dunwu.analysis.index_worker RUN STAGE`.

The newest files come first, since they are what is looked at. The newest few that make no whole block are left to whoever opens
the index. Two workers at once write the same bytes; one that is killed leaves whole blocks. Started by `index_store`.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dunwu.analysis.rollout_index import (
    BLOCK_FILES,
    block_paths,
    current_blocks,
    draw,
    index_folders,
    remove_leftovers,
    write_block,
)
from dunwu.runs.derived import derived_folder
from dunwu.runs.rollout_files import RolloutFile, rollout_files

_NICENESS = 10


def missing_blocks(files: Sequence[RolloutFile], indexed: set[int]) -> list[list[RolloutFile]]:
    """Return the files of each whole block that is not in the index, the newest first.

    Block k holds the rollouts k * BLOCK_FILES + 1 to (k + 1) * BLOCK_FILES; only the stage's last one can still grow.
    """
    blocks: dict[int, list[RolloutFile]] = {}
    for file in files:
        blocks.setdefault((file.number - 1) // BLOCK_FILES, []).append(file)
    last = max(blocks, default=0)
    return [
        block
        for key, block in sorted(blocks.items(), reverse=True)
        if (key != last or len(block) == BLOCK_FILES)
        and not indexed.issuperset(file.number for file in block)
    ]


def build(run: Path, stage: str) -> int:
    """Build what is missing; return how many blocks that was.

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
    remove_leftovers(folder)
    for block in todo:
        write_block(folder, draw(block))
    numbers = {(file.number - 1) // BLOCK_FILES for file in files}
    for path in block_paths(folder):  # of a stage that was set aside, or rewound
        if (int(path.stem.rpartition("-")[2]) - 1) // BLOCK_FILES not in numbers:
            path.unlink(missing_ok=True)
    return len(todo)


def main(arguments: Sequence[str]) -> int:
    """Run as a program: RUN STAGE."""
    run, stage = arguments
    os.nice(_NICENESS)
    build(Path(run), stage)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
