"""The engine's greedy completions are those of transformers' own `generate`, for every family."""

import copy

import torch

from dunwu.config.training import EmbeddedEngine as EngineConfig
from dunwu.models.loading import make_policy
from dunwu.records import GenerationRequest, SamplingParams
from dunwu.rollout.embedded import EmbeddedEngine


def test_greedy_equals_generate(family, tiny_model, tiny_tokenizer, random_ids):
    model = tiny_model(family, seed=1)
    reference = copy.deepcopy(model)
    prompts = [random_ids(length, length) for length in (9, 4, 17, 1, 12)]
    engine = EmbeddedEngine(make_policy(model, tiny_tokenizer), EngineConfig(max_sequences=3))
    groups = engine.generate(
        [GenerationRequest(tuple(prompt), (0, 1)) for prompt in prompts], SamplingParams(20, temperature=0)
    )
    for prompt, group in zip(prompts, groups, strict=True):
        output = reference.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt)),
            max_new_tokens=20,
            do_sample=False,
            eos_token_id=-1,
            output_logits=True,
            return_dict_in_generate=True,
        )
        expected = output.sequences[0, len(prompt) :].tolist()
        logprobs = torch.log_softmax(torch.cat(output.logits), -1).max(-1).values
        for completion in group:
            assert list(completion.token_ids) == expected
            assert completion.finish_reason == "length"
            torch.testing.assert_close(torch.tensor(completion.logprobs), logprobs, atol=1e-4, rtol=0)
