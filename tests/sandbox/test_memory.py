"""A program's last words tell that it was denied memory, and only those of a program that failed."""

from __future__ import annotations

import pytest

from dunwu.sandbox.memory import complains_of_memory, judge_memory
from dunwu.sandbox.records import Execution


def ended(outcome, code, number, stderr):
    return Execution(outcome, code, number, b"", stderr, 0.1, 0.1, 1000)


CASES = [
    (("exited", 1, None, b"Traceback ...\nMemoryError\n"), True),
    (("exited", 1, None, b"MemoryError: too much"), True),
    (("exited", 1, None, b"MemoryError\nRuntimeError: x\n"), False),
    (("exited", 1, None, b"a MemoryError was handled"), False),
    (("exited", 0, None, b"MemoryError\n"), False),
    (("exited", 2, None, b"MemoryError\n"), False),
    (("exited", 1, None, b""), False),
    (
        (
            "signalled",
            None,
            6,
            b"terminate called after throwing an instance of 'std::bad_alloc'\n  what(): x",
        ),
        True,
    ),
    (("signalled", None, 5, b"FATAL ERROR: JavaScript heap out of memory\n trace"), True),
    (("signalled", None, 11, b"std::bad_alloc"), False),
    (("time", None, None, b"MemoryError\n"), False),
]


@pytest.mark.parametrize(("fields", "expected"), CASES)
def test_last_words(fields, expected):
    execution = ended(*fields)
    assert complains_of_memory(execution) is expected
    judged = judge_memory(execution, None)
    if expected:
        assert (judged.outcome, judged.exit_code, judged.signal) == ("memory", None, None)
        assert judged.stderr == execution.stderr
    else:
        assert judged == execution


class FakeGroup:
    allowed_bytes = 70

    def __init__(self, *, killed, peak):
        self.killed, self.peak = killed, peak

    def ran_out_of_memory(self):
        return self.killed

    def peak_bytes(self):
        return self.peak


def test_a_kill_by_the_kernel_counts_whatever_the_program_did_then():
    execution = judge_memory(ended("exited", 0, None, b""), FakeGroup(killed=True, peak=77))
    assert (execution.outcome, execution.exit_code, execution.peak_memory_bytes) == ("memory", None, 77)
    stopped = ended("time", None, None, b"")
    assert judge_memory(stopped, FakeGroup(killed=True, peak=None)) == stopped
    kept = judge_memory(ended("exited", 0, None, b""), FakeGroup(killed=False, peak=None))
    assert (kept.outcome, kept.peak_memory_bytes) == ("exited", 1000)


@pytest.mark.parametrize(("peak", "expected"), [(None, 2000), (60, 2000), (2100, 2100)])
def test_a_program_ended_for_want_of_memory_had_all_that_it_was_allowed(monkeypatch, peak, expected):
    monkeypatch.setattr(FakeGroup, "allowed_bytes", 2000)
    judged = judge_memory(ended("signalled", None, 9, b""), FakeGroup(killed=True, peak=peak))
    assert judged.peak_memory_bytes == expected
