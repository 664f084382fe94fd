"""Other models that a stage asks for text: to rewrite, or to judge."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from dunwu.config.base import ConfigModel
from dunwu.config.references import ModelName
from dunwu.config.training import EmbeddedEngine, EngineConfig, Temperature


class AskedModel(ConfigModel):
    """A model of this recipe, run by dunwu's own engine. With a chat template it is asked in that, else by plain text."""

    kind: Literal["model"] = "model"
    model: ModelName = "base"
    """ "base", one of the recipe's models, or an earlier stage."""
    max_new_tokens: PositiveInt = 2048
    temperature: Temperature = 0.0
    engine: EngineConfig = EmbeddedEngine()


class AskedEndpoint(ConfigModel):
    """A service that speaks OpenAI's /chat/completions. What it answers is beyond dunwu's hand: the same run may differ."""

    kind: Literal["endpoint"] = "endpoint"
    base_url: str
    """Up to and with the version, for example "http://localhost:8000/v1"."""
    model: Annotated[str, Field(min_length=1)]
    """The name under which the service knows the model."""
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Environment variable that holds the key; left out: none is sent. The key itself is written nowhere."""
    max_new_tokens: PositiveInt = 2048
    temperature: Temperature = 0.0
    timeout_seconds: PositiveFloat = 120.0
    """Of one request."""
    num_retries: NonNegativeInt = 4
    """Further tries where the service is busy, fails, is silent, or answers something that is no completion."""
    retry_seconds: NonNegativeFloat = 1.0
    """Wait before the first further try; twice as long before each next one."""
    max_parallel: PositiveInt = 8
    """Requests under way at the same time."""

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError(
                f'is {url!r}; give an address that begins with http:// or https://, for example "http://localhost:8000/v1"'
            )
        return url.rstrip("/")


Asked = Annotated[AskedModel | AskedEndpoint, Field(discriminator="kind")]
