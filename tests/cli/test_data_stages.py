"""What the commands make of a run of a data stage: plan, overview, report."""

from pathlib import Path

from rich.console import Console

from dunwu.cli.plan import memory_parts, peak_bytes, print_plan
from dunwu.cli.report import print_report, stage_table
from dunwu.config.load import build_recipe
from dunwu.config.recipe import Recipe
from dunwu.runs.folder import RunFolder

SETTINGS = {"hidden_size": 10, "num_hidden_layers": 2, "num_attention_heads": 5, "vocab_size": 100}
RECORD = {
    "name": "cold_start",
    "num_steps": 4,
    "prompts": 10,
    "prompts_with_rows": 7,
    "samples": 40,
    "kept": 7,
    "rows": 1007,
    "dropped": {"incorrect": 30, "mixed_language": 3},
    "joined": {"writing": 1000},
    "kinds": {"sum": 7},
    "wall_seconds": 61.0,
}


def make() -> Recipe:
    stages = [
        {
            "kind": "cold_start",
            "task": {"kind": "world", "num_train": 1000},
            "prompts_per_chunk": 50,
            "sampling": {"max_new_tokens": 72},
            "joined": [{"label": "writing", "sources": ["w.jsonl"]}],
        },
        {
            "kind": "rejection_sampling",
            "task": {"kind": "file", "train": "a.jsonl"},
            "judge": {"by": {"kind": "endpoint", "base_url": "http://here/v1", "model": "big"}},
        },
    ]
    return build_recipe({"name": "test", "model": {"path": "micro"}, "stages": stages}, source="test")


def written(console: Console) -> str:
    return console.export_text()


def test_the_plan_says_who_is_asked_how_often_and_what_stays(tmp_path: Path) -> None:
    console = Console(record=True, width=160)
    print_plan(console, make(), tmp_path, continues=False)
    lines = [" ".join(line.split()) for line in written(console).splitlines()]
    for line in (
        "prompts 1,000, 50 at once",
        "completions 8 of each, 8,000 in all, of at most 72 tokens",
        "kept at most 1 of each prompt, correct and readable",
        "rewritten by rules",
        "joined with writing: w.jsonl",
        "prompts all training problems, 64 at once",
        "judged by big at http://here/v1 (graders text)",
    ):
        assert line in lines


def test_sampling_needs_weights_and_cache_and_nothing_of_training() -> None:
    recipe = make()
    parts = memory_parts(recipe, recipe.stages[0], SETTINGS, 1000)
    assert parts["weights"] == 4 * 1000
    # 256 sequences of 128 + 72 tokens; keys and values of 2 layers, 5 heads of size 2; float32
    assert parts["cache while sampling"] == 256 * 200 * 2 * 2 * 5 * 2 * 4
    assert peak_bytes(parts) == parts["program"] + parts["weights"] + parts["cache while sampling"]


def test_the_report_counts_what_was_dropped_by_the_reason(tmp_path: Path) -> None:
    console = Console(record=True, width=120)
    console.print(stage_table(RECORD))
    text = written(console)
    assert "stage cold_start: 1,007 rows from 40 completions, 1 min 01 s" in " ".join(text.split())
    lines = [" ".join(line.replace("│", " ").split()) for line in text.splitlines()]
    order = ["kept: sum 7", "joined: writing 1,000", "dropped: incorrect 30", "dropped: mixed language 3"]
    assert [line for line in lines if line in order] == order


def test_a_finished_run_is_shown_whole(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "run", make()) as run:
        stage = run.stage("cold_start")
        stage.begin({})
        stage.append_metrics(1, {"accuracy": 0.25, "length_mean": 9.0})
        stage.write_data("train.jsonl", lambda path: path.write_text("{}\n") and None)
        stage.finish(RECORD)
        run.write_summary()
    console = Console(record=True, width=120)
    print_report(console, tmp_path / "run")
    assert "dropped: mixed language" in written(console)
