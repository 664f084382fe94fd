"""Finds the program in a final answer. Runs nothing; linear in the text, whatever it holds.

The final answer is what follows the thinking, in the form the recipe names (`answers`). Within it:

1. the last closed fenced block that names the language behind its opening fence;
2. else the last closed fenced block that names no language;
3. else, in an answer without any fence, the whole answer.

An answer whose blocks are all of other languages, or whose only block is not closed, holds no program.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dunwu.rewards.code_task import LANGUAGE_NAMES, Language, is_inner_path

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^\n`]*)$")
_PATH_IN_INFO = re.compile(r"^(?:[\w+#.-]*[ :])?(?:(?:path|file|filename|title)=)?[\"']?([\w./-]+)[\"']?$")
_PATH_LINE = re.compile(r"^(?:#+ |\*\*|(?:File|Path): ?)?[`*]*([\w./-]+)[`*]*:?[`*]*$")
_DIFF_START = re.compile(r"^(?:diff --git |--- \S)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A closed fenced block: the text behind its opening fence, what it holds, and the line before it."""

    info: str
    code: str
    heading: str


def fenced_blocks(text: str) -> Iterator[Block]:
    """Yield the closed fenced blocks of a text, in order. A fence is closed by one of its kind, at least as long."""
    opened, info, heading, before = "", "", "", ""
    lines: list[str] = []
    for line in text.split("\n"):
        fence = _FENCE.match(line.rstrip())
        if opened:
            if fence and fence[1].startswith(opened) and not fence[2].strip():
                yield Block(info, "".join(f"{line}\n" for line in lines), heading)
                opened, before = "", ""
            else:
                lines.append(line)
        elif fence:
            opened, info, heading, lines = fence[1], fence[2].strip(), before, []
        elif line.strip():
            before = line.strip()


def extract_program(answer: str, language: Language) -> str | None:
    """Return the program in a final answer by the rule at the head of this file, None if there is none."""
    blocks = list(fenced_blocks(answer))
    named = [block for block in blocks if _language_of(block.info) in LANGUAGE_NAMES[language]]
    unnamed = [block for block in blocks if not block.info]
    for found in (named, unnamed):
        if found:
            return found[-1].code
    if any(_FENCE.match(line.rstrip()) for line in answer.split("\n")):
        return None
    return answer if answer.strip() else None


def extract_patch(answer: str) -> str | None:
    """Return the unified diff in a final answer, None if there is none.

    The last closed block named diff or patch; else the last closed block that looks like a diff; else the answer
    itself from its first `diff --git` or `---` line on, if it has no fences.
    """
    blocks = list(fenced_blocks(answer))
    named = [block for block in blocks if _language_of(block.info) in ("diff", "patch")]
    alike = [block for block in blocks if _is_diff(block.code)]
    for found in (named, alike):
        if found:
            return found[-1].code
    start = _DIFF_START.search(answer)
    if blocks or start is None or not _is_diff(answer[start.start() :]):
        return None
    return answer[start.start() :].rstrip("\n") + "\n"


def extract_files(answer: str) -> dict[str, str]:
    """Return the whole files in a final answer, by path: fenced blocks that are named by their path.

    The path stands behind the opening fence ("python src/a.py", "python:src/a.py", "path=src/a.py") or is all
    that the line before the fence holds. Of two blocks with one path the last counts.
    """
    files = {}
    for block in fenced_blocks(answer):
        path = _path_of(block)
        if path is not None:
            files[path] = block.code
    return files


def defines(code: str, name: str) -> bool:
    """Return whether Python code defines a name at its outermost level, judged by how its lines begin."""
    pattern = (
        rf"^(?:(?:async[ \t]+)?def|class)[ \t]+{re.escape(name)}\b|^{re.escape(name)}[ \t]*(?::[^=\n]*)?=[^=]"
    )
    return re.search(pattern, code, re.MULTILINE) is not None


def complete_prompt(prompt: str, code: str, entry_point: str | None) -> str:
    """Return the whole Python program: a prompt (HumanEval's) followed by its completion.

    Code that defines the entry point itself stands behind the prompt as it is, so that the prompt's imports and
    helpers are there. Other code is the body of the prompt's last function; its first line gets back the
    indentation that an answer loses where white space around it is cut off.
    """
    if not prompt:
        return code
    if entry_point is not None and defines(code, entry_point):
        return f"{prompt}\n{code}"
    if code[:1] not in (" ", "\t", "\n"):
        code = "    " + code
    return (prompt if prompt.endswith("\n") else prompt + "\n") + code


def _language_of(info: str) -> str:
    return re.split(r"[\s:{]", info.lower(), maxsplit=1)[0]


def _is_diff(text: str) -> bool:
    return bool(re.search(r"^--- ", text, re.MULTILINE) and re.search(r"^\+\+\+ ", text, re.MULTILINE))


def _path_of(block: Block) -> str | None:
    for pattern, line in ((_PATH_IN_INFO, block.info), (_PATH_LINE, block.heading)):
        found = pattern.match(line)
        if found and re.search(r"\w\.\w+$", found[1]) and is_inner_path(found[1]):
            return found[1]
    return None
