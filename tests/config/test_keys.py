import pytest

from dunwu.config.algorithm import Dapo, Grpo, KlConfig
from dunwu.config.keys import key_paths, models_of, nearest, nearest_key, resolve
from dunwu.config.recipe import Recipe
from dunwu.config.reward import AccuracyReward
from dunwu.config.stage import R1ZeroStage
from dunwu.config.training import ModelConfig, SamplingConfig


def test_models_of_looks_through_unions_tuples_and_none():
    fields = R1ZeroStage.model_fields
    assert models_of(fields["objective"].annotation)["dapo"] is Dapo
    assert {"accuracy", "format", "function"} <= set(models_of(fields["rewards"].annotation))
    assert models_of(fields["kl"].annotation) == {"KlConfig": KlConfig}
    assert models_of(SamplingConfig | None) == {"SamplingConfig": SamplingConfig}
    assert models_of(int | None) == {}


@pytest.mark.parametrize(
    ("location", "shown", "owner"),
    [
        (("model", "dtype"), ["model", "dtype"], ModelConfig),
        (("stages", 0, "kl", "coef"), ["stages", 0, "kl", "coef"], KlConfig),
        (("stages", 1, "objective", "grpo", "x"), ["stages", 1, "objective", "x"], Grpo),
        (("stages", 0, "rewards", 2, "accuracy", "w"), ["stages", 0, "rewards", 2, "w"], AccuracyReward),
        ((), [], None),
    ],
)
def test_resolve_drops_union_tags_and_finds_the_table(location, shown, owner):
    found, _, model = resolve(location)
    assert (found, model) == (shown, owner)


def test_key_paths_come_nearest_first():
    paths = list(key_paths(R1ZeroStage))
    assert paths.index("task") < paths.index("objective.clip_low")
    assert "optimizer.schedule.warmup_steps" in paths


@pytest.mark.parametrize(
    ("key", "owner", "near"),
    [
        ("groop_size", R1ZeroStage, "group_size"),
        ("learning_rate", R1ZeroStage, "optimizer.learning_rate"),
        ("warmup_steps", R1ZeroStage, "optimizer.schedule.warmup_steps"),
        ("learning_rat", R1ZeroStage, "optimizer.learning_rate"),
        ("seed", KlConfig, "seed"),
        ("group_size", Recipe, "stages.group_size"),
        ("stage", Recipe, "stages"),
        ("beta", KlConfig, None),
        ("qqqq", R1ZeroStage, None),
    ],
)
def test_nearest_key_finds_misspelt_and_misplaced_keys(key, owner, near):
    assert nearest_key(key, owner) == near


def test_nearest_ignores_case_and_gives_up_on_strangers():
    assert nearest("GRPO", ["grpo", "dapo"]) == "grpo"
    assert nearest("ppo_with_critic", ["grpo", "dapo"]) is None
