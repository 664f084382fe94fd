"""What the documents tell people to type works: commands and their options, make targets, recipes."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer.main

from dunwu.cli.main import app
from dunwu.config.load import build_recipe

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
GROUP = typer.main.get_command(app)


def code_lines(text: str) -> list[str]:
    """The lines of fenced and indented code, and of code between backticks that is a command."""
    fenced = [
        line for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
    ]
    indented = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    inline = re.findall(r"`((?:dunwu|make) [^`]+)`", text)
    return [line.strip().removeprefix("$ ") for line in (*fenced, *indented, *inline)]


def commands(program: str) -> list[tuple[str, list[str]]]:
    """Every use of a program in the documents: the document's name and the words after the program's name."""
    found = []
    for document in DOCUMENTS:
        for line in code_lines(document.read_text(encoding="utf-8")):
            for part in re.split(r"&&|;", line):
                if part.strip().startswith(f"{program} "):
                    words = shlex.split(part, comments=True)
                    found.append((document.name, words[1:]))
    return found


def recipes() -> list[tuple[str, str]]:
    found = []
    for document in DOCUMENTS:
        blocks = re.findall(r"```toml\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
        found += [(document.name, block) for block in blocks if "[[stages]]" in block]
    return found


@pytest.mark.parametrize(("document", "words"), commands("dunwu"), ids=lambda value: " ".join(value)[:60])
def test_a_dunwu_command_in_a_document_is_understood(document, words):
    name, *arguments = words
    command = GROUP.commands.get(name)
    assert command is not None, f"{document}: there is no command dunwu {name}"
    if "..." not in arguments and arguments != ["--help"]:
        command.make_context(name, arguments)


@pytest.mark.parametrize(("document", "words"), commands("make"), ids=lambda value: " ".join(value)[:60])
def test_a_make_target_in_a_document_is_there(document, words):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for word in words:
        if "=" not in word:
            assert word in targets, f"{document}: make {word}"


@pytest.mark.parametrize(("document", "text"), recipes(), ids=lambda value: value[:20])
def test_a_recipe_in_a_document_loads(document, text):
    build_recipe(tomllib.loads(text), source=document, text=text)


def test_the_documents_are_read():
    assert len(DOCUMENTS) >= 3
    assert len(commands("make")) > 3
    assert code_lines("a\n\n    $ make x  # y\n\n```sh\ndunwu run z\n```\nand `dunwu show q`") == [
        "dunwu run z",
        "make x  # y",
        "dunwu show q",
    ]


def test_an_option_that_is_not_there_would_be_seen():
    with pytest.raises(Exception, match="No such option"):
        GROUP.commands["run"].make_context("run", ["x.toml", "--no-such-option"])
