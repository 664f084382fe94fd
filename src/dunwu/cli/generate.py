"""`dunwu generate`: continues one prompt and streams it, thinking and answer told apart."""

import sys
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from dunwu.cli.errors import error_console, reports_errors
from dunwu.cli.libraries import quiet_libraries
from dunwu.cli.model_source import ModelSource, find_model
from dunwu.cli.thinking import STYLES, ThinkingSplitter, TokenStream
from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.sft import SftConfig
from dunwu.config.task import ChatTemplate, PlainTemplate, R1ZeroTemplate, Template
from dunwu.config.training import ModelConfig, SamplingConfig
from dunwu.errors import ConfigError


class TemplateChoice(StrEnum):
    """The templates that the command line can name."""

    R1_ZERO = "r1_zero"
    CHAT = "chat"
    NONE = "none"


def template_of(stage: SftConfig) -> TemplateChoice:
    """Return how a fine-tuned model is asked: by the chat template that it was trained with, or, where that was R1-Zero's
    form, by the template that is known by that name.
    """
    return TemplateChoice.R1_ZERO if isinstance(stage.template, R1ZeroTemplate) else TemplateChoice.CHAT


@reports_errors
def generate(
    model: Annotated[
        str, typer.Argument(help="micro, smollm2, a model folder, a hub name, or a run folder.")
    ],
    prompt: Annotated[
        str | None, typer.Argument(help="The question; read from standard input if left out.")
    ] = None,
    template: Annotated[
        TemplateChoice | None,
        typer.Option(
            help="How the question becomes a prompt.", show_default="the run's own, else chat if there is one"
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Most tokens.", show_default="the run's own, else 512")
    ] = None,
    temperature: Annotated[float, typer.Option(help="0 always takes the likeliest token.")] = 0.6,
    top_p: Annotated[float, typer.Option()] = 0.95,
    top_k: Annotated[int, typer.Option(help="0: off.")] = 0,
    min_p: Annotated[float, typer.Option(help="0: off.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Another seed, another completion.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Ask a model and watch it think: thinking is dim, the answer stands out."""
    source = find_model(model)
    question = _question(prompt)
    settings = _sampling(
        max_new_tokens=max_new_tokens
        or (source.stage.sampling.max_new_tokens if isinstance(source.stage, OnPolicyConfig) else 512),
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        min_p=min_p,
    )
    config = _checked(
        lambda: ModelConfig.model_validate({**_model_settings(source), "path": source.path, "device": device})
    )
    _stream(config, question, template, source, settings, seed)


def _question(prompt: str | None) -> str:
    if prompt is None:
        if sys.stdin.isatty():
            error_console().print(Text("Type the question, then Ctrl-D:", style="dim"))
        prompt = sys.stdin.read()
    if not prompt.strip():
        raise ConfigError("the prompt is empty; give it as an argument or on standard input")
    return prompt.removesuffix("\n")


def _model_settings(source: ModelSource) -> dict[str, Any]:
    return source.recipe.model.model_dump() if source.recipe else {}


def _sampling(**settings: Any) -> SamplingConfig:
    return _checked(lambda: SamplingConfig.model_validate(settings))


def _checked(build: Callable[[], Any]) -> Any:
    """Build a part of a configuration from options, and tell what is wrong by the options' names."""
    from pydantic import ValidationError

    try:
        return build()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = "--" + str(first["loc"][-1]).replace("_", "-")
        raise ConfigError(f"{option} {first['input']}: {first['msg'][0].lower()}{first['msg'][1:]}") from None


def _stream(
    config: ModelConfig,
    question: str,
    choice: TemplateChoice | None,
    source: ModelSource,
    settings: SamplingConfig,
    seed: int,
) -> None:
    from dunwu.data.templates import render
    from dunwu.models.loading import load_policy
    from dunwu.records import GenerationRequest, Problem, SamplingParams
    from dunwu.rollout.embedded import EmbeddedEngine

    quiet_libraries()
    policy = load_policy(config)
    template = _template(choice, source, has_chat=bool(getattr(policy.tokenizer, "chat_template", None)))
    prompt = render(template, Problem("prompt", "prompt", question, "", "exact"), policy.tokenizer)
    sampling = SamplingParams(
        **settings.model_dump(exclude={"stop_strings"}),
        stop_strings=settings.stop_strings,
        stop_token_ids=policy.eos_token_ids,
    )
    writer = CompletionWriter(
        Console(),
        lambda ids: str(policy.tokenizer.decode(ids, skip_special_tokens=True)),
        thinking=prompt.text.rstrip().endswith("<think>"),
    )
    start = time.monotonic()
    engine = EmbeddedEngine(policy)
    request = GenerationRequest(prompt.token_ids, (seed,))
    ((completion,),) = engine.generate(
        [request], sampling, on_token=lambda _request, _sample, token: writer.push(token)
    )
    writer.finish()
    count = len(completion.token_ids)
    pace = count / max(time.monotonic() - start, 1e-9)
    ended = (
        "the model ended it"
        if completion.finish_reason == "stop"
        else f"cut at {settings.max_new_tokens} tokens"
    )
    error_console().print(Text(f"{count} tokens, {pace:.0f} tok/s, {ended}", style="dim"))


def _template(choice: TemplateChoice | None, source: ModelSource, *, has_chat: bool) -> Template:
    if choice is None and isinstance(source.stage, OnPolicyConfig):
        return source.stage.template
    if choice is None and isinstance(source.stage, SftConfig):
        choice = template_of(source.stage)
    match choice or (TemplateChoice.CHAT if has_chat else TemplateChoice.R1_ZERO):
        case TemplateChoice.CHAT:
            return ChatTemplate()
        case TemplateChoice.R1_ZERO:
            return R1ZeroTemplate()
        case TemplateChoice.NONE:
            return PlainTemplate(text="{question}")


class CompletionWriter:
    """Writes a completion to a console token by token."""

    def __init__(self, console: Console, decode: Any, *, thinking: bool) -> None:
        self._console = console
        self._tokens = TokenStream(decode)
        self._splitter = ThinkingSplitter(thinking=thinking)

    def push(self, token_id: int) -> None:
        """Write what this token completes."""
        for kind, piece in self._splitter.push(self._tokens.push(token_id)):
            self._write(kind, piece)

    def finish(self) -> None:
        """Write what was held back, and end the line."""
        for kind, piece in [*self._splitter.push(self._tokens.finish()), *self._splitter.finish()]:
            self._write(kind, piece)
        self._console.print()

    def _write(self, kind: str, piece: str) -> None:
        self._console.print(Text(piece, style=STYLES[kind]), end="", soft_wrap=True)
