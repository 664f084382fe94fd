import importlib.util
import json

import pytest

from dunwu.config import check
from dunwu.config.check import check_recipe
from dunwu.config.load import build_recipe
from dunwu.errors import ConfigError


def refusal(recipe) -> str:
    with pytest.raises(ConfigError) as caught:
        check_recipe(recipe)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    """A model folder with 128 positions and no chat template."""
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 128}))
    (tmp_path / "tokenizer_config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("path", ["micro", "smollm2", "Qwen/Qwen2.5-0.5B"])
def test_built_in_and_hub_models_pass(stage_recipe, path):
    check_recipe(stage_recipe(model={"path": path}))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("micor", "model.path: there is no model micor; did you mean micro?"),
        ("./out/model", "there is no model ./out/model; give micro, nano, smollm2"),
        ("/no/such/folder", "there is no model /no/such/folder"),
        ("a/b/c", "there is no model a/b/c"),
    ],
)
def test_a_model_that_is_nowhere_is_told(stage_recipe, path, said):
    assert said in refusal(stage_recipe(model={"path": path}))


def test_a_folder_without_config_is_no_model(stage_recipe, tmp_path):
    assert "it has no config.json" in refusal(stage_recipe(model={"path": str(tmp_path)}))


def test_completions_longer_than_the_model_are_told(stage_recipe, folder):
    model = {"path": str(folder)}
    check_recipe(stage_recipe(model=model, sampling={"max_new_tokens": 127}))
    evaluated = {"sampling": {"max_new_tokens": 200}}
    assert "evaluation.sampling.max_new_tokens is 200" in refusal(
        stage_recipe(model=model, evaluation=evaluated)
    )
    text = refusal(stage_recipe(model=model, sampling={"max_new_tokens": 128}))
    assert "stages.r1_zero.sampling.max_new_tokens is 128, and the model has 128 positions" in text


@pytest.mark.parametrize("text", ["{", "[]"])
def test_an_unreadable_model_config_is_left_to_loading(stage_recipe, folder, text):
    (folder / "config.json").write_text(text)
    check_recipe(stage_recipe(model={"path": str(folder)}, sampling={"max_new_tokens": 4096}))


def test_a_chat_template_must_be_there(stage_recipe, folder):
    recipe = stage_recipe(model={"path": str(folder)}, template={"kind": "chat"})
    assert 'stages.r1_zero.template.kind is "chat"' in refusal(recipe)
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    check_recipe(recipe)
    (folder / "tokenizer_config.json").unlink()
    check_recipe(recipe)
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    check_recipe(recipe)
    check_recipe(stage_recipe(template={"kind": "chat"}))


def test_a_missing_file_is_told_with_the_nearest(stage_recipe, tmp_path):
    (tmp_path / "train.jsonl").write_text("")
    check_recipe(stage_recipe(task={"kind": "file", "train": str(tmp_path / "train.jsonl")}))
    near = refusal(stage_recipe(task={"kind": "file", "train": str(tmp_path / "trian.jsonl")}))
    assert f"stages.r1_zero.task.train: there is no file {tmp_path / 'trian.jsonl'}; did you mean" in near
    assert str(tmp_path / "train.jsonl") in near
    task = {"kind": "file", "train": str(tmp_path / "train.jsonl"), "held_out": "owner/test.parquet"}
    assert "task.held_out: there is no file owner/test.parquet (seen from" in refusal(stage_recipe(task=task))
    check_recipe(stage_recipe(task={"kind": "file", "train": "owner/name"}))
    assert "no file a/b/c" in refusal(stage_recipe(task={"kind": "file", "train": "a/b/c"}))


def test_nothing_held_out_is_told(stage_recipe, tmp_path):
    task = {"kind": "file", "train": "owner/name", "num_held_out": 0}
    assert "task.num_held_out is 0 and task.held_out is not given" in refusal(stage_recipe(task=task))


def test_a_missing_package_is_told(stage_recipe, monkeypatch):
    recipe = stage_recipe(task={"kind": "reasoning_gym", "dataset": "chain_sum"})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    check_recipe(recipe)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert 'pip install "dunwu[tasks]"' in refusal(recipe)


def test_more_evaluation_problems_than_are_held_out(stage_recipe):
    text = refusal(stage_recipe(evaluation={"num_problems": 513}))
    assert "evaluation.num_problems is 513, and the task holds out 512 (task.num_held_out)" in text
    check_recipe(stage_recipe(evaluation={"num_problems": 600}, task={"kind": "world", "num_held_out": 600}))


def test_a_held_out_file_is_counted_later(stage_recipe):
    task = {"kind": "file", "train": "owner/a", "held_out": "owner/b", "num_held_out": 1}
    check_recipe(stage_recipe(task=task))


def test_many_greedy_samples_are_told(stage_recipe):
    greedy = {"temperature": 0, "max_new_tokens": 64}
    text = refusal(stage_recipe(evaluation={"sampling": greedy}))
    assert "evaluation.samples_per_problem is 16, and at temperature 0" in text
    check_recipe(stage_recipe(evaluation={"sampling": greedy, "samples_per_problem": 1}))


def test_a_cache_smaller_than_one_sequence_is_told(stage_recipe):
    assert "engine.cache_tokens is 64, less than one prompt with sampling.max_new_tokens = 64" in refusal(
        stage_recipe(engine={"cache_tokens": 64})
    )
    check_recipe(stage_recipe(engine={"cache_tokens": 65}))


def test_a_micro_batch_smaller_than_one_sequence_is_told(stage_recipe):
    text = refusal(stage_recipe(batch={"micro_batch_tokens": 64}))
    assert "batch.micro_batch_tokens is 64, less than one prompt with sampling.max_new_tokens = 64" in text
    check_recipe(stage_recipe(batch={"micro_batch_tokens": 65}))


def test_a_warm_up_longer_than_the_stage_is_told(stage_recipe):
    schedule = {"schedule": {"warmup_steps": 16}}
    assert "use at most 15" in refusal(stage_recipe(num_steps=16, optimizer=schedule))
    check_recipe(stage_recipe(num_steps=32, optimizer=schedule))


def test_everything_is_told_at_once(stage_recipe):
    text = refusal(stage_recipe(model={"path": "micor"}, evaluation={"num_problems": 513}))
    assert text.startswith("2 things cannot run:\n\n  model.path")


def test_the_embedded_model_knows_its_length(monkeypatch, tmp_path):
    assert check.model_settings("owner/name") == {}
    monkeypatch.setattr(check, "__file__", str(tmp_path / "config" / "check.py"))
    (tmp_path / "assets" / "micro").mkdir(parents=True)
    (tmp_path / "assets" / "micro" / "config.json").write_text('{"max_position_embeddings": 512}')
    assert check.model_settings("micro") == {"max_position_embeddings": 512}


def test_a_reward_function_that_cannot_be_called_is_told(stage_recipe, tmp_path):
    (tmp_path / "mine.py").write_text("def f(completion, bonus=1): return 1\n")

    def rewards(path, **more):
        return stage_recipe(rewards=[{"kind": "function", "path": path, "name": "taste", **more}])

    check_recipe(rewards(f"{tmp_path}/mine.py:f", params={"bonus": 2}))
    assert (
        f"stages.r1_zero.rewards.taste.path: there is no file {tmp_path}/mien.py; did you mean {tmp_path}/mine.py?"
        in refusal(rewards(f"{tmp_path}/mien.py:f"))
    )
    assert "has no function g" in refusal(rewards(f"{tmp_path}/mine.py:g"))
    assert "ModuleNotFoundError" in refusal(rewards("no_such_module_here:f"))
    assert "params gives bonsu" in refusal(rewards(f"{tmp_path}/mine.py:f", params={"bonsu": 2}))


def test_files_to_stay_away_from_must_be_there(stage_recipe, tmp_path):
    (tmp_path / "bench.jsonl").write_text("{}")
    data = stage_recipe().model_dump()
    for name, fails in (("bench.jsonl", False), ("owner/name", False), ("bnch.jsonl", True)):
        source = name if name == "owner/name" else str(tmp_path / name)
        recipe = build_recipe({**data, "decontamination": {"against": [source]}}, source="x")
        if fails:
            text = refusal(recipe)
            assert f"decontamination.against.0.source: there is no file {source}; did you mean" in text
        else:
            check_recipe(recipe)


def test_general_prompts_are_looked_over_too(tmp_path):
    def recipe(**general):
        stage = {
            "kind": "general_rl",
            "task": {"kind": "world"},
            "sampling": {"max_new_tokens": 64},
            "template": {"kind": "r1_zero"},
            "general": {"task": {"kind": "world", "kinds": ["advice"]}, **general},
            "rewards": [{"kind": "preference", "helpful": "liked"}],
        }
        models = {"liked": {"path": "smollm2"}}
        return build_recipe(
            {"name": "x", "model": {"path": "smollm2"}, "models": models, "stages": [stage]}, source="x"
        )

    check_recipe(recipe())
    assert "general.num_problems is 513, and the task holds out 512 (general.task.num_held_out)" in refusal(
        recipe(num_problems=513)
    )
    text = refusal(recipe(task={"kind": "world", "kinds": ["advice", "sum", "operators"]}))
    assert "stages.general_rl.general.task.kinds has operators, sum, which a rule can grade" in text
    file = {"kind": "file", "train": str(tmp_path / "absent.jsonl"), "task_column": "task"}
    assert "general.task.train: there is no file" in refusal(recipe(task=file))
    (tmp_path / "there.jsonl").write_text("{}")
    graded = {"kind": "file", "train": str(tmp_path / "there.jsonl")}
    assert 'general.task.grader is "math", a rule' in refusal(recipe(task=graded))
    check_recipe(recipe(task={**graded, "grader": "preference", "preference_set": "helpful"}))


def test_a_language_model_is_no_reward_model(folder):
    stage = {
        "kind": "general_rl",
        "task": {"kind": "world"},
        "sampling": {"max_new_tokens": 64},
        "template": {"kind": "r1_zero"},
        "general": {"task": {"kind": "world", "kinds": ["advice"]}},
        "rewards": [{"kind": "format"}, {"kind": "preference", "helpful": "liked"}],
    }
    models = {"liked": {"path": str(folder)}}
    recipe = build_recipe(
        {"name": "x", "model": {"path": "smollm2"}, "models": models, "stages": [stage]}, source="x"
    )
    check_recipe(recipe)  # the configuration does not say what it is
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForSequenceClassification"]}))
    check_recipe(recipe)
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    assert "stages.general_rl.rewards.1.helpful: liked is a LlamaForCausalLM, and a reward model" in refusal(
        recipe
    )
