"""Reads and checks the task object of a code problem. Runs nothing; called by `code` before anything is run.

Accepted beside the names of the fields here are those of the field's data sets: LiveCodeBench's
`{"input", "output", "testtype"}` with `func_name`, Codeforces' `{"input", "output"}` with `time_limit` (seconds)
and `memory_limit` (MiB), HumanEval's `{"prompt", "test", "entry_point"}`, MBPP's `test_list`.
"""

import json
import posixpath
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from dunwu.config.code import CodeComparison
from dunwu.errors import DataError

Language = Literal["python", "cpp", "javascript"]
LANGUAGE_NAMES: Mapping[Language, tuple[str, ...]] = {
    "python": ("python", "python3", "py", "py3"),
    "cpp": ("cpp", "c++", "cc", "cxx", "cpp17", "cpp20"),
    "javascript": ("javascript", "js", "node", "nodejs"),
}
"""How each language is called in tasks and behind the opening fence of a code block."""

_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)?")


class CodeTaskError(DataError):
    """A code task that no answer can be judged by: empty, contradictory or malformed tests."""


def _language(value: Any) -> Any:
    name = str(value).lower()
    return next((language for language, names in LANGUAGE_NAMES.items() if name in names), value)


def _text(value: Any) -> Any:
    return "\n".join(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value


def _texts(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_text)]


class _Shape(BaseModel):
    """Part of a task; keys that a data set carries besides are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class PrintTest(_Shape):
    """What the program reads, and what it has to print. A list of lines stands for the lines."""

    stdin: Text = Field("", validation_alias=AliasChoices("stdin", "input"))
    stdout: Text = Field(validation_alias=AliasChoices("stdout", "output"))


class CallTest(_Shape):
    """A function, or `Class.method` of a class made without arguments, and what it has to return, as JSON data."""

    function: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = Field(default_factory=dict)
    expected: Any

    @model_validator(mode="after")
    def _callable(self) -> "CallTest":
        if not _IDENTIFIER.fullmatch(self.function):
            raise ValueError(f"function is {self.function!r}; it must be a name, or a class's and a method's")
        return self


class Checker(_Shape):
    """A program that judges printed output, where more than one output is right.

    testlib: called with the files input, output, answer; exits with 0 for right, with 1 or 2 for wrong.
    prints: called with input, answer, output; prints 1 (or more) for right, 0 for wrong.
    """

    language: Annotated[Language, BeforeValidator(_language)] = "python"
    source: str = Field(min_length=1)
    protocol: Literal["testlib", "prints"] = "testlib"


class Repository(_Shape):
    """A small Python repository with unit tests, to be mended by a patch."""

    files: dict[str, str] = Field(min_length=1)
    runner: Literal["unittest", "pytest"] = "unittest"
    fail_to_pass: tuple[str, ...] = Field(min_length=1)
    pass_to_pass: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    own_equality: bool = False

    @model_validator(mode="after")
    def _sound(self) -> "Repository":
        for path in self.files:
            if not is_inner_path(path):
                raise ValueError(f"{path!r} is not a path inside the repository")
        both = set(self.fail_to_pass) & set(self.pass_to_pass)
        if both:
            raise ValueError(f"{sorted(both)[0]!r} is in fail_to_pass and in pass_to_pass")
        return self


class CodeTask(_Shape):
    """What a program has to do to be right. Exactly one of tests, calls, test_program, repository is given.

    `own_equality`: where a test program or unit tests compare two objects of the solution's own classes, the
    solution's `==` decides, and can say yes to everything; else they are equal only if they are the same object.
    """

    language: Annotated[Language, BeforeValidator(_language)] = "python"
    tests: tuple[PrintTest, ...] = ()
    calls: tuple[CallTest, ...] = ()
    test_program: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    repository: Repository | None = None
    prompt: str = ""
    entry_point: str | None = None
    own_equality: bool = False
    checker: Checker | None = None
    comparison: CodeComparison | None = None
    tolerance: PositiveFloat | None = None
    cpu_seconds: PositiveFloat | None = Field(
        None, validation_alias=AliasChoices("cpu_seconds", "time_limit")
    )
    memory_mib: PositiveInt | None = Field(None, validation_alias=AliasChoices("memory_mib", "memory_limit"))

    @model_validator(mode="after")
    def _one_sort_of_tests(self) -> "CodeTask":
        sorts = ("tests", "calls", "test_program", "repository")
        given = [sort for sort in sorts if getattr(self, sort)]
        if len(given) != 1:
            found = " and ".join(given) or "none of them, or an empty one"
            raise ValueError(
                f"exactly one of {', '.join(sorts)} must be given, and not be empty; found {found}"
            )
        if self.checker and not self.tests:
            raise ValueError("a checker judges printed output: it needs tests")
        allowed = {"tests": tuple(LANGUAGE_NAMES), "calls": ("python", "javascript")}.get(
            given[0], ("python",)
        )
        if self.language not in allowed:
            raise ValueError(f"{given[0]} can be used with {' and '.join(allowed)}, not with {self.language}")
        if any(not program.strip() for program in self.test_program):
            raise ValueError("test_program is empty")
        return self


def read_code_task(metadata: Mapping[str, Any]) -> CodeTask:
    """Return the task that a problem's metadata holds.

    Raises:
        CodeTaskError: it is malformed; the message names the key and what is wrong with it.
    """
    try:
        return CodeTask.model_validate(_canonical(metadata))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise CodeTaskError(f"the code task is malformed: {where + ': ' if where else ''}{message}") from None


def is_inner_path(path: str) -> bool:
    """Return whether a path stays inside the folder it is taken from, written in its shortest form."""
    return (
        bool(path)
        and "\0" not in path
        and "\\" not in path
        and not posixpath.isabs(path)
        and posixpath.normpath(path) == path
        and path != "."
        and path.split("/")[0] != ".."
    )


def _canonical(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The same task in our own names."""
    data = {key: value for key, value in metadata.items() if value is not None}
    if isinstance(data.get("tests"), str):
        data["tests"] = _json(data["tests"], "tests")
    if "inputs" in data and "outputs" in data and "tests" not in data:
        data["tests"] = _zipped(data["inputs"], data["outputs"])
    if "test_program" not in data and "test_list" in data:
        data["test_program"] = data["test_list"]
    if "test_program" not in data and isinstance(data.get("test"), str):
        data["test_program"] = data["test"]
    setup = data.get("test_setup_code")
    if setup and "test_program" in data:
        data["test_program"] = tuple(f"{setup}\n{program}" for program in _texts(data["test_program"]))
    repository = data.get("repository")
    if isinstance(repository, Mapping) and "files" not in repository:
        keys = ("runner", "fail_to_pass", "pass_to_pass", "protected", "own_equality")
        data["repository"] = {"files": repository, **{key: data[key] for key in keys if key in data}}
    if isinstance(data.get("tests"), (list, tuple)):
        data["tests"] = [_without_none(test) for test in data["tests"]]
    if isinstance(data.get("memory_limit"), float):
        data["memory_limit"] = int(data["memory_limit"])
    function = data.get("func_name") or data.get("fn_name")
    tests = data.get("tests")
    if function and isinstance(tests, (list, tuple)) and tests:
        data["calls"] = [_functional(test, str(function)) for test in tests]
        del data["tests"]
    return data


def _without_none(test: Any) -> Any:
    """A test without the keys that a table fills in where its rows have different ones."""
    return (
        {key: value for key, value in test.items() if value is not None}
        if isinstance(test, Mapping)
        else test
    )


def _functional(test: Any, function: str) -> dict[str, Any]:
    """LiveCodeBench's functional test: one argument a line, each as JSON; the output as JSON."""
    if not isinstance(test, Mapping) or "input" not in test or "output" not in test:
        raise CodeTaskError("the code task is malformed: a test with func_name needs input and output")
    args, expected = test["input"], test["output"]
    if isinstance(args, str):
        args = [_json(line, "input") for line in args.splitlines() if line.strip()]
    if isinstance(expected, str):
        expected = _json(expected, "output")
    return {"function": function, "args": args, "expected": expected}


def _zipped(inputs: Any, outputs: Any) -> list[dict[str, Any]]:
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise CodeTaskError("the code task is malformed: inputs and outputs must be lists of the same length")
    return [{"input": given, "output": wanted} for given, wanted in zip(inputs, outputs, strict=True)]


def _json(text: str, key: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise CodeTaskError(f"the code task is malformed: {key} {text[:80]!r} is not JSON") from None
