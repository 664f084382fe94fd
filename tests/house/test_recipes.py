"""Every recipe that comes with dunwu is whole, and can run here but for the data that its head asks for."""

import re
from pathlib import Path

import pytest

from dunwu.config.check import recipe_problems
from dunwu.config.dump import dump_recipe
from dunwu.config.load import build_recipe, load_recipe
from dunwu.config.shipped import shipped_recipes

ROOT = Path(__file__).parents[2]
RECIPES = shipped_recipes()


def test_the_quickstart_is_there():
    assert "r1-micro" in RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_loads_checks_and_says_what_it_is(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    recipe = load_recipe(name)
    text = RECIPES[name].read_text(encoding="utf-8")
    assert recipe.name == name
    assert text.startswith("# ")
    mistakes, missing = recipe_problems(recipe)
    assert mistakes == ()
    head = text.partition("\nname = ")[0]
    for problem in missing:  # only what the head says that the user supplies
        file = re.search(r"there is no file (data/\S+)", problem)
        assert file is not None, problem
        assert file[1] in head, problem


PAPER = {  # facts of DeepSeek-R1, by stage and key; sections are in the recipe's comments
    ("r1_zero", "r1_zero_long", "reasoning_rl", "general_rl", "qwen_32b_zero"): {
        "prompts_per_step": 32,
        "group_size": 16,
        "steps_per_rollout": 16,
        "inner_epochs": 1,
        "split_rollout_by": "completion",
        "kl.coef": 0.001,
        "kl.estimator": "k3",
        "kl.refresh_every_steps": 400,
    },
    ("r1_zero", "r1_zero_long", "reasoning_rl", "general_rl"): {"optimizer.learning_rate": 3e-6},
    ("qwen_32b_zero",): {"optimizer.learning_rate": 2e-6},
    ("r1_zero", "reasoning_rl", "qwen_32b_zero"): {
        "sampling.max_new_tokens": 32768,
        "sampling.temperature": 1.0,
    },
    ("r1_zero_long",): {"sampling.max_new_tokens": 65536, "sampling.temperature": 1.0},
    ("reasoning_rl", "general_rl"): {"objective.clip_low": 10.0, "objective.clip_high": 10.0},
    ("general_rl",): {"num_steps": 1700, "general.steps": 400, "sampling.temperature": 0.7},
    ("dev1", "dev3"): {
        "num_epochs": 2,
        "batch_size": 128,
        "max_tokens": 32768,
        "optimizer.learning_rate": 5e-5,
        "optimizer.schedule.kind": "cosine",
        "optimizer.schedule.final_frac": 0.1,
        "start": "base",
    },
    ("cold_start",): {"sampling.temperature": 1.0},
    ("preference_data",): {"judge.num_queries": 4, "judge.min_margin": 1.0},
    ("helpful", "safety"): {
        "batch_size": 256,
        "optimizer.learning_rate": 6e-6,
        "num_epochs": 1,
        "max_tokens": 8192,
    },
    ("helpful",): {"loss": "pairwise"},
    ("safety",): {"loss": "pointwise"},
    ("comparison",): {"sampling.temperature": 0.6, "sampling.top_p": 0.95, "sampling.max_new_tokens": 32768},
    **{
        (f"distill_{student}",): {
            "optimizer.learning_rate": rate,
            "batch_size": 64,
            "max_tokens": 32768,
            "optimizer.schedule.kind": "cosine",
            "optimizer.schedule.final_frac": 0.1,
        }
        for student, rate in {
            "qwen_1_5b": 1e-4,
            "qwen_7b": 8e-5,
            "qwen_14b": 7e-5,
            "qwen_32b": 6e-5,
            "llama_8b": 5e-5,
            "llama_70b": 2e-5,
        }.items()
    },
}


def test_the_paper_s_own_recipe_has_the_paper_s_figures():
    recipe = load_recipe("r1-deepseek-v3")
    stages = {stage.name: stage for stage in recipe.stages}
    for names, figures in PAPER.items():
        for name in names:
            for key, wanted in figures.items():
                value = stages[name]
                for part in key.split("."):
                    value = getattr(value, part)
                assert value == wanted, f"{name}.{key}"
    assert stages["r1_zero"].num_steps + stages["r1_zero_long"].num_steps == 10400
    assert recipe.decontamination.ngram_size == 10
    assert [part.kind for part in stages["reasoning_rl"].rewards] == ["accuracy", "format", "language"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_survives_being_written_out(name):
    import tomllib

    recipe = load_recipe(name)
    assert build_recipe(tomllib.loads(dump_recipe(recipe)), source="written") == recipe
