import json
import struct

import pytest

from dunwu.cli.plan import count_parameters, memory_parts, peak_bytes, plan_stage, print_plan
from dunwu.config.load import build_recipe

SETTINGS = {
    "hidden_size": 10,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "num_key_value_heads": 1,
    "intermediate_size": 20,
    "vocab_size": 100,
}


def make(dtype="float32", path="micro", **changes):
    stage = {
        "kind": "r1_zero",
        "task": {"kind": "world"},
        "num_steps": 24,
        "sampling": {"max_new_tokens": 44},
    }
    stage |= {"prompts_per_step": 3, "group_size": 4, "steps_per_rollout": 4, "inner_epochs": 2, **changes}
    data = {"name": "test", "model": {"path": path, "dtype": dtype}, "stages": [stage]}
    return build_recipe(data, source="test")


def test_the_plan_counts_steps_rollouts_completions_and_tokens():
    recipe = make(
        evaluation={"num_problems": 5, "samples_per_problem": 2, "every_steps": 8},
        checkpoint={"every_steps": 10},
    )
    plan = plan_stage(recipe.stages[0])
    assert (plan.num_steps, plan.num_rollouts) == (24, 3)
    assert (plan.prompts_per_rollout, plan.completions_per_rollout, plan.num_completions) == (12, 48, 144)
    assert (plan.num_evaluations, plan.completions_per_evaluation) == (4, 10)
    assert plan.max_tokens == (144 + 40) * 44
    assert plan.num_checkpoints == 3


def test_an_evaluation_at_the_last_step_is_the_one_after():
    assert plan_stage(make(evaluation={"every_steps": 12}).stages[0]).num_evaluations == 3
    assert plan_stage(make().stages[0]).num_evaluations == 2


def test_a_stage_of_any_length_is_planned_at_once():
    plan = plan_stage(make(num_steps=8 * 10**12, evaluation={"every_steps": 8}).stages[0])
    assert (plan.num_rollouts, plan.num_completions) == (10**12, 48 * 10**12)
    assert plan.num_evaluations == 1 + 10**12


def write_safetensors(path, shapes):
    header = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()
    }
    header["__metadata__"] = {"format": "pt"}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def test_parameters_are_counted_from_the_headers(tmp_path):
    assert count_parameters(tmp_path) is None
    write_safetensors(tmp_path / "a.safetensors", {"x": [3, 4], "y": [5]})
    write_safetensors(tmp_path / "b.safetensors", {"scalar": []})
    assert count_parameters(tmp_path) == 12 + 5 + 1


def test_the_embedded_model_is_counted_as_torch_counts_it():
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from dunwu.config.check import model_folder

    folder = model_folder("micro")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    assert count_parameters(folder) == sum(parameter.numel() for parameter in model.parameters())


def test_a_chunk_of_the_head_is_counted_as_it_is_cut():
    from dunwu.cli.plan import VOCAB_OF_A_CHUNK
    from dunwu.functional.head_chunks import REFERENCE_VOCAB

    assert VOCAB_OF_A_CHUNK == REFERENCE_VOCAB


def test_memory_is_worked_out_by_cause():
    recipe = make(evaluation={"num_problems": 2, "samples_per_problem": 2}, batch={"logprob_chunk_tokens": 7})
    parts = memory_parts(recipe, recipe.stages[0], SETTINGS, 1000)
    longest = 128 + 44
    per_layer = 8 * 10 + 4 * 20 + 3 * (5 + 2) * 2
    assert parts == {
        "program": 700_000_000,
        "weights and gradients": 2 * 4 * 1000,
        "optimizer": 8 * 1000,
        "reference policy": 4 * 1000,
        "cache while sampling": 48 * longest * 2 * 2 * 1 * 2 * 4,
        "activations while training": 12 * longest * 2 * per_layer * 4,
        "logits": 4 * 7 * 100,
    }


def test_bfloat16_keeps_float32_masters_and_no_kl_needs_no_reference():
    recipe = make("bfloat16", kl={"coef": 0})
    parts = memory_parts(recipe, recipe.stages[0], SETTINGS, 1000)
    assert parts["weights and gradients"] == 6000
    assert parts["optimizer"] == 10000
    assert parts["reference policy"] == 0


def test_a_group_that_stays_together_computes_its_prompt_once():
    recipe = make(split_rollout_by="prompt")
    parts = memory_parts(recipe, recipe.stages[0], SETTINGS, 1000)
    assert parts["activations while training"] == (3 * 128 + 12 * 44) * 2 * 202 * 4


@pytest.mark.parametrize("kernels", [True, False])
def test_activations_are_those_that_autograd_keeps(kernels, tiny_policy, monkeypatch):
    """A bound, and without kernels, of which a plan knows nothing, not a loose one."""
    import torch

    from dunwu.kernels import build

    if not kernels:
        monkeypatch.setattr(build, "_load", lambda: (None, "switched off"))
    from dunwu.data.packing import PackSequence, pack

    policy = tiny_policy("llama")
    (row,) = pack([PackSequence(tuple(range(40)), tuple(range(40, 80)))] * 4, 4096, policy.device)
    weights = {parameter.untyped_storage().data_ptr() for parameter in policy.model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden_TD = policy.hidden_states(row.batch)
    recipe = make(batch={"micro_batch_tokens": len(hidden_TD)}, sampling={"max_new_tokens": 44})
    estimate = memory_parts(recipe, recipe.stages[0], policy.config.to_dict(), 1000)[
        "activations while training"
    ]
    assert (0.4 if kernels else 0.6) * estimate < sum(kept.values()) < 1.15 * estimate


def test_limits_bound_the_memory():
    evaluation = {"num_problems": 500, "samples_per_problem": 1}
    recipe = make(
        engine={"max_sequences": 9},
        batch={"micro_batch_tokens": 100, "gradient_checkpointing": True},
        evaluation=evaluation,
    )
    parts = memory_parts(recipe, recipe.stages[0], SETTINGS, 1000)
    assert parts["cache while sampling"] == 9 * 172 * 2 * 2 * 1 * 2 * 4
    assert parts["activations while training"] == 100 * (10 * 2 + 202) * 4
    small = make(engine={"max_sequences": 9, "cache_tokens": 500}, evaluation=evaluation)
    assert (
        memory_parts(small, small.stages[0], SETTINGS, 1000)["cache while sampling"]
        == 500 * 2 * 2 * 1 * 2 * 4
    )


def test_sampling_and_training_take_turns_in_the_peak():
    parts = {"program": 5, "cache while sampling": 10, "activations while training": 7, "logits": 2}
    assert peak_bytes(parts) == 15
    assert peak_bytes({**parts, "logits": 4}) == 16


def test_the_printed_plan(console, tmp_path):
    print_plan(console, make(), tmp_path / "run", continues=False)
    text = console.file.getvalue()
    assert f"a new run in {tmp_path / 'run'}" in text
    assert "3, each of 12 prompts and 48 completions" in text
    assert "memory at most" in text
    assert "for 1.0 M weights" in text


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "the model is not on this machine yet"),
        ({"config.json": "{}"}, "config.json has no 'hidden_size'"),
    ],
)
def test_what_cannot_be_estimated_says_why(console, tmp_path, files, said):
    model = tmp_path / "model"
    model.mkdir()
    for name, text in files.items():
        (model / name).write_text(text)
        write_safetensors(model / "model.safetensors", {"x": [3]})
    print_plan(console, make(path=str(model)), tmp_path, continues=True)
    assert "not estimated: " in console.file.getvalue()
    assert said in console.file.getvalue()
    assert "continue the run" in console.file.getvalue()


def test_a_hub_model_is_not_estimated(console, tmp_path):
    print_plan(console, make(path="owner/name"), tmp_path, continues=False)
    assert "not on this machine" in console.file.getvalue()


def test_general_prompts_are_counted(console, monkeypatch):
    monkeypatch.setattr("dunwu.cli.plan.local_folder", lambda path: None)
    stage = {
        "kind": "general_rl",
        "task": {"kind": "world"},
        "general": {
            "task": {"kind": "world", "kinds": ["advice"]},
            "steps": 10,
            "num_problems": 6,
            "share": 0.25,
        },
        "rewards": [{"kind": "format"}, {"kind": "preference", "helpful": "liked", "safety": "safe"}],
        "num_steps": 25,
        "steps_per_rollout": 4,
        "prompts_per_step": 4,
        "group_size": 3,
        "sampling": {"max_new_tokens": 44},
        "evaluation": {"num_problems": 5, "samples_per_problem": 2, "every_steps": 10},
    }
    data = {
        "name": "test",
        "model": {"path": "micro"},
        "models": {"liked": {"path": "x/a"}, "safe": {"path": "x/b"}},
        "stages": [stage],
    }
    recipe = build_recipe(data, source="test")
    plan = plan_stage(recipe.stages[0])
    # 15 steps in rollouts of 4, 4, 4 and 3, then 10 in 4, 4 and 2
    assert (plan.num_rollouts, plan.prompts_per_rollout, plan.num_completions) == (7, 16, 25 * 4 * 3)
    # before, 10, 15 where general prompts begin, 20, after; both held-out sets
    assert (plan.num_evaluations, plan.completions_per_evaluation) == (5, 22)
    print_plan(console, recipe, "run", continues=False)
    text = " ".join(console.file.getvalue().split())
    assert "general prompts in the last 10 steps, 2 of the 8 prompts of a rollout" in text
    assert "scored by (preference) helpful: liked, safety: safe" in text
    parts = memory_parts(recipe, recipe.stages[0], SETTINGS, 1000)
    assert parts["reward models"] == 2 * 4 * 1000
