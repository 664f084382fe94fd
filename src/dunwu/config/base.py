"""The base of every recipe model: frozen, unknown keys refused. Imports neither torch nor transformers."""

from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

NONE = "none"
"""How a recipe file writes "switched off", since TOML has no null."""
StageName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
"""Names a stage's folder in the run folder."""


class ConfigModel(BaseModel):
    """A part of a recipe. Unknown keys are errors; values never change after loading; docstrings become help
    texts.

    A key that may be left out and does not hold text can be switched off by the value "none".
    """

    effect: ClassVar[Literal["result", "rounding", "none"]] = "result"
    """What another value in this part changes in what a stage computes: all of it, only how it is rounded, or nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _read_none(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            key: None if value == NONE and cls.accepts_none(key) else value for key, value in data.items()
        }

    @classmethod
    def accepts_none(cls, key: str) -> bool:
        """Whether `key` may be switched off by the word "none": it may hold None, and text has no other
        meaning there."""
        field = cls.model_fields.get(key)
        kinds = get_args(field.annotation) if field else ()
        return NoneType in kinds and str not in kinds
