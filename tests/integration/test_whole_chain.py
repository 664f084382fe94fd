"""Every kind of stage in one run on `micro` and `nano`, each fed by those before it: it finishes, its models are plain
transformers folders that speak as they do here, and a second run has nothing left to do."""

from typing import Any, get_args

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from dunwu.config.recipe import Recipe
from dunwu.config.stage import Stage
from dunwu.config.training import ModelConfig
from dunwu.models.loading import load_policy
from dunwu.pipeline.run import run_recipe
from dunwu.records import GenerationRequest, SamplingParams
from dunwu.rollout.embedded import EmbeddedEngine
from dunwu.runs.digest import comparable_digest
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress

SUMS = {"kind": "world", "kinds": ["sum"], "languages": ["en"], "num_train": 24, "num_held_out": 4}
GENERAL = {"kind": "world", "kinds": ["facts", "harmful"], "num_train": 16, "num_held_out": 4}
SAMPLING = {"max_new_tokens": 48}
RL: dict[str, Any] = {
    "num_steps": 2,
    "prompts_per_step": 4,
    "group_size": 4,
    "steps_per_rollout": 1,
    "split_rollout_by": "prompt",
    "task": SUMS,
    "sampling": SAMPLING,
    "evaluation": {"num_problems": 4, "samples_per_problem": 2},
}
ZERO_FORM: dict[str, Any] = {"template": {"kind": "r1_zero"}, "output_form": {"kind": "think_answer"}}
SAMPLED: dict[str, Any] = {
    **ZERO_FORM,
    "task": SUMS,
    "sampling": SAMPLING,
    "samples_per_prompt": 8,
    "readability": {"min_language_share": 0.5},
}
TUNED: dict[str, Any] = {
    "num_epochs": 1,
    "batch_size": 8,
    "max_tokens": 512,
    "optimizer": {"learning_rate": 1e-5},  # so low that the model still speaks as the base does
    "template": {"kind": "r1"},
}


def rows(*stages: str) -> dict[str, Any]:
    return {"kind": "messages", "train": [f"stage:{stage}" for stage in stages], "num_held_out": 2}


STAGES: list[dict[str, Any]] = [
    {"kind": "r1_zero", **RL},
    {"kind": "cold_start", "start": "r1_zero", **SAMPLED},
    {"kind": "sft", "name": "dev1", "data": rows("cold_start"), **TUNED},
    {"kind": "reasoning_rl", "start": "dev1", **RL, **ZERO_FORM},
    {
        "kind": "rejection_sampling",
        "start": "reasoning_rl",
        **SAMPLED,
        "joined_world": {"num_conversations": 24},
    },
    {"kind": "sft", "name": "dev3", "data": rows("rejection_sampling"), **TUNED},
    {
        "kind": "preference_data",
        "start": "dev3",
        "template": {"kind": "plain", "text": "{question}\n"},
        "output_form": {"kind": "plain"},
        "sampling": SAMPLING,
        "task": GENERAL,
        "samples_per_prompt": 6,
        "judge": {"by": {"kind": "world"}, "max_length_gap": None},
    },
    {
        "kind": "reward_model",
        "name": "helpful",
        "start": "dev3",
        "data": {"train": "stage:preference_data/pairs.jsonl", "num_held_out": 2},
        "max_tokens": 256,
        "num_epochs": 1,
    },
    {
        "kind": "reward_model",
        "name": "safety",
        "start": "dev3",
        "loss": "pointwise",
        "data": {"train": "stage:preference_data/safety.jsonl", "num_held_out": 2},
        "max_tokens": 256,
        "num_epochs": 1,
    },
    {
        "kind": "general_rl",
        "start": "dev3",
        **RL,
        "rewards": [
            {"kind": "accuracy", "answer_from": ["boxed", "text"]},
            {"kind": "preference", "helpful": "helpful", "safety": "safety"},
        ],
        "general": {"task": GENERAL, "steps": 1, "num_problems": 4},
    },
    {"kind": "distill", "start": "nano", "data": rows("rejection_sampling"), **TUNED},
    {
        "kind": "on_policy_distill",
        "start": "distill",
        "teacher": "general_rl",
        "sampling": SAMPLING,
        "num_steps": 2,
        "prompts_per_step": 4,
        "task": SUMS,
        "evaluation": {"num_problems": 4, "samples_per_problem": 2},
    },
    {"kind": "r1_zero", "name": "small", "start": "nano", **RL},
    {
        "kind": "comparison",
        "sampling": SAMPLING,
        "task": SUMS,
        "general": GENERAL,
        "general_judge": {"kind": "world"},
        "num_problems": 4,
        "samples_per_problem": 2,
        "num_general": 4,
        "columns": [
            {"label": label, "model": model}
            for label, model in {
                "base": "base",
                "R1-Zero": "r1_zero",
                "R1": "general_rl",
                "distilled": "on_policy_distill",
                "small model by RL": "small",
            }.items()
        ],
    },
]


def whole_recipe() -> Recipe:
    models = {"nano": {"path": "nano"}}
    data = {"name": "whole", "seed": 5, "model": {"path": "micro"}, "models": models, "stages": STAGES}
    return Recipe.model_validate(data)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("whole") / "run"
    run_recipe(whole_recipe(), path, QuietProgress())
    return RunFolder.read(path)


def test_every_kind_of_stage_finishes(whole: RunFolder) -> None:
    (union, *_) = get_args(Stage)
    kinds = {kind.model_fields["kind"].default for kind in get_args(union)}
    assert {config.kind for config in whole.recipe.stages} == kinds
    assert all(stage.finished for stage in whole.stages())
    assert [record["name"] for record in whole.read_summary()] == [
        config.name for config in whole.recipe.stages
    ]


def test_every_model_says_the_same_in_plain_transformers(whole: RunFolder) -> None:
    texts = ["12 + 30 = ?\n", "Please say hello.\n"]
    seen: dict[str, tuple[tuple[int, ...], ...]] = {}
    for config in whole.recipe.stages:
        path = whole.stage(config.name).model_path
        if "reward_model" in config.makes:
            scorer = AutoModelForSequenceClassification.from_pretrained(path)
            assert scorer.config.num_labels == 1, config.name
            continue
        if "model" not in config.makes:
            assert not path.exists(), config.name
            continue
        model, tokenizer = AutoModelForCausalLM.from_pretrained(path), AutoTokenizer.from_pretrained(path)
        prompts = [tokenizer(text).input_ids for text in texts]
        expected = []
        for ids in prompts:
            whole_ids = model.generate(
                torch.tensor([ids]), max_new_tokens=24, do_sample=False, eos_token_id=[], pad_token_id=0
            )[0]
            expected.append(tuple(whole_ids[len(ids) :].tolist()))
        policy = load_policy(ModelConfig(path=str(path), device="cpu"))
        groups = EmbeddedEngine(policy).generate(
            [GenerationRequest(tuple(ids), (0,)) for ids in prompts], SamplingParams(24, temperature=0.0)
        )
        said = tuple(group[0].token_ids for group in groups)
        assert said == tuple(expected), config.name
        seen[config.name] = said
    assert len(seen) == 8
    assert len(set(seen.values())) > 1  # nano and micro at least differ


def test_a_second_run_has_nothing_to_do(whole: RunFolder) -> None:
    before = comparable_digest(whole.path)
    progress = QuietProgress()
    run_recipe(whole_recipe(), whole.path, progress)
    assert not progress.steps
    assert comparable_digest(whole.path) == before
