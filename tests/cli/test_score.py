"""`dunwu score` from end to end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dunwu.cli import score as score_module
from dunwu.cli.score_config import parse_rewards, score_config
from dunwu.config.reward import AccuracyReward, FunctionReward
from dunwu.errors import ConfigError

ROWS = [
    {
        "id": "a",
        "prompt": "1/2?",
        "completion": "<think>t</think><answer>0.5</answer>",
        "task": {"kind": "math", "reference": "1/2"},
    },
    {"id": "b", "prompt": "4?", "completion": "\\boxed{4}", "task": {"kind": "math", "reference": "4"}},
    {
        "id": "c",
        "prompt": "4?",
        "completion": "4 half a pair: \ud800",
        "task": {"kind": "exact", "reference": "4"},
    },
    {"id": "d", "prompt": "4?", "completion": "4", "task": {"kind": "math", "reference": "\\frac{"}},
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)) + "\n{bad\n")
    return path


def results(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_rows_in_results_out(invoke, rows):
    done = invoke("score", "--reward", "accuracy,format=0.5", rows)
    assert done.exit_code == 0
    found = results(done.stdout)
    assert [(row["id"], row["reward"]) for row in found] == [
        ("a", 1.5),
        ("b", 1.0),
        ("c", 0.0),
        ("d", None),
        (None, None),
    ]
    assert found[0] == {
        "id": "a",
        "reward": 1.5,
        "parts": {
            "accuracy": {"value": 1.0, "status": "ok", "detail": ""},
            "format": {"value": 1.0, "status": "ok", "detail": ""},
        },
    }
    assert found[3]["parts"]["accuracy"]["status"] == "not_gradable"
    assert found[4]["parts"]["format"]["status"] == "error"
    assert "scored 5 rows" in done.stderr
    assert "1 could not be read" in done.stderr


def test_a_file_for_the_results_and_strictness(invoke, rows, tmp_path):
    out = tmp_path / "out.jsonl"
    done = invoke("score", rows, "-r", "format", "-o", out, "--strict")
    assert (done.exit_code, done.stdout) == (1, "")
    assert len(results(out.read_text())) == 5
    rows.write_text(json.dumps(ROWS[0]))
    assert invoke("score", rows, "-r", "format", "-o", out, "--strict").exit_code == 0
    assert len(results(out.read_text())) == 1


def test_standard_input(invoke):
    done = invoke("score", "-", "-r", "accuracy", input=json.dumps(ROWS[0]))
    assert [row["reward"] for row in results(done.stdout)] == [1.0]


def test_options_of_rewards_and_of_the_form(invoke, rows):
    done = invoke("score", rows, "-r", "accuracy", "-s", "rewards.accuracy.answer_from=boxed", "-j", "1")
    assert [row["reward"] for row in results(done.stdout)] == [0.0, 1.0, 0.0, None, None]
    form = "output_form={kind='think', opened_by_prompt=true}"
    done = invoke("score", "-", "-r", "format", "-s", form, input='{"completion": "t</think>5"}')
    assert [row["reward"] for row in results(done.stdout)] == [1.0]


def test_rewards_of_a_recipe(invoke, rows, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        'name = "x"\nmodel = {path = "micro"}\n[[stages]]\nkind = "r1_zero"\ntask = {kind = "world"}\n'
        'rewards = [{kind = "accuracy", name = "right", answer_from = "boxed", weight = 3}, {kind = "format"}]\n'
    )
    done = invoke("score", rows, "--recipe", recipe)
    assert [row["reward"] for row in results(done.stdout)] == [1.0, 3.0, 0.0, None, None]
    done = invoke(
        "score", rows, "--recipe", recipe, "-r", "right=0.5", "-s", "stages.r1_zero.rewards.right.weight=9"
    )
    assert [row["reward"] for row in results(done.stdout)][:2] == [0.0, 0.5]
    for arguments, said in (
        (("-r", "format,wrong"), "has no reward 'wrong'; it has right, format"),
        (("--stage", "sft"), "has no RL stage 'sft'; it has r1_zero"),
    ):
        done = invoke("score", rows, "--recipe", recipe, *arguments)
        assert done.exit_code == 2
        assert said in done.stderr


def test_a_recipe_with_two_stages_needs_a_choice(invoke, rows, tmp_path):
    stage = '[[stages]]\nkind = "r1_zero"\nname = "{}"\ntask = {{kind = "world"}}\n'
    recipe = tmp_path / "r.toml"
    recipe.write_text('name = "x"\nmodel = {path = "micro"}\n' + stage.format("one") + stage.format("two"))
    done = invoke("score", rows, "--recipe", recipe)
    assert "has 2 RL stages; choose one: --stage one or two" in done.stderr
    assert invoke("score", rows, "--recipe", recipe, "--stage", "two").exit_code == 0


def test_a_function_of_ones_own(invoke, tmp_path):
    (tmp_path / "mine.py").write_text("def brevity(completion): return 1 / len(completion)\n")
    row = json.dumps({"id": 1, "completion": "abcd"})
    done = invoke("score", "-", "-r", f"{tmp_path}/mine.py:brevity=2", input=row)
    assert results(done.stdout)[0]["parts"] == {"brevity": {"value": 0.25, "status": "ok", "detail": ""}}
    assert results(done.stdout)[0]["reward"] == 0.5
    done = invoke("score", "-", "-r", f"{tmp_path}/mine.py:brevty", input=row)
    assert done.exit_code == 2
    assert "did you mean brevity?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--reward is missing"),
        (("-r", "acuracy"), "there is no reward 'acuracy'; did you mean accuracy?"),
        (("-r", "accuracy=high"), "the weight 'high' is not a number"),
        (("-r", "accuracy,,format"), "a name is empty"),
        (("-r", "accuracy,accuracy"), "two rewards are called 'accuracy'"),
        (("-r", "accuracy", "-s", "rewards.accuracy.answerfrom=text"), "did you mean `answer_from`?"),
        (("-r", "accuracy", "-o", "IN"), "is the file that is read"),
        (("-r", "accuracy", "-o", "/no/such/folder/x"), "cannot be written"),
    ],
)
def test_mistakes_are_told(invoke, rows, arguments, said):
    done = invoke("score", rows, *(rows if argument == "IN" else argument for argument in arguments))
    assert done.exit_code == 2
    assert said in done.stderr
    assert "stages" not in done.stderr
    assert rows.read_text().startswith("{")


def test_a_file_that_is_not_there(invoke):
    done = invoke("score", "/no/such.jsonl", "-r", "format")
    assert done.exit_code == 2
    assert "there is no file /no/such.jsonl" in done.stderr


def test_tokens_by_a_model(invoke, monkeypatch, tmp_path):
    monkeypatch.setattr(score_module, "token_counter", lambda model: len)
    (tmp_path / "f.py").write_text("def f(num_tokens): return num_tokens\n")
    done = invoke("score", "-", "-r", f"{tmp_path}/f.py:f", "--model", "m", input='{"completion": "abc"}')
    assert [row["reward"] for row in results(done.stdout)] == [3.0]


def test_the_token_counter_counts_without_special_tokens():
    count = score_module.token_counter("micro")
    assert 0 < count("What is 2 + 3?") <= 14
    assert count("") == 0


def test_names_and_weights():
    assert parse_rewards(["accuracy, format = 0.5", "language=-1"]) == [
        ("accuracy", None),
        ("format", 0.5),
        ("language", -1.0),
    ]
    config = score_config(["accuracy=2,m.n:f"], None, None, [])
    accuracy, function = config.rewards
    assert isinstance(accuracy, AccuracyReward)
    assert (accuracy.weight, accuracy.answer_from) == (2.0, ("answer_tag", "boxed", "text"))
    assert isinstance(function, FunctionReward)
    assert (function.path, function.part_name) == ("m.n:f", "f")
    with pytest.raises(ConfigError, match="--reward is missing"):
        score_config([], None, None, [])


def test_scoring_starts_fast_without_torch(rows):
    script = (
        "import sys\nfrom dunwu.cli.main import app\n"
        "try:\n    app(sys.argv[1:])\nfinally:\n    print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "score", str(rows), "-r", "accuracy,format"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_results_come_while_more_rows_are_awaited_and_ctrl_c_ends_it():
    command = [sys.executable, "-m", "dunwu", "score", "-", "-r", "accuracy"]
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=environment, **pipes) as running:
        row = json.dumps(ROWS[1]).encode()
        running.stdin.write(row + b"\n" + row[:20])
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["reward"] == 1.0
        running.stdin.write(row[20:] + b"\n" + b" " * 100_000 + row)
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["reward"] == 1.0
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
        assert b"interrupted" in running.stderr.read()


def test_the_last_row_needs_no_line_break():
    command = [sys.executable, "-m", "dunwu", "score", "-", "-r", "accuracy"]
    done = subprocess.run(command, input=json.dumps(ROWS[1]).encode(), capture_output=True, check=True)
    assert [row["reward"] for row in results(done.stdout.decode())] == [1.0]


def test_an_output_that_nobody_reads_on_ends_it(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([json.dumps(ROWS[1])] * 3000))
    shell = f"{sys.executable} -m dunwu score {path} -r format | head -1"
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=True)
    assert len(results(done.stdout)) == 1
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
