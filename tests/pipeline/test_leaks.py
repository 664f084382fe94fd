"""Leaks are left out of training and reported; a change of the evaluation sets reruns a stage only if it leaves out others."""

import json
from pathlib import Path

import pytest

import dunwu.pipeline.run
from dunwu.data.conversations import load_conversations
from dunwu.errors import DataError, RunError
from dunwu.pipeline.plan import plan_of
from dunwu.pipeline.selection import Selection
from dunwu.pipeline.status import run_status
from dunwu.stages.decontamination import Sample

LEAKED = "A farmer has nineteen cows and all but seven of them run away in the night. How many are left?"


def conversations(path, *questions, answer="It is clear."):
    rows = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
        for question in questions
    ]
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))


def problems(path, *questions):
    Path(path).write_text("".join(json.dumps({"question": question}) + "\n" for question in questions))


@pytest.fixture
def learning(chain, monkeypatch):
    """The chain, with stages that learn the questions of their conversations."""

    def run_stage(stage, context):
        kept = context.clean_conversations("data", load_conversations(stage.data).train)
        learned = [conversation.messages[0]["content"] for conversation in kept]

        def write(folder):
            (folder / "config.json").write_text("{}")
            (folder / "weights").write_text(json.dumps(learned))

        context.folder.save_model(write)
        chain.ran.append(stage.name)
        return {"name": stage.name}

    monkeypatch.setattr(dunwu.pipeline.run, "run_stage", run_stage)
    conversations("rows.jsonl", *(f"Plain question {n}?" for n in range(8)), f"Tell me: {LEAKED.upper()}")
    conversations("held.jsonl", "Something else?")
    conversations("two.jsonl", "Second stage?", "Second question?")
    problems("bench.jsonl", LEAKED, "Another one?")
    problems("more.jsonl", "Nobody has ever seen this one")
    return chain


@pytest.fixture
def recipe(build, stage):
    def make(*against, **decontamination):
        data = {"kind": "messages", "train": "rows.jsonl", "held_out": "held.jsonl"}
        facts = {"against": list(against), **decontamination}
        two = {**stage("two", "one"), "data": {"kind": "messages", "train": "two.jsonl", "num_held_out": 1}}
        return build({**stage("one"), "data": data}, two, decontamination=facts)

    return make


def learned(chain, name="one"):
    return json.loads(chain.model(name))


def test_a_planted_leak_is_left_out_and_reported(learning, recipe):
    progress = learning.run(recipe("bench.jsonl"), last="one")
    assert learned(learning) == [f"Plain question {n}?" for n in range(8)]
    assert (
        "1 of 9 training samples of one.data are left out because they hold an evaluation item"
        in progress.messages[0]
    )
    assert "A FARMER" in progress.messages[0]
    report = learning.folder().stage("one").read_decontamination()["data"]
    assert (report["samples"], report["removed"], report["ngram_size"]) == (9, 1, 10)
    assert report["evaluation_sets"] == {
        "held-out set of one.data": {"items": 1, "removed": 0},
        "held-out set of two.data": {"items": 1, "removed": 0},
        "bench.jsonl": {"items": 2, "removed": 1},
    }
    (example,) = report["examples"]
    assert example["evaluation_item"] == "bench.jsonl line 1"
    assert example["evaluation_question"] == LEAKED
    assert example["sample"] == f"rows.jsonl line 9: Tell me: {LEAKED.upper()}"
    assert example["shared"] == "a farmer has nineteen cows and all but seven of"
    status = run_status(learning.path)
    assert status.stages[0].removed == {"data": (1, 9)}


def test_an_answer_gives_a_question_away_too(learning, recipe):
    conversations("rows.jsonl", "Plain?", "Harmless?", answer=f"That is like: {LEAKED}")
    with pytest.raises(DataError, match=r"every training sample of one\.data holds an evaluation item"):
        learning.run(recipe("bench.jsonl"), last="one")


def test_a_held_out_set_of_another_stage_counts(learning, recipe, stage, build):
    conversations("held.jsonl", LEAKED)
    data = {"kind": "messages", "train": "more_rows.jsonl", "held_out": "held.jsonl"}
    conversations("more_rows.jsonl", "Fine?")
    one = {**stage("one"), "data": {"kind": "messages", "train": "rows.jsonl", "num_held_out": 1}}
    learning.run(build(one, {**stage("two"), "data": data}))
    assert len(learned(learning)) == 7
    assert LEAKED.upper() not in str(learned(learning))


def test_a_leak_in_another_stages_data_is_found_there(learning, recipe):
    conversations("two.jsonl", *(f"Second {n}?" for n in range(4)), f"Now: {LEAKED}")
    learning.run(recipe("bench.jsonl"))
    assert 2 <= len(learned(learning, "two")) <= 4  # one of five is held out
    assert LEAKED not in str(learned(learning, "two"))


def test_another_evaluation_set_without_leaks_reruns_nothing(learning, recipe):
    learning.run(recipe("bench.jsonl"), last="one")
    before = (learning.path / "one" / "manifest.json").read_text()
    learning.run(recipe("bench.jsonl", "more.jsonl"), last="one")
    assert learning.ran == []
    after = (learning.path / "one" / "manifest.json").read_text()
    assert after != before  # it is noted, so that it need not be found out again
    learning.run(recipe("bench.jsonl", "more.jsonl"), last="one")
    assert (learning.path / "one" / "manifest.json").read_text() == after


def test_another_evaluation_set_that_leaks_is_refused_and_reruns_when_told(learning, recipe):
    learning.run(recipe("more.jsonl"), last="one")
    assert len(learned(learning)) == 9
    changed = recipe("more.jsonl", "bench.jsonl")
    with pytest.raises(
        RunError, match="decontamination: with the evaluation sets as they are now, other samples of data"
    ):
        learning.run(changed, last="one")
    learning.run(changed, "rerun_changed", last="one")
    assert learning.ran == ["one"]
    assert len(learned(learning)) == 8


def test_a_changed_evaluation_file_is_noticed(learning, recipe):
    problems("bench.jsonl", "Another one?")
    learning.run(recipe("bench.jsonl"), last="one")
    problems("bench.jsonl", "Another one?", LEAKED)
    with pytest.raises(RunError, match="other samples of data are left out"):
        learning.run(recipe("bench.jsonl"), last="one")


def test_without_looking_at_the_data_a_changed_set_is_taken_for_harmless(learning, recipe):
    learning.run(recipe("more.jsonl"), last="one")
    (one, _) = plan_of(recipe("bench.jsonl"), learning.path, Selection())
    assert one.action == "keep"


def test_switched_off_it_says_so_and_trains_on_everything(learning, build, stage):
    data = {"kind": "messages", "train": "rows.jsonl", "held_out": "held.jsonl"}
    off = build({**stage("one"), "data": data}, decontamination="none")
    progress = learning.run(off)
    assert len(learned(learning)) == 9
    assert (
        "one.data is not compared with any evaluation set: decontamination is switched off"
        in progress.messages[0]
    )
    assert learning.folder().stage("one").read_decontamination() == {}
    on = build({**stage("one"), "data": data}, decontamination={"against": "bench.jsonl"})
    with pytest.raises(RunError, match="other samples of data are left out"):
        learning.run(on)


def test_much_is_suspicious(learning, recipe):
    conversations("rows.jsonl", *(f"{LEAKED} {n}" for n in range(5)), *(f"Plain {n}" for n in range(6)))
    progress = learning.run(recipe("bench.jsonl"), last="one")
    assert "5 of 11 training samples" in progress.messages[0]
    assert "that is much: if it is a shared instruction or template" in progress.messages[0]


def test_samples_of_other_kinds_are_compared_too_and_taken_to_change_with_the_sets(
    learning, recipe, monkeypatch
):
    removed = []

    def run_stage(stage, context):
        samples = [
            Sample([f"Pair {n}?"], ["good", LEAKED if n == 2 else "bad"], f"pair {n}") for n in range(4)
        ]
        removed.append(context.clean_samples("optimizer", samples))
        context.folder.save_model(lambda folder: (folder / "config.json").write_text("{}"))
        return {"name": stage.name}

    monkeypatch.setattr(dunwu.pipeline.run, "run_stage", run_stage)
    learning.run(recipe("bench.jsonl"), last="one")
    assert removed == [frozenset({2})]
    report = learning.folder().stage("one").read_decontamination()["optimizer"]
    assert report["examples"][0]["sample"] == "pair 2"
    with pytest.raises(RunError, match="other samples of optimizer are left out"):
        learning.run(recipe("bench.jsonl", "more.jsonl"), last="one")
