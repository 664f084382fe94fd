"""How a run looks while it runs: live in a terminal, plain lines elsewhere. Both are a
`runs.progress.Progress`."""

import re
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dunwu.cli.figures import FIGURES, StepHistory, duration, share, size, sparkline, speeds
from dunwu.functional.diagnosis.watch import heard

_HEARTBEAT_SECONDS = 30.0
_SPARKLINE_WIDTH = 40


class RunView:
    """What both views share: the history of the stage, and saying the same thing only once."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.stage = ""
        self.history = StepHistory(0, 0)
        self._said: set[str] = set()
        self.ailments: list[str] = []
        """What ails the stage now, as it was told."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def stage_started(self, name: str, num_steps: int, done_steps: int = 0) -> None:
        self.stage = name
        self.history = StepHistory(num_steps, done_steps)
        self._said.clear()
        self.ailments = []
        since = f", going on after step {done_steps}" if done_steps else ""
        self.console.print(Text(f"stage {name}: {num_steps} steps{since}", style="bold"))

    def message(self, text: str) -> None:
        told = heard(text)
        if told is not None:
            name, begins = told
            self.ailments = [other for other in self.ailments if other != name] + [name] * begins
        # The same diagnosis comes with other numbers at every step; saying it once is enough.
        gist = re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "#", text)
        if gist not in self._said:
            self._said.add(gist)
            self.console.print(Text(text, style="yellow"), soft_wrap=not self.console.is_terminal)

    def stage_finished(self, name: str, record: Mapping[str, Any]) -> None:
        seconds = record.get("wall_seconds")
        took = f" in {duration(seconds)}" if seconds is not None else ""
        self.console.print(Text(f"stage {name} finished{took}", style="bold"))


class PlainView(RunView):
    """One line per step, and a sign of life while sampling takes long."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console)
        self._clock = clock
        self._told = clock()

    def evaluation(self, label: str, done: int, total: int) -> None:
        self._tell_sometimes(f"evaluating ({label})", done, total, "samples", always_last=True)

    def generation(self, done: int, total: int) -> None:
        self._tell_sometimes("sampling", done, total, "completions", always_last=False)

    def step(self, step: int, metrics: Mapping[str, Any], timings: Mapping[str, Any]) -> None:
        history = self.history
        history.add(step, metrics, timings)
        parts = [f"step {step:>{len(str(history.num_steps))}}/{history.num_steps}"]
        parts += [f"{figure.short} {figure.written(metrics)}" for figure in FIGURES if figure.key in metrics]
        parts += [part for part in (speeds(timings), _pace(history)) if part]
        self._print("  ".join(parts))

    def _tell_sometimes(self, what: str, done: int, total: int, unit: str, *, always_last: bool) -> None:
        if (done == total and always_last) or self._clock() - self._told >= _HEARTBEAT_SECONDS:
            self._print(f"{what}: {done} of {total} {unit}")

    def _print(self, line: str) -> None:
        self._told = self._clock()
        self.console.print(Text(line), soft_wrap=True)


class LiveView(RunView):
    """A panel of figures and curves that stays at the bottom of the terminal; messages scroll by above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._phase = ("", 0, 0)
        self._live = Live(self, console=console, refresh_per_second=2, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def evaluation(self, label: str, done: int, total: int) -> None:
        self._phase = (f"evaluating ({label})", done, total)

    def generation(self, done: int, total: int) -> None:
        self._phase = ("training" if done == total else "sampling", done, total)

    def step(self, step: int, metrics: Mapping[str, Any], timings: Mapping[str, Any]) -> None:
        self.history.add(step, metrics, timings)

    def stage_finished(self, name: str, record: Mapping[str, Any]) -> None:
        self._phase = ("", 0, 0)
        super().stage_finished(name, record)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        history = self.history
        if not self.stage:
            yield Text("loading ...", style="dim")
            return
        yield _bar(f"{self.stage}, step", history.step, history.num_steps, _pace(history))
        what, done, total = self._phase
        if total:
            yield _bar(what, done, total, "")
        if history.metrics:
            yield _figures(history)
        if self.ailments:
            yield Text(f"ailing: {', '.join(self.ailments)} (what helps is said above)", style="bold yellow")
        last = [speeds(history.timings)]
        if history.timings.get("peak_memory_bytes"):
            last.append(f"peak memory {size(history.timings['peak_memory_bytes'])}")
        yield Text(", ".join(part for part in last if part), style="dim")


def run_view(console: Console, *, plain: bool) -> PlainView | LiveView:
    """Choose the view that suits the console."""
    return (
        LiveView(console)
        if console.is_terminal and not console.is_dumb_terminal and not plain
        else PlainView(console)
    )


def _pace(history: StepHistory) -> str:
    pace, left = history.seconds_per_step, history.seconds_left
    if pace is None or left is None:
        return ""
    return f"{pace:.1f} s/step  " + (f"{duration(left)} left" if left else "done")


def _bar(what: str, done: int, total: int, after: str) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(
        Text(f"{what} {done}/{total}"),
        ProgressBar(total=total, completed=done, width=30),
        Text(share(done / total) if total else ""),
        Text(after, style="dim"),
    )
    return grid


def _figures(history: StepHistory) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    for figure in FIGURES:
        if figure.key in history.metrics:
            curve = sparkline(history.curves[figure.key], _SPARKLINE_WIDTH)
            grid.add_row(
                Text(figure.label),
                Text(figure.written(history.metrics), style="bold"),
                Text(curve, style="cyan"),
            )
    return grid
