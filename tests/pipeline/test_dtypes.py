"""The run folder says which dtype "auto" was."""

from dunwu.config.load import build_recipe
from dunwu.models.precision import computes_bfloat16, torch_device
from dunwu.pipeline.dtypes import settle_dtypes


def test_every_model_of_a_recipe_is_settled() -> None:
    recipe = build_recipe(
        {
            "name": "r",
            "model": {"path": "micro", "dtype": "auto"},
            "models": {
                "student": {"path": "nano", "dtype": "auto"},
                "wide": {"path": "micro", "dtype": "bfloat16"},
            },
            "stages": [{"kind": "r1_zero", "num_steps": 16, "task": {"kind": "world"}}],
        },
        source="test",
    )
    here = "bfloat16" if computes_bfloat16(torch_device("auto")) else "float32"
    dtypes = {name: model.dtype for name, model in settle_dtypes(recipe).all_models.items()}
    assert dtypes == {"base": here, "student": here, "wide": "bfloat16"}
    assert settle_dtypes(settle_dtypes(recipe)) == settle_dtypes(recipe)
    assert recipe.model.dtype == "auto"
