"""The reasoning-gym grader: a data set's own scorer, in a grading process."""

import hashlib
import json
from typing import Any

from dunwu.records import Problem, RewardPart
from dunwu.rewards.bounded import VerdictCache, judge_in_pool
from dunwu.rewards.worker_pool import JobCrashError, JobLostError, JobTimeoutError, WorkerPool

_NONSENSE = "this is no answer"


class GymGrader:
    """Judges answers to problems whose metadata holds "dataset", "params" and "entry"
    (`data.task_reasoning_gym`)."""

    def __init__(self, pool: WorkerPool, cpu_seconds: float) -> None:
        self._pool = pool
        self._cpu_seconds = cpu_seconds
        self._verdicts = VerdictCache()

    def reference_fault(self, problem: Problem) -> str | None:
        """Return why answers to a problem cannot be scored: its own answer does not get the full score, or
        nonsense does.

        Data sets that state no answer (`problem.reference` is empty) are scored with an empty one, which must
        not fail.
        """
        try:
            reply = self._pool.run(_job(problem, problem.reference), self._cpu_seconds)
            nonsense = self._pool.run(_job(problem, _NONSENSE), self._cpu_seconds)
        except (JobTimeoutError, JobCrashError, JobLostError) as cause:
            return f"its scorer fails on its own answer: {cause}"
        if problem.reference and not reply["right"]:
            return f"its own answer does not get the full score: {reply['detail']}"
        if nonsense["right"]:
            return f"its scorer gives the full score to the answer {_NONSENSE!r}"
        return None

    def judge(self, answer: str, problem: Problem) -> RewardPart:
        """Return 1 if the scorer gives the full score, else 0, the score in the detail."""
        job = _job(problem, answer)
        key = hashlib.blake2b(json.dumps(job, sort_keys=True).encode(), digest_size=16).digest()
        return self._verdicts.get(key, lambda: judge_in_pool(self._pool, job, self._cpu_seconds))


def _job(problem: Problem, answer: str) -> dict[str, Any]:
    metadata = problem.metadata
    return {
        "kind": "gym",
        "dataset": metadata["dataset"],
        "params": metadata["params"],
        "entry": metadata["entry"],
        "answer": answer,
    }
