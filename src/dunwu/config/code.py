"""How programs that a policy wrote are judged: what is paid, and the limits of each run."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from dunwu.config.base import ConfigModel

CodeScore = Literal["all", "fraction", "compile"]
CodeComparison = Literal["tokens", "lines", "exact"]


class RunLimits(ConfigModel):
    """What one run of a program may use; beyond it the run is ended and gets its verdict."""

    cpu_seconds: PositiveFloat = 6.0
    """Processor time, of all its processes together."""
    wall_seconds: PositiveFloat = 20.0
    """Time by the clock; more than the processor time, so that a busy machine ends no honest program."""
    memory_mib: PositiveInt = 512
    output_kib: PositiveInt = 8192
    processes: PositiveInt = 32
    """Processes and threads."""
    file_mib: PositiveInt = 64
    """What it may write to files."""


class CodeConfig(ConfigModel):
    """How code is judged. A task may state its own processor time and memory, comparison and tolerance."""

    score: CodeScore = "all"
    """all: 1 if every test is passed, else 0. fraction: the share of tests passed. compile: 1 if it compiles."""
    test_limits: RunLimits = RunLimits()
    """Of each test."""
    compile_limits: RunLimits = RunLimits(cpu_seconds=20.0, wall_seconds=60.0, memory_mib=1024)
    """Of compiling C++."""
    problem_seconds: PositiveFloat = 120.0
    """Time by the clock for all tests of one answer, from when its grading starts; what is left then counts as TLE."""
    comparison: CodeComparison = "tokens"
    """Of printed output with the expected one. tokens: white space is only a separator, and "1.0" equals
    "1.00". lines: white space at the ends of lines and of the text is ignored. exact: byte for byte."""
    max_code_kib: PositiveInt = 64
    """A longer program is judged wrong without being run."""
    detail_chars: int = Field(default=200, ge=20)
    """How much of an input, an expected and a seen output is kept in the part's detail."""
