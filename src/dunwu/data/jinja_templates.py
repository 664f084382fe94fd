"""The chat template, as Jinja text, that a fine-tuning stage renders with and saves in the tokenizer.

Forms without a chat template of their own (R1's cold-start form, R1-Zero's prompt, plain text) are written as one, so that
there is a single way from a conversation to text, and the trained model can be asked by that way everywhere. Called by
`data.chat` and the stage.
"""

import json
import re
from pathlib import Path
from typing import Any

from dunwu.config.sft import R1Template, SftChatTemplate, SftTemplate
from dunwu.config.task import PlainTemplate, R1ZeroTemplate
from dunwu.data.templates import QUESTION, R1_ZERO_TEMPLATE, text_prefix
from dunwu.errors import ConfigError

_R1 = """\
{{- PREFIX -}}
{%- set at = namespace(last_question=-1) -%}
{%- for message in messages -%}
  {%- if message.role == 'user' -%}{%- set at.last_question = loop.index0 -%}{%- endif -%}
{%- endfor -%}
{%- for message in messages -%}
  {%- if message.role == 'system' -%}
    {{- message.content ~ USER_END -}}
  {%- elif message.role == 'user' -%}
    {{- USER_START ~ message.content ~ USER_END -}}
  {%- elif message.role == 'assistant' -%}
    {%- set part = namespace(thinking=message.reasoning_content or '', answer=message.content) -%}
    {%- if not part.thinking and '</think>' in message.content -%}
      {%- set part.thinking = message.content.split('</think>')[0].split('<think>')[-1] -%}
      {%- set part.answer = message.content.split('</think>')[-1] -%}
    {%- endif -%}
    {{- ASSISTANT_START -}}
    {%- if part.thinking and loop.index0 > at.last_question -%}
      {{- OPENING ~ part.thinking.strip() ~ SEPARATOR -}}
    {%- endif -%}
    {{- part.answer.strip() ~ END -}}
    {%- if not loop.last or add_generation_prompt -%}{{- ASSISTANT_END -}}{%- endif -%}
  {%- else -%}
    {{- raise_exception('this form knows system, user and assistant, not ' ~ message.role) -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- ASSISTANT_START -}}{%- endif -%}
"""

_ONE_QUESTION = """\
{%- if messages[0].role != 'user' or messages | length > 2 -%}
  {{- raise_exception('this form holds one question and its answer, no system message and no second turn') -}}
{%- endif -%}
{{- PREFIX ~ PROMPT -}}
{%- if messages | length == 2 -%}
  {%- set answer = messages[1] -%}
ANSWER
  {{- END -}}
{%- endif -%}
"""
_PLAIN_ANSWER = "  {{- answer.content -}}"
_R1_ZERO_ANSWER = """\
  {%- if answer.reasoning_content -%}
    {{- ' <think> ' ~ answer.reasoning_content.strip() ~ ' </think> <answer> ' ~ answer.content.strip() ~ ' </answer>' -}}
  {%- else -%}
    {{- ' ' ~ answer.content.lstrip() -}}
  {%- endif -%}"""


def chat_template_of(template: SftTemplate, tokenizer: Any) -> str:
    """Return the Jinja text of a recipe's template for a model.

    Raises:
        ConfigError: the model has no chat template, or no end-of-sequence token, and the form needs it; an unreadable file.
    """
    match template:
        case SftChatTemplate(file=None):
            own = getattr(tokenizer, "chat_template", None)
            if isinstance(own, dict):  # several by name: the one that is used unless another is asked for
                own = own.get("default")
            if not isinstance(own, str) or not own:
                raise ConfigError(
                    "template.kind is chat, but the model's tokenizer has no chat template; give template.file, or use kind "
                    "r1, r1_zero or plain for a base model"
                )
            return own
        case SftChatTemplate(file=file):
            assert file is not None
            try:
                return Path(file).expanduser().read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"template.file {file} cannot be read: {error}") from None
        case R1Template():
            return _filled(
                _R1, tokenizer, **{name.upper(): text for name, text in template if name != "kind"}
            )
        case R1ZeroTemplate():
            return _one_question(R1_ZERO_TEMPLATE, _R1_ZERO_ANSWER, tokenizer)
        case PlainTemplate(text=text):
            return _one_question(text, _PLAIN_ANSWER, tokenizer)


def _one_question(text: str, answer: str, tokenizer: Any) -> str:
    prompt = " ~ messages[0].content ~ ".join(_literal(part) for part in text.split(QUESTION))
    return _filled(_ONE_QUESTION.replace("ANSWER", answer), tokenizer, prompt=prompt)


def _filled(jinja: str, tokenizer: Any, prompt: str = "", **texts: str) -> str:
    """The template with each word in capitals replaced by its text; every rendering starts as the tokenizer starts a text.

    Args:
        prompt: a Jinja expression.
    """
    end = getattr(tokenizer, "eos_token", None)
    if not end:
        raise ConfigError(
            "the model's tokenizer has no end-of-sequence token, with which an answer could end; set its eos_token"
        )
    texts = {"PREFIX": text_prefix(tokenizer), "END": str(end), **texts}
    values = {"PROMPT": prompt, **{name: _literal(text) for name, text in texts.items()}}
    return re.sub(r"\b[A-Z][A-Z_]+\b", lambda word: values[word[0]], jinja)


def _literal(text: str) -> str:
    """A Jinja string literal; what JSON escapes, Jinja reads back, and other characters stay themselves."""
    return json.dumps(text, ensure_ascii=False)
