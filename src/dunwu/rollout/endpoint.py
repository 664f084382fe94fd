"""A service that speaks OpenAI's /chat/completions: many requests at a time, each with tries, a time limit and patience.

Standard library only. Called by `asking`.
"""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from http.client import HTTPException
from threading import Event, Lock
from typing import Any

from dunwu.config.asking import AskedEndpoint
from dunwu.errors import ConfigError, DependencyError

_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_MAX_ANSWER_BYTES = 64 * 2**20
_MAX_WAIT_SECONDS = 60.0


class _TryAgainError(Exception):
    """This request may well succeed later."""


class EndpointAsker:
    """Sends questions to a service.

    Raises:
        ConfigError: the variable that should hold the key is not set.
    """

    def __init__(self, config: AskedEndpoint) -> None:
        self._config = config
        self._headers = {"Content-Type": "application/json"}
        if config.api_key_env is not None:
            key = os.environ.get(config.api_key_env, "").strip()
            if not key:
                raise ConfigError(
                    f"api_key_env names the environment variable {config.api_key_env}, which is not set; set it to the "
                    f"key of {config.base_url}, or leave api_key_env out"
                )
            self._headers["Authorization"] = f"Bearer {key}"

    def complete(
        self, questions: Sequence[str], on_progress: Callable[[int, int], None] | None = None
    ) -> list[tuple[str, str]]:
        """Return text and finish reason of the answer to each question, in the order given.

        At most `max_parallel` requests are under way. The first that fails for good ends all others that have not begun.

        Raises:
            DependencyError: the service refuses, or does not serve after all tries; what to do is in the message.
        """
        stop, lock = Event(), Lock()
        done = 0

        def one(question: str) -> tuple[str, str]:
            nonlocal done
            if stop.is_set():
                return "", "stopped"  # nobody looks at it: another question has failed
            try:
                answer = self._with_tries(question, stop)
            except BaseException:
                stop.set()
                raise
            with lock:
                done += 1
                if on_progress is not None:
                    on_progress(done, len(questions))
            return answer

        with ThreadPoolExecutor(self._config.max_parallel) as pool:
            futures: list[Future[tuple[str, str]]] = [pool.submit(one, question) for question in questions]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                failed = next((f for f in futures if f.done() and f.exception() is not None), None)
                if failed is not None:
                    failed.result()
                return [future.result() for future in futures]
            finally:
                stop.set()
                for future in futures:
                    future.cancel()

    def _with_tries(self, question: str, stop: Event) -> tuple[str, str]:
        config = self._config
        pause = config.retry_seconds
        tries = config.num_retries + 1
        for number in range(1, tries + 1):
            try:
                return self._once(question)
            except _TryAgainError as error:
                last = error
            if number < tries and stop.wait(min(pause, _MAX_WAIT_SECONDS)):
                break
            pause *= 2
        raise DependencyError(
            f"the service at {config.base_url} gave no completion in {tries} tries: {last}; see to it, then give the same "
            "command again: the run goes on where it stopped"
        ) from last

    def _once(self, question: str) -> tuple[str, str]:
        config = self._config
        body = {
            "model": config.model,
            "messages": [{"role": "user", "content": question}],
            "temperature": config.temperature,
            "max_tokens": config.max_new_tokens,
        }
        request = urllib.request.Request(
            f"{config.base_url}/chat/completions", json.dumps(body).encode(), self._headers, method="POST"
        )
        deadline = time.monotonic() + config.timeout_seconds
        try:
            with urllib.request.urlopen(request, timeout=config.timeout_seconds) as response:
                return _completion(_read(response, deadline))
        except urllib.error.HTTPError as error:
            said = error.read(300).decode("utf-8", "replace").strip()
            if error.code in _BUSY:
                raise _TryAgainError(f"HTTP {error.code} {said}") from error
            raise DependencyError(
                f"the service at {config.base_url} refuses model {config.model!r}: HTTP {error.code} {said}; correct "
                "base_url, model or the key, then give the same command again"
            ) from error
        except (OSError, HTTPException) as error:  # no connection, a broken one, or none in time
            raise _TryAgainError(f"{type(error).__name__}: {error}") from error


def _read(response: Any, deadline: float) -> bytes:
    """Read an answer that may trickle in, until the deadline of the whole request."""
    pieces, size = [], 0
    while piece := response.read1(65536):
        pieces.append(piece)
        size += len(piece)
        if size > _MAX_ANSWER_BYTES:
            raise _TryAgainError(f"the answer is longer than {_MAX_ANSWER_BYTES} bytes")
        if time.monotonic() > deadline:
            raise _TryAgainError("the answer took longer than timeout_seconds")
    return b"".join(pieces)


def _completion(data: bytes) -> tuple[str, str]:
    try:
        choice = json.loads(data)["choices"][0]
        text = choice["message"]["content"]
        reason = choice.get("finish_reason") or "stop"
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _TryAgainError(f"it answered something that is no completion: {data[:120]!r}") from error
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise _TryAgainError(f"it answered something that is no text: {data[:120]!r}")
    return text, str(reason)
