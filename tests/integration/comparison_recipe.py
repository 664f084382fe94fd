"""A recipe of one comparison on `micro`, whose first two columns are the same model. Used by the tests of that stage."""

from typing import Any

from dunwu.config.recipe import Recipe


def make_recipe(models: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    stage: dict[str, Any] = {
        "kind": "comparison",
        "task": {"kind": "world", "kinds": ["sum", "remainder"], "num_train": 1, "num_held_out": 12},
        "general": {"kind": "world", "kinds": ["manners", "harmful"], "num_train": 1, "num_held_out": 6},
        "general_judge": {"kind": "world"},
        "num_problems": 12,
        "samples_per_problem": 2,
        "num_general": 6,
        "sampling": {"max_new_tokens": 40},
        "columns": [
            {"label": "base", "model": "base"},
            {"label": "R1-Zero", "model": "base"},
            {
                "label": "other",
                "model": "base",
                "template": {"kind": "plain", "text": "Q: {question}\n"},
                "output_form": {"kind": "plain"},
            },
        ],
        **changes,
    }
    data = {
        "name": "compared",
        "seed": 3,
        "model": {"path": "micro"},
        "models": models or {},
        "stages": [stage],
    }
    return Recipe.model_validate(data)
