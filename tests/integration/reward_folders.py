"""Reward models of `micro` with random heads, for tests that need one to be there. Used by several rooms."""

from pathlib import Path
from typing import Literal

from dunwu.config.training import ModelConfig
from dunwu.models.loading import load_policy
from dunwu.models.reward_model import conversation_ids, make_reward_model, save_reward_model

_RESPONSES = ("Yes, please.", "No.", "<think> why </think> I will not help with that.", "1 2 3")


def save_random_reward_model(folder: Path, judges: Literal["summary", "response"], seed: int) -> str:
    """Write a reward model that has learnt nothing; its scores differ, and depend on the seed."""
    model = make_reward_model(load_policy(ModelConfig(path="micro")), judges=judges, seed=seed)
    scores = model.scores([conversation_ids(model.tokenizer, "What?", text) for text in _RESPONSES], 512)
    mean = sum(scores) / len(scores)
    model.note_scores(mean, (sum((score - mean) ** 2 for score in scores) / len(scores)) ** 0.5)
    folder.mkdir(parents=True)
    save_reward_model(model, folder)
    return str(folder)


def general_recipe(folder: Path) -> dict[str, object]:
    """A short run of RL for all scenarios on `micro`: general prompts in the last 3 of 6 steps, two updates of a rollout."""
    return {
        "name": "general",
        "seed": 5,
        "model": {"path": "micro"},
        "models": {
            "liked": {"path": save_random_reward_model(folder / "liked", "summary", 1)},
            "safe": {"path": save_random_reward_model(folder / "safe", "response", 2)},
        },
        "stages": [
            {
                "kind": "general_rl",
                "num_steps": 6,
                "prompts_per_step": 4,
                "group_size": 3,
                "steps_per_rollout": 2,
                "refill_rounds": 1,
                # few training problems: the order of both sorts of prompts passes an epoch boundary
                "task": {"kind": "world", "num_train": 5, "num_held_out": 3},
                "general": {
                    "task": {
                        "kind": "world",
                        "kinds": ["advice", "harmful"],
                        "num_train": 5,
                        "num_held_out": 6,
                    },
                    "steps": 3,
                    "num_problems": 6,
                },
                "template": {"kind": "r1_zero"},
                "output_form": {"kind": "think_answer"},
                "rewards": [
                    {"kind": "accuracy"},
                    {"kind": "format"},
                    {"kind": "language"},
                    {"kind": "preference", "helpful": "liked", "safety": "safe"},
                ],
                "sampling": {"max_new_tokens": 24},
                "optimizer": {"learning_rate": 1e-3},
                "kl": {"coef": 0.05, "refresh_every_steps": 2},
                "evaluation": {"num_problems": 3, "samples_per_problem": 2, "every_steps": 2},
                "checkpoint": {"every_steps": 1, "keep_last": 2, "keep_finished": 2},
                "engine": {"max_sequences": 16},
            }
        ],
    }
