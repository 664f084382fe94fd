"""The plan of preference data and reward models says what is asked, judged and learned, and about how much memory it takes."""

from dunwu.cli.plan import memory_parts
from dunwu.cli.preference_plan import preference_data_plan, reward_model_plan
from dunwu.config.preference_data import PreferenceDataStage
from dunwu.config.recipe import Recipe
from dunwu.config.reward_model import RewardModelStage

WORLD = {"kind": "world", "kinds": ["facts"], "num_train": 100}
SETTINGS = {
    "hidden_size": 10,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "num_key_value_heads": 1,
    "intermediate_size": 20,
    "vocab_size": 100,
}


def preference_data(by, **changes):
    stage = {
        "kind": "preference_data",
        "task": WORLD,
        "judge": {"by": by},
        "sampling": {"max_new_tokens": 44},
    }
    return PreferenceDataStage.model_validate({**stage, **changes})


def test_preference_data_tell_what_is_sampled_and_judged():
    rows = dict(preference_data_plan(preference_data({"kind": "world"}, models=["other"], num_prompts=20)))
    assert rows["prompts"] == "20, 64 at once"
    assert rows["models"] == "base, other"
    assert rows["responses"] == "4 of each model to each prompt, 160 in all, of at most 44 tokens"
    assert rows["pairs"] == "at most 4 of a helpful prompt, 4 verdicts each"
    assert rows["kept"] == "pairs with a margin over 1; labelled responses to safety prompts"
    assert rows["judged by"] == "the embedded world's rules, 10 % of the verdicts at random"


def test_judges_are_named():
    assert dict(preference_data_plan(preference_data({"kind": "model"})))["judged by"] == "the model base"
    by = {"kind": "endpoint", "base_url": "http://h/v1", "model": "v3"}
    assert dict(preference_data_plan(preference_data(by)))["judged by"] == "v3 at http://h/v1"
    task = {"kind": "file", "train": "a/b", "grader": "preference", "preference_set": "helpful"}
    rows = dict(preference_data_plan(preference_data(by, task=task)))
    assert rows["prompts"].startswith("all training problems")
    assert "in all" not in rows["responses"]


def test_reward_models_tell_what_they_learn_from():
    stage = RewardModelStage.model_validate({"data": {"train": ["a/b", "c/d"]}, "max_steps": 9})
    assert dict(reward_model_plan(stage)) == {
        "loss": "pairwise, on the summary",
        "epochs": "1, at most 9 steps",
        "batch": "256 rows with conversations of at most 8,192 tokens",
        "trained on": "a/b, c/d",
        "held out": "at least 512 of them",
    }
    stage = RewardModelStage.model_validate(
        {"data": {"train": "a/b", "held_out": "h/h"}, "loss": "pointwise"}
    )
    rows = dict(reward_model_plan(stage))
    assert (rows["loss"], rows["held out"]) == ("pointwise, on the whole response", "h/h")


def test_memory_is_estimated():
    stages = [
        preference_data({"kind": "world"}, template={"kind": "r1_zero"}).model_dump(),
        {"kind": "reward_model", "data": {"train": "a/b"}},
    ]
    recipe = Recipe.model_validate({"name": "m", "model": {"path": "micro"}, "stages": stages})
    sampled, trained = (memory_parts(recipe, stage, SETTINGS, 1000) for stage in recipe.stages)
    # 256 sequences side by side, 128 + 44 tokens each; keys and values of 2 layers, 1 head of 2 numbers, 4 bytes
    assert sampled["cache while sampling"] == 256 * 172 * 2 * 2 * 1 * 2 * 4
    assert trained["optimizer"] == 8 * 1000
    assert trained["activations while training"] > 0
