"""The base of every recipe model: frozen, unknown keys refused. Imports neither torch nor transformers."""

from pydantic import BaseModel, ConfigDict


class ConfigModel(BaseModel):
    """A part of a recipe. Unknown keys are errors; values never change after loading; docstrings become help texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
