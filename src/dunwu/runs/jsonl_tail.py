"""Follows a file of one JSON object per line while somebody writes it: each time only what is new is read.

A file that was rewritten (a stage was rewound, or replaced by another) is read anew. Lines that are damaged are passed over and
counted, for whoever shows a run shows what is whole. Called by the dashboard.
"""

import os
from pathlib import Path
from typing import Any

from pydantic_core import from_json


class JsonlTail:
    """The records of a file, kept up to date by `update`. For one thread at a time.

    Args:
        shallow: keep numbers and texts only, not the lists and tables in a record, which can be large.

    Attributes:
        epoch: grows by one whenever the file was read anew, so that what was taken from it before does not count any more.
        damaged_lines: the numbers of lines, from 1, that are no JSON objects.
        fault: why the file cannot be read, None if it can be, or is not there.
    """

    def __init__(self, path: Path, *, shallow: bool = False) -> None:
        self.path = path
        self.shallow = shallow
        self.epoch = 0
        self.records: list[dict[str, Any]] = []
        self.damaged_lines: list[int] = []
        self.fault: str | None = None
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._mark = b""
        self._lines = 0

    @property
    def exists(self) -> bool:
        """Whether the file was there at the last `update`."""
        return self._identity is not None

    def update(self) -> list[dict[str, Any]]:
        """Read what was added, and return all records."""
        try:
            with self.path.open("rb") as file:
                self._read(file)
            self.fault = None
        except FileNotFoundError:
            self._restart(None)
            self.fault = None
        except OSError as error:
            self._restart(None)
            self.fault = f"{self.path} cannot be read: {error.strerror or error}"
        return self.records

    def faults(self) -> list[str]:
        """Say in sentences what is damaged."""
        if self.fault:
            return [self.fault]
        if not self.damaged_lines:
            return []
        some = ", ".join(map(str, self.damaged_lines[:5])) + (" …" if len(self.damaged_lines) > 5 else "")
        if len(self.damaged_lines) == 1:
            return [f"{self.path}: line {some} of {self._lines} is not a JSON object; the others are shown"]
        return [f"{self.path}: lines {some} of {self._lines} are not JSON objects; the others are shown"]

    def _read(self, file: Any) -> None:
        facts = os.fstat(file.fileno())
        identity = (facts.st_dev, facts.st_ino)
        if identity != self._identity or facts.st_size < self._offset or not self._continues(file):
            self._restart(identity)
        file.seek(self._offset)
        data = file.read()
        end = data.rfind(b"\n") + 1  # what comes after is still being written
        for line in data[:end].split(b"\n")[:-1]:
            self._lines += 1
            self._take(line)
        self._offset += end
        if end:
            self._mark = data[max(0, end - 64) : end]

    def _continues(self, file: Any) -> bool:
        """Whether what was read last still stands where it stood."""
        file.seek(self._offset - len(self._mark))
        return bool(file.read(len(self._mark)) == self._mark)

    def _take(self, line: bytes) -> None:
        try:
            record = from_json(line)  # several times as fast as json.loads, and a long run has many lines
        except ValueError:
            record = None
        if isinstance(record, dict):
            if self.shallow:
                record = {k: v for k, v in record.items() if not isinstance(v, list | dict)}
            self.records.append(record)
        else:
            self.damaged_lines.append(self._lines)

    def _restart(self, identity: tuple[int, int] | None) -> None:
        if self._offset or self._identity != identity:
            self.epoch += 1
        self._identity, self._offset, self._mark, self._lines = identity, 0, b"", 0
        self.records, self.damaged_lines = [], []
