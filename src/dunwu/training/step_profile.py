"""A profile of a training step: where its time and memory went, by phase (`functional.phases`), and the operations behind it.

Time is measured by torch's own profiler, memory by looking at the process (a GPU: at its allocator) every few milliseconds. The
profiler slows a step down, so shares mean more than seconds. Called by the stages' loops under `dunwu run --profile`.
"""

import os
import sys
import threading
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.profiler import ProfilerActivity, profile

from dunwu.functional.phases import PHASE_PREFIX, phase

_WHOLE = "step"
_SECONDS_BETWEEN_LOOKS = 0.01
_MOST_OPERATIONS = 5


@dataclass(frozen=True)
class PhaseFigures:
    """One phase, without the phases inside it.

    Args:
        name: names of the phases from the outermost to this one, joined by " / "; "other" is what no phase claims.
        seconds, share: of wall time, and of the step's.
        peak_memory_bytes: the most that was seen in use meanwhile (resident memory; on a GPU what its allocator had given
            away); None for phases too short to be seen.
        operations: the tensor operations that took longest in it, with their seconds.
    """

    name: str
    seconds: float
    share: float
    calls: int
    peak_memory_bytes: int | None
    operations: tuple[tuple[str, float], ...]


@dataclass
class StepProfile:
    """What came of one profiled step; `phases` are there once the context of `profile_step` has ended."""

    phases: tuple[PhaseFigures, ...] = ()
    seconds: float = 0.0
    memory: list[tuple[float, int]] = field(default_factory=list)
    """(seconds since the step began, bytes in use)"""
    _trace: profile | None = None

    def record(self) -> dict[str, Any]:
        """The profile as plain data."""
        return {
            "seconds": self.seconds,
            "phases": [asdict(figures) for figures in self.phases],
            "memory": self.memory,
        }

    def write_trace(self, path: Path) -> None:
        """Write every operation as a trace that Perfetto and chrome://tracing open; a name that ends in .gz is compressed."""
        assert self._trace is not None, "the step has not ended"
        self._trace.export_chrome_trace(str(path))


@contextmanager
def profile_step(device: torch.device) -> Iterator[StepProfile]:
    """Profile what is done inside."""
    result = StepProfile()
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    trace = profile(activities=activities, acc_events=True)
    with _quiet_native_code():
        trace.start()
    try:
        with phase(_WHOLE), _memory_watched(device, result.memory, time.perf_counter()):
            yield result
    finally:
        with _quiet_native_code():
            trace.stop()
    events = trace.events() or []
    segments, calls = _segments(events)
    result._trace = trace
    result.seconds = sum(end - start for start, end, _ in segments)
    result.phases = _figures(segments, calls, events, result.memory, result.seconds)


@contextmanager
def _quiet_native_code() -> Iterator[None]:
    """Keep what the profiler's own library writes to standard error, past Python, out of the terminal's view."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


@contextmanager
def _memory_watched(device: torch.device, seen: list[tuple[float, int]], begin: float) -> Iterator[None]:
    ended = threading.Event()
    process = psutil.Process()

    def look() -> None:
        used = torch.cuda.memory_allocated(device) if device.type == "cuda" else process.memory_info().rss
        seen.append((round(time.perf_counter() - begin, 4), int(used)))

    def watch() -> None:
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            look()

    look()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        look()


Segment = tuple[float, float, str]
"""Seconds since the step began, and the phase: stretches without gaps, each of the innermost phase."""


def _segments(events: Sequence[Any]) -> tuple[list[Segment], Counter[str]]:
    """Cut the step into stretches of one phase each, and count how often each phase was entered."""
    labels = [event for event in events if event.name.startswith(PHASE_PREFIX)]
    labels.sort(key=lambda event: (event.time_range.start, -event.time_range.end))
    assert labels, "the step itself is a phase"
    origin = labels[0].time_range.start
    segments: list[Segment] = []
    calls: Counter[str] = Counter()
    open_: list[tuple[float, str]] = []  # end and path of the phases that are open
    at = 0.0

    def until(moment: float) -> None:
        nonlocal at
        if open_ and moment > at:
            segments.append((at, moment, open_[-1][1]))
        at = max(at, moment)

    for event in labels:
        start, end = ((moment - origin) / 1e6 for moment in (event.time_range.start, event.time_range.end))
        while open_ and open_[-1][0] <= start:
            until(open_[-1][0])
            open_.pop()
        until(start)
        name = event.name.removeprefix(PHASE_PREFIX)
        outer = open_[-1][1] if open_ else ""
        path = "other" if not open_ else name if outer == "other" else f"{outer} / {name}"
        open_.append((end, path))
        calls[path] += 1
    while open_:
        until(open_[-1][0])
        open_.pop()
    return segments, calls


def _figures(
    segments: Sequence[Segment],
    calls: Counter[str],
    events: Sequence[Any],
    memory: Sequence[tuple[float, int]],
    seconds: float,
) -> tuple[PhaseFigures, ...]:
    starts = [start for start, _, _ in segments]
    origin = min(e.time_range.start for e in events if e.name == PHASE_PREFIX + _WHOLE)

    def phase_at(moment: float) -> str:
        return segments[max(0, bisect_right(starts, moment) - 1)][2]

    spent: dict[str, float] = defaultdict(float)
    for start, end, path in segments:
        spent[path] += end - start
    operations: dict[str, Counter[str]] = defaultdict(Counter)
    for event in events:
        if not event.name.startswith(PHASE_PREFIX):
            own = event.self_cpu_time_total / 1e6
            operations[phase_at((event.time_range.start - origin) / 1e6)][event.name] += own
    peaks: dict[str, int] = {}
    for moment, used in memory:
        path = phase_at(moment)
        peaks[path] = max(peaks.get(path, 0), used)
    figures = [
        PhaseFigures(
            path,
            time_spent,
            time_spent / seconds if seconds else 0.0,
            calls[path],
            peaks.get(path),
            tuple(operations[path].most_common(_MOST_OPERATIONS)),
        )
        for path, time_spent in spent.items()
    ]
    return tuple(sorted(figures, key=lambda f: -f.seconds))
