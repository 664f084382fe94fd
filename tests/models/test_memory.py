"""Freed memory goes back to the system."""

import sys

import pytest
import torch

from dunwu.models.memory import trim_heap


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="the heap is trimmed on Linux alone")
def test_scattered_free_blocks_are_returned():
    blocks = [torch.ones(32 * 1024) for _ in range(800)]  # 100 MB in blocks that come from the heap
    kept = blocks[::20]
    del blocks
    before = resident_bytes()
    trim_heap(torch.device("cpu"))
    assert resident_bytes() < before - 50e6
    assert all(bool((block == 1).all()) for block in kept)


def test_other_devices_are_left_alone(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda *_: pytest.fail("the heap was trimmed"))
    trim_heap(torch.device("meta"))
