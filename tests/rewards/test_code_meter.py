"""Limits of runs, and the deadline of a whole problem."""

from dataclasses import replace

import pytest

from dunwu.config.code import CodeConfig, RunLimits
from dunwu.rewards.code_meter import MeteredExecutor, OutOfTimeError, limits_of_test, run_limits
from dunwu.rewards.code_task import CodeTask, PrintTest
from dunwu.sandbox.records import Command, Execution, Limits

LIMITS = Limits(cpu_seconds=5.0, wall_seconds=10.0)
COMMAND = Command(("true",))


class Recording:
    """An executor each of whose runs takes three seconds by the clock."""

    def __init__(self) -> None:
        self.limits: list[Limits] = []
        self.closed = False

    def run(self, command, limits):
        self.limits.append(limits)
        return Execution("exited", 0, None, b"out", b"", 3.0, 0.1, None)

    def compile(self, command, limits, outputs):
        return self.run(command, limits), {"main": b"binary"}

    def run_python(self, source, stdin, files, limits):
        return self.run(None, limits)

    def describe(self):
        return {"sandbox": "none"}

    def close(self):
        self.closed = True


def test_runs_of_every_sort_are_counted_and_the_last_is_cut_to_what_is_left():
    inner = Recording()
    with MeteredExecutor(inner, 11.0) as metered:
        assert metered.run(COMMAND, LIMITS).stdout == b"out"
        assert metered.compile(COMMAND, LIMITS, ("main",))[1] == {"main": b"binary"}
        assert metered.run_python("pass", b"", {}, LIMITS).exit_code == 0
        metered.run(COMMAND, LIMITS)
        assert [limits.wall_seconds for limits in inner.limits] == [10.0, 8.0, 5.0, 2.0]
        assert {limits.cpu_seconds for limits in inner.limits} == {5.0}
        for run in (
            lambda: metered.run(COMMAND, LIMITS),
            lambda: metered.compile(COMMAND, LIMITS, ()),
            lambda: metered.run_python("pass", b"", {}, LIMITS),
        ):
            with pytest.raises(OutOfTimeError, match="the whole problem ran for more than 11 s"):
                run()
        assert metered.describe() == {"sandbox": "none"}
    assert len(inner.limits) == 4
    assert not inner.closed


def test_configured_limits_in_the_units_of_the_sandbox():
    config = RunLimits(
        cpu_seconds=1.5, wall_seconds=2.5, memory_mib=3, output_kib=5, processes=7, file_mib=11
    )
    assert run_limits(config) == Limits(1.5, 2.5, 3 * 2**20, 5 * 2**10, 7, 11 * 2**20)


def test_a_task_states_its_own_processor_time_and_memory():
    config, tests = CodeConfig(), (PrintTest(stdout="1"),)
    configured = run_limits(config.test_limits)
    assert limits_of_test(config, CodeTask(tests=tests)) == configured
    own = limits_of_test(config, CodeTask(tests=tests, cpu_seconds=1.0, memory_mib=64))
    assert own == replace(configured, cpu_seconds=1.0, memory_bytes=64 * 2**20)
    slow = limits_of_test(config, CodeTask(tests=tests, cpu_seconds=30.0))
    assert (slow.cpu_seconds, slow.wall_seconds) == (30.0, 90.0)
