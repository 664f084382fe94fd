"""Conversations from files: every way they may be written, every way they may be wrong, and the held-out part."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dunwu.config.sft import MessagesData, PairsData, WorldData
from dunwu.data.conversations import Conversation, load_conversations
from dunwu.errors import DataError


def turns(question: str, answer: str = "ok", **more: Any) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer, **more}]
    }


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def questions(conversations: Any) -> list[str]:
    return [conversation.messages[0]["content"] for conversation in conversations]


def load(tmp_path: Path, row: dict[str, Any], **data: Any) -> Conversation:
    """The first conversation of a file with this row and another one."""
    rows = [row, {**row, "prompt": "another"} if "prompt" in row else turns("another")]
    kind = MessagesData if "messages" in row else PairsData
    sets = load_conversations(kind(train=write(tmp_path / "a.jsonl", rows), num_held_out=1, **data))
    found = [*sets.train, *sets.held_out]
    return next(c for c in found if c.where == "a.jsonl line 1")


def test_messages_keep_what_they_have(tmp_path: Path) -> None:
    assert load(tmp_path, turns("2+2?", "4", reasoning_content="two and two", weight=1)).messages == (
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "4", "reasoning_content": "two and two", "weight": 1},
    )


def test_parts_of_text_are_joined_and_empty_keys_left_out(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "2+"}, {"type": "text", "text": "2?"}]
    row = {
        "messages": [
            {"role": "user", "content": parts, "tool_calls": None, "name": None},
            {"role": "assistant", "content": None, "tool_calls": [{"name": "add"}]},
            {"role": "tool", "content": "4", "tool_calls": []},
            {"role": "assistant", "content": "4", "reasoning_content": None},
        ]
    }
    assert load(tmp_path, row).messages == (
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "add"}]},
        {"role": "tool", "content": "4"},
        {"role": "assistant", "content": "4"},
    )


def test_parquet_gives_the_same_conversations_as_jsonl(tmp_path: Path) -> None:
    rows = [turns("a", "1", reasoning_content="r"), turns("b", "2"), turns("c", "3")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    sets = load_conversations(MessagesData(train=(str(tmp_path / "a.parquet"),), num_held_out=1))
    plain = load_conversations(MessagesData(train=write(tmp_path / "a.jsonl", rows), num_held_out=1))
    assert [c.messages for c in sets.train] == [c.messages for c in plain.train]
    assert [c.messages for c in sets.held_out] == [c.messages for c in plain.held_out]


def test_a_data_set_folder_with_its_splits(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    train = datasets.Dataset.from_list([turns("a"), turns("b")])
    test = datasets.Dataset.from_list([turns("c")])
    datasets.DatasetDict({"train": train, "test": test}).save_to_disk(tmp_path / "set")
    sets = load_conversations(MessagesData(train=str(tmp_path / "set"), held_out_split="test"))
    assert (questions(sets.train), questions(sets.held_out)) == (["a", "b"], ["c"])


def test_pairs_with_and_without_reasoning(tmp_path: Path) -> None:
    row = {"prompt": "2+2?", "completion": "4", "why": "two and two"}
    assert load(tmp_path, row).messages == (
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "4"},
    )
    assert load(tmp_path, row, reasoning_column="why").messages[1] == {
        "role": "assistant",
        "content": "4",
        "reasoning_content": "two and two",
    }
    assert load(tmp_path, {**row, "why": None}, reasoning_column="why").messages[1] == {
        "role": "assistant",
        "content": "4",
    }


def test_several_files_are_read_as_one(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", [turns("a"), turns("b")])
    two = write(tmp_path / "two.jsonl", [turns("c")])
    held = write(tmp_path / "held.jsonl", [turns("d")])
    sets = load_conversations(MessagesData(train=(one, two), held_out=held))
    assert (questions(sets.train), questions(sets.held_out)) == (["a", "b", "c"], ["d"])
    assert questions(sets.train) == ["a", "b", "c"]  # a set can be gone through again


def test_all_answers_to_a_prompt_lie_on_one_side(tmp_path: Path) -> None:
    rows = [turns(f"question {i % 20}", f"answer {i}") for i in range(100)]
    sets = load_conversations(MessagesData(train=write(tmp_path / "a.jsonl", rows), num_held_out=12))
    held, train = questions(sets.held_out), questions(sets.train)
    assert (len(held), len(train)) == (15, 85)  # three prompts, five answers each
    assert not set(held) & set(train)


def test_which_prompts_are_held_out_depends_on_the_prompts_alone(tmp_path: Path) -> None:
    rows = [turns(f"question {i}") for i in range(40)]
    first = load_conversations(MessagesData(train=write(tmp_path / "a.jsonl", rows), num_held_out=5))
    moved = [turns(f"  QUESTION  {i}", "another answer") for i in reversed(range(40))]
    second = load_conversations(MessagesData(train=write(tmp_path / "b.jsonl", moved), num_held_out=5))
    names = {question.lower().split()[-1] for question in questions(second.held_out)}
    assert {question.split()[-1] for question in questions(first.held_out)} == names
    assert len(names) == 5


def test_a_system_message_makes_another_prompt() -> None:
    plain = Conversation("x", ({"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}))
    system = Conversation("x", ({"role": "system", "content": "Sing."}, *plain.messages))
    later = Conversation("x", (*plain.messages, {"role": "user", "content": "bye"}))
    assert plain.prompt_hash != system.prompt_hash
    assert plain.prompt_hash == later.prompt_hash


def test_too_few_to_hold_out_is_an_error(tmp_path: Path) -> None:
    rows = [turns("a", str(i)) for i in range(9)]
    with pytest.raises(
        DataError, match=r"9 conversations with 1 different prompts are too few to hold out 3"
    ):
        load_conversations(MessagesData(train=write(tmp_path / "a.jsonl", rows), num_held_out=3))


def test_a_prompt_in_both_sources_is_an_error(tmp_path: Path) -> None:
    train = write(tmp_path / "a.jsonl", [turns("a"), turns("b")])
    held = write(tmp_path / "b.jsonl", [turns("c"), turns(" B ", "else")])
    with pytest.raises(DataError, match=r"prompts of 1 of 2 held-out .* first is that of b\.jsonl line 2"):
        load_conversations(MessagesData(train=train, held_out=held))


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ("hi", r"column 'messages' holds 'hi'; it must be a list of messages, or use data\.kind = \"pairs\""),
        ([], r"has no assistant's turn \(roles: none\)"),
        (["hi"], r"message 1 is 'hi'; it must have `role` and `content`"),
        (
            [{"role": "human", "content": "x"}],
            "message 1 has the role 'human'; allowed: system, developer, user",
        ),
        ([{"content": "x"}], "message 1 has the role None"),
        ([{"role": "user"}], "message 1 has the content None; it must be text"),
        ([{"role": "user", "content": 4}], "message 1 has the content 4; it must be text"),
        ([{"role": "user", "content": [{"type": "image"}]}], "only parts of text can be trained on"),
        ([{"role": "user", "content": "x"}], r"has no assistant's turn \(roles: user\)"),
        ([{"role": "assistant", "content": "x"}], "begins with an assistant's turn"),
        (turns("x", "  ")["messages"], "message 2 is an assistant's turn without text"),
        (turns("x", "y", reasoning_content=3)["messages"], "message 2 has the reasoning_content 3"),
    ],
)
def test_a_row_that_is_no_conversation_is_named(messages: Any, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [turns("fine"), {"messages": messages}])
    with pytest.raises(DataError, match=f"a.jsonl line 2.*{message}"):
        load_conversations(MessagesData(train=path, num_held_out=1))


@pytest.mark.parametrize("value", ["", "  ", None, 4])
@pytest.mark.parametrize("column", ["prompt", "completion"])
def test_a_pair_without_text_is_named(column: str, value: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"prompt": "a", "completion": "b", column: value}])
    with pytest.raises(DataError, match=f"a.jsonl line 1: column '{column}' holds"):
        load_conversations(PairsData(train=path, num_held_out=1))


def test_the_world_answers_its_own_questions() -> None:
    data = WorldData(kinds=("program",), languages=("en",), num_conversations=300, num_held_out=20)
    sets = load_conversations(data)
    train, held_out = list(sets.train), list(sets.held_out)
    assert len(train) + len(held_out) == 300
    assert len(held_out) >= 20
    assert not {c.prompt_hash for c in train} & {c.prompt_hash for c in held_out}
    assert list(sets.train) == train
    question, answer = train[0].messages
    assert "f(1)=" in question["content"]
    assert answer["role"] == "assistant"
    assert sum("def f(x): return" in c.messages[1]["content"] for c in train) == len(train)
