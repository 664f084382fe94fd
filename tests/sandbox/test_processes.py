"""Usage is that of every descendant, whatever its name and however deep."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dunwu.sandbox.inside.processes import read_descendants, read_resident_bytes

TREE = """
import os, sys, ctypes
ctypes.CDLL(None).prctl(15, b") S 1 (x")  # a name that looks like the fields after it
kept = bytearray(b"x") * 30_000_000
reader, writer = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        end = os.times()
        while sum(os.times()[:2]) < 0.3: pass
        os.write(writer, b"x")
    sys.stdin.read(); os._exit(0)
os.read(reader, 1)
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def proc_fd():
    fd = os.open("/proc", os.O_RDONLY)
    yield fd
    os.close(fd)


def test_all_descendants_are_found_with_their_use(proc_fd):
    with subprocess.Popen(
        [sys.executable, "-c", TREE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as tree:
        assert tree.stdout is not None
        assert int(tree.stdout.readline()) == tree.pid
        found = read_descendants(proc_fd, os.getpid())
        below = read_descendants(proc_fd, tree.pid)
        assert tree.pid in found
        assert len(below) == 2
        assert set(below) < set(found)
        assert sum(cpu for cpu, _ in below.values()) >= 0.25
        assert found[tree.pid][1] >= 30_000_000
        assert read_resident_bytes(proc_fd, tree.pid) == pytest.approx(found[tree.pid][1], rel=0.2)
        tree.communicate()
    assert tree.pid not in read_descendants(proc_fd, os.getpid())


def test_a_process_without_children_has_no_descendants(proc_fd):
    with subprocess.Popen(["sleep", "60"]) as child:
        assert read_descendants(proc_fd, child.pid) == {}
        child.kill()
