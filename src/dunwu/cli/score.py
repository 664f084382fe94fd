"""`dunwu score`: grades rows of completions with the rewards of a recipe, or with rewards named on the command line."""

import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from dunwu.cli.errors import error_console, reports_errors
from dunwu.cli.run import Overrides
from dunwu.cli.score_config import REWARD_KINDS, score_config
from dunwu.config.check import reward_problems
from dunwu.config.reward import AccuracyReward
from dunwu.config.stage import RlConfig
from dunwu.errors import ConfigError

EXIT_STRICT = 1


@reports_errors
def score(
    file: Annotated[
        str, typer.Argument(metavar="IN.jsonl", help="Rows to score, or - for the standard input.")
    ],
    reward: Annotated[
        list[str] | None,
        typer.Option(
            "--reward",
            "-r",
            metavar="NAME[=WEIGHT],...",
            help=f"{', '.join(REWARD_KINDS)}, or file.py:function.",
            show_default="the recipe's",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT.jsonl", show_default="standard output")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Take the rewards, with their options and the output form, from this recipe."),
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="Of the recipe.", show_default="its only RL stage")
    ] = None,
    set_: Overrides = None,
    model: Annotated[
        str | None, typer.Option(help="Count tokens by this model's tokenizer where a row has no num_tokens.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, show_default="one per processor, at most 4")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with exit code 1 if a row cannot be read or a part fails.")
    ] = False,
) -> None:
    """Score completions: JSON lines in, one result for each out, in order.

    A row is {"id", "prompt", "completion", "task": {"kind": "math", "reference": "5"}}; a result is {"id", "reward",
    "parts": {name: {"value", "status", "detail"}}}. Rewards have the options that they have in a recipe, for example
    --set rewards.accuracy.answer_from=boxed. Without a recipe the answer is looked for in <answer>, then in
    \\boxed{}, then in the whole text after any </think>.
    """
    config = score_config(reward or [], recipe, stage, set_ or [])
    if problems := list(reward_problems(config.rewards)):
        raise ConfigError("\n".join(problems))
    if jobs is not None:
        config = config.model_copy(
            update={"grading": config.grading.model_copy(update={"num_workers": jobs})}
        )
    count_tokens = None if model is None else token_counter(model)
    with _opened(file, output) as (lines, out):
        faulty = _score(config, lines, out, count_tokens)
    if strict and faulty:
        raise typer.Exit(EXIT_STRICT)


def token_counter(model: str) -> Callable[[str], int]:
    """Return a function that counts the tokens of a text by a model's tokenizer."""
    from dunwu.models.loading import load_tokenizer

    tokenizer = load_tokenizer(model)
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def standard_input() -> Iterator[bytes]:
    """Yield the lines of the standard input.

    A thread reads them, which may still wait for more when the program ends; a buffered reader would be locked by it
    then, and Python aborts over that.
    """
    try:
        descriptor = sys.stdin.fileno()
    except OSError:  # not the process's own: no thread of ours keeps it
        yield from sys.stdin.buffer
        return
    begun: list[bytes] = []  # of a line whose end is still to come
    while block := os.read(descriptor, 1 << 16):
        first, *others = block.split(b"\n")
        begun.append(first)
        if others:
            yield b"".join(begun)
            yield from others[:-1]
            begun = others[-1:]
    if any(begun):
        yield b"".join(begun)


@contextmanager
def _opened(file: str, output: Path | None) -> Iterator[tuple[Iterable[bytes], IO[bytes]]]:
    """Open what is read and what is written."""
    if file != "-" and not Path(file).is_file():
        raise ConfigError(f"there is no file {file}; give - to read the standard input")
    if output is not None and file != "-" and output.exists() and output.samefile(file):
        raise ConfigError(f"-o {output} is the file that is read; choose another")
    with ExitStack() as stack:
        lines = standard_input() if file == "-" else stack.enter_context(Path(file).open("rb"))
        try:
            out = sys.stdout.buffer if output is None else stack.enter_context(output.open("wb"))
        except OSError as error:
            raise ConfigError(f"-o {output} cannot be written: {error}") from None
        try:
            yield lines, out
            out.flush()
        except BrokenPipeError:  # nobody reads on, as behind `| head`; Python must not try again at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(EXIT_STRICT) from None


def _score(
    config: RlConfig, lines: Iterable[bytes], out: IO[bytes], count_tokens: Callable[[str], int] | None
) -> bool:
    """Score all rows and tell how it went; return whether a row could not be read or a part failed."""
    from dunwu.rewards.grading import Grader
    from dunwu.rewards.scoring import Scored, score_lines

    summary, start, console = Summary(), time.monotonic(), error_console()
    needs_task = any(isinstance(reward, AccuracyReward) for reward in config.rewards)
    names = [reward.part_name for reward in config.rewards]
    with (
        Grader(config.rewards, output_form=config.output_form, service=config.grading) as grader,
        console.status("scoring") as status,
    ):
        scored: Scored
        for scored in score_lines(grader, lines, names, needs_task=needs_task, count_tokens=count_tokens):
            out.write(_line(scored.as_row()))
            summary.add(scored)
            if out is sys.stdout.buffer:
                out.flush()
            if console.is_terminal:
                status.update(f"scored {summary.num_rows:,} rows")
    summary.print_to(console, time.monotonic() - start)
    return summary.faulty


class Summary:
    """Counts over the scored rows."""

    def __init__(self) -> None:
        self.num_rows = self.num_unread = self.num_rewarded = 0
        self.reward_sum = 0.0
        self.statuses: dict[str, Counter[str]] = {}
        self.sums: defaultdict[str, float] = defaultdict(float)

    @property
    def faulty(self) -> bool:
        """Whether a row could not be read, or a part failed."""
        return self.num_unread > 0 or any(counts["error"] for counts in self.statuses.values())

    def add(self, scored: Any) -> None:
        """Take in one result."""
        self.num_rows += 1
        if scored.fault is not None:
            self.num_unread += 1
            return
        if scored.reward.total is not None:
            self.num_rewarded += 1
            self.reward_sum += scored.reward.total
        for name, part in scored.reward.parts.items():
            self.statuses.setdefault(name, Counter())[part.status] += 1
            self.sums[name] += part.value or 0.0

    def print_to(self, console: Any, seconds: float) -> None:
        """Print how many rows were scored, and each part's mean and statuses."""
        unread = f", {self.num_unread:,} could not be read" if self.num_unread else ""
        mean = f", mean reward {self.reward_sum / self.num_rewarded:.4g}" if self.num_rewarded else ""
        console.print(Text(f"scored {self.num_rows:,} rows in {seconds:.1f} s{mean}{unread}"), soft_wrap=True)
        if not self.statuses:
            return
        table = Table("part", "mean", "ok", "not applicable", "not gradable", "error")
        for column in table.columns[1:]:
            column.justify = "right"
        for name, counts in self.statuses.items():
            shown = f"{self.sums[name] / counts['ok']:.4g}" if counts["ok"] else "-"
            numbers = (counts[s] for s in ("ok", "not_applicable", "not_gradable", "error"))
            table.add_row(Text(name), shown, *(f"{number:,}" for number in numbers))
        console.print(table)


def _line(row: dict[str, Any]) -> bytes:
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 cannot hold
        return json.dumps(row, allow_nan=False).encode() + b"\n"
