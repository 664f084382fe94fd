"""From a conversation to the text that is trained on: what the model is shown, and what it is to write after it.

A trained turn stands behind exactly the text that a model is shown when it is asked at that point: the conversation so far,
rendered with the generation prompt. What is trained is what the model then has to write itself: the turn's text up to and with
the token that ends it. The template is a black box: where things lie is found by rendering prefixes of the conversation, and
one with a made-up answer, so no template needs marks for training.

Turns lie in one sample as long as the template leaves earlier turns as they were. A template that shows earlier turns
differently (Qwen3 and R1-Distill drop their thinking) starts a new sample with each trained turn, because no single text would
be what the model is shown.

Called by `data.sft_samples`; knows nothing of token ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dunwu.data.conversations import Conversation
from dunwu.errors import ConfigError, DataError

_MARK = "qzAnswerGoesHerezq"  # letters alone, so that no template changes it

# Written before a template, it takes the place of the clock that transformers gives to every template. A value of that name
# would not do: newer versions of transformers hand templates plain data alone. The line break is trimmed by the environment.
_DATE_REFUSED = "qzDateRefusedzq"
_NO_DATE = f"{{% macro strftime_now(format) %}}{{{{ raise_exception('{_DATE_REFUSED}') }}}}{{% endmacro %}}\n"


@dataclass(frozen=True)
class ChatForm:
    """A tokenizer with the chat template to render with, and how to use it.

    Args:
        tokenizer: a transformers tokenizer whose `chat_template` is set.
        turns: which assistant turns are trained on.
        dropped_thinking: see `config.sft.SftChatTemplate`.
        system: put before conversations without a system message; None: nothing.
        variables: given to the template.
    """

    tokenizer: Any
    turns: Literal["all", "last"] = "all"
    dropped_thinking: Literal["restore", "drop", "error"] = "restore"
    system: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RenderedSample:
    """Text in pieces, shown and trained by turns: pieces 0, 2, ... are shown only, pieces 1, 3, ... are trained on.

    `end` is the token that ends each trained piece.
    """

    where: str
    pieces: tuple[str, ...]
    end: str

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True)
class _Turn:
    """A trained turn: all that is shown before it, what is trained, and the token that ends it."""

    shown: str
    trained: str
    end: str


def render_samples(form: ChatForm, conversation: Conversation) -> list[RenderedSample]:
    """Return the samples of a conversation: one, or one for each trained turn where the template rewrites earlier turns.

    Worked example, ChatML, every turn trained:

        shown    <|im_start|>user\\nhi<|im_end|>\\n<|im_start|>assistant\\n
        trained  hello<|im_end|>
        shown    \\n<|im_start|>user\\nbye<|im_end|>\\n<|im_start|>assistant\\n
        trained  see you<|im_end|>

    Raises:
        DataError: the template refuses the conversation, drops or changes a trained turn's text, or shows nothing before it.
        ConfigError: the template does not end a turn with a token, or writes today's date.
    """
    messages = _prepared(form, conversation.messages)
    trained = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    samples: list[list[str]] = []
    end = ""
    for index in trained if form.turns == "all" else trained[-1:]:
        turn = _TurnRenderer(form, conversation.where, messages, index).turn()
        end = turn.end
        so_far = "".join(samples[-1]) if samples else None
        if so_far is not None and turn.shown.startswith(so_far) and turn.shown != so_far:
            samples[-1] += [turn.shown.removeprefix(so_far), turn.trained]
        else:
            samples.append([turn.shown, turn.trained])
    return [RenderedSample(conversation.where, tuple(pieces), end) for pieces in samples]


def _prepared(form: ChatForm, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages as the template expects them: with the form's system message, and with the thinking in the content where
    the template does not look for it in `reasoning_content`.
    """
    prepared = [dict(message) for message in messages]
    if form.system is not None and prepared[0]["role"] not in ("system", "developer"):
        prepared.insert(0, {"role": "system", "content": form.system})
    if "reasoning_content" not in form.tokenizer.chat_template:
        for message in prepared:
            message["content"] = _with_thinking(message)
            message.pop("reasoning_content", None)
    return prepared


def _with_thinking(message: Mapping[str, Any]) -> str:
    thinking, content = message.get("reasoning_content"), str(message["content"])
    return f"<think>\n{thinking.strip()}\n</think>\n\n{content.lstrip()}" if thinking else content


def _parts(message: Mapping[str, Any]) -> tuple[str | None, str]:
    """Thinking and answer of an assistant's turn; the thinking is None where there is none."""
    content = _with_thinking(message)
    before, tag, after = content.rpartition("</think>")
    if not tag:
        return None, content
    _, opening, inside = before.partition("<think>")
    return (inside if opening else before), after


class _TurnRenderer:
    """Finds out how the template renders one assistant turn of a conversation."""

    def __init__(self, form: ChatForm, where: str, messages: Sequence[Mapping[str, Any]], index: int) -> None:
        self.form = form
        self.where = f"{where}, message {index + 1}"
        self.message = messages[index]
        before = list(messages[:index])
        self.prompt = self._render(before, generate=True)
        self.whole = self._render([*before, self.message], generate=False)
        framed = self._render([*before, {"role": "assistant", "content": _MARK}], generate=False)
        if framed.count(_MARK) != 1:
            raise DataError(
                f"{self.where}: the chat template shows the assistant's text {framed.count(_MARK)} times, it must once"
            )
        self.head, _, self.tail = framed.partition(_MARK)
        # what the prompt opens a turn with, beyond what the template shows before one: R1-Distill's <think>
        self.opened = self.prompt[len(self.head) :] if self.prompt.startswith(self.head) else ""
        self.end = self._end_token()

    def turn(self) -> _Turn:
        """Where the template keeps the turn's text, what it renders; where it drops the thinking, what the form says.

        Raises:
            DataError: other text than thinking was dropped or changed, or thinking was and must not be.
        """
        thinking, answer = _parts(self.message)
        shown = self._shown_before_rendered()
        rendered = self.whole.removeprefix(shown)
        kept = _squeezed(rendered)
        if _squeezed(answer) not in kept:
            raise DataError(
                f"{self.where}: the chat template drops or changes the text {answer.strip()[:80]!r}"
            )
        if thinking is None or self._is_kept(thinking, answer, kept):
            return self._checked(shown, self._cut(rendered))
        match self.form.dropped_thinking:
            case "restore":
                return self._restored()
            case "drop":
                return self._checked(shown, self._cut(rendered))
            case "error":
                raise DataError(
                    f"{self.where}: the chat template drops the thinking of a turn that is trained on; set "
                    'template.dropped_thinking = "restore" to put it back, or "drop" to train on the answer alone'
                )

    def _is_kept(self, thinking: str, answer: str, kept: str) -> bool:
        """Whether what the template wrote holds the thinking, and the answer behind it; an empty one has nothing to hold."""
        if not _squeezed(thinking):
            return not self.opened
        _, found, after = kept.partition(_squeezed(thinking))
        return bool(found) and _squeezed(answer) in after

    def _shown_before_rendered(self) -> str:
        """What stands before the turn in the template's own rendering of it.

        Most often the prompt. A prompt that opens the thinking (R1-Distill's ends with <think>) is longer than what the
        template shows before a turn without it: then the frame around the made-up answer tells.
        """
        if self.whole.startswith(self.prompt):
            return self.prompt
        if self.prompt.startswith(self.head) and self.whole.startswith(self.head):
            return self.head
        raise DataError(
            f"{self.where}: the chat template renders the conversation before this turn differently with and without the "
            "turn, so what the model would be shown is not what it would be trained behind"
        )

    def _restored(self) -> _Turn:
        """The turn with the thinking that the template dropped, behind the prompt, which may have opened it."""
        if self.message.get("tool_calls"):
            raise DataError(
                f"{self.where}: the chat template drops the thinking of a turn with tool calls, which cannot be put back; set "
                'template.dropped_thinking = "drop" to train on the rest'
            )
        content = _with_thinking(self.message).strip()
        if self.opened and content.startswith(self.opened.strip()):
            content = content.removeprefix(self.opened.strip())
            content = content if self.opened == self.opened.rstrip() else content.lstrip()
        elif self.opened and "<think>" in content:
            raise DataError(
                f"{self.where}: the prompt opens the turn with {self.opened!r}, and its text begins with {content[:40]!r}"
            )
        return self._checked(self.prompt, content + self.tail[: self._end_in_tail()])

    def _checked(self, shown: str, trained: str) -> _Turn:
        if not shown:
            raise DataError(
                f"{self.where}: nothing is shown before the assistant's text, so all would be trained"
            )
        return _Turn(shown, trained, self.end)

    def _cut(self, rendered: str) -> str:
        """What the template wrote for the turn, up to and with the token that ends it."""
        if not rendered.endswith(self.tail):
            raise DataError(
                f"{self.where}: the chat template ends this turn with {rendered[-40:]!r}, others with {self.tail!r}"
            )
        return rendered[: len(rendered) - len(self.tail) + self._end_in_tail()]

    def _end_in_tail(self) -> int:
        return self.tail.index(self.end) + len(self.end)

    def _end_token(self) -> str:
        """The first of the tokenizer's own tokens that stands behind the assistant's text."""
        tokenizer = self.form.tokenizer
        tokens = {str(token) for token in (*tokenizer.added_tokens_decoder.values(), tokenizer.eos_token)}
        found = [(self.tail.index(token), -len(token), token) for token in tokens if token in self.tail]
        if not found:
            raise ConfigError(
                f"the chat template ends an assistant's turn with {self.tail!r}, which holds none of the tokenizer's special "
                "tokens: a model trained on it would never stop; write the end-of-sequence token there, in a template of your "
                "own (template.file)"
            )
        return min(found)[2]

    def _render(self, messages: list[Mapping[str, Any]], *, generate: bool) -> str:
        try:
            return str(
                self.form.tokenizer.apply_chat_template(
                    messages,
                    chat_template=_NO_DATE + self.form.tokenizer.chat_template,
                    tokenize=False,
                    add_generation_prompt=generate,
                    **self.form.variables,
                )
            )
        except Exception as error:  # templates raise what they like, through jinja
            if _DATE_REFUSED in str(error):
                raise ConfigError(
                    "the chat template writes today's date, so that tomorrow's run would train on other text; give it one "
                    'that stays, for example template.variables = {date_string = "26 Jul 2024"}'
                ) from error
            raise DataError(f"{self.where}: the chat template refuses the conversation: {error}") from error


def _squeezed(text: str) -> str:
    return "".join(text.split())
