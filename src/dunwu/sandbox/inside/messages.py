"""Messages between dunwu and the keeper inside a sandbox: a JSON header and blobs of bytes, each with its length before it.

Used on both sides; imports the standard library only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

MAX_HEADER_BYTES = 64 * 2**20


def encode_message(header: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """Return the bytes of a message: 8 bytes of length, the header with the blobs' lengths as JSON, the blobs."""
    text = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}).encode()
    return b"".join((len(text).to_bytes(8, "big"), text, *blobs))


def read_message(read: Callable[[int], bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Read one message; `read(n)` returns 1 to n bytes, or none at the end of the stream.

    Raises:
        EOFError: the stream ended, or its bytes are no message.
    """
    length = int.from_bytes(read_exactly(read, 8), "big")
    if length > MAX_HEADER_BYTES:
        raise EOFError(f"a header of {length} bytes; this is no message")
    header = json.loads(read_exactly(read, length))
    blobs = [read_exactly(read, size) for size in header.pop("blobs")]
    return header, blobs


def read_exactly(read: Callable[[int], bytes], size: int) -> bytes:
    """Read `size` bytes.

    Raises:
        EOFError: the stream ended before.
    """
    parts = []
    missing = size
    while missing:
        part = read(min(missing, 2**20))
        if not part:
            raise EOFError(f"the stream ended {missing} bytes early")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data` to a blocking file descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
