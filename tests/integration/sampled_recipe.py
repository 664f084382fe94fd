"""A recipe of one stage that makes data by sampling `micro`. Used by the tests of those stages."""

from typing import Any

from dunwu.config.recipe import Recipe


def make_recipe(kind: str, **changes: Any) -> Recipe:
    stage: dict[str, Any] = {
        "kind": kind,
        "task": {"kind": "world", "kinds": ["sum"], "num_train": 8, "num_held_out": 2},
        "samples_per_prompt": 4,
        "prompts_per_chunk": 4,
        "sampling": {"max_new_tokens": 40},
        "readability": {"min_language_share": 0.9},
        **changes,
    }
    return Recipe.model_validate({"name": "made", "seed": 3, "model": {"path": "micro"}, "stages": [stage]})
