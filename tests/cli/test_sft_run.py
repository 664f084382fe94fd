"""What the commands make of a run of supervised fine-tuning: plan, overview, report, and how its model is asked afterwards."""

import pytest

from dunwu.analysis.curves import draw_curves
from dunwu.cli.evaluate import recipe_data
from dunwu.cli.generate import TemplateChoice, _template, template_of
from dunwu.cli.model_source import find_model
from dunwu.cli.plan import memory_parts, peak_bytes, print_plan
from dunwu.cli.report import before_after, print_report
from dunwu.config.load import build_recipe
from dunwu.config.task import ChatTemplate, R1ZeroTemplate, WorldTask
from dunwu.errors import ConfigError
from dunwu.runs.folder import RunFolder

SETTINGS = {"hidden_size": 10, "num_hidden_layers": 2, "num_attention_heads": 5, "vocab_size": 100}
FIGURES = {"nll": 0.51234, "perplexity": 1.6692, "token_accuracy": 0.75, "sample_nll": 0.5}
RECORD = {
    "name": "sft",
    "before": FIGURES,
    "after": {**FIGURES, "nll": 0.25, "perplexity": None, "token_accuracy": 0.875},
    "num_steps": 3,
    "train": {"conversations": 90},
    "held_out": {"conversations": 12},
    "wall_seconds": 61.0,
}


def make(**changes):
    data = {"kind": "messages", "train": ["a.jsonl", "b.jsonl"], "num_held_out": 12}
    stage = {"kind": "sft", "data": data, "template": {"kind": "r1"}, "batch_size": 30, **changes}
    model = {"path": "micro", "dtype": "bfloat16"}
    return build_recipe({"name": "test", "model": model, "stages": [stage]}, source="test")


@pytest.fixture
def sft_run(tmp_path):
    path = tmp_path / "run"
    with RunFolder.open(path, make()) as run:
        stage = run.stage("sft")
        stage.begin({})
        stage.write_evaluation("before", FIGURES, [], step=0)
        for step in (1, 2, 3):
            metrics = {
                "nll": 1 / step,
                "entropy": 0.5,
                "grad_norm": 1.0,
                "learning_rate": 1e-5,
                "trained_tokens": 9,
            }
            stage.append_metrics(step, metrics)
            stage.append_timings(step, {"wall_seconds": 1.0})
        stage.write_evaluation("after", RECORD["after"], [], step=3)
        stage.save_model(lambda folder: (folder / "config.json").write_text("{}"))
        stage.finish(RECORD)
        run.write_summary()
    return path


def written(console):
    return console.file.getvalue()


def test_the_plan_names_data_epochs_and_batch(console, tmp_path):
    print_plan(console, make(max_steps=40), tmp_path / "run", continues=False)
    text = written(console)
    assert "2, at most 40 steps" in text
    assert "30 samples of at most 32,768 tokens" in text
    assert "a.jsonl, b.jsonl" in text
    assert "at least 12 of them" in text
    assert "memory at most" in text


def test_memory_without_sampling_and_reference():
    recipe = make(batch={"micro_batch_tokens": 500}, max_tokens=500)
    parts = memory_parts(recipe, recipe.stages[0], SETTINGS, 1000)
    assert parts["weights and gradients"] == (2 + 4) * 1000
    assert parts["optimizer"] == 10 * 1000
    assert parts["activations while training"] == 500 * 2 * (8 * 10 + 4 * 40 + 3 * 15 * 2) * 2
    assert parts["logits"] == 2 * 8192 * 100
    assert set(parts) == {
        "program",
        "weights and gradients",
        "optimizer",
        "activations while training",
        "logits",
    }
    assert peak_bytes(parts) == sum(parts.values())


def test_the_report_sets_loss_perplexity_and_right_tokens_side_by_side(console, sft_run):
    console.print(before_after(RECORD))
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in written(console).splitlines()
        if "│" in line
    ]
    assert rows == [
        ["loss (nats per token)", "0.5123", "0.25"],
        ["perplexity", "1.669", "-"],
        ["right tokens", "75.0%", "87.5%"],
    ]
    assert "sft: 12 held-out conversations, 1 min 01 s" in written(console)
    print_report(console, sft_run)
    assert str(sft_run / "sft" / "model") in written(console).replace("\n", "")
    assert "see how it went" in written(console)
    assert "rollouts" not in written(console)


def test_show_gives_an_overview_and_speaks_of_no_rollouts(invoke, sft_run):
    result = invoke("show", sft_run)
    assert result.exit_code == 0, result.stderr
    assert "stage sft: finished, 3 steps" in result.stdout
    assert "loss in nats per token" in result.stdout
    assert "rollouts" not in result.stdout


def test_curves_of_loss(sft_run, tmp_path):
    (picture,) = draw_curves(RunFolder.read(sft_run), tmp_path / "x.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_trained_model_is_asked_through_its_chat_template(sft_run):
    source = find_model(str(sft_run))
    assert _template(None, source, has_chat=True) == ChatTemplate()
    assert _template(TemplateChoice.R1_ZERO, source, has_chat=True) == R1ZeroTemplate()
    assert template_of(make(template={"kind": "r1_zero"}).stages[0]) is TemplateChoice.R1_ZERO
    assert template_of(make(template={"kind": "plain"}).stages[0]) is TemplateChoice.CHAT


def test_an_evaluation_of_the_trained_model_needs_a_task_and_keeps_the_models_settings(sft_run):
    source = find_model(str(sft_run))
    with pytest.raises(ConfigError, match="--task is missing"):
        recipe_data(source, None, None, None, {})
    recipe = build_recipe(recipe_data(source, "world", None, None, {"num_problems": 4}), source="test")
    (stage,) = recipe.stages
    assert recipe.model.path == str(sft_run / "sft" / "model")
    assert recipe.model.dtype == "bfloat16"
    assert stage.template == ChatTemplate()
    assert stage.task == WorldTask(num_held_out=4)
