"""What a bounded grading's end means for the reward; shared by the maths and the reasoning-gym grader.

A grading that exhausts its processor time or crashes its process does so because of the answer: the reference
has been checked before, and the answer is the only new thing. Such an answer is judged wrong, with a detail
that says why. Were the rollout excluded instead, a policy could escape a low reward by writing answers that
cannot be graded. A grading that is lost for any other reason (a killed process, a machine without free
processor time, an error in the grader) is an error, and its rollout is excluded.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from dunwu.records import RewardPart
from dunwu.rewards.worker_pool import JobCrashError, JobLostError, JobTimeoutError, WorkerPool

MAX_ANSWER_CHARS = 10_000
"""A longer answer is wrong, unless it is less than twice as long as its reference."""


def verdict(right: bool, detail: str = "") -> RewardPart:
    """Return the reward part of a judged answer: 1 for right, 0 for wrong."""
    return RewardPart(1.0 if right else 0.0, detail=detail)


def judge_in_pool(pool: WorkerPool, job: dict[str, Any], cpu_seconds: float) -> RewardPart:
    """Run a grading job and return its reward part."""
    try:
        reply = pool.run(job, cpu_seconds)
    except (JobTimeoutError, JobCrashError) as cause:
        return verdict(False, f"the answer could not be graded: {cause}")
    except JobLostError as cause:
        return RewardPart(None, "error", str(cause))
    return verdict(reply["right"], reply["detail"])


class VerdictCache:
    """Remembers the latest verdicts, thread-safe. Errors are not remembered: another try may succeed."""

    def __init__(self, size: int = 65536) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._parts: OrderedDict[Hashable, RewardPart] = OrderedDict()

    def get(self, key: Hashable, judge: Callable[[], RewardPart]) -> RewardPart:
        """Return the remembered verdict on a key, or judge it now."""
        with self._lock:
            if key in self._parts:
                self._parts.move_to_end(key)
                return self._parts[key]
        part = judge()
        if part.status == "ok":
            with self._lock:
                self._parts[key] = part
                if len(self._parts) > self._size:
                    self._parts.popitem(last=False)
        return part
