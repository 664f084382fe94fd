"""The comparison of models end to end on `micro`: the same problems for all, every figure with its interval, table and record."""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from comparison_recipe import make_recipe
from reward_folders import save_random_reward_model

from dunwu.errors import ConfigError, DataError
from dunwu.pipeline.run import run_recipe
from dunwu.runs.comparison_files import read_comparison
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("compared") / "run"
    run_recipe(make_recipe(), path, QuietProgress())
    return RunFolder.read(path)


def cells(record: dict[str, Any], row: str) -> list[dict[str, Any] | None]:
    (found,) = [entry["cells"] for entry in record["rows"] if entry["key"] == row]
    return list(found)


def test_the_record_is_the_table(compared: RunFolder) -> None:
    (record,) = compared.read_summary()
    assert [column["label"] for column in record["columns"]] == ["base", "R1-Zero", "other"]
    assert [column["role"] for column in record["columns"]] == ["base", "r1_zero", None]
    assert {"accuracy", "accuracy.sum", "accuracy.remainder", "majority", "format"} <= {
        r["key"] for r in record["rows"]
    }
    for row in record["rows"]:
        for cell in row["cells"]:
            if cell is not None:
                assert cell["low"] <= cell["value"] <= cell["high"], row["key"]
    folder = compared.stage("comparison")
    table, text = read_comparison(folder)
    assert table == {
        key: value for key, value in record.items() if key not in ("kind", "num_steps", "wall_seconds")
    }
    assert "| helpfulness, % |" in text
    assert (
        record["judged_by"]
        == "the embedded world, which knows what a good answer to each of its requests must say"
    )


def test_the_same_model_asked_in_the_same_way_has_the_same_figures(compared: RunFolder) -> None:
    """The first two columns are one model: every draw depends on problem and sample alone, so nothing may differ."""
    (record,) = compared.read_summary()
    for row in record["rows"]:
        assert row["cells"][0] == row["cells"][1], row["key"]
    folder = compared.stage("comparison")
    first, second = (folder.read_evaluation_samples(label) for label in ("base", "R1-Zero"))
    assert [g.rollouts for g in first] == [g.rollouts for g in second]
    third = folder.read_evaluation_samples("other")
    assert [g.prompt.problem.id for g in third] == [g.prompt.problem.id for g in first]
    assert [g.rollouts for g in third] != [g.rollouts for g in first]  # another template, other text
    findings = {finding["key"]: finding for finding in record["findings"]}
    assert findings["r1_zero_above_base"]["checks"][0]["difference"] == 0
    assert findings["r1_zero_above_base"]["verdict"] != "holds"


def test_figures_follow_from_the_samples_that_are_kept(compared: RunFolder) -> None:
    (record,) = compared.read_summary()
    groups = compared.stage("comparison").read_evaluation_samples("base")
    assert len(groups) == 12
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    right = sum(rollout.reward.correct is True for rollout in rollouts)
    cell = cells(record, "accuracy")[0]
    assert cell is not None
    assert cell["value"] == pytest.approx(right / len(rollouts))
    readable = sum(rollout.reward.parts["readability"].value or 0 for rollout in rollouts)
    cell = cells(record, "readability")[0]
    assert cell is not None
    assert cell["value"] == pytest.approx(readable / len(rollouts))
    judged = compared.stage("comparison").read_evaluation_samples("base.judged")
    names = {name for group in judged for r in group.rollouts for name in r.reward.parts}
    assert {"helpfulness", "harmlessness"} <= names


def test_each_column_is_asked_as_its_model_was_trained_unless_it_says_otherwise(compared: RunFolder) -> None:
    (record,) = compared.read_summary()
    zero, other = record["columns"][1], record["columns"][2]
    assert (zero["template"], zero["output_form"], zero["answer_from"]) == (
        "r1_zero",
        "think_answer",
        ["answer_tag"],
    )
    assert zero["why"] == "it has no chat template"
    assert (other["template"], other["output_form"], other["why"]) == ("plain", "plain", "as the column says")


def test_what_cannot_be_asked_or_judged_is_told_before_anything_is_sampled(tmp_path: Path) -> None:
    columns = [
        {"label": "base", "model": "base", "template": {"kind": "chat"}, "output_form": {"kind": "think"}}
    ]
    with pytest.raises(ConfigError, match=r"column base: template.kind is chat, but"):
        run_recipe(make_recipe(columns=columns), tmp_path / "chat", QuietProgress())
    columns[0] |= {"template": {"kind": "r1_zero"}}
    with pytest.raises(ConfigError, match=r"column base: output_form.opened_by_prompt is true"):
        run_recipe(make_recipe(columns=columns), tmp_path / "opened", QuietProgress())
    with pytest.raises(DataError, match="num_problems is 999, but the task has 12 held-out problems"):
        run_recipe(make_recipe(num_problems=999), tmp_path / "many", QuietProgress())
    mixed = {"kind": "world", "kinds": ["manners"], "num_train": 1, "num_held_out": 12}
    with pytest.raises(DataError, match=r"task holds the problem manners:.*belong into `general`"):
        run_recipe(make_recipe(task=mixed), tmp_path / "mixed", QuietProgress())
    sums = {"kind": "world", "kinds": ["sum"], "num_train": 1, "num_held_out": 6}
    with pytest.raises(DataError, match="general holds the problem sum:"):
        run_recipe(make_recipe(general=sums), tmp_path / "sums", QuietProgress())
    rows = tmp_path / "general.jsonl"
    rows.write_text("".join(json.dumps({"question": f"Say {i}.", "answer": ""}) + "\n" for i in range(6)))
    own = {
        "kind": "file",
        "train": str(rows),
        "held_out": str(rows),
        "grader": "preference",
        "preference_set": "helpful",
    }
    with pytest.raises(
        DataError, match=r'general_judge.kind is "world": problem .* is none of the embedded world'
    ):
        run_recipe(make_recipe(general=own), tmp_path / "own", QuietProgress())
    judge = {"kind": "reward_model", "safety": "scorer"}
    recipe = make_recipe(general_judge=judge, models={"scorer": {"path": "micro"}})
    with pytest.raises(
        DataError, match=r'general has prompts of the set "helpful" .*no reward model for them'
    ):
        run_recipe(recipe, tmp_path / "unjudged", QuietProgress())
    assert not list(tmp_path.glob("*/comparison/evaluation/*"))
    with pytest.raises(
        ConfigError, match=r"column base: the longest prompt has .* lower max_new_tokens to at most"
    ):
        run_recipe(make_recipe(sampling={"max_new_tokens": 5000}), tmp_path / "long", QuietProgress())


def test_reward_models_can_judge(tmp_path: Path) -> None:
    models = {
        "liked": {"path": save_random_reward_model(tmp_path / "liked", "summary", 1)},
        "safe": {"path": save_random_reward_model(tmp_path / "safe", "response", 2)},
    }
    judge = {"kind": "reward_model", "helpful": "liked", "safety": "safe"}
    recipe = make_recipe(models, general_judge=judge, num_problems=2)
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    run = RunFolder.read(tmp_path / "run")
    (record,) = run.read_summary()
    assert record["judged_by"].startswith("reward models (helpfulness liked, harmlessness safe)")
    groups = run.stage("comparison").read_evaluation_samples("other.judged")
    for row, kind in (("helpfulness", "manners"), ("harmlessness", "harmful")):
        values = [
            r.reward.parts[row].value for g in groups if g.prompt.problem.kind == kind for r in g.rollouts
        ]
        assert values
        assert all(value is not None and 0 < value < 1 for value in values)
        assert cells(record, row)[2]["value"] == pytest.approx(fmean(values))  # type: ignore[index, arg-type]
    swapped = {**judge, "helpful": "safe", "safety": "liked"}
    recipe = make_recipe(models, general_judge=swapped, num_problems=2)
    with pytest.raises(ConfigError, match='general_judge gives "safe" prompts of the set "helpful"'):
        run_recipe(recipe, tmp_path / "swapped", QuietProgress())


def test_two_models_can_be_compared_by_a_judge_that_is_asked(tmp_path: Path) -> None:
    """`micro` itself is the judge, which gives no verdict, so that nothing but what has no summary is worth anything."""
    judge = {
        "kind": "pairwise",
        "by": {"kind": "model", "model": "base", "max_new_tokens": 8},
        "against": "R1-Zero",
    }
    recipe = make_recipe(general_judge=judge, num_problems=2, num_general=2)
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    run = RunFolder.read(tmp_path / "run")
    (record,) = run.read_summary()
    assert record["judged_by"].startswith("win rate against R1-Zero")
    folder = run.stage("comparison")
    parts = [
        r.reward.parts["helpfulness"]
        for group in folder.read_evaluation_samples("other.judged")
        for r in group.rollouts
    ]
    assert len(parts) == 2
    assert {part.status for part in parts} <= {"ok", "not_gradable", "not_applicable"}
    against = folder.read_evaluation_samples("R1-Zero.judged")
    assert all("helpfulness" not in r.reward.parts for group in against for r in group.rollouts)
