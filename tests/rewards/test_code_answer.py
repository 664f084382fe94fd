"""Which program in an answer is meant."""

import time

import pytest

from dunwu.rewards.code_answer import (
    complete_prompt,
    defines,
    extract_files,
    extract_patch,
    extract_program,
    fenced_blocks,
)

DIFF = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n"


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        ("```python\none\n```\nor better\n```python\ntwo\n```\n", "two\n"),
        (
            "```py\none\n```\n```\ntwo\n```",
            "one\n",
        ),  # a block that names the language comes before one that does not
        ("```\none\n```\n```\ntwo\n```", "two\n"),
        ("```bash\npip install x\n```\n```\none\n```", "one\n"),
        ("```Python3 title=x\none\n```", "one\n"),
        ("```{python}\none\n```", None),
        ("```python\none\n```\n```cpp\nint main(){}\n```", "one\n"),
        ("```cpp\nint main(){}\n```", None),
        ("```python\none\n```\n```python\ncut of", "one\n"),
        ("```python\ncut of", None),
        ("````python\n```\ninner\n```\n````", "```\ninner\n```\n"),
        ("~~~python\none\n~~~", "one\n"),
        ("  ```python\n  one\n  ```", "  one\n"),
        ("print(1)", "print(1)"),
        ("s = 'a ``` b'", "s = 'a ``` b'"),
        ("```python\n```", ""),
        ("  \n", None),
        ("", None),
    ],
)
def test_the_program_in_an_answer(answer, program):
    assert extract_program(answer, "python") == program


def test_each_language_has_its_names():
    for name in ("cpp", "c++", "C++"):
        assert extract_program(f"```{name}\nx\n```", "cpp") == "x\n"
    for name in ("js", "javascript", "node"):
        assert extract_program(f"```{name}\nx\n```", "javascript") == "x\n"
        assert extract_program(f"```{name}\nx\n```", "cpp") is None


def test_a_block_knows_the_line_before_it():
    (block,) = fenced_blocks("first\n\n`src/a.py`:\n\n```python\nx\n```\n")
    assert (block.info, block.code, block.heading) == ("python", "x\n", "`src/a.py`:")


def test_a_hostile_answer_takes_no_longer_than_its_length():
    seconds = []
    for size in (20_000, 80_000):
        answer = "```python\n" * size + "`" * size + "\n~~~ " * size
        start = time.process_time()
        extract_program(answer, "python")
        extract_patch(answer)
        extract_files(answer)
        seconds.append(time.process_time() - start)
    assert seconds[1] < 16 * max(seconds[0], 0.01)


@pytest.mark.parametrize(
    ("answer", "patch"),
    [
        (f"```diff\nold\n```\n```diff\n{DIFF}```", DIFF),
        (f"```\n{DIFF}```\n```python\nx\n```", DIFF),
        (f"I changed it.\n{DIFF}", DIFF),
        (f"I changed it.\n{DIFF.rstrip()}", DIFF),
        ("--- a/x.py\nno second file", None),
        ("```python\nx = 1\n```", None),
        ("nothing", None),
    ],
)
def test_the_patch_in_an_answer(answer, patch):
    assert extract_patch(answer) == patch


@pytest.mark.parametrize(
    ("answer", "files"),
    [
        ("```python src/a.py\nx\n```", {"src/a.py": "x\n"}),
        ("```python:src/a.py\nx\n```", {"src/a.py": "x\n"}),
        ("```path=src/a.py\nx\n```", {"src/a.py": "x\n"}),
        ("```src/a.py\nx\n```", {"src/a.py": "x\n"}),
        ("`src/a.py`\n```python\nx\n```", {"src/a.py": "x\n"}),
        ("### src/a.py\n```python\nx\n```", {"src/a.py": "x\n"}),
        ("**src/a.py**:\n\n```python\nx\n```", {"src/a.py": "x\n"}),
        ("File: `a.py`\n```\nx\n```", {"a.py": "x\n"}),
        ("```python a.py\nx\n```\n```python a.py\ny\n```", {"a.py": "y\n"}),
        ("```python a.py\nx\n```\n```python b.py\ny\n```", {"a.py": "x\n", "b.py": "y\n"}),
        ("```python\nx\n```", {}),
        ("See a.py for this\n```python\nx\n```", {}),
        ("```python ../a.py\nx\n```", {}),
        ("```python /a.py\nx\n```", {}),
    ],
)
def test_the_files_in_an_answer(answer, files):
    assert extract_files(answer) == files


@pytest.mark.parametrize(
    ("code", "defined"),
    [
        ("def f(x):\n    return 1", True),
        ("import os\nasync def f(): ...", True),
        ("class f:\n    pass", True),
        ("f = lambda x: x", True),
        ("f: Callable = g", True),
        ("f == 3", False),
        ("    def f(x): pass", False),
        ("def fg(x): pass", False),
        ("return f(x)", False),
    ],
)
def test_what_code_defines(code, defined):
    assert defines(code, "f") is defined


def test_a_prompt_is_completed_by_a_body_or_by_the_whole_function():
    prompt = 'import math\n\ndef f(x):\n    """Doc."""\n'
    body = "    y = x\n    return y\n"
    assert complete_prompt(prompt, body, "f") == prompt + body
    assert complete_prompt(prompt, body.strip(), "f") == (prompt + body).rstrip()
    whole = "def f(x):\n    return math.pi\n"
    assert complete_prompt(prompt, whole, "f") == f"{prompt}\n{whole}"
    assert complete_prompt("", whole, "f") == whole
    assert complete_prompt("def f(x):", "    return x", "f") == "def f(x):\n    return x"
