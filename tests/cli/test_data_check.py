"""`dunwu data check` from end to end."""

import json

import pytest


@pytest.fixture
def write(tmp_path):
    def write(*rows, name="d.jsonl"):
        path = tmp_path / name
        path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
        return path

    return write


SOUND = [{"question": "What is 1/2?", "answer": "0.5"}, {"question": "一加一等于几？", "answer": 2}]


def test_a_sound_file(invoke, write):
    done = invoke("data", "check", write(*SOUND))
    assert done.exit_code == 0
    assert "2 rows; question from 'question', answer from 'answer'" in done.stdout
    assert "every row can be read and every reference graded" in done.stdout
    assert "en 1, zh 1" in done.stdout


def test_what_is_bad_is_listed_and_ends_with_1(invoke, write):
    path = write(
        *SOUND,
        {"question": "Bad?", "answer": "\\frac{"},
        "{bad",
        {"question": "what is  1/2?", "answer": "0.6"},
    )
    done = invoke("data", "check", path)
    assert done.exit_code == 1
    assert "1 rows cannot be read\n  d.jsonl line 4: is not JSON" in done.stdout
    assert (
        "1 references cannot be graded\n  d.jsonl line 3 (grader math): it is not a mathematical"
        in done.stdout
    )
    assert (
        "1 rows repeat a question (0 letter by letter), 1 questions with references that differ"
        in done.stdout
    )
    assert "d.jsonl line 1, d.jsonl line 5: 'What is 1/2?' -> 0.5 | 0.6" in done.stdout


def test_repetition_alone_is_no_failure(invoke, write):
    done = invoke("data", "check", write(*SOUND, SOUND[0]))
    assert done.exit_code == 0
    assert "1 rows repeat a question (1 letter by letter), 0 questions" in done.stdout


def test_the_report_as_json(invoke, write):
    rows = [
        {"id": 1, "prompt": "Half?", "task": {"kind": "math", "reference": "1/2"}},
        {"id": 2, "prompt": "Which?", "task": {"kind": "choice", "options": ["a", "b"], "reference": "E"}},
        {"id": 3, "prompt": "Guess?", "task": {"kind": "guess", "reference": "E"}},
        {"id": 4, "prompt": "Riddle?", "task": {"kind": "reasoning_gym", "reference": "E"}},
    ]
    done = invoke("data", "check", write(*rows), "--json", "--model", "micro")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert report["columns"] == {"question": "prompt", "task": "task"}
    assert [(row["where"], row["grader"]) for row in report["ungradable"]] == [
        ("d.jsonl line 2", "choice"),
        ("d.jsonl line 3", "guess"),
        ("d.jsonl line 4", "reasoning_gym"),
    ]
    assert "KeyError: 'dataset'" in report["ungradable"][2]["why"]
    assert {kind: figures["ungradable"] for kind, figures in report["by_kind"].items()} == {
        "math": 0,
        "choice": 1,
        "guess": 1,
        "reasoning_gym": 1,
    }
    assert report["all"]["question_characters"]["max"] == 7
    assert report["all"]["question_tokens"]["min"] >= 1
    assert (report["num_rows"], report["repeated"], report["bad_rows"]) == (4, 0, [])


def test_many_faults_are_cut_short(invoke, write):
    done = invoke("data", "check", write(*["{bad"] * 14))
    assert done.exit_code == 1
    assert "... and 4 more; --json lists all" in done.stdout


def test_columns_and_graders_by_name(invoke, write):
    rows = [
        {"ask": "Capital?", "say": "Paris", "topic": "geography"},
        {"ask": "2?", "say": "2", "topic": "sums"},
    ]
    path = write(*rows)
    options = ["--question-column", "ask", "--answer-column", "say", "--kind-column", "topic"]
    report = json.loads(invoke("data", "check", path, *options, "--grader", "exact", "--json").stdout)
    assert list(report["by_kind"]) == ["geography", "sums"]
    assert report["ungradable"] == []
    done = invoke("data", "check", path, *options, "--grader", "exakt")
    assert done.exit_code == 2
    assert "no grader is called 'exakt'" in done.stderr


def test_a_file_that_cannot_be_read_at_all(invoke, tmp_path):
    done = invoke("data", "check", tmp_path / "absent.jsonl")
    assert done.exit_code == 2
    assert "there is no file or folder" in done.stderr


def test_prompts_that_no_rule_grades(invoke, write):
    path = write({"question": "Write a poem."}, {"question": "写一首诗。"})
    options = ["--grader", "preference", "--preference-set", "helpful"]
    done = invoke("data", "check", path, *options)
    assert done.exit_code == 0
    assert "2 rows; question from 'question'\n" in done.stdout
    done = invoke("data", "check", path, "--grader", "preference")
    assert done.exit_code == 2
    assert "go together" in done.stderr
