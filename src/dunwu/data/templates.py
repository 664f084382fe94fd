"""Problems become prompts here: one template, one tokenisation.

The token ids made here are the ones that the policy continues and that training scores; nothing is tokenised
twice. Imports no transformers: a tokenizer is handed in. Called by the RL stage and by evaluation.
"""

from typing import Any

from dunwu.config.task import ChatTemplate, PlainTemplate, R1ZeroTemplate, Template
from dunwu.errors import ConfigError
from dunwu.records import Problem, Prompt

QUESTION = "{question}"

R1_ZERO_TEMPLATE = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. "
    "The assistant first thinks about the reasoning process in the mind and then provides the user with the "
    "answer. The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> "
    "tags, respectively, i.e., <think> reasoning process here </think> <answer> answer here </answer>. "
    "User: {question}. Assistant:"
)
"""DeepSeek-R1 (arXiv 2501.12948 v1), Table 1, word for word, with {question} for the word "prompt" that the
question replaces. The full stop behind the question is the paper's, so a question that ends in "?" is
followed by "?.". No space follows "Assistant:": most tokenizers put a word's leading space into its token,
and a prompt that ends with a space of its own is a place where a base model has rarely been. Completions
therefore begin with " <think>"."""


def render(template: Template, problem: Problem, tokenizer: Any) -> Prompt:
    """Return the prompt that a template makes of a problem, tokenised exactly once.

    With R1ZeroTemplate and PlainTemplate the token ids begin with what the tokenizer puts before every text
    (most often a beginning-of-sequence token), and never get what it puts behind one. A chat
    template writes its own special tokens, so none is added to it.

    Args:
        template: how to ask.
        problem: what to ask.
        tokenizer: a transformers tokenizer of the policy.
    Raises:
        ConfigError: the tokenizer has no chat template, or its template refuses or drops the system message
            or the question, or opens `<think>` itself when the prefill does too.
    """
    match template:
        case R1ZeroTemplate():
            return _plain_prompt(R1_ZERO_TEMPLATE, problem, tokenizer)
        case PlainTemplate(text=text):
            return _plain_prompt(text, problem, tokenizer)
        case ChatTemplate():
            return _chat_prompt(template, problem, tokenizer)
    raise AssertionError(template)


def text_prefix(tokenizer: Any) -> str:
    """Return what the tokenizer puts before every text (most often a beginning-of-sequence token), as text."""
    return str(tokenizer.decode(list(_prefix(tokenizer)), skip_special_tokens=False))


def _plain_prompt(template: str, problem: Problem, tokenizer: Any) -> Prompt:
    text = template.replace(QUESTION, problem.question)
    token_ids, prefix = _tokenise(text, tokenizer), _prefix(tokenizer)
    if token_ids[: len(prefix)] != prefix:  # a template may spell it out itself
        token_ids = prefix + token_ids
    return Prompt(problem, text, token_ids)


def _chat_prompt(template: ChatTemplate, problem: Problem, tokenizer: Any) -> Prompt:
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError(
            "template.kind is chat, but the model's tokenizer has no chat template; use kind r1_zero or "
            "plain for a base model, or a model folder with a chat template"
        )
    messages = [{"role": "user", "content": problem.question}]
    if template.system is not None:
        messages.insert(0, {"role": "system", "content": template.system})
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # templates raise what they like, through jinja
        raise ConfigError(
            f"the model's chat template refuses the messages: {error}; is a system message allowed?"
        ) from error
    for content, name in ((template.system or "", "system message"), (problem.question, "question")):
        if content.strip() not in text:
            raise ConfigError(f"the model's chat template drops or changes the {name} {content[:80]!r}")
    if text.rstrip().endswith("<think>") and template.prefill.lstrip().startswith("<think>"):
        raise ConfigError(
            "the model's chat template already ends with <think>; leave template.prefill empty and set "
            "opened_by_prompt in the stage's output_form"
        )
    text += template.prefill
    return Prompt(problem, text, _tokenise(text, tokenizer))


def _prefix(tokenizer: Any) -> tuple[int, ...]:
    """The special tokens that the tokenizer puts before every text, found on a text of one letter."""
    letter = _tokenise("a", tokenizer)
    whole = tuple(tokenizer("a", add_special_tokens=True)["input_ids"])
    starts = range(len(whole) - len(letter) + 1)
    start = next((start for start in starts if whole[start : start + len(letter)] == letter), 0)
    return whole[:start]


def _tokenise(text: str, tokenizer: Any) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
