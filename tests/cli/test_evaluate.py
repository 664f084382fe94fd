import json
import sys
import types

import pytest

from dunwu.cli.evaluate import figures_table, recipe_data
from dunwu.cli.generate import TemplateChoice
from dunwu.cli.model_source import ModelSource, find_model
from dunwu.config.load import build_recipe
from dunwu.config.task import FileTask, PlainTemplate, R1ZeroTemplate, ReasoningGymTask, WorldTask

FIGURES = {
    "num_problems": 4,
    "pass_at_1": 0.5,
    "pass_at_1_interval": [0.25, 0.75],
    "format": 0.5,
    "length_mean": 12.34,
    "self_check_frac": None,
    "by_kind": {"sum": {"pass_at_1": 1.0}, "remainder": {"pass_at_1": 0.0}},
}


@pytest.fixture
def evaluation(monkeypatch):
    """Stands in for the evaluation room; `calls` holds what it was asked for."""
    stand_in = types.ModuleType("dunwu.evaluation.run")
    stand_in.calls = []

    def evaluate_model(**asked):
        stand_in.calls.append(asked)
        return types.SimpleNamespace(figures=FIGURES, groups=())

    stand_in.evaluate_model = evaluate_model
    monkeypatch.setitem(sys.modules, "dunwu.evaluation.run", stand_in)
    return stand_in


def build(task=None, template=None, answer_from=None, source=None, **given):
    data = recipe_data(source or ModelSource("micro"), task, template, answer_from, given)
    return build_recipe(data, source="test").stages[0]


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("world", WorldTask()),
        ("reasoning_gym:chain_sum", ReasoningGymTask(dataset="chain_sum")),
        ("data/x.jsonl", FileTask(train="data/x.jsonl")),
        ("x.parquet", FileTask(train="x.parquet")),
        ('{kind = "world", kinds = ["sum"]}', WorldTask(kinds=("sum",))),
    ],
)
def test_a_task_can_be_named_in_several_ways(text, task):
    assert build(text).task == task


def test_the_number_of_problems_makes_room_in_the_task():
    stage = build("world", num_problems=600)
    assert (stage.task.num_held_out, stage.evaluation.num_problems) == (600, 600)


def test_options_go_where_they_belong():
    stage = build("world", samples_per_problem=3, temperature=0.5, top_p=0.9, max_new_tokens=99)
    assert stage.evaluation.samples_per_problem == 3
    used = stage.evaluation.sampling
    assert (used.temperature, used.top_p, used.max_new_tokens) == (0.5, 0.9, 99)


def test_greedy_means_one_sample():
    stage = build("world", temperature=0.0)
    assert (stage.evaluation.samples_per_problem, stage.evaluation.sampling.temperature) == (1, 0)


@pytest.mark.parametrize(
    ("template", "answer_from", "expected"),
    [
        (None, None, (R1ZeroTemplate(), "answer_tag")),
        (TemplateChoice.R1_ZERO, None, (R1ZeroTemplate(), "answer_tag")),
        (TemplateChoice.NONE, None, (PlainTemplate(text="{question}"), "text")),
        (TemplateChoice.NONE, "boxed", (PlainTemplate(text="{question}"), "boxed")),
    ],
)
def test_where_the_answer_is_looked_for_follows_the_template(template, answer_from, expected):
    stage = build("world", template, answer_from)
    assert (stage.template, *stage.rewards[0].answer_from) == expected


def test_a_run_lends_its_own_settings(finished_run, recipe):
    source = find_model(str(finished_run))
    stage = build(source=source)
    assert (stage.task, stage.rewards, stage.template) == (
        recipe.stages[0].task,
        recipe.stages[0].rewards,
        recipe.stages[0].template,
    )
    assert stage.evaluation.sampling.max_new_tokens == 64
    assert build(source=source, max_new_tokens=32).evaluation.sampling.max_new_tokens == 32


def test_the_evaluation_room_is_asked_for_what_the_options_say(invoke, evaluation):
    result = invoke("eval", "micro", "--task", "world", "--num-problems", 4, "--samples", 2, "--seed", 7)
    assert result.exit_code == 0, result.stderr
    (asked,) = evaluation.calls
    assert asked["model"].path == "micro"
    assert (asked["task"].num_held_out, asked["seed"]) == (4, 7)
    assert (asked["evaluation"].num_problems, asked["evaluation"].samples_per_problem) == (4, 2)
    assert asked["sampling"].max_new_tokens == 512
    assert [reward.kind for reward in asked["rewards"]] == ["accuracy", "format"]
    assert "50.0%  [25.0%, 75.0%]" in result.stdout


def test_json_is_all_that_goes_to_standard_output(invoke, evaluation):
    result = invoke("eval", "micro", "--task", "world", "--num-problems", 4, "--json")
    assert json.loads(result.stdout) == FIGURES


def test_keys_without_an_option_can_be_set(invoke, evaluation):
    invoke(
        "eval", "micro", "--task", "world", "-s", "stages.0.task.kinds=['sum']", "-s", "model.dtype=bfloat16"
    )
    assert evaluation.calls[0]["task"].kinds == ("sum",)
    assert evaluation.calls[0]["model"].dtype == "bfloat16"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--task is missing"),
        (("--task", "wrld"), 'kind = "wrld" is not known; did you mean `world`?'),
        (("--task", "{kind = "), "is not a TOML table"),
        (("--task", "absent.jsonl"), "there is no file absent.jsonl"),
        (("--task", "world", "--samples", 4, "--temperature", 0), "they would all be the same"),
        (("--task", "world", "--answer-from", "box"), "did you mean `boxed`?"),
        (("--task", "world", "--max-new-tokens", 4096), "the model has 1024 positions"),
    ],
)
def test_mistakes_are_told(invoke, evaluation, options, said):
    result = invoke("eval", "micro", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert evaluation.calls == []


def test_the_table_has_a_column_for_each_kind(console):
    console.print(figures_table(FIGURES))
    text = console.file.getvalue()
    assert text.splitlines()[1].replace("┃", " ").split() == ["all", "sum", "remainder"]
    cells = {
        line.split("│")[1].strip(): [c.strip() for c in line.split("│")[2:-1]]
        for line in text.splitlines()
        if "│" in line
    }
    assert cells["pass_at_1"] == ["50.0%  [25.0%, 75.0%]", "100.0%", "0.0%"]
    assert cells["length_mean"] == ["12.3", "-", "-"]
    assert cells["num_problems"] == ["4", "-", "-"]
    assert cells["format"][0] == "50.0%"
    assert cells["self_check_frac"][0] == "-"


def test_one_kind_needs_no_column_of_its_own(console):
    console.print(figures_table({"pass_at_1": 0.5, "by_kind": {"sum": {"pass_at_1": 0.5}}}))
    assert "sum" not in console.file.getvalue()


def test_a_stage_with_reward_models_lends_its_rules():
    """Reward models score whole rollouts; here the rules count, on the stage's reasoning problems."""
    stage = {
        "kind": "general_rl",
        "task": {"kind": "world", "kinds": ["sum"]},
        "general": {"task": {"kind": "world", "kinds": ["advice"]}},
        "template": {"kind": "r1_zero"},
        "output_form": {"kind": "think_answer"},
        "rewards": [{"kind": "accuracy", "weight": 2.0}, {"kind": "preference", "helpful": "liked"}],
    }
    data = {"name": "x", "model": {"path": "micro"}, "models": {"liked": {"path": "x/y"}}, "stages": [stage]}
    recipe = build_recipe(data, source="test")
    found = build(source=ModelSource("micro", recipe, recipe.stages[0]))
    assert (found.kind, found.task, found.evaluation.sampling.temperature) == (
        "r1_zero",
        WorldTask(kinds=("sum",)),
        0.7,
    )
    assert [(reward.kind, reward.weight) for reward in found.rewards] == [("accuracy", 2.0)]
