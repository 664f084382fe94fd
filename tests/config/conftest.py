from collections.abc import Callable
from typing import Any

import pytest

from dunwu.config.recipe import Recipe


@pytest.fixture
def stage_recipe() -> Callable[..., Recipe]:
    """A recipe of one stage on the embedded world, with keys of the stage changed."""

    def build(**changes: Any) -> Recipe:
        stage = {
            "kind": "r1_zero",
            "task": {"kind": "world"},
            "sampling": {"max_new_tokens": 64},
            **changes,
        }
        model = stage.pop("model", {"path": "smollm2"})
        return Recipe.model_validate({"name": "test", "model": model, "stages": [stage]})

    return build
