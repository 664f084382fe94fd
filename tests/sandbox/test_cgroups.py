"""Control groups: where they can be made, what they bound, and that none is left. Other machines' are folders of files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dunwu.sandbox import cgroups
from dunwu.sandbox.cgroups import Group, Groups, Hierarchy, find_hierarchies, remove_stale_groups

from .conftest import eventually

HERE = find_hierarchies()
needs_groups = pytest.mark.skipif(not HERE, reason="no control group may be made on this machine")


@pytest.fixture
def group():
    made = Group(HERE, f"dunwu-{os.getpid()}-1-test")
    yield made
    made.remove()


def folders(name):
    return [hierarchy.folder / name for hierarchy in HERE if (hierarchy.folder / name).exists()]


@needs_groups
def test_a_group_is_made_everywhere_and_removed_everywhere():
    made = Group(HERE, "dunwu-test-1")
    assert len(folders("dunwu-test-1")) == len(HERE)
    made.remove()
    assert folders("dunwu-test-1") == []
    made.remove()


@needs_groups
def test_memory_of_all_processes_together_is_bound(group):
    if not group.bounds_memory:
        pytest.skip("memory has no control group here")
    code = "import sys; sys.stdin.readline(); x = bytearray(b'x') * int(sys.argv[1]); print('held')"

    def hold(count):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            group.add(child.pid)
            group.start_run(memory_bytes=50_000_000, processes=8)
            return child.communicate(b"\n")[0]

    assert hold(20_000_000) == b"held\n"
    assert not group.ran_out_of_memory()
    assert group.peak_bytes() is None or 20_000_000 <= group.peak_bytes() < 60_000_000
    assert hold(200_000_000) == b""
    assert group.ran_out_of_memory()
    assert group.allowed_bytes == 50_000_000
    assert hold(20_000_000) == b"held\n"
    assert not group.ran_out_of_memory()


@needs_groups
def test_processes_are_bound(group):
    if not any("pids" in hierarchy.controllers for hierarchy in HERE):
        pytest.skip("processes have no control group here")
    code = "import os, sys; sys.stdin.readline(); os.fork(); os.fork(); os._exit(0)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        group.add(child.pid)
        group.start_run(memory_bytes=10**9, processes=1)
        assert b"BlockingIOError" in child.communicate(b"\n")[1]


def test_without_hierarchies_a_group_bounds_nothing():
    made = Group((), "x")
    made.start_run(memory_bytes=1, processes=1)
    assert (made.bounds_memory, made.ran_out_of_memory(), made.peak_bytes()) == (False, False, None)
    assert made.allowed_bytes == 1
    made.remove()


def unified(root: Path, *, controllers="cpu memory pids", subtree="cpu memory pids") -> Path:
    """A folder that looks like a version 2 hierarchy."""
    for folder in (root, root / "user.slice", root / "user.slice" / "app.scope"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.controllers").write_text(controllers)
        (folder / "cgroup.subtree_control").write_text(subtree if folder.name == "user.slice" else "")
    return root


def test_version_2_offers_the_group_above_where_controllers_are_on(tmp_path, monkeypatch):
    root = unified(tmp_path)
    monkeypatch.setattr(cgroups, "_read_mounts", lambda: {"cgroup2": root})
    monkeypatch.setattr(Path, "read_text", patched_read_text(Path.read_text, "0::/user.slice/app.scope\n"))
    found = list(cgroups._candidates())
    assert [(candidate.folder, candidate.version) for candidate in found] == [
        (root / "user.slice" / "app.scope", 2),
        (root / "user.slice", 2),
    ]
    assert found[1].controllers == {"cpu", "memory", "pids"}


def patched_read_text(original, text):
    def read_text(self, *arguments, **options):
        return text if str(self) == "/proc/self/cgroup" else original(self, *arguments, **options)

    return read_text


def control_files(folder: Path, **contents) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def test_version_2_group_writes_its_own_files(tmp_path):
    folder = control_files(
        tmp_path / "dunwu-x", memory__max="max", memory__swap__max="max", pids__max="max", memory__current="1000",
        memory__events="low 0\nhigh 0\nmax 3\noom 1\noom_kill 0\n",
    )  # fmt: skip
    made = Group((Hierarchy(tmp_path, 2, frozenset({"memory", "pids"})),), "dunwu-x")
    made.start_run(memory_bytes=5000, processes=7)
    assert (folder / "memory.max").read_text() == "6000"
    assert (folder / "memory.swap.max").read_text() == "0"
    assert (folder / "pids.max").read_text() == "7"
    assert not made.ran_out_of_memory()
    (folder / "memory.events").write_text("oom_kill 3\n")
    assert made.ran_out_of_memory()
    assert not made.ran_out_of_memory()  # since it was last asked
    assert made.peak_bytes() is None
    (folder / "memory.current").write_text("4000")
    made.start_run(memory_bytes=100, processes=7)
    assert (folder / "memory.max").read_text() == "1100"  # what the first run left raises no bound


@pytest.mark.parametrize(("before", "limit"), [("100", "50"), ("100", "200"), ("9223372036854771712", "70")])
def test_version_1_swap_bound_is_never_below_the_memory_bound(tmp_path, monkeypatch, before, limit):
    order = []
    for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
        (tmp_path / name).write_text(before)
    monkeypatch.setattr(cgroups, "_write", lambda path, text: order.append((path.name, text)))
    cgroups._set_v1_limits(tmp_path, limit)
    assert {text for _, text in order} == {limit}
    first = "memory.memsw.limit_in_bytes" if int(limit) > int(before) else "memory.limit_in_bytes"
    assert order[0][0] == first
    assert len(order) == 2


def test_a_kernel_without_swap_accounting_has_one_bound(tmp_path):
    (tmp_path / "memory.limit_in_bytes").write_text("100")
    cgroups._set_v1_limits(tmp_path, "50")
    assert (tmp_path / "memory.limit_in_bytes").read_text() == "50"


def test_mounts_are_read_from_the_kernels_list(monkeypatch):
    text = (
        "30 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "32 24 0:28 / /proc rw - proc proc rw\n"
        "33 24 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    )
    monkeypatch.setattr(Path, "read_text", lambda self, *_: text)
    mounts = cgroups._read_mounts()
    assert mounts["cgroup2"] == Path("/sys/fs/cgroup/unified")
    assert mounts["cpu"] == mounts["cpuacct"] == Path("/sys/fs/cgroup/cpu,cpuacct")
    assert mounts["memory"] == Path("/sys/fs/cgroup/memory")


def test_groups_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path):
    hierarchy = Hierarchy(tmp_path, 2, frozenset({"memory"}))
    gone = subprocess.Popen(["true"])
    gone.wait()
    mine = cgroups._prefix(os.getpid())
    for name in (
        f"dunwu-{gone.pid}-123-a.1",
        f"dunwu-{os.getpid()}-1-reused.1",
        f"{mine}-a.1",
        "dunwu-not-a-pid",
        "other",
    ):
        (tmp_path / name).mkdir()
    remove_stale_groups((hierarchy,))
    assert {path.name for path in tmp_path.iterdir()} == {f"{mine}-a.1", "dunwu-not-a-pid", "other"}


OWNER = """
import sys, time
from pathlib import Path
from dunwu.sandbox.cgroups import Groups, Hierarchy
groups = Groups((Hierarchy(Path(sys.argv[1]), 2, frozenset()), ))
for _ in range(3):
    groups.make()
for folder in list(Path(sys.argv[1]).iterdir()):
    folder.rmdir()
for number in range(1, 4):
    (Path(sys.argv[1]) / f"{groups._prefix}.{number}").mkdir()
print("made", flush=True)
time.sleep(60)
"""


def test_the_janitor_removes_groups_when_dunwu_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"made\n"
        assert len(list(tmp_path.iterdir())) == 3
        owner.send_signal(signal.SIGKILL)
    assert eventually(lambda: not list(tmp_path.iterdir()))


def test_the_janitor_ends_with_its_executor(tmp_path):
    groups = Groups((Hierarchy(tmp_path, 2, frozenset({"memory"})),))
    janitor = groups._janitor
    made = groups.make()
    assert janitor.poll() is None
    made.remove()
    started = time.monotonic()
    groups.close()
    assert janitor.returncode == 0
    assert time.monotonic() - started < 60


def test_a_group_that_cannot_be_removed_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(cgroups, "_REMOVE_SECONDS", 0.05)
    (tmp_path / "busy" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="not empty"):
        cgroups._remove(tmp_path / "busy")


def test_a_hierarchy_that_cannot_be_written_is_none(tmp_path):
    hierarchy = Hierarchy(tmp_path / "missing", 1, frozenset({"memory"}))
    assert not cgroups._can_make_groups(hierarchy)
    assert not list(tmp_path.iterdir())
