"""No question twice, and none in both sets."""

import pytest

from dunwu.data.separation import (
    drop_duplicates,
    normalise_question,
    question_hash,
    require_separate,
)
from dunwu.errors import DataError
from dunwu.records import Problem


def problem(question: str, id: str | None = None) -> Problem:
    return Problem(id or question, "k", question, "1", "math")


@pytest.mark.parametrize("same", ["WHAT is  ３ + 4?", " what\nis 3 + 4? ", "What is 3 + 4?"])
def test_questions_that_differ_in_case_width_and_space_are_the_same(same: str) -> None:
    assert normalise_question(same) == "what is 3 + 4?"
    assert question_hash(same) == question_hash("What is 3 + 4?")


def test_hash_tells_questions_apart() -> None:
    assert question_hash("What is 3 + 4?") != question_hash("What is 3 + 5?")
    assert len(question_hash("a")) == 16


def test_the_first_of_equal_questions_is_kept() -> None:
    kept, num_dropped = drop_duplicates([problem("a", "1"), problem("b", "2"), problem("A ", "3")])
    assert [p.id for p in kept] == ["1", "2"]
    assert num_dropped == 1
    assert drop_duplicates([]) == ([], 0)


def test_overlap_is_refused_with_count_and_first() -> None:
    require_separate([problem("a")], [problem("b")])
    with pytest.raises(DataError, match=r"2 of 3 held-out problems .* the first is h2: 'A  b'"):
        require_separate(
            [problem("a b", "t1"), problem("c", "t2")],
            [problem("z", "h1"), problem("A  b", "h2"), problem("y", "t2")],
        )
