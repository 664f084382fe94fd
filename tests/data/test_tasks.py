"""From a recipe's task to two sets that share nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dunwu.config.task import FileTask, ReasoningGymTask, WorldTask
from dunwu.data import tasks
from dunwu.data.separation import normalise_question
from dunwu.data.tasks import ProblemSets, fingerprint, load_held_out, load_problems
from dunwu.errors import DataError
from dunwu.records import Problem

WORLD = WorldTask(num_train=60, num_held_out=30)


def problem(n: int) -> Problem:
    return Problem(f"p{n}", "k", f"What is {n}?", str(n), "math", metadata={"n": n})


def test_world_sets_are_disjoint_and_held_out_does_not_follow_the_seed() -> None:
    first, again, other = (load_problems(WORLD, seed) for seed in (1, 1, 2))
    assert first == again
    assert (len(first.train) + first.num_duplicates, len(first.held_out)) == (60, 30)
    assert first.held_out == other.held_out
    assert first.train != other.train
    questions = [normalise_question(p.question) for p in [*first.train, *first.held_out]]
    assert len(set(questions)) == len(questions)


def test_held_out_problems_can_be_had_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"question": f"q{n}", "answer": str(n)}) + "\n" for n in range(9)))
    for task in (WORLD, FileTask(train=str(path), num_held_out=4)):
        assert load_held_out(task) == load_problems(task, 5).held_out


def test_each_source_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.jsonl"
    rows = [{"question": f"What is {n}?", "answer": n} for n in (1, 2, 2)]
    path.write_text("\n".join(map(json.dumps, rows)))
    sets = load_problems(FileTask(train=str(path), num_held_out=1), seed=1)
    assert (len(sets.train), len(sets.held_out), sets.num_duplicates) == (1, 1, 1)
    monkeypatch.setattr(tasks, "load_gym_problems", lambda task, seed: ([problem(seed)], [problem(2)], 7))
    sets = load_problems(ReasoningGymTask(dataset="chain_sum"), seed=1)
    assert sets == ProblemSets((problem(1),), (problem(2),), 7)


def test_files_that_share_a_problem_are_refused(tmp_path: Path) -> None:
    train, held_out = tmp_path / "t.jsonl", tmp_path / "h.jsonl"
    train.write_text('{"question": "What is 1?", "answer": 1}\n{"question": "What is 2?", "answer": 2}\n')
    held_out.write_text('{"question": "what  is 2?", "answer": 2}\n{"question": "What is 3?", "answer": 3}\n')
    with pytest.raises(DataError, match=r"1 of 2 held-out problems .*'what  is 2\?'"):
        load_problems(FileTask(train=str(train), held_out=str(held_out)), seed=1)


SETS = ProblemSets((problem(1), problem(2)), (problem(3),))


@pytest.mark.parametrize(
    "changed",
    [
        replace(SETS, train=(problem(2), problem(1))),
        replace(SETS, train=(problem(1),)),
        replace(SETS, train=(problem(1), problem(2), problem(3)), held_out=()),
        replace(SETS, held_out=(replace(problem(3), reference="4"),)),
        replace(SETS, held_out=(replace(problem(3), question="What is 3 ?"),)),
        replace(SETS, held_out=(replace(problem(3), grader="exact"),)),
        replace(SETS, held_out=(replace(problem(3), language="zh"),)),
        replace(SETS, held_out=(replace(problem(3), metadata={"n": 4}),)),
        replace(SETS, held_out=(replace(problem(3), id="p4"),)),
        replace(SETS, held_out=(replace(problem(3), kind="l"),)),
    ],
)
def test_fingerprint_changes_with_every_field_and_with_order(changed: ProblemSets) -> None:
    assert fingerprint(changed) != fingerprint(SETS)


def test_fingerprint_is_of_content() -> None:
    same = ProblemSets([problem(1), problem(2)], [problem(3)], num_duplicates=5)
    assert fingerprint(same) == fingerprint(SETS)
    assert fingerprint(SETS) == "04c03fc830a32eaf32ddf17a7cd5acd9"  # runs on disk hold it
