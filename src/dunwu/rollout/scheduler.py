"""Which sample runs in which slot of the KV cache, and where its prompt lies. Knows no tensors, no tokens and
no time.

Running samples always fill the slots 0 .. n-1, so that a decode step reads plain slices. A prompt is computed
once and keeps its place until its last sample has ended. Samples start in the order of their requests, so at
most one request is ever partly started. Called by `rollout.embedded`.
"""

import heapq
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
    """A sample starts in a slot, on the prompt in a prompt place, which must be computed if it is `new`."""

    slot: int
    sample: Sample
    place: int
    new: bool


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
        self._unfinished = list(samples_per_request)
        self._waiting = deque(
            Sample(request, index) for request, count in enumerate(self._unfinished) for index in range(count)
        )
        self._running: list[Sample] = []
        self._place_of_request: dict[int, int] = {}
        self.num_places = min(num_slots, sum(count > 0 for count in self._unfinished))
        """Prompt places that are ever needed at one time."""
        self._free_places = list(range(self.num_places))

    @property
    def running(self) -> tuple[Sample, ...]:
        """The samples in the slots 0, 1, 2, ..."""
        return tuple(self._running)

    @property
    def places(self) -> list[int]:
        """The prompt places of the samples in the slots 0, 1, 2, ..."""
        return [self._place_of_request[sample.request] for sample in self._running]

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
        """Free what finished samples held, start waiting ones, and close the gaps that remain."""
        gaps = sorted(set(finished_slots))
        assert not gaps or 0 <= gaps[0] <= gaps[-1] < len(self._running), f"{gaps} are not all running"
        for slot in gaps:
            self._release(self._running[slot].request)
        free = deque([*gaps, *range(len(self._running), self._num_slots)])
        placements = []
        while free and self._waiting:
            placements.append(self._place(self._waiting.popleft(), free.popleft()))
        gaps = [slot for slot in gaps if slot in free]
        return Round(tuple(placements), tuple(self._close(gaps)))

    def _release(self, request: int) -> None:
        """Note that a sample ended; its prompt's place is free after the last one."""
        self._unfinished[request] -= 1
        if not self._unfinished[request]:
            heapq.heappush(self._free_places, self._place_of_request.pop(request))

    def _place(self, sample: Sample, slot: int) -> Placement:
        """Put a sample in a slot; the lowest free place goes to a prompt that has none, so that they stay
        dense.
        """
        new = sample.request not in self._place_of_request
        if new:
            self._place_of_request[sample.request] = heapq.heappop(self._free_places)
        if slot == len(self._running):
            self._running.append(sample)
        else:
            self._running[slot] = sample
        return Placement(slot, sample, self._place_of_request[sample.request], new)

    def _close(self, gaps: list[int]) -> Iterable[Move]:
        """Move the last running samples into the gaps.

        Gaps were filled from the first one on, so those that remain are the last, and no sample that was just
        placed is moved.
        """
        while gaps:
            last = len(self._running) - 1
            if gaps[-1] == last:
                gaps.pop()
            else:
                target = gaps.pop(0)
                self._running[target] = self._running[last]
                yield Move(last, target)
            self._running.pop()
