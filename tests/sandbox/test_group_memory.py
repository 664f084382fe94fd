"""What earlier runs leave in a group neither raises the next run's bound nor ends it."""

import pytest

import dunwu.sandbox.cgroups
from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.errors import SandboxError
from dunwu.sandbox.cgroups import Group, Hierarchy
from dunwu.sandbox.open import open_executor
from dunwu.sandbox.records import Limits

MIB = 2**20


class Folder:
    """A group's folder as the kernel shows it, in either version."""

    def __init__(self, path, version):
        self.path = path / "place"
        self.version = version
        self.group = Group((Hierarchy(path, version, frozenset({"memory"})),), "place")
        for name in ("memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.max"):
            (self.path / name).write_text("0")
        (self.path / "memory.events").write_text("oom 3\noom_kill 0\n")
        (self.path / "memory.oom_control").write_text("under_oom 0\noom_kill 0\n")

    def use(self, total, cached):
        (self.path / {1: "memory.usage_in_bytes", 2: "memory.current"}[self.version]).write_text(f"{total}\n")
        prefix = "total_" if self.version == 1 else ""
        own = "active_file 0\ninactive_file 0\n" if self.version == 1 else ""
        text = f"{own}{prefix}active_file {cached // 2}\n{prefix}inactive_file {cached - cached // 2}\n"
        (self.path / "memory.stat").write_text(text)

    def limit(self):
        return int((self.path / {1: "memory.limit_in_bytes", 2: "memory.max"}[self.version]).read_text())


@pytest.mark.parametrize("version", [1, 2])
def test_the_bound_stays_the_same_whatever_earlier_runs_left(tmp_path, version):
    folder = Folder(tmp_path, version)
    for total in (5 * MIB, 300 * MIB, 700 * MIB):
        folder.use(total, total - 5 * MIB)
        folder.group.start_run(memory_bytes=100 * MIB, processes=10)
        assert folder.limit() == 105 * MIB


@pytest.mark.parametrize("version", [1, 2])
def test_only_what_the_kernel_cannot_drop_counts_as_left(tmp_path, version):
    folder = Folder(tmp_path, version)
    assert not folder.group.has_leftovers()
    folder.use(5 * MIB, 0)
    folder.group.start_run(memory_bytes=100 * MIB, processes=10)
    for total, cached, expected in (
        (5 * MIB, 0, False),
        (20 * MIB, 0, False),
        (22 * MIB, 0, True),
        (200 * MIB, 190 * MIB, False),
        (200 * MIB, 170 * MIB, True),
    ):
        folder.use(total, cached)
        assert folder.group.has_leftovers() is expected, (total, cached)


@pytest.mark.skipif(not dunwu.sandbox.cgroups.find_hierarchies(), reason="no control group can be made here")
def test_a_jail_whose_group_takes_no_limit_is_replaced_and_at_last_given_up(monkeypatch):
    calls = []
    start_run = Group.start_run
    failures = 2

    def fail_first(group, **bounds):
        calls.append(group)
        if len(calls) <= failures:
            raise OSError(16, "Device or resource busy")
        start_run(group, **bounds)

    with open_executor(BubblewrapSandbox(max_parallel=1)) as executor:
        monkeypatch.setattr(Group, "start_run", fail_first)
        done = executor.run_python("print(6 * 7)", b"", {}, Limits())
        assert (done.outcome, done.stdout) == ("exited", b"42\n")
        assert len({id(group) for group in calls}) == 3
        calls.clear()
        failures = 3
        with pytest.raises(
            SandboxError, match=r"do not hold programs to .*Device or resource busy.*open it again"
        ):
            executor.run_python("print(6 * 7)", b"", {}, Limits())
        calls.clear()
        failures = 0
        assert executor.run_python("print(6 * 7)", b"", {}, Limits()).stdout == b"42\n"
