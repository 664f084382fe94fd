from dunwu.analysis.examples import find_example
from dunwu.cli.report import before_after, print_report, warning_lines
from dunwu.runs.folder import RunFolder


def written(console):
    return console.file.getvalue()


def test_the_table_sets_before_and_after_side_by_side(console):
    before = {"pass_at_1": 0.25, "pass_at_1_interval": [0.2, 0.3], "cons_at_16": 0.5, "length_mean": 20.25}
    after = {**before, "pass_at_1": 0.875, "length_mean": None, "format": 1.0}
    record = {"name": "r1_zero", "before": before, "after": after, "num_problems": 512, "wall_seconds": 95.0}
    console.print(before_after(record))
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in written(console).splitlines()
        if "│" in line
    ]
    assert "r1_zero: 512 held-out problems, 1 min 35 s" in written(console)
    assert rows == [
        ["right answers (pass@1)", "25.0% ± 5.0", "87.5% ± 5.0"],
        ["majority (cons@16)", "50.0%", "50.0%"],
        ["length in tokens", "20.2", "-"],
    ]


def test_an_example_is_a_problem_that_was_learned(finished_run):
    group, wrong, right = find_example(RunFolder.read(finished_run).stage("r1_zero"))
    assert group.prompt.problem.id == "p1"
    assert wrong.reward.correct is False
    assert right.reward.correct is True


def test_without_something_learned_there_is_no_example(tmp_path, recipe, make_group):
    with RunFolder.open(tmp_path / "r", recipe) as run:
        stage = run.stage("r1_zero")
        assert find_example(stage) is None
        stage.write_evaluation(
            "before",
            {},
            [make_group(1, True, True), make_group(3, False), make_group(4, True, False)],
            step=0,
        )
        stage.write_evaluation(
            "after", {}, [make_group(1, True, True), make_group(9, True), make_group(4, True, True)], step=4
        )
        assert find_example(stage) is None


def test_the_report_shows_table_example_and_places(console, finished_run):
    print_report(console, finished_run)
    text = written(console)
    assert "right answers (pass@1)" in text
    assert "What is 1 + 1 [red]?   (answer: 2)" in text
    assert text.index("─ before ─") < text.index("─ after ─")
    assert f"the model is in       {finished_run}/r1_zero/model" in text
    assert f"dunwu show {finished_run}" in text
    assert f"dunwu generate {finished_run}" in text


def test_an_unfinished_run_only_says_where_it_is(console, tmp_path, recipe):
    RunFolder.open(tmp_path / "r", recipe).close()
    print_report(console, tmp_path / "r")
    assert written(console).strip() == f"everything is in      {tmp_path / 'r'}"


def test_long_examples_are_cut(console, tmp_path, recipe, make_group):
    with RunFolder.open(tmp_path / "r", recipe) as run:
        stage = run.stage("r1_zero")
        stage.begin({})
        stage.write_evaluation("before", {}, [make_group(1, False)], step=0)
        stage.write_evaluation("after", {}, [make_group(1, True, text="x" * 5000)], step=4)
        stage.finish({"name": "r1_zero", "before": {}, "after": {}, "num_problems": 1})
        run.write_summary()
    print_report(console, tmp_path / "r")
    assert "[...]" in written(console)
    assert written(console).count("x") < 1300


GENERAL = {
    "preference": 0.5,
    "preference_interval": [0.4, 0.6],
    "helpfulness": 0.75,
    "helpfulness_interval": [0.7, 0.8],
    "format": 1.0,
    "length_mean": 12.0,
}


def test_general_prompts_have_rows_of_their_own(console):
    figures = {"pass_at_1": None, "general": GENERAL}
    after = {"pass_at_1": 0.5, "general": {**GENERAL, "preference": 2.5, "preference_interval": [2.0, 3.0]}}
    record = {"name": "general_rl", "before": figures, "after": after, "num_problems": 8}
    console.print(before_after(record))
    text = " ".join(written(console).replace("│", " ").split())
    assert "right answers (pass@1) - 50.0%" in text
    assert "general prompts: preference 50.0% ± 10.0 2.5 ± 0.5" in text  # a score as it is, in its own unit
    assert "general prompts: helpfulness 75.0% ± 5.0 75.0% ± 5.0" in text
    assert "general prompts: length in tokens 12.0 12.0" in text


def test_what_the_watch_saw_is_told(console):
    for line in warning_lines([{"text": "reward hacking suspected at step 9"}]):
        console.print(line)
    assert written(console) == "reward hacking suspected at step 9\n"
    assert warning_lines([]) == []


def test_reward_models_have_rows_of_their_own(console):
    before = {"loss": 0.69, "accuracy": 0.5, "accuracy_interval": [0.4, 0.6], "margin": 0.012}
    after = {"loss": 0.21, "accuracy": 0.9, "accuracy_interval": [0.85, 0.95], "margin": 2.5}
    record = {
        "name": "helpful",
        "before": before,
        "after": after,
        "held_out": {"rows": 64},
        "wall_seconds": 5.0,
    }
    console.print(before_after(record))
    assert "helpful: 64 held-out preferences" in written(console)
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in written(console).splitlines()
        if "│" in line
    ]
    assert rows == [
        ["right preferences", "50.0% ± 10.0", "90.0% ± 5.0"],
        ["loss (nats per row)", "0.69", "0.21"],
        ["chosen less rejected score", "0.012", "2.5"],
    ]
