import json

import pytest

from dunwu.config.load import build_recipe
from dunwu.data.evaluation_sets import evaluation_items, evaluation_sources
from dunwu.errors import ConfigError, DataError


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def problems(tmp_path):
    rows = [{"question": f"Question number {n}?", "answer": f"Because of {n}."} for n in range(9)]
    return write(tmp_path / "problems.jsonl", rows)


@pytest.fixture
def chats(tmp_path):
    rows = [
        {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"Ask {n}"},
                      {"role": "assistant", "content": f"Say {n}"}, {"role": "user", "content": f"And {n}"},
                      {"role": "assistant", "content": "Well", "reasoning_content": "hm"}]}
        for n in range(6)
    ]  # fmt: skip
    return write(tmp_path / "chats.jsonl", rows)


def build(*stages, **changes):
    return build_recipe(
        {"name": "x", "model": {"path": "micro"}, "stages": list(stages), **changes}, source="x"
    )


def r1_zero(task, name="r1_zero"):
    return {"kind": "r1_zero", "name": name, "task": task, "evaluation": {"num_problems": 2}}


def sft(data, name="sft"):
    return {"kind": "sft", "name": name, "data": data}


def test_every_stages_held_out_set_is_found_once(problems, chats):
    file = {"kind": "file", "train": problems, "num_held_out": 3}
    world = {"kind": "world", "num_held_out": 4}
    recipe = build(
        r1_zero(file),
        r1_zero(world, "two"),
        r1_zero(file, "three"),
        sft({"kind": "messages", "train": chats, "num_held_out": 2}),
        {"kind": "cold_start", "start": "two", "task": world},
        sft({"kind": "messages", "train": ["stage:cold_start", chats]}, "sft_2"),
    )
    assert [source.name for source in evaluation_sources(recipe)] == [
        "held-out set of r1_zero.task",
        "held-out set of two.task",
        "held-out set of sft.data",
    ]
    items = list(evaluation_items(recipe))
    assert [sum(item.set_name == source.name for item in items) for source in evaluation_sources(recipe)] == [
        3,
        4,
        4,
    ]


def test_problems_of_files_come_with_solutions_and_generated_ones_as_a_whole(problems):
    file = {"kind": "file", "train": problems, "num_held_out": 3}
    items = list(evaluation_items(build(r1_zero(file), r1_zero({"kind": "world", "num_held_out": 2}, "two"))))
    of_file, of_world = items[:3], items[3:]
    assert {item.question.partition(" ")[0] for item in of_file} == {"Question"}
    for item in of_file:
        number = item.question.split()[2].strip("?")
        assert item.solution == f"Because of {number}."
        assert item.id == f"problems.jsonl line {int(number) + 1}"
        assert not item.whole_only
    assert all(item.whole_only for item in of_world)


def test_conversations_held_out_of_training_files_are_compared_by_questions_as_a_whole(chats, tmp_path):
    (items) = list(evaluation_items(build(sft({"kind": "messages", "train": chats, "num_held_out": 1}))))
    assert [item.question.split()[0] for item in items] == ["Ask", "And"]
    assert all(item.whole_only and item.solution == "" for item in items)
    other = write(
        tmp_path / "other.jsonl",
        [{"messages": [{"role": "user", "content": "New"}, {"role": "assistant", "content": "x"}]}],
    )
    (item,) = evaluation_items(build(sft({"kind": "messages", "train": chats, "held_out": other})))
    assert (item.question, item.whole_only, item.id) == ("New", False, "other.jsonl line 1")


def test_files_to_stay_away_from_may_be_names_or_tables(problems, tmp_path):
    hard = write(tmp_path / "hard.jsonl", [{"problem": "P", "proof": "Q"}])
    world = r1_zero({"kind": "world", "num_held_out": 2})
    against = [problems, {"source": hard, "question_column": "problem", "answer_column": "proof"}]
    recipe = build(world, decontamination={"against": against})
    items = [item for item in evaluation_items(recipe) if item.set_name in (problems, hard)]
    assert len(items) == 10
    assert items[0].solution == ""
    assert (items[-1].question, items[-1].solution, items[-1].whole_only) == ("P", "Q", False)
    single = build(world, decontamination={"against": problems})
    assert single.decontamination.against[0].source == problems


def test_what_is_wrong_with_them_is_told(problems):
    world = r1_zero({"kind": "world"})
    with pytest.raises(ConfigError, match="a stage's data are training data"):
        build(world, decontamination={"against": ["stage:x"]})
    with pytest.raises(ConfigError, match="did you mean `ngram_size`"):
        build(world, decontamination={"ngram": 10})
    recipe = build(world, decontamination={"against": [{"source": problems, "question_column": "qestion"}]})
    with pytest.raises(DataError, match="did you mean 'question'"):
        list(evaluation_items(recipe))
    assert build(world, decontamination="none").decontamination is None
