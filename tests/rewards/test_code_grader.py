"""Code problems through the Grader: the accuracy part, the check before training, the sandbox opened and closed."""

import pytest

from dunwu.config.code import CodeConfig
from dunwu.config.output_form import ThinkForm
from dunwu.config.reward import AccuracyReward
from dunwu.errors import DataError, DependencyError, SandboxError
from dunwu.records import Problem
from dunwu.rewards import code_grader
from dunwu.rewards.code_grader import CodeGrader
from dunwu.rewards.grading import Grader

SUMS = [{"stdin": "1 2", "stdout": "3"}, {"stdin": "4 4", "stdout": "8"}]
RIGHT = "```python\nprint(sum(map(int, input().split())))\n```"


def problem(number: int = 0, **task: object) -> Problem:
    return Problem(f"p{number}", "code", "Add.", "", "code", metadata=task or {"tests": SUMS})


def test_the_accuracy_part_of_a_code_problem():
    form = ThinkForm(opened_by_prompt=False)
    with Grader([AccuracyReward(answer_from="text")], output_form=form, num_workers=2) as grader:
        reward = grader.grade(problem(), f"<think>easy</think>\nSo:\n{RIGHT}")
        assert (reward.total, reward.correct) == (1.0, True)
        assert reward.parts["accuracy"].detail == "AC: 2 of 2 tests passed"
        wrong = f"<think>{RIGHT}</think>\n```python\nprint(3)\n```"
        assert grader.grade(problem(), wrong).parts["accuracy"].detail.startswith("WA: 1 of 2")
        assert grader.grade(problem(), f"<think>{RIGHT}").total == 0.0
        long = RIGHT.replace("print", "#" * 20_000 + "\nprint")
        assert grader.grade(problem(), long).total == 1.0
        rewards = grader.grade_all([(problem(), RIGHT, "stop"), (problem(), wrong, "stop")] * 4)
        assert [reward.total for reward in rewards] == [1.0, 0.0] * 4
        malformed = grader.grade(problem(tests=[]), "<think>")
        assert (malformed.total, malformed.parts["accuracy"].status) == (None, "not_gradable")


def test_code_is_taken_from_the_answer_tag_too_and_scored_by_name():
    reward = AccuracyReward(code=CodeConfig(score="fraction"))
    with Grader([reward], num_workers=1) as grader:
        half = "<think>x</think><answer>```python\nprint(3)\n```</answer>"
        assert grader.grade(problem(), half).total == 0.5
        assert grader.grade(problem(), RIGHT).total == 0.0


def test_a_box_beside_a_program_is_not_the_answer():
    for answer_from in (("boxed",), ("answer_tag", "boxed", "text")):
        with Grader([AccuracyReward(answer_from=answer_from)], num_workers=1) as grader:
            assert grader.grade(problem(), f"{RIGHT}\nIt prints \\boxed{{3}}.").total == 1.0


def test_problems_that_cannot_be_graded_are_listed():
    with Grader([AccuracyReward()], num_workers=1) as grader:
        problems = [problem(1), problem(2, tests=[]), problem(3, tests=[{"stdin": "", "stdout": ""}])]
        found = grader.check_gradable(problems)
        assert [item.problem.id for item in found] == ["p2", "p3"]
        with pytest.raises(DataError, match="prints nothing"):
            grader.require_gradable(problems[2:])


def no_sandbox(config):
    raise DependencyError("no sandbox; install bubblewrap")


def test_without_isolation_the_code_reward_refuses_to_start(monkeypatch):
    monkeypatch.setattr(code_grader, "open_executor", no_sandbox)
    with Grader([AccuracyReward()], num_workers=1) as grader:
        with pytest.raises(DependencyError, match="install bubblewrap"):
            grader.require_gradable([problem()])
        part = grader.grade(problem(), f"<answer>{RIGHT}</answer>").parts["accuracy"]
        assert (part.value, part.status) == (None, "error")
        assert "install bubblewrap" in part.detail


def test_other_problems_need_no_sandbox(monkeypatch):
    monkeypatch.setattr(code_grader, "open_executor", no_sandbox)
    with Grader([AccuracyReward()], num_workers=1) as grader:
        other = Problem("p", "sum", "1 + 1?", "2", "numeric")
        assert grader.check_gradable([other]) == []
        assert grader.grade(other, "<answer>2</answer>").total == 1.0


def test_the_sandbox_is_opened_once_and_closed_with_its_grader(monkeypatch):
    opened: list[object] = []

    class Executor:
        closed = False

        def close(self):
            self.closed = True

    def open_one(config):
        opened.append(Executor())
        return opened[-1]

    monkeypatch.setattr(code_grader, "open_executor", open_one)
    monkeypatch.setattr(code_grader, "judge_code", lambda *_: "judged")
    grader = CodeGrader(AccuracyReward().sandbox, CodeConfig())
    assert [grader.judge(problem(), "x") for _ in range(3)] == ["judged"] * 3
    assert len(opened) == 1
    grader.close()
    assert opened[0].closed
    with pytest.raises(SandboxError, match="closed"):
        grader.judge(problem(), "x")
