"""Conversations for supervised fine-tuning: read from files row by row, checked, and parted into train and held-out.

Nothing is kept in memory but the hashes of the prompts: a set is read again each time it is gone through. Knows nothing of
templates or tokens. Called by `data.sft_samples`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dunwu.config.sft import ConversationData, MessagesData, PairsData, WorldData
from dunwu.data.separation import question_hash
from dunwu.data.tables import Row, read_rows
from dunwu.data.world.corpus import answered_problems
from dunwu.errors import DataError

ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True)
class Conversation:
    """Messages as chat templates take them (`role`, `content` and what else they have), and where they stand.

    `content` is text, and "" only beside `tool_calls`; keys without a value are left out. There is an assistant's message,
    and something before the first one.
    """

    where: str
    messages: tuple[Mapping[str, Any], ...]

    @property
    def prompt_hash(self) -> str:
        """16 hex digits that stand for what is asked first; answers to one question share it."""
        asked = []
        for message in self.messages:
            if message["role"] == "assistant":
                break
            asked.append(f"{message['role']}: {message['content']}")
        return question_hash("\n".join(asked))


@dataclass(frozen=True)
class ConversationSet:
    """Conversations that are read from their files whenever the set is gone through.

    `prompts` are hashes: with `inside` the set holds the conversations that have one of them, else all others.
    """

    data: ConversationData
    sources: tuple[str, ...]
    split: str
    prompts: frozenset[str] = frozenset()
    inside: bool = False

    def __iter__(self) -> Iterator[Conversation]:
        for conversation in _read(self.data, self.sources, self.split):
            if (conversation.prompt_hash in self.prompts) == self.inside:
                yield conversation


@dataclass(frozen=True)
class ConversationSets:
    """What a recipe's data give; no prompt is in both sets."""

    train: ConversationSet
    held_out: ConversationSet


def load_conversations(data: ConversationData) -> ConversationSets:
    """Read all conversations once, to check them, and part them into train and held-out.

    Without held-out source the prompts whose hash is lowest are held out, each with all its answers, until there are
    `num_held_out` conversations. The choice depends on the prompts alone, so that runs with different seeds, and files with
    rows added or moved, are judged on the same conversations.

    Raises:
        DataError: what `read_rows` raises; a row that is no conversation; too few to hold out; a prompt in both sources.
    """
    everything = ConversationSet(data, data.train, data.split)
    counts = Counter(conversation.prompt_hash for conversation in everything)
    if data.held_out is not None or data.held_out_split is not None:
        held_out = ConversationSet(data, data.held_out or data.train, data.held_out_split or data.split)
        _require_separate(counts, held_out)
        return ConversationSets(everything, held_out)
    chosen: set[str] = set()
    num_chosen = 0
    for prompt in sorted(counts):
        if num_chosen >= data.num_held_out:
            break
        chosen.add(prompt)
        num_chosen += counts[prompt]
    if len(chosen) == len(counts):
        raise DataError(
            f"{', '.join(data.train) or data.kind}: {counts.total()} conversations with {len(counts)} different prompts are too "
            f"few to hold out {data.num_held_out}; set data.num_held_out lower, or name a data.held_out file"
        )
    return ConversationSets(
        ConversationSet(data, data.train, data.split, frozenset(chosen), inside=False),
        ConversationSet(data, data.train, data.split, frozenset(chosen), inside=True),
    )


def _require_separate(train: Mapping[str, int], held_out: ConversationSet) -> None:
    total = 0
    shared = []
    for conversation in held_out:
        total += 1
        if conversation.prompt_hash in train:
            shared.append(conversation.where)
    if shared:
        raise DataError(
            f"the prompts of {len(shared)} of {total} held-out conversations are in the training data too, the first is "
            f"that of {shared[0]}; take them out of one of the two"
        )


def _read(data: ConversationData, sources: Sequence[str], split: str) -> Iterator[Conversation]:
    match data:
        case WorldData():
            yield from _world_conversations(data)
            return
        case MessagesData(column=column):
            columns = [column]
        case PairsData():
            wanted = (data.prompt_column, data.completion_column, data.reasoning_column)
            columns = [name for name in wanted if name is not None]
    for source in sources:
        for row in read_rows(source, columns, split=split, subset=data.subset):
            messages = _messages(row, data)
            _check_order(row, messages)
            yield Conversation(row.where, messages)


def _world_conversations(data: WorldData) -> Iterator[Conversation]:
    pairs = answered_problems(data.kinds, data.languages, data.num_conversations)
    for number, (question, answer) in enumerate(pairs, start=1):
        messages = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
        yield Conversation(f"the world's answer {number}", messages)


def _messages(row: Row, data: MessagesData | PairsData) -> tuple[dict[str, Any], ...]:
    match data:
        case MessagesData(column=column):
            found = row.values[column]
            if not isinstance(found, Sequence) or isinstance(found, str):
                raise DataError(
                    f"{row.where}: column {column!r} holds {_shown(found)}; it must be a list of messages, or use "
                    'data.kind = "pairs" for columns of text'
                )
            return tuple(_message(row, number, message) for number, message in enumerate(found, start=1))
        case PairsData():
            answer = {"role": "assistant", "content": _text(row, data.completion_column)}
            if data.reasoning_column is not None and row.values[data.reasoning_column] is not None:
                answer["reasoning_content"] = _text(row, data.reasoning_column)
            return ({"role": "user", "content": _text(row, data.prompt_column)}, answer)


def _text(row: Row, column: str) -> str:
    value = row.values[column]
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{row.where}: column {column!r} holds {_shown(value)}; it must be text, not empty")
    return value


def _message(row: Row, number: int, message: Any) -> dict[str, Any]:
    """One message with its content as text; what has no value is left out, as Parquet gives every key to every message."""
    where = f"{row.where}, message {number}"
    if not isinstance(message, Mapping):
        raise DataError(f"{where} is {_shown(message)}; it must have `role` and `content`")
    given = {key: value for key, value in message.items() if value is not None and value != []}
    role = given.get("role")
    if role not in ROLES:
        raise DataError(f"{where} has the role {_shown(role)}; allowed: {', '.join(ROLES)}")
    content = given.get("content")
    if isinstance(content, list) and all(isinstance(part, Mapping) for part in content):
        parts = [part.get("text") for part in content]
        if not all(isinstance(part, str) for part in parts):
            raise DataError(f"{where} holds {_shown(content)}; only parts of text can be trained on")
        content = "".join(str(part) for part in parts)
    if content is None and "tool_calls" in given:
        content = ""
    if not isinstance(content, str):
        raise DataError(f"{where} has the content {_shown(content)}; it must be text")
    reasoning = given.get("reasoning_content", "")
    if not isinstance(reasoning, str):
        raise DataError(f"{where} has the reasoning_content {_shown(reasoning)}; it must be text")
    if role == "assistant" and not content.strip() and "tool_calls" not in given:
        raise DataError(f"{where} is an assistant's turn without text; nothing could be learned from it")
    return {**given, "content": content}


def _check_order(row: Row, messages: Sequence[Mapping[str, Any]]) -> None:
    roles = [message["role"] for message in messages]
    if "assistant" not in roles:
        raise DataError(f"{row.where} has no assistant's turn (roles: {', '.join(roles) or 'none'})")
    if roles[0] == "assistant":
        raise DataError(f"{row.where} begins with an assistant's turn; something must come before it")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
