"""Messages arrive as they were sent, however the stream cuts them."""

from __future__ import annotations

import os
import threading

import pytest

from dunwu.sandbox.inside.messages import (
    MAX_HEADER_BYTES,
    encode_message,
    read_exactly,
    read_message,
    write_all,
)


def reader(data, most):
    """A stream that gives at most `most` bytes at a time."""
    rest = memoryview(data)

    def read(size):
        nonlocal rest
        part, rest = rest[: min(size, most)], rest[min(size, most) :]
        return bytes(part)

    return read


@pytest.mark.parametrize("most", [1, 7, 10**6])
def test_a_message_survives_any_cut(most):
    blobs = [b"", b"\x00\xff" * 5, b"x" * 1000]
    data = encode_message({"a": [1, "顿悟"], "b": None}, blobs) + encode_message({"next": True})
    read = reader(data, most)
    assert read_message(read) == ({"a": [1, "顿悟"], "b": None}, blobs)
    assert read_message(read) == ({"next": True}, [])


def test_the_end_of_a_stream_is_told():
    data = encode_message({"a": 1}, [b"abc"])
    with pytest.raises(EOFError, match="1 bytes early"):
        read_message(reader(data[:-1], 100))
    with pytest.raises(EOFError, match="8 bytes early"):
        read_message(reader(b"", 100))


def test_what_is_no_message_is_not_read():
    with pytest.raises(EOFError, match="no message"):
        read_message(reader((MAX_HEADER_BYTES + 1).to_bytes(8, "big") + b"{}", 100))


def test_writing_goes_on_where_a_full_pipe_stopped_it():
    read_fd, write_fd = os.pipe()
    data = os.urandom(300_000)
    writer = threading.Thread(target=write_all, args=(write_fd, data))
    writer.start()
    assert read_exactly(lambda size: os.read(read_fd, size), len(data)) == data
    writer.join()
    os.close(read_fd)
    os.close(write_fd)
