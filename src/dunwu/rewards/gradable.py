"""Problems whose reference no answer can be judged against, and how that is told. Called by `grading`."""

from collections.abc import Sequence
from dataclasses import dataclass

from dunwu.errors import DataError
from dunwu.records import Problem


@dataclass(frozen=True)
class Ungradable:
    """A problem whose reference no answer can be judged against, and why."""

    problem: Problem
    why: str


def refusal(found: Sequence[Ungradable], num_problems: int) -> DataError:
    """Return the error that counts such problems among all, and names the first five."""
    lines = [
        f"  {item.problem.metadata.get('where', item.problem.id)} (grader {item.problem.grader}): {item.why}"
        for item in found[:5]
    ]
    more = f"\n  ... and {len(found) - 5} more" if len(found) > 5 else ""
    return DataError(
        f"{len(found)} of {num_problems} problems have a reference that cannot be graded:\n"
        + "\n".join(lines)
        + more
        + "\nCorrect or remove them, or choose another grader for the task (math, numeric, exact)."
    )
