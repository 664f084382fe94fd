"""Chunks and the first problems; prompts that leave no room."""

from types import SimpleNamespace

import pytest

from dunwu.errors import ConfigError, DataError
from dunwu.records import Problem, Prompt
from dunwu.stages.chunk_steps import check_lengths, cut_into_chunks, first_problems

PROBLEMS = [Problem(str(i), "k", "q", "", "exact") for i in range(5)]


def test_chunks_hold_every_problem_once_in_order():
    assert [len(chunk) for chunk in cut_into_chunks(PROBLEMS, 2)] == [2, 2, 1]
    assert [p for chunk in cut_into_chunks(PROBLEMS, 2) for p in chunk] == PROBLEMS


def test_the_first_problems_are_taken():
    assert first_problems(PROBLEMS, None) == PROBLEMS
    assert first_problems(PROBLEMS, 2) == PROBLEMS[:2]
    with pytest.raises(DataError, match="num_prompts is 6, and the task has 5 training problems"):
        first_problems(PROBLEMS, 6)


def test_prompts_without_room_are_told():
    policy = SimpleNamespace(config=SimpleNamespace(max_position_embeddings=10))
    prompts = [Prompt(PROBLEMS[0], "", (1,) * n) for n in (3, 4)]
    check_lengths(policy, prompts, 6)
    with pytest.raises(
        ConfigError, match=r"longest prompt has 4 tokens .* lower max_new_tokens to at most 6"
    ):
        check_lengths(policy, prompts, 7)
    check_lengths(SimpleNamespace(config=SimpleNamespace()), prompts, 700)
