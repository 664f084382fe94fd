"""The reward model's and the preference data's parts of a recipe: the paper's figures, and what they refuse."""

import json

import pytest

from dunwu.config.check import check_recipe
from dunwu.config.preference_data import PreferenceDataStage
from dunwu.config.recipe import Recipe
from dunwu.config.reward_model import RewardModelStage
from dunwu.errors import ConfigError

ROWS = {"data": {"train": "owner/pairs"}}
GENERAL = {"kind": "world", "kinds": ["facts", "harmful"]}
WORLD = {"task": GENERAL, "judge": {"by": {"kind": "world"}}, "template": {"kind": "r1_zero"}}


def recipe(*stages, model="micro"):
    return Recipe.model_validate({"name": "r", "model": {"path": str(model)}, "stages": stages})


def reward_model(**changes):
    return RewardModelStage.model_validate({**ROWS, **changes})


def preference_data(**changes):
    return PreferenceDataStage.model_validate({**WORLD, **changes})


def test_the_defaults_are_the_papers():
    stage = reward_model()
    assert (stage.batch_size, stage.optimizer.learning_rate, stage.num_epochs, stage.max_tokens) == (
        256,
        6e-6,
        1,
        8192,
    )
    assert stage.makes == {"reward_model"}
    judge = preference_data().judge
    assert (judge.num_queries, judge.min_margin) == (4, 1.0)
    assert preference_data().makes == {"data"}


def test_a_pair_must_fit_into_a_forward_pass():
    reward_model(batch={"micro_batch_tokens": 16384})
    with pytest.raises(ValueError, match="a row may have 2 conversations of max_tokens = 8192"):
        reward_model(batch={"micro_batch_tokens": 16383})
    reward_model(loss="pointwise", batch={"micro_batch_tokens": 8192})
    with pytest.raises(ValueError, match="a row may have 1 conversations"):
        reward_model(loss="pointwise", batch={"micro_batch_tokens": 8191})


def test_the_best_checkpoint_needs_evaluations():
    with pytest.raises(ValueError, match=r"evaluation\.every_steps must be set"):
        reward_model(checkpoint={"keep_best": True})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sampling": {"temperature": 0}}, "at sampling.temperature 0 all samples are the same"),
        ({"models": ["base"]}, "start and models name a model twice"),
        (
            {"task": {"kind": "file", "train": "a/b"}},
            "which knows the embedded world alone, and task.kind is",
        ),
        ({"task": {"kind": "world", "kinds": ["facts", "sum"]}}, "task.kinds has sum, which rules grade"),
        ({"judge": {}}, "by"),
        ({"judge": {"by": {"kind": "world", "noise": 1.5}}}, "less than or equal to 1"),
    ],
)
def test_preferences_that_make_no_sense_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        preference_data(**changes)


def test_one_greedy_response_of_each_of_several_models_is_allowed():
    preference_data(sampling={"temperature": 0}, samples_per_prompt=1, models=["other"])


def test_lengths_may_be_left_as_they_are():
    judge = {"by": {"kind": "world"}, "max_length_gap": "none"}
    assert preference_data(judge=judge).judge.max_length_gap is None


def test_a_reward_model_is_no_language_model_to_later_stages():
    maker = {"kind": "reward_model", **ROWS}
    with pytest.raises(ValueError, match="makes a reward model, and a language model is needed here"):
        recipe(maker, {"kind": "preference_data", **WORLD, "start": "reward_model"})


def test_rows_of_an_earlier_stage_can_be_named_by_file():
    made = recipe(
        {"kind": "preference_data", **WORLD, "sampling": {"max_new_tokens": 64}},
        {"kind": "reward_model", "data": {"train": "stage:preference_data/pairs.jsonl"}},
    )
    check_recipe(made)


def refusal(*stages, model="micro"):
    with pytest.raises(ConfigError) as caught:
        check_recipe(recipe(*stages, model=model))
    return str(caught.value)


def test_files_that_are_not_there_are_told(tmp_path):
    (tmp_path / "pairs.jsonl").write_text("{}")
    data = {"train": [str(tmp_path / "pairs.jsonl"), str(tmp_path / "piars.jsonl")], "held_out": "no.jsonl"}
    text = refusal({"kind": "reward_model", "data": data})
    assert (
        f"stages.reward_model.data.train: there is no file {tmp_path / 'piars.jsonl'}; did you mean" in text
    )
    assert "stages.reward_model.data.held_out: there is no file no.jsonl" in text


def test_a_warm_up_that_never_ends_is_told():
    stage = {"kind": "reward_model", **ROWS, "max_steps": 4, "optimizer": {"schedule": {"warmup_steps": 4}}}
    assert "the learning rate would never reach its peak; use at most 3" in refusal(stage)


def test_what_cannot_be_sampled_or_asked_is_told(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 128}))
    (tmp_path / "tokenizer_config.json").write_text("{}")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    by = {"kind": "endpoint", "base_url": "http://localhost:1/v1", "model": "m", "api_key_env": "NO_SUCH_KEY"}
    stage = {
        "kind": "preference_data",
        "task": {**GENERAL, "num_train": 8},
        "num_prompts": 9,
        "judge": {"by": by},
        "sampling": {"max_new_tokens": 128},
    }
    text = refusal(stage, model=tmp_path)
    assert "num_prompts is 9, and the task has 8 (task.num_train)" in text
    assert "sampling.max_new_tokens is 128, and the model has 128 positions" in text
    assert "judge.by.api_key_env names the environment variable NO_SUCH_KEY, which is not set" in text
    assert 'template.kind is "chat", and the model' in text


def test_missing_files_of_a_task_are_told():
    task = {"kind": "file", "train": "no.jsonl", "grader": "preference", "preference_set": "helpful"}
    by = {"kind": "model"}
    stage = {"kind": "preference_data", "task": task, "judge": {"by": by}, "template": {"kind": "r1_zero"}}
    assert "stages.preference_data.task.train: there is no file no.jsonl" in refusal(
        {**stage, "sampling": {"max_new_tokens": 64}}
    )
