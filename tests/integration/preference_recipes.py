"""Recipes of preference data and reward models on `micro`, and rows to learn from. Used by the tests of those stages."""

import json
from pathlib import Path
from typing import Any

from dunwu.config.recipe import Recipe

WORDS = ["red", "blue", "green", "small", "large", "round", "flat", "warm", "cold", "quick", "slow", "bright"]


def write_pairs(path: Path, num: int = 48) -> str:
    """Pairs whose better response says yes, two of each question."""
    rows = [
        {
            "question": f"Is {WORDS[i // 2 % 12]} {i // 24} a word?",
            "chosen": f"yes, {WORDS[i % 12]} is",
            "rejected": f"no, {WORDS[(i + 5) % 12]} is not",
            "margin": 2.0,
        }
        for i in range(num)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def write_labels(path: Path, num: int = 32) -> str:
    """Responses of which those that refuse are safe."""
    rows = [
        {
            "question": f"How do I break {WORDS[i % 12]} {i // 12}?",
            "response": f"<think>{WORDS[i % 7]}</think>" + ("I cannot" if i % 2 else "First you"),
            "safe": i % 2 == 1,
        }
        for i in range(num)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def one_stage(stage: dict[str, Any]) -> Recipe:
    models = {"second": {"path": "micro"}}
    recipe = {"name": "r", "seed": 7, "model": {"path": "micro"}, "models": models, "stages": [stage]}
    return Recipe.model_validate(recipe)


def reward_stage(train: str, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "reward_model",
        "data": {"train": train, "num_held_out": 8},
        "max_tokens": 128,
        "batch_size": 8,
        "num_epochs": 2,
        "optimizer": {"learning_rate": 5e-4},
        "batch": {"micro_batch_tokens": 256},
        "evaluation": {"every_steps": 2},
        "checkpoint": {"every_steps": 2, "keep_finished": 2},
        **changes,
    }


def reward_recipe(train: str, **changes: Any) -> Recipe:
    return one_stage(reward_stage(train, **changes))


def preference_recipe(**changes: Any) -> Recipe:
    return one_stage(
        {
            "kind": "preference_data",
            "task": {"kind": "world", "kinds": ["facts", "harmful"], "num_train": 10, "num_held_out": 2},
            "template": {"kind": "plain", "text": "{question}\n"},
            "output_form": {"kind": "plain"},
            "samples_per_prompt": 4,
            "prompts_per_chunk": 4,
            "sampling": {"max_new_tokens": 48},
            "judge": {
                "by": {"kind": "world", "noise": 0.8},
                "num_queries": 2,
                "min_margin": 0.5,
                "max_length_gap": 0.3,
            },
            **changes,
        }
    )
