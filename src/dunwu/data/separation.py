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
    problems = list(problems)
    kept: dict[str, Problem] = {}
    for problem in problems:
        kept.setdefault(normalise_question(problem.question), problem)
    return list(kept.values()), len(problems) - len(kept)


def require_separate(train: Sequence[Problem], held_out: Sequence[Problem]) -> None:
    """Refuse sets that share a problem.

    Raises:
        DataError: a held-out problem has the question or the id of a train problem; the message counts them
            and names the first.
    """
    questions = {normalise_question(problem.question) for problem in train}
    ids = {problem.id for problem in train}
    shared = [p for p in held_out if p.id in ids or normalise_question(p.question) in questions]
    if shared:
        raise DataError(
            f"{len(shared)} of {len(held_out)} held-out problems are in the train set too, the first is "
            f"{shared[0].id}: {shared[0].question[:120]!r}; take them out of one of the two"
        )
