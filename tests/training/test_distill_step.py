"""One update of on-policy distillation: the same however the batch is cut, and between models with different padding."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dunwu.config.on_policy_distill import OnPolicyDistillStage
from dunwu.config.training import OptimizerConfig
from dunwu.data.packing import PackSequence, pack
from dunwu.models.policy import Policy
from dunwu.records import Completion, Problem, Prompt, Reward, Rollout
from dunwu.stages.on_policy_distill import OnPolicyDistillation
from dunwu.training.distill_step import reverse_kl, update_student
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.rl_state import RlState
from dunwu.training.sequences import TrainSequence

MakePolicy = Callable[..., Policy]


def make_config(**changes: Any) -> OnPolicyDistillStage:
    return OnPolicyDistillStage.model_validate(
        {"teacher": "teacher", "task": {"kind": "world"}, "sampling": {"max_new_tokens": 32}, **changes}
    )


def make_sequences(random_ids: Callable[..., list[int]]) -> list[TrainSequence]:
    """Two groups, each of a shared prompt, with completions of different lengths."""
    return [
        TrainSequence(
            tuple(random_ids(7 + group, group)),
            tuple(random_ids(length, 10 * group + length)),
            (),
            0.0,
            group,
            i,
        )
        for group, lengths in enumerate([(1, 9, 20), (5, 12)])
        for i, length in enumerate(lengths)
    ]


def one_update(
    make: MakePolicy, sequences: list[TrainSequence], **changes: Any
) -> tuple[dict[str, float], list[torch.Tensor]]:
    student, teacher = make("llama", seed=1), make("qwen2", seed=2)
    optimizer = MasterAdamW(student.model, OptimizerConfig(learning_rate=1e-3), 4)
    figures = update_student(student, teacher, optimizer, sequences, make_config(**changes), 1)
    return figures, [parameter.detach() for parameter in student.model.parameters()]


@pytest.mark.parametrize("aggregation", ["token_mean", "sample_mean"])
def test_the_update_does_not_depend_on_how_the_batch_is_cut(
    aggregation: str, tiny_policy: MakePolicy, random_ids: Callable[..., list[int]]
) -> None:
    sequences = make_sequences(random_ids)
    whole, _ = one_update(tiny_policy, sequences, aggregation=aggregation)
    cut, _ = one_update(
        tiny_policy,
        sequences,
        aggregation=aggregation,
        batch={"micro_batch_tokens": 33, "logprob_chunk_tokens": 3},
    )
    assert (whole["rows"], cut["rows"] > 2) == (1, True)
    for name in ("loss", "reverse_kl", "reverse_kl_max", "entropy", "grad_norm"):
        assert cut[name] == pytest.approx(whole[name], rel=1e-4), name
    assert whole["trained_tokens"] == cut["trained_tokens"] == 47


def test_the_two_ways_to_weigh_are_two(tiny_policy: MakePolicy, random_ids: Callable[..., list[int]]) -> None:
    by_token, by_sample = (
        one_update(tiny_policy, make_sequences(random_ids), aggregation=mode)[0]
        for mode in ("token_mean", "sample_mean")
    )
    assert by_token["loss"] == pytest.approx(by_token["reverse_kl"], rel=1e-5)
    assert by_token["reverse_kl"] == pytest.approx(by_sample["reverse_kl"], rel=1e-5)
    assert abs(by_sample["loss"] - by_token["loss"]) > 1e-3 * by_token["loss"]


def test_the_divergence_is_that_of_the_models_own_logits(
    tiny_policy: MakePolicy, random_ids: Callable[..., list[int]]
) -> None:
    """Against transformers' logits of each sequence alone, in float64."""
    student, teacher = tiny_policy("llama", seed=1), tiny_policy("gemma2", seed=2)  # softcapped logits
    sequences = make_sequences(random_ids)
    (row,) = pack([PackSequence(s.prompt_ids, s.completion_ids) for s in sequences], 4096)
    kl_N, entropy_N = reverse_kl(student, teacher, row.batch, chunk_tokens=5)
    expected, entropies = [], []
    for sequence in sequences:
        alone = pack([PackSequence(sequence.prompt_ids, sequence.completion_ids)], 4096)[0].batch
        with torch.no_grad():
            log_p, log_q = (
                torch.log_softmax(each.head.logits(each.hidden_states(alone)[alone.source_N]).double(), -1)
                for each in (student, teacher)
            )
        expected.append((log_p.exp() * (log_p - log_q)).sum(-1))
        entropies.append(-(log_p.exp() * log_p).sum(-1))
    torch.testing.assert_close(kl_N.detach().double(), torch.cat(expected), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(entropy_N.double(), torch.cat(entropies), rtol=1e-4, atol=1e-5)


def test_padding_behind_the_vocabulary_of_one_model_changes_nothing(
    tiny_policy: MakePolicy, random_ids: Callable[..., list[int]]
) -> None:
    (row,) = pack([PackSequence(s.prompt_ids, s.completion_ids) for s in make_sequences(random_ids)], 4096)
    student, padded, teacher = (tiny_policy("llama", seed=seed) for seed in (1, 1, 2))
    padded.model.resize_token_embeddings(student.num_tokens + 16, mean_resizing=False)
    plain, _ = reverse_kl(student, teacher, row.batch, chunk_tokens=64)
    for one, other in ((padded, teacher), (teacher, padded)):
        wide, _ = reverse_kl(one, other, row.batch, chunk_tokens=64)
        narrow = plain if one is padded else reverse_kl(teacher, student, row.batch, chunk_tokens=64)[0]
        torch.testing.assert_close(wide, narrow, rtol=1e-5, atol=1e-6)


def test_what_the_teacher_has_no_embedding_for_is_not_trained_on() -> None:
    prompt = Prompt(Problem("1", "sum", "1 + 1?", "2", "math"), "1 + 1?", (1, 2))
    drawn = [(3, 4), (3, 10), (9,)]
    rollouts = tuple(
        Rollout(i, Completion(ids, (0.0,) * len(ids), "stop"), "", Reward(0.0, {}))
        for i, ids in enumerate(drawn)
    )
    context: Any = SimpleNamespace(seed=1, folder=SimpleNamespace(name="stage"))
    parts: Any = SimpleNamespace(
        train=(prompt,), collector=SimpleNamespace(collect=lambda prompts, **_: [rollouts] * len(prompts))
    )
    student, teacher, optimizer = (
        SimpleNamespace(eos_token_ids=(0,)),
        SimpleNamespace(num_tokens=10),
        SimpleNamespace(),
    )
    state = RlState(student, None, optimizer)  # type: ignore[arg-type]
    config = make_config(prompts_per_step=1, group_size=3)
    method = OnPolicyDistillation(config, context, parts, teacher)  # type: ignore[arg-type]
    groups, replaced = method.sample(state)
    assert [group.advantages for group in groups] == [(0.0, None, 0.0)]
    assert replaced == []
    assert (state.num_rollouts, state.prompts_drawn) == (1, 1)
