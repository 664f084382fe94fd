"""Fine-tuning end to end on `micro`: it learns, everything is in the run folder, what comes out is a plain Hugging Face model."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from dunwu.cli.run import run as run_command
from dunwu.config.recipe import Recipe
from dunwu.config.task import ChatTemplate
from dunwu.config.training import ModelConfig
from dunwu.data.templates import render
from dunwu.data.world.corpus import KINDS, solution
from dunwu.data.world.problems import draw_problem, question_text
from dunwu.data.world.writing import TEXTBOOK
from dunwu.errors import ConfigError
from dunwu.models.loading import load_policy
from dunwu.pipeline.run import run_recipe
from dunwu.records import GenerationRequest, Problem, SamplingParams
from dunwu.rollout.embedded import EmbeddedEngine
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress

SPECIAL = "|special_token|"


def conversations(num: int) -> list[dict[str, Any]]:
    """Careful work of the embedded world, thinking and answer apart."""
    rng = random.Random(11)
    rows = []
    for _ in range(num):
        problem = draw_problem(rng.choice(KINDS), rng, "train")
        thinking, answer = solution(problem, "careful", "en", rng, TEXTBOOK)
        rows.append(
            {
                "messages": [
                    {"role": "user", "content": question_text(problem, "en", 0)},
                    {"role": "assistant", "reasoning_content": thinking, "content": answer},
                ]
            }
        )
    return rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "careful.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in conversations(160)))
    return path


def make_recipe(path: Path, **changes: Any) -> Recipe:
    stage: dict[str, Any] = {
        "kind": "sft",
        "data": {"kind": "messages", "train": str(path), "num_held_out": 32},
        "template": {"kind": "r1", "opening": SPECIAL, "separator": SPECIAL},
        "new_tokens": [SPECIAL],
        "num_epochs": 3,
        "batch_size": 16,
        "optimizer": {"learning_rate": 2e-3},
        "evaluation": {"every_steps": 8},
        "checkpoint": {"every_steps": 8},
        **changes,
    }
    return Recipe.model_validate({"name": "sft", "seed": 3, "model": {"path": "micro"}, "stages": [stage]})


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("sft") / "run"
    run_recipe(make_recipe(data), path, QuietProgress())
    return RunFolder.read(path)


def test_it_learns(run: RunFolder) -> None:
    """24 steps on 128 worked solutions in a form that the base model has never seen."""
    (record,) = run.read_summary()
    before, after = record["before"], record["after"]
    assert after["nll"] < 0.6 * before["nll"]
    assert after["token_accuracy"] > before["token_accuracy"] + 0.05
    assert after["perplexity"] == pytest.approx(math.exp(after["nll"]))
    assert record["name"] == "sft"
    assert record["num_steps"] == 24
    assert record["train"]["conversations"] == record["train"]["samples"] == 128
    assert record["held_out"]["samples"] == before["num_samples"] == 32


def test_every_step_is_measured(run: RunFolder) -> None:
    stage = run.stage("sft")
    metrics = stage.read_metrics()
    assert [record["step"] for record in metrics] == list(range(1, 25))
    assert [record["epoch"] for record in metrics] == [1] * 8 + [2] * 8 + [3] * 8
    for epoch in (metrics[:8], metrics[8:16], metrics[16:]):
        assert sum(record["samples"] for record in epoch) == 128
    for record in metrics:
        assert record["loss"] == pytest.approx(record["nll"], rel=1e-5)
        assert record["rows"] >= 1
        assert record["grad_norm"] > 0
    assert metrics[0]["learning_rate"] == pytest.approx(2e-3)
    assert metrics[-1]["learning_rate"] == pytest.approx(2e-4)  # cosine to a tenth
    for timing in stage.read_timings():
        assert timing["training_tokens_per_second"] > 0
        assert timing["peak_memory_bytes"] > 1e8
    assert stage.evaluation_labels() == ["before", "step-000008", "step-000016", "after"]


def test_the_model_is_a_plain_folder_that_writes_the_trained_form(run: RunFolder) -> None:
    """Asked through the chat template that was saved with it, with transformers alone."""
    path = run.stage("sft").model_path
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path)
    assert tokenizer(SPECIAL, add_special_tokens=False)["input_ids"] == [len(tokenizer) - 1]
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is 3+4-2+5?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.no_grad():
        written = model.generate(**asked, max_new_tokens=200, do_sample=False)[
            0, asked["input_ids"].shape[1] :
        ]
    text = tokenizer.decode(written, skip_special_tokens=True)
    assert text.count(SPECIAL) == 2
    assert text.startswith(SPECIAL)
    assert written[-1] == tokenizer.eos_token_id
    # and by our own engine, as reinforcement learning would ask it
    policy = load_policy(ModelConfig(path=str(path)))
    prompt = render(ChatTemplate(), Problem("p", "k", "What is 3+4-2+5?", "10", "math"), policy.tokenizer)
    params = SamplingParams(max_new_tokens=200, temperature=0.0, stop_token_ids=policy.eos_token_ids)
    engine = EmbeddedEngine(policy)
    ((completion,),) = engine.generate([GenerationRequest(prompt.token_ids, (1,))], params)
    engine.close()
    assert list(completion.token_ids) == written.tolist()


def test_generation_stops_where_the_template_ends_a_turn(data: Path, tmp_path: Path) -> None:
    """A base model's own end of sequence is another token than its new chat template's end of turn."""
    template = tmp_path / "chat.jinja"
    template.write_text(
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}<|im_end|>{{ '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% endif %}"
    )
    recipe = make_recipe(
        data, template={"kind": "chat", "file": str(template)}, new_tokens=["<|im_end|>"], max_steps=1
    )
    run_recipe(recipe, tmp_path / "run", QuietProgress())
    path = RunFolder.read(tmp_path / "run").stage("sft").model_path
    tokenizer = AutoTokenizer.from_pretrained(path)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end == len(tokenizer) - 1
    settings = json.loads((path / "generation_config.json").read_text())
    assert settings["eos_token_id"] == [end, tokenizer.eos_token_id]
    assert load_policy(ModelConfig(path=str(path))).eos_token_ids[0] == end
    assert tokenizer.chat_template == template.read_text()


def test_the_command_runs_continues_and_reports(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_text(
        f'name = "one"\nmodel = {{ path = "micro" }}\n[[stages]]\nkind = "sft"\nmax_steps = 2\nbatch_size = 4\n'
        f'data = {{ kind = "messages", train = "{data}", num_held_out = 4 }}\ntemplate = {{ kind = "r1_zero" }}\n'
    )
    for _ in range(2):
        run_command("recipe.toml", Path("run"), plain=True)
    shown = capsys.readouterr().out
    assert "training data: 156 conversations, 156 samples" in shown
    assert "step 2/2  loss " in shown
    assert "sft: 4 held-out conversations" in shown
    assert "stage sft is finished; its model is run/sft/model" in shown
    assert Path("run/curves.png").is_file()


@pytest.mark.parametrize(
    "stage",
    [
        {"aggregation": "sample_mean", "turns": "last"},
        {"batch_unit": "rows", "batch_size": 1, "max_tokens": 512},
        {"template": {"kind": "r1_zero"}, "new_tokens": []},
        {"template": {"kind": "plain", "text": "Q: {question} A:"}, "new_tokens": ["<think>", "</think>"]},
        {"batch": {"gradient_checkpointing": True, "micro_batch_tokens": 300}, "max_tokens": 300},
        {"too_long": "cut", "max_tokens": 60},
    ],
)
def test_every_variant_trains(stage: dict[str, Any], data: Path, tmp_path: Path) -> None:
    progress = QuietProgress()
    recipe = make_recipe(data, **{"batch_size": 4, **stage, "max_steps": 2})
    run_recipe(recipe, tmp_path / "run", progress)
    (record,) = RunFolder.read(tmp_path / "run").read_summary()
    assert record["num_steps"] == 2
    assert record["after"]["nll"] < record["before"]["nll"]
    cut = record["train"]["cut_too_long"] + record["train"]["left_out_too_long"]
    assert (cut > 0) == ("too_long" in stage)
    assert (
        "longer than max_tokens" in progress.messages[0] or "cut at max_tokens" in progress.messages[0]
    ) == ("too_long" in stage)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"template": {"kind": "chat"}}, "has no chat template; give template.file"),
        (
            {"optimizer": {"schedule": {"warmup_steps": 24}}},
            "warmup_steps is 24, and 128 samples give 24 steps",
        ),
    ],
)
def test_what_cannot_work_is_told_before_weights_are_loaded(
    stage: dict[str, Any], message: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dunwu.stages.training_run.load_policy", None)
    with pytest.raises(ConfigError, match=message):
        run_recipe(make_recipe(data, **stage), tmp_path / "run", QuietProgress())


def test_a_sample_longer_than_the_models_positions_is_an_error(tmp_path: Path) -> None:
    rows = conversations(4)
    rows[2]["messages"][1]["content"] = "1 " * 1100
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = make_recipe(path, data={"kind": "messages", "train": str(path), "num_held_out": 1})
    with pytest.raises(
        ConfigError, match=r"long.jsonl line 3 has \d+ tokens, and the model has 1024 positions"
    ):
        run_recipe(recipe, tmp_path / "run", QuietProgress())
