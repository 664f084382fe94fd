import pytest

from dunwu.runs.digest import comparable_digest
from dunwu.runs.folder import RunFolder


def test_the_overview_comes_with_the_last_rollout(invoke, finished_run):
    result = invoke("show", finished_run)
    assert result.exit_code == 0, result.stderr
    assert "stage r1_zero: finished, 4 of 4 steps" in result.stdout
    assert "right answers (pass@1)" in result.stdout
    assert "reward         0.25   ▁▃▆█  1" in result.stdout
    assert "evaluations (--evaluation): before, after" in result.stdout
    assert "rollout 2 (steps 3 to 4): 3 of 3 groups" in result.stdout
    assert "p20" in result.stdout
    assert "p22" in result.stdout
    assert "replaced before training" in result.stdout


def test_a_step_shows_the_rollout_it_trained_on(invoke, finished_run):
    result = invoke("show", finished_run, "--step", 2)
    assert "rollout 1 (steps 1 to 2)" in result.stdout
    assert "p10" in result.stdout
    assert "p20" not in result.stdout
    assert "finished" not in result.stdout


def test_filters_choose_problems_and_rollouts(invoke, finished_run):
    right = invoke("show", finished_run, "--only", "right").stdout
    assert "1 of 3 groups" in right
    assert "#0 right" in right
    assert "wrong " not in right
    one = invoke("show", finished_run, "--prompt", "p21").stdout
    assert "p21" in one
    assert "p20" not in one
    limited = invoke("show", finished_run, "--step", 4, "--limit", 1).stdout
    assert "1 of 3 groups (--limit 0 shows all 3)" in limited
    assert invoke("show", finished_run, "--step", 4, "--limit", 0).stdout.count("reference:") == 3


def test_nothing_that_matches_says_what_there_is(invoke, finished_run):
    result = invoke("show", finished_run, "--prompt", "p2")
    assert result.exit_code == 0
    assert "no problem p2; there are for example p2" in result.stdout
    assert "no rollout is right" in invoke("show", finished_run, "--prompt", "p21", "--only", "right").stdout


def test_rollouts_with_a_text_in_completion_or_question(invoke, finished_run):
    everything = invoke("show", finished_run, "--step", 4, "--limit", 0).stdout
    question = next(line for line in everything.splitlines() if "│" in line).strip("│ ")
    found = invoke("show", finished_run, "--step", 4, "--contains", question.upper()).stdout
    assert question in found
    nothing = invoke("show", finished_run, "--contains", "nowhere", "--only", "right").stdout
    assert "no rollout is right and with 'nowhere'" in nothing


def test_an_evaluations_samples(invoke, finished_run):
    result = invoke("show", finished_run, "--evaluation", "before")
    assert "evaluation before: 2 of 2 groups" in result.stdout
    assert "p1" in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--step", 9), "no rollouts of step 9; it has those of steps 1 to 4"),
        (("--stage", "sft"), "no stage 'sft'; its stages are r1_zero"),
        (("--evaluation", "middle"), "no evaluation 'middle'; it has: before, after"),
    ],
)
def test_what_is_not_there_is_told(invoke, finished_run, options, said):
    result = invoke("show", finished_run, *options)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_folder_that_is_no_run_is_told(invoke, tmp_path):
    result = invoke("show", tmp_path)
    assert result.exit_code == 2
    assert "is not a run folder" in result.stderr


def test_a_run_that_has_just_begun(invoke, tmp_path, recipe):
    RunFolder.open(tmp_path / "r", recipe).close()
    result = invoke("show", tmp_path / "r")
    assert result.exit_code == 0
    assert "stage r1_zero: not begun, 0 of 4 steps" in result.stdout
    assert "no rollouts yet" in result.stdout
    missing = invoke("show", tmp_path / "r", "--step", 1)
    assert "it has those of steps 1 to 0" not in missing.stderr
    assert missing.exit_code == 2


def test_the_digest_is_that_of_the_run_folder(invoke, finished_run):
    lines = invoke("show", finished_run, "--digest").stdout.splitlines()
    assert dict(reversed(line.split("  ")) for line in lines) == comparable_digest(finished_run)


def test_long_completions_are_cut_unless_asked_for(invoke, tmp_path, recipe, make_group):
    with RunFolder.open(tmp_path / "r", recipe) as run:
        groups = [make_group(1, True, text="x" * 4000)]
        run.stage("r1_zero").begin({})
        run.stage("r1_zero").write_rollouts(1, groups, first_step=1, last_step=1)
    assert "--full shows them" in invoke("show", tmp_path / "r").stdout
    assert invoke("show", tmp_path / "r", "--full").stdout.count("x") >= 4000
    assert "rollout 1 (step 1)" in invoke("show", tmp_path / "r").stdout


def test_what_decontamination_left_out_is_told(invoke, finished_run, recipe):
    example = {
        "sample": "What is 2 + 3?",
        "shared": "what is 2 + 3",
        "evaluation_item": "line 7",
        "evaluation_set": "bench",
    }
    reports = {
        "task": {"samples": 1200, "removed": 2, "examples": [example]},
        "data": {"samples": 5, "removed": 0, "examples": []},
    }
    with RunFolder.open(finished_run, recipe) as run:
        run.stage("r1_zero").write_decontamination(reports)
    text = " ".join(invoke("show", finished_run).stdout.split())
    assert "2 of 1,200 samples of task are left out because an evaluation set holds them" in text
    assert "'what is 2 + 3' with item line 7 of bench" in text
    assert "samples of data" not in text
    assert "r1_zero leaves out 2 of 1,200 samples of task" in " ".join(
        invoke("status", finished_run).stdout.split()
    )
    (finished_run / "r1_zero" / "decontamination.json").write_text("{")
    assert "decontamination.json is damaged" in invoke("show", finished_run).stderr
