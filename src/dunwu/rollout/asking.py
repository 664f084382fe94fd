"""Asking another model for text, one question at a time or many: a local one by the embedded engine, or a service.

Answers are data: one that is cut or cannot be asked for is told apart from text. A service that does not serve is an error, so
that nothing is lost to a bad hour: the run goes on where it stopped. Called by the stages that rewrite and judge.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from dunwu.config.asking import Asked, AskedEndpoint, AskedModel
from dunwu.config.task import ChatTemplate, PlainTemplate
from dunwu.config.training import ModelConfig
from dunwu.data.templates import render
from dunwu.functional.seeds import derive_seed
from dunwu.models.loading import load_policy
from dunwu.models.policy import Policy
from dunwu.records import GenerationRequest, Problem, SamplingParams
from dunwu.rollout.collection import policy_decoder
from dunwu.rollout.embedded import EmbeddedEngine
from dunwu.rollout.endpoint import EndpointAsker

THINK_CLOSE = "</think>"


@dataclass(frozen=True)
class Answer:
    """What a model answered, without any thinking before it; or why there is nothing to use."""

    text: str = ""
    fault: str | None = None
    """ "too_long": the question does not fit; "cut": the answer was not finished; "empty": it says nothing."""


class Asker(Protocol):
    """Answers questions."""

    def ask(
        self, questions: Sequence[str], on_progress: Callable[[int, int], None] | None = None
    ) -> list[Answer]:
        """Answer each question, in the order given; may block for long.

        Args:
            on_progress: called with (answered, all).
        """
        ...


@contextmanager
def open_asker(config: Asked, models: Mapping[str, ModelConfig], seed: int) -> Iterator[Asker]:
    """Give someone to ask, and give back what it holds afterwards.

    Args:
        models: the models of the run by name.
        seed: of the run; what a local model draws depends on it, on the question, and on how often that came before in one call.
    Raises:
        ModelError: a local model cannot be loaded.
        ConfigError: the variable that should hold the key is not set.
    """
    match config:
        case AskedModel():
            policy = load_policy(models[config.model])
            engine = EmbeddedEngine(policy, config.engine)
            try:
                yield LocalAsker(policy, engine, config, seed)
            finally:
                engine.close()
        case AskedEndpoint():
            yield _Unwrapped(EndpointAsker(config))


def filled(prompt: str, **texts: str) -> str:
    """Return a prompt with each {name} replaced by its text; braces in the texts, and others in the prompt, stay."""
    return re.sub(r"\{(" + "|".join(texts) + r")\}", lambda found: texts[found.group(1)], prompt)


class _Unwrapped:
    """An endpoint, with the thinking taken off its answers."""

    def __init__(self, endpoint: EndpointAsker) -> None:
        self._endpoint = endpoint

    def ask(
        self, questions: Sequence[str], on_progress: Callable[[int, int], None] | None = None
    ) -> list[Answer]:
        """See Asker."""
        found = self._endpoint.complete(questions, on_progress)
        return [_answer(text, reason == "length") for text, reason in found]


class LocalAsker:
    """Asks a policy; the draw of an answer depends on the seed, the question, and how often it came before in the same call."""

    def __init__(self, policy: Policy, engine: EmbeddedEngine, config: AskedModel, seed: int) -> None:
        self._policy = policy
        self._engine = engine
        self._config = config
        self._seed = seed
        self._decode = policy_decoder(policy)
        self._template = (
            ChatTemplate() if policy.tokenizer.chat_template else PlainTemplate(text="{question}\n")
        )

    def ask(
        self, questions: Sequence[str], on_progress: Callable[[int, int], None] | None = None
    ) -> list[Answer]:
        """See Asker."""
        limit = getattr(self._policy.config, "max_position_embeddings", None)
        prompts = [
            render(self._template, Problem("", "", question, "", ""), self._policy.tokenizer)
            for question in questions
        ]
        fits = [
            limit is None or len(prompt.token_ids) + self._config.max_new_tokens <= limit
            for prompt in prompts
        ]
        requests = [
            GenerationRequest(prompt.token_ids, (seed,))
            for prompt, seed, fit in zip(prompts, self._seeds(questions), fits, strict=True)
            if fit
        ]
        done = 0

        def finished(*_: object) -> None:
            nonlocal done
            done += 1
            if on_progress is not None:
                on_progress(done, len(requests))

        sampling = SamplingParams(
            self._config.max_new_tokens,
            temperature=self._config.temperature,
            stop_token_ids=self._policy.eos_token_ids,
        )
        completions = iter(
            self._engine.generate(requests, sampling, on_finished=finished) if requests else []
        )
        answers = []
        for fit in fits:
            if fit:
                completion = next(completions)[0]
                answers.append(
                    _answer(self._decode(completion.token_ids), completion.finish_reason == "length")
                )
            else:
                answers.append(Answer(fault="too_long"))
        return answers

    def _seeds(self, questions: Sequence[str]) -> Iterator[int]:
        asked: Counter[str] = Counter()
        for question in questions:
            again = (asked[question],) if asked[question] else ()
            yield derive_seed(self._seed, "ask", _hash(question), *again)
            asked[question] += 1


def _answer(text: str, cut: bool) -> Answer:
    """Take off the thinking of a model that thinks aloud, and white space."""
    said = text.rpartition(THINK_CLOSE)[2].strip()
    if cut:
        return Answer(said, "cut")
    return Answer(said) if said else Answer(fault="empty")


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
