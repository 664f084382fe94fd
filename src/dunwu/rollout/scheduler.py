"""Which sample runs in which slot of the KV cache. Knows no tensors, no tokens and no time.

Running samples always fill the slots 0 .. n-1, so that a decode step reads plain slices. A prompt is computed
once: the scheduler remembers whose prompt every slot begins with, and says where a later sample of the same
request can take it from. Samples start in the order of their requests, so at most one request is ever partly
started. Called by `rollout.embedded`.
"""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Sample:
    """Sample number `index` of request number `request`."""

    request: int
    index: int


@dataclass(frozen=True)
class Placement:
    """A sample starts in a slot. Its prompt is copied from slot `prompt_from` (the slot itself: already
    there), or must be computed (None).
    """

    slot: int
    sample: Sample
    prompt_from: int | None


@dataclass(frozen=True)
class Move:
    """A running sample changes its slot."""

    source: int
    target: int


@dataclass(frozen=True)
class Round:
    """What is to be done before the next decode step: placements, then moves. No placed sample is moved."""

    placements: tuple[Placement, ...]
    moves: tuple[Move, ...]


class Scheduler:
    """Places samples in slots, first come first served."""

    def __init__(self, samples_per_request: Iterable[int], num_slots: int) -> None:
        """Raises ValueError: fewer than one slot."""
        if num_slots < 1:
            raise ValueError(f"num_slots is {num_slots}; it must be at least 1")
        self._num_slots = num_slots
        self._waiting = deque(
            Sample(request, index)
            for request, count in enumerate(samples_per_request)
            for index in range(count)
        )
        self._running: list[Sample] = []
        self._prompt_of_slot: dict[int, int] = {}

    @property
    def running(self) -> tuple[Sample, ...]:
        """The samples in the slots 0, 1, 2, ..."""
        return tuple(self._running)

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    def awaits_more_of(self, request: int) -> bool:
        """Whether samples of a request are still waiting to start."""
        return bool(self._waiting) and self._waiting[0].request == request

    def next_round(self, finished_slots: Collection[int] = ()) -> Round:
        """Free the slots of finished samples, start waiting ones, and close the gaps that remain."""
        gaps = sorted(set(finished_slots))
        assert not gaps or 0 <= gaps[0] <= gaps[-1] < len(self._running), f"{gaps} are not all running"
        free = deque([*gaps, *range(len(self._running), self._num_slots)])
        # when gaps will remain they must be the last ones, so that no new sample is moved
        in_order = len(self._waiting) < len(gaps)
        placements = []
        while free and self._waiting:
            sample = self._waiting.popleft()
            slot = free.popleft() if in_order else self._choose(free, sample.request)
            placements.append(self._place(sample, slot))
        gaps = [slot for slot in gaps if slot in free]
        return Round(tuple(placements), tuple(self._close(gaps)))

    def _choose(self, free: deque[int], request: int) -> int:
        """A free slot, at best one that begins with the request's prompt; takes it off `free`.

        Slots beyond the running ones are taken in order, so that they never leave a gap.
        """
        for slot in free:
            if slot < len(self._running) and self._prompt_of_slot.get(slot) == request:
                free.remove(slot)
                return slot
        return free.popleft()

    def _place(self, sample: Sample, slot: int) -> Placement:
        holders = (s for s, request in self._prompt_of_slot.items() if request == sample.request)
        source = slot if self._prompt_of_slot.get(slot) == sample.request else next(holders, None)
        self._prompt_of_slot[slot] = sample.request
        if slot == len(self._running):
            self._running.append(sample)
        else:
            self._running[slot] = sample
        return Placement(slot, sample, source)

    def _close(self, gaps: list[int]) -> Iterable[Move]:
        """Move the last running samples into the gaps."""
        while gaps:
            last = len(self._running) - 1
            if gaps[-1] == last:
                gaps.pop()
            else:
                target = gaps.pop(0)
                self._running[target] = self._running[last]
                self._prompt_of_slot[target] = self._prompt_of_slot[last]
                yield Move(last, target)
            self._running.pop()
            self._prompt_of_slot.pop(last)
