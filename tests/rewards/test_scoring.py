"""Rows of completions in, one result for each out, in order."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from dunwu.config.reward import AccuracyReward, FormatReward
from dunwu.records import Problem
from dunwu.rewards import scoring
from dunwu.rewards.grading import Grader
from dunwu.rewards.scoring import RowError, Scored, parse_row, score_lines

TASK = {"kind": "numeric", "reference": "5"}


def line(**row: Any) -> bytes:
    return json.dumps({"id": 1, "prompt": "2 + 3?", "completion": "5", "task": TASK, **row}).encode()


def run(grader: Grader, lines: list[bytes], **options: Any) -> list[Scored]:
    options = {"needs_task": True, **options}
    return list(score_lines(grader, lines, ["accuracy"], **options))


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader([AccuracyReward(answer_from=["text"])], num_workers=2) as shared:
        yield shared


def test_a_row_becomes_a_problem_and_a_completion() -> None:
    task = {"kind": "choice", "options": ["a", "b"], "reference": "B"}
    row = parse_row(
        line(id="x7", prompt="Which?", task=task, finish_reason="length", num_tokens=3, language="fr"),
        "row 1",
        needs_task=True,
    )
    metadata = {"options": ["a", "b"]}
    assert row.problem == Problem("x7", "choice", "Which?", "B", "choice", "fr", metadata)
    assert (row.id, row.completion, row.prompt) == ("x7", "5", "Which?")
    assert (row.finish_reason, row.num_tokens) == ("length", 3)


def test_what_may_be_left_out() -> None:
    row = parse_row(b'{"completion": "hi"}', "row 1", needs_task=False)
    assert (row.id, row.prompt, row.finish_reason, row.num_tokens) == (None, "", "stop", None)
    assert (row.problem.question, row.problem.language) == ("", "en")


def test_a_prompt_may_be_chat_messages() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "一加一等于几？"},
        {"role": "assistant", "content": "<think>"},
    ]
    row = parse_row(line(prompt=messages), "row 1", needs_task=True)
    assert (row.problem.question, row.problem.language) == ("一加一等于几？", "zh")
    assert row.prompt == "Be brief.\n一加一等于几？\n<think>"
    assert parse_row(line(prompt=messages[:1]), "row 1", needs_task=True).problem.question == ""


@pytest.mark.parametrize(
    ("raw", "row_id", "message"),
    [
        (b"{", None, "row 4 is not JSON: Expecting"),
        (b"\xff\xfe", None, "row 4 is not JSON: "),
        (b"[" * 100_000, None, "row 4 is not JSON: "),
        (b'{"id": NaN}', None, "row 4 is not JSON: NaN is not JSON"),
        (b"[1]", None, "row 4 holds a list"),
        (line(completion=None), 1, 'row 4 has no "completion"'),
        (line(completion=["a"]), 1, r"row 4: completion is \['a'\], not text"),
        (line(prompt=5), 1, "row 4: prompt is 5; it must be text, or a list"),
        (line(prompt=[{"role": "user"}]), 1, "row 4: prompt is "),
        (line(task=None), 1, 'row 4 has no "task"'),
        (line(task="math"), 1, "row 4: task is text, and not JSON"),
        (line(finish_reason="eos"), 1, 'row 4: finish_reason is \'eos\'; it is "stop" or "length"'),
        (line(num_tokens=-1), 1, "row 4: num_tokens is -1; it must be a whole number"),
        (line(num_tokens=True), 1, "row 4: num_tokens is True"),
        (line(language=3), 1, "row 4: language is 3"),
    ],
)
def test_a_row_that_cannot_be_read_says_why(raw: bytes, row_id: object, message: str) -> None:
    with pytest.raises(RowError, match=message) as error:
        parse_row(raw, "row 4", needs_task=True)
    assert error.value.id == row_id


def test_results_come_in_order_one_for_each_row(grader: Grader) -> None:
    lines = [line(id=n, completion=str(n % 7)) for n in range(200)]
    lines[50] = b"{bad"
    lines[51] = line(id=[51], completion=7)
    lines[60] = b"  \n"
    scored = run(grader, lines)
    assert len(scored) == 199
    ids = [n for n in range(200) if n != 60]
    ids[50:52] = [None, [51]]  # type: ignore[list-item]
    assert [result.id for result in scored] == ids
    expected = {n: (1.0 if n % 7 == 5 else 0.0) for n in range(200)}
    assert all(r.reward.total == expected[r.id] for r in scored if isinstance(r.id, int))
    assert scored[50].as_row() == {
        "id": None,
        "reward": None,
        "parts": {"accuracy": {"value": None, "status": "error", "detail": scored[50].fault}},
    }


def test_a_result_is_there_before_the_next_row_is(grader: Grader) -> None:
    more = threading.Event()

    def lines() -> Iterator[bytes]:
        yield line(id=1)
        assert more.wait(20)
        yield line(id=2)

    results = score_lines(grader, lines(), ["accuracy"], needs_task=True)
    assert next(results).id == 1
    more.set()
    assert next(results).id == 2


def test_no_more_rows_are_read_ahead_than_the_window_holds(
    grader: Grader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_WINDOW", 8)
    taken: list[int] = []

    def lines() -> Iterator[bytes]:
        for n in range(1000):
            taken.append(n)
            yield line(id=n)

    results = score_lines(grader, lines(), ["accuracy"], needs_task=True)
    next(results)
    time.sleep(0.3)
    assert len(taken) <= 8 + 3
    results.close()  # type: ignore[attr-defined]
    time.sleep(0.7)
    assert len(taken) <= 8 + 4


def test_an_error_while_reading_is_raised_after_the_rows_before_it(grader: Grader) -> None:
    def lines() -> Iterator[bytes]:
        yield line(id=1)
        raise OSError("disk gone")

    results = score_lines(grader, lines(), ["accuracy"], needs_task=True)
    assert next(results).id == 1
    with pytest.raises(OSError, match="disk gone"):
        next(results)


def test_tokens_are_counted_where_a_row_does_not_say(tmp_path: Any) -> None:
    from dunwu.config.reward import FunctionReward

    (tmp_path / "f.py").write_text("def f(num_tokens, prompt): return {'n': num_tokens, 'p': len(prompt)}\n")
    function = FunctionReward(path=f"{tmp_path}/f.py:f", name="f")
    with Grader([function, FormatReward(weight=0)], num_workers=1) as grader:
        scored = run(grader, [line(num_tokens=9), line()], needs_task=False, count_tokens=len)
    assert [r.reward.parts["f.n"].value for r in scored] == [9.0, 1.0]
    assert scored[0].reward.parts["f.p"].value == 6.0
