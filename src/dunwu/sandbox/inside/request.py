"""What the keeper is asked to run, as it comes over the wire. Runs inside the sandbox; the standard library only."""

from __future__ import annotations

from typing import Any, NamedTuple


class Request(NamedTuple):
    """A program with its files and bounds.

    Without `argv`, the program is the Python file "main.py" among the files, and runs in a fork of the keeper itself.
    `data_bytes` (of each process) and `resident_bytes` (of all together, watched by the supervisor) are 0 where control groups
    bound memory.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    files: dict[str, bytes]
    stdin: bytes
    outputs: tuple[str, ...]
    cpu_seconds: float
    wall_seconds: float
    output_bytes: int
    processes: int
    file_bytes: int
    data_bytes: int = 0
    stack_bytes: int = 8 * 2**20
    resident_bytes: int = 0

    def to_message(self) -> tuple[dict[str, Any], list[bytes]]:
        """Return header and blobs."""
        header = {key: value for key, value in self._asdict().items() if key not in ("files", "stdin")}
        return {**header, "names": list(self.files)}, [self.stdin, *self.files.values()]

    @staticmethod
    def from_message(header: dict[str, Any], blobs: list[bytes]) -> Request:
        """Build the request that `to_message` took apart."""
        fields = dict(header)
        files = dict(zip(fields.pop("names"), blobs[1:]))  # noqa: B905 (strict= needs Python 3.10)
        fields["argv"], fields["outputs"] = tuple(fields["argv"]), tuple(fields["outputs"])
        return Request(**fields, files=files, stdin=blobs[0])
