"""Files of one JSON object per line, appended to while a process may be killed at any instant.

A line counts once its newline is written; a torn last line is passed over by readers and cut off by
`cut_torn_line`. Called by the run and stage folders.
"""

import errno
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dunwu.errors import RunError
from dunwu.runs.disk import disk_faults
from dunwu.runs.files import canonical_json, write_file


def append_line(path: Path, record: Mapping[str, Any], where: str) -> None:
    """Append `record` as one line. `where` names the record in errors (see `plain_value`).

    Raises:
        DiskError: the disk does not take it; the file is as it was.
    """
    line = (canonical_json(record, where) + "\n").encode()
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            size = file.tell()
            if file.write(line) != len(
                line
            ):  # half a line found room: what is written next must not follow it
                file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read every whole line; no file counts as no lines.

    Raises:
        RunError: a line before the last one is not a JSON object (the file was damaged, not merely cut
            short), or the file cannot be read.
    """
    records = []
    for number, line in enumerate(_whole_lines(_content(path)), start=1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise RunError(
                f"{path}, line {number} is not a JSON object: {line[:80]!r}; the file was damaged by "
                "something other than an interrupted write: restore it from a copy, or start a new run folder"
            )
        records.append(record)
    return records


def cut_torn_line(path: Path) -> None:
    """Cut off a last line whose newline was never written.

    Raises:
        RunError: the file cannot be read.
    """
    data = _content(path)
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        write_file(path, whole)


def keep_lines(path: Path, keep: Callable[[dict[str, Any]], bool], where: str) -> None:
    """Rewrite the file with only the lines that `keep` accepts; nothing is written when all stay."""
    cut_torn_line(path)
    records = read_lines(path)
    kept = [record for record in records if keep(record)]
    if len(kept) != len(records):
        write_file(path, "".join(canonical_json(record, where) + "\n" for record in kept))


def _content(path: Path) -> bytes:
    """Read the file; no file counts as an empty one."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise RunError(
            f"{path} is damaged ({error}); restore the file from a copy, or start a new run folder"
        ) from error


def _whole_lines(data: bytes) -> list[bytes]:
    return data.split(b"\n")[:-1]
