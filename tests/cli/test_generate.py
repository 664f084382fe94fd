import os

import pytest

from dunwu.cli import generate as module
from dunwu.cli.generate import CompletionWriter
from dunwu.cli.model_source import ModelSource
from dunwu.config.task import ChatTemplate, PlainTemplate, R1ZeroTemplate


def test_a_question_is_answered_and_the_same_seed_answers_the_same(invoke):
    options = ("generate", "micro", "What is 2+3?", "--max-new-tokens", 12)
    first = invoke(*options)
    assert first.exit_code == 0, first.stderr
    assert first.stdout.strip()
    assert "tok/s" in first.stderr
    assert invoke(*options).stdout == first.stdout
    assert invoke(*options, "--seed", 2).stdout != first.stdout


def test_the_stream_is_the_whole_completion(invoke):
    """What is written token by token equals the completion decoded at once."""
    from dunwu.config.training import ModelConfig
    from dunwu.data.templates import render
    from dunwu.models.loading import load_policy
    from dunwu.records import GenerationRequest, Problem, SamplingParams
    from dunwu.rollout.embedded import EmbeddedEngine

    result = invoke(
        "generate", "micro", "3+4等于多少？", "--max-new-tokens", 40, "--temperature", 1, "--top-p", 1
    )
    policy = load_policy(ModelConfig(path="micro", device="cpu"))
    problem = Problem("x", "x", "3+4等于多少？", "", "exact")
    request = GenerationRequest(render(R1ZeroTemplate(), problem, policy.tokenizer).token_ids, (1,))
    sampling = SamplingParams(40, stop_token_ids=policy.eos_token_ids)
    ((completion,),) = EmbeddedEngine(policy).generate([request], sampling)
    assert result.stdout == policy.tokenizer.decode(completion.token_ids, skip_special_tokens=True) + "\n"


def test_the_question_may_come_from_standard_input(invoke):
    options = ("--max-new-tokens", 8)
    piped = invoke("generate", "micro", *options, input="What is 2+3?\n")
    assert piped.exit_code == 0, piped.stderr
    assert piped.stdout == invoke("generate", "micro", "What is 2+3?", *options).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("micro", " "), "the prompt is empty"),
        (("micor", "x"), "did you mean micro"),
        (("micro", "x", "--top-p", 1.5), "--top-p 1.5"),
        (("micro", "x", "--temperature", -1), "--temperature -1"),
        (("micro", "x", "--device", "tpu"), "--device tpu"),
        (("micro", "x", "--template", "chat", "--max-new-tokens", 3), "no chat template"),
    ],
)
def test_mistakes_are_told(invoke, arguments, said):
    result = invoke("generate", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_the_template_is_the_runs_own_else_what_the_model_has(recipe):
    made = ModelSource("x", recipe, recipe.stages[0].model_copy(update={"template": PlainTemplate()}))
    assert module._template(None, made, has_chat=True) == PlainTemplate()
    assert module._template(module.TemplateChoice.R1_ZERO, made, has_chat=True) == R1ZeroTemplate()
    plain = ModelSource("x")
    assert module._template(None, plain, has_chat=True) == ChatTemplate()
    assert module._template(None, plain, has_chat=False) == R1ZeroTemplate()
    assert module._template(module.TemplateChoice.NONE, plain, has_chat=True).text == "{question}"


def test_the_writer_holds_back_half_characters_and_half_tags(console):
    writer = CompletionWriter(console, lambda ids: bytes(ids).decode(errors="replace"), thinking=False)
    seen = []
    for token in "<think>顿[b]</think>".encode():
        writer.push(token)
        seen.append(console.file.getvalue())
    assert "<think>" in seen
    assert "<thi" not in seen
    assert not any("\ufffd" in text for text in seen)
    writer.finish()
    assert console.file.getvalue() == "<think>顿[b]</think>\n"


def test_no_progress_bar_of_a_library_talks_over_the_answer(invoke):
    result = invoke("generate", "micro", "x", "--max-new-tokens", 2)
    assert "it/s" not in result.stderr
    assert os.environ.get("TRANSFORMERS_VERBOSITY") is None
