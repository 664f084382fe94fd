"""Train and held-out problems never share a question; nor does either set hold one twice. Called by
`data.tasks`."""

import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from dunwu.errors import DataError
from dunwu.records import Problem


def normalise_question(question: str) -> str:
    """Return the form under which two questions count as the same: NFKC, case folded, white space
    collapsed."""
    return " ".join(unicodedata.normalize("NFKC", question).casefold().split())


def question_hash(question: str) -> str:
    """Return 16 hex digits that stand for a question, the same for all spellings that count as the same."""
    return blake2b(normalise_question(question).encode(), digest_size=8).hexdigest()


def drop_duplicates(problems: Iterable[Problem]) -> tuple[list[Problem], int]:
    """Return the problems without those whose question came before, and how many were dropped."""
    kept: dict[str, Problem] = {}
    total = 0
    for total, problem in enumerate(problems, start=1):  # noqa: B007
        kept.setdefault(normalise_question(problem.question), problem)
    return list(kept.values()), total - len(kept)


def without(problems: Iterable[Problem], others: Iterable[Problem]) -> tuple[list[Problem], int]:
    """Return the problems that share neither question nor id with the others, and how many were dropped."""
    problems, others = list(problems), list(others)
    questions = {normalise_question(problem.question) for problem in others}
    ids = {problem.id for problem in others}
    kept = [p for p in problems if p.id not in ids and normalise_question(p.question) not in questions]
    return kept, len(problems) - len(kept)


def require_separate(train: Sequence[Problem], held_out: Sequence[Problem]) -> None:
    """Refuse sets that share a problem.

    Raises:
        DataError: a held-out problem has the question or the id of a train problem; the message counts them
            and names the first.
    """
    separate, num_shared = without(held_out, train)
    if not num_shared:
        return
    kept = {id(problem) for problem in separate}
    first = next(problem for problem in held_out if id(problem) not in kept)
    raise DataError(
        f"{num_shared} of {len(held_out)} held-out problems are in the train set too, "
        f"the first is {first.id}: {first.question[:120]!r}; take them out of one of the two"
    )
