"""What became of each candidate of a data stage, chunk by chunk, in `<stage>/chunks`: written whole or not at all.

Rows for later stages are put together from it at the end. Called by the stages that make data.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dunwu.errors import RunError
from dunwu.runs.files import canonical_json, remove, write_file
from dunwu.runs.stage_folder import StageFolder


class ChunkFiles:
    """Reads a stage's chunks and, in a run that was opened for writing, writes them."""

    def __init__(self, folder: StageFolder) -> None:
        self._folder = folder
        self._path = folder.path / "chunks"

    def write(self, index: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write chunk `index`, counted from 1."""
        self._folder.run.require_writable()
        text = "".join(canonical_json(row, f"chunk {index}") + "\n" for row in rows)
        write_file(self._path / f"chunk-{index:06d}.jsonl", text)

    def read(self, index: int) -> list[dict[str, Any]]:
        """Read a chunk as it was written.

        Raises:
            RunError: it is not there, or damaged.
        """
        path = self._path / f"chunk-{index:06d}.jsonl"
        try:
            return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path} is damaged or missing ({error}); restore it from a copy, or delete {self._folder.path} to start the "
                "stage again"
            ) from error

    def indices(self) -> list[int]:
        """List the chunks on disk."""
        return sorted(int(path.stem.rpartition("-")[2]) for path in self._path.glob("chunk-*.jsonl"))

    def keep(self, last: int) -> None:
        """Remove chunks after `last`, which a killed process may have left."""
        self._folder.run.require_writable()
        for index in self.indices():
            if index > last:
                remove(self._path / f"chunk-{index:06d}.jsonl")
