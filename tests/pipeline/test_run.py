"""Which stages run, are kept, run again or are refused, and what the run folder holds afterwards."""

from pathlib import Path

import pytest

from dunwu.errors import ConfigError, DunwuWarning, RunError
from dunwu.runs.digest import comparable_digest


@pytest.fixture
def three(build, stage):
    """one -> two -> three, and a fourth that stands alone; `changes` are the keys of stage one."""

    def make(**changes):
        return build(
            stage("one", **changes),
            stage("two", "one"),
            stage("three", "two", ["rows.jsonl", "stage:one"]),
            stage("alone"),
        )

    return make


def lr(value):
    return {"optimizer": {"learning_rate": value}}


ALL = ["one", "two", "three", "alone"]


def test_stages_run_in_order_from_what_they_name(chain, three):
    progress = chain.run(three())
    assert chain.ran == ALL
    assert chain.model("one") == chain.model("alone")
    assert len({chain.model(name) for name in ALL}) == 3
    assert progress.messages == []
    assert [record["name"] for record in chain.folder().read_summary()] == ALL
    assert [event["event"] for event in chain.folder().read_events()][-1] == "finished"


def test_a_finished_run_is_kept(chain, three):
    chain.run(three())
    before = comparable_digest(chain.path)
    progress = chain.run(three())
    assert chain.ran == []
    assert progress.messages == [
        f"stage {name} is finished; its model is {chain.path / name / 'model'}" for name in ALL
    ]
    assert comparable_digest(chain.path) == before


def test_a_changed_value_is_refused_and_nothing_is_touched(chain, three):
    chain.run(three())
    before = comparable_digest(chain.path)
    with pytest.raises(RunError) as caught:
        chain.run(three(**lr(1e-4)))
    text = str(caught.value)
    assert "one (is finished):\n    optimizer.learning_rate: was 5e-05, is now 0.0001" in text
    assert "runs again if it comes out different: two, three." in text
    assert "--rerun-changed" in text
    assert "one.replaced-1" in text
    assert chain.ran == []
    assert comparable_digest(chain.path) == before


def test_a_changed_value_reruns_exactly_what_depends_on_it(chain, three):
    chain.run(three())
    old = {name: chain.model(name) for name in ALL}
    progress = chain.run(three(**lr(1e-4)), "rerun_changed")
    assert chain.ran == ["one", "two", "three"]
    assert all(chain.model(name) != old[name] for name in chain.ran)
    assert (
        "stage one runs again (optimizer.learning_rate: was 5e-05, is now 0.0001); what it was"
        in progress.messages[0]
    )
    assert "stage two runs again (start: the content of one has changed)" in progress.messages[1]
    assert (
        "stage three runs again (start: the content of two has changed; data.train.1: the content of stage:one"
        in (progress.messages[2])
    )
    assert (chain.path / "one.replaced-1" / "model" / "weights").read_text() == old["one"]
    assert chain.folder().aside() == [chain.path / f"{name}.replaced-1" for name in ("one", "three", "two")]


def test_after_a_rerun_the_run_is_what_a_new_run_would_be(chain, three, tmp_path):
    chain.run(three())
    chain.run(three(**lr(1e-4)), "rerun_changed")
    rerun = comparable_digest(chain.path)
    chain.path = tmp_path / "fresh"
    chain.run(three(**lr(1e-4)))
    assert comparable_digest(chain.path) == rerun


def test_a_rerun_that_makes_the_same_leaves_what_depends_on_it(chain, three):
    chain.run(three())
    chain.run(three(turns="last"), "rerun_changed")  # the stand-in stage does not look at `turns`
    assert chain.ran == ["one"]


def test_a_second_rerun_is_set_aside_under_the_next_number(chain, three):
    chain.run(three())
    chain.run(three(**lr(1e-4)), "rerun_changed", last="one")
    chain.run(three(**lr(2e-4)), "rerun_changed", last="one")
    assert [path.name for path in chain.folder().aside()] == ["one.replaced-1", "one.replaced-2"]


def test_another_seed_changes_every_stage_and_is_told_once(chain, build, stage):
    stages = (stage("one"), stage("two", "one"))
    chain.run(build(*stages))
    with pytest.raises(RunError) as caught:
        chain.run(build(*stages, seed=9))
    assert str(caught.value).count("seed: was 1, is now 9") == 1
    chain.run(build(*stages, seed=9), "rerun_changed")
    assert chain.ran == ["one", "two"]


def test_a_changed_data_file_reruns_who_reads_it(chain, build, stage):
    Path("more.jsonl").write_text("{}")
    recipe = build(stage("one"), stage("two", "one", "more.jsonl"), stage("three", "base", "more.jsonl"))
    chain.run(recipe)
    Path("more.jsonl").write_text('{"new": 1}')
    with pytest.raises(RunError, match=r"data\.train\.0: the content of more\.jsonl has changed"):
        chain.run(recipe)
    chain.run(recipe, "rerun_changed")
    assert chain.ran == ["two", "three"]


def test_a_file_and_a_model_may_move(chain, build, stage):
    chain.run(build(stage("one")))
    Path("rows.jsonl").rename("moved.jsonl")
    Path("base-model").rename("moved-model")
    chain.run(build(stage("one", train="moved.jsonl"), model={"path": "moved-model"}))
    assert chain.ran == []


def test_a_changed_base_model_reruns_who_starts_from_it(chain, build, stage):
    Path("student").mkdir()
    Path("student/config.json").write_text('{"student": 1}')
    models = {"student": {"path": "student"}}
    recipe = build(stage("one"), stage("two", "student"), stage("three", "two"), models=models)
    chain.run(recipe)
    Path("student/config.json").write_text('{"student": 2}')
    with pytest.raises(
        RunError, match=r"two \(is finished\):\n    start: the content of student has changed"
    ):
        chain.run(recipe)
    chain.run(recipe, "rerun_changed")
    assert chain.ran == ["two", "three"]


def test_another_start_is_a_change(chain, build, stage):
    chain.run(build(stage("one"), stage("two")))
    with pytest.raises(RunError, match="start: was base, is now one, which has other content"):
        chain.run(build(stage("one"), stage("two", "one")))


def test_further_stages_may_be_added_and_others_taken_out(chain, build, stage):
    chain.run(build(stage("one")))
    chain.run(build(stage("zero"), stage("one"), stage("two", "one")))
    assert chain.ran == ["zero", "two"]
    chain.run(build(stage("one")))
    assert chain.ran == []
    assert [record["name"] for record in chain.folder().read_summary()] == ["one"]
    assert (chain.path / "two" / "model").is_dir()


def test_what_does_not_change_the_result_may_change(chain, three):
    chain.run(three())
    chain.run(three(checkpoint={"every_steps": 3}, batch={"gradient_checkpointing": True}))
    assert chain.ran == []
    assert chain.folder().recipe.stages[0].checkpoint.every_steps == 3


def test_half_done_a_changed_value_is_refused_too_and_its_folder_kept(chain, three):
    chain.failing = {"one"}
    with pytest.raises(OSError, match="no space"):
        chain.run(three())
    with pytest.raises(RunError, match=r"one \(is not finished\):\n    optimizer\.learning_rate: was 5e-05"):
        chain.run(three(**lr(1e-4)))
    chain.failing = set()
    chain.run(three(**lr(1e-4)), "rerun_changed")
    assert chain.ran == ALL
    assert (chain.path / "one.replaced-1" / "manifest.json").is_file()


def test_half_done_it_may_go_on_in_another_cut_and_says_that_it_rounds_otherwise(chain, three):
    chain.failing = {"one"}
    with pytest.raises(OSError, match="no space"):
        chain.run(three())
    chain.failing = set()
    with pytest.warns(
        DunwuWarning, match=r"one goes on .*batch\.micro_batch_tokens: was 32768, is now 65536"
    ):
        chain.run(three(batch={"micro_batch_tokens": 65536}))
    assert chain.ran == ALL


def test_what_a_stage_pinned_and_finds_changed_is_set_aside_when_told(chain, three, monkeypatch):
    chain.failing = {"one"}
    with pytest.raises(OSError, match="no space"):
        chain.run(three())
    manifest = chain.path / "one" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"max_tokens": "32768"', '"max_tokens": "7"'))
    chain.failing = set()
    with pytest.raises(RunError, match=r'max_tokens: was "7", is now "32768"'):
        chain.run(three())
    progress = chain.run(three(), "rerun_changed")
    assert chain.ran == ALL
    assert 'stage one runs again (max_tokens: was "7", is now "32768")' in progress.messages[0]


@pytest.mark.parametrize("name", ["model/weights", "data/rows.jsonl", "record.json"])
@pytest.mark.parametrize("harm", [lambda p: p.write_text(p.read_text()[:-4]), lambda p: p.unlink()])
def test_a_damaged_output_is_named_and_made_again_when_told(chain, three, name, harm):
    chain.run(three())
    before = comparable_digest(chain.path)
    harm(chain.path / "one" / name)
    with pytest.raises(RunError, match=rf"one/{name} (has changed since the stage finished|is missing)"):
        chain.run(three())
    chain.run(three(), "rerun_changed")
    assert chain.ran == ["one"]
    assert comparable_digest(chain.path) == before


def test_a_changed_summary_is_named_and_comes_back(chain, three):
    chain.run(three())
    before = comparable_digest(chain.path)
    path = chain.path / "summary.json"
    path.write_text(path.read_text().replace('"nll": 1.0', '"nll": 0.5', 1))
    with pytest.raises(RunError, match=r"summary\.json has changed"):
        chain.run(three())
    path.unlink()
    chain.run(three())
    assert comparable_digest(chain.path) == before


def test_a_stage_whose_folder_was_deleted_runs_again(chain, three):
    chain.run(three())
    before = comparable_digest(chain.path)
    (chain.path / "two").rename(chain.path.parent / "elsewhere")
    chain.run(three())
    assert chain.ran == ["two"]
    assert comparable_digest(chain.path) == before


def test_part_of_a_chain(chain, three):
    chain.run(three(), last="one")
    assert chain.ran == ["one"]
    chain.run(three(), first="two", last="two")
    assert chain.ran == ["two"]
    chain.run(three(), first="three")
    assert chain.ran == ["three", "alone"]


def test_a_stage_that_is_left_out_and_needed_must_be_finished(chain, three):
    with pytest.raises(
        RunError, match="two reads stage one, which is left out and has not run; begin with it: --from one"
    ):
        chain.run(three(), first="two")
    with pytest.raises(RunError, match=r"reads stage two, .*; begin with one: --from one --until three"):
        chain.run(three(), first="three", last="three")
    chain.failing = {"one"}
    with pytest.raises(OSError, match="no space"):
        chain.run(three())
    with pytest.raises(RunError, match="which is left out and is not finished"):
        chain.run(three(), first="two")
    chain.run(three(), first="alone")
    assert chain.ran == ["alone"]


def test_a_stage_that_is_left_out_and_needed_must_be_what_the_recipe_says(chain, three):
    chain.run(three())
    with pytest.raises(RunError) as caught:
        chain.run(three(**lr(1e-4)), first="two", last="two")
    assert "two reads stage one, which is left out and was made with something else" in str(caught.value)
    assert "--from one --rerun-changed" in str(caught.value)
    chain.run(three(**lr(1e-4)), first="alone")
    assert chain.ran == []


def test_a_stage_that_is_not_there_is_told_before_anything_is_made(chain, three):
    with pytest.raises(ConfigError, match="no stage tow; did you mean two"):
        chain.run(three(), first="tow")


def test_a_failing_stage_ends_the_run_and_the_same_call_goes_on(chain, three):
    chain.failing = {"two"}
    with pytest.raises(OSError, match="no space"):
        chain.run(three())
    assert chain.ran == ["one"]
    assert [record["name"] for record in chain.folder().read_summary()] == ["one"]
    chain.failing = set()
    chain.run(three())
    assert chain.ran == ["two", "three", "alone"]


def test_one_file_of_a_stages_data_can_be_named_and_must_be_there(chain, build, stage):
    chain.run(
        build(stage("one"), stage("two", "base", "stage:one/rows.jsonl"), stage("three", "base", "stage:one"))
    )
    assert chain.model("two") == chain.model("three")
    with pytest.raises(RunError, match=r'"stage:one/other\.jsonl": stage one made rows\.jsonl in'):
        chain.run(build(stage("one"), stage("four", "base", "stage:one/other.jsonl")))


def test_a_stage_whose_evaluation_is_not_whole_is_not_finished(chain, three):
    chain.failing = {"one"}
    with pytest.raises(OSError, match="no space"):
        chain.run(three())
    chain.failing = set()
    (chain.path / "one" / "evaluation").mkdir()
    (chain.path / "one" / "evaluation" / "before.json").write_text('{"step": 0}')
    with pytest.raises(
        RunError, match=r"before\.parquet cannot be read .*delete .*one to start that stage again"
    ):
        chain.run(three())
    assert not chain.folder().stage("one").finished
