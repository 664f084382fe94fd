"""The curves of a stage as one picture: reward, accuracy, length, self-checking, KL and entropy over the steps of an RL stage;
loss, entropy, gradient norm and learning rate over those of a fine-tuning stage.

Reads the run folder alone and computes nothing that is not in it. Called by `dunwu plot` and at the end of `dunwu run`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dunwu.errors import RunError
from dunwu.runs.folder import RunFolder
from dunwu.runs.stage_folder import StageFolder


class _Panel(NamedTuple):
    """One small plot: its title and its lines, metric name to label."""

    title: str
    lines: Mapping[str, str]
    percent: bool = False
    held_out: Mapping[str, str] = {}


_RL_PANELS = (
    _Panel("reward", {"reward": "sum"}),  # and its parts, whatever the recipe has
    _Panel("right answers", {"accuracy": "training samples"}, percent=True),
    _Panel(
        "length (tokens)", {"length_mean": "all", "length_mean_right": "right", "length_mean_wrong": "wrong"}
    ),
    _Panel("checks itself", {"self_check_frac": "share of completions"}, percent=True),
    _Panel("KL to the reference (nats per token)", {"kl": "k3"}),
    _Panel("entropy (nats per token)", {"entropy": "policy"}),
)
_SFT_PANELS = (
    _Panel("loss (nats per trained token)", {"nll": "training samples"}, held_out={"nll": "held out"}),
    _Panel("right tokens", {}, percent=True, held_out={"token_accuracy": "held out"}),
    _Panel("entropy (nats per trained token)", {"entropy": "policy"}),
    _Panel("gradient norm", {"grad_norm": "before clipping"}),
    _Panel("learning rate", {"learning_rate": "AdamW"}),
    _Panel("trained tokens", {"trained_tokens": "per step"}),
)


def draw_curves(run: RunFolder, path: Path) -> list[Path]:
    """Write one PNG for each stage that has steps; `path` is that of the first, others get the stage's name added.

    Raises:
        RunError: no stage has made a step yet.
    """
    makes = {config.name: config.makes for config in run.recipe.stages}
    # a stage that makes nothing has columns of a table for steps, and no curves
    stages = [stage for stage in run.stages() if makes[stage.name] and stage.read_metrics()]
    if not stages:
        raise RunError(f"{run.path} has no finished step yet; draw its curves when it has")
    written = []
    for number, stage in enumerate(stages):
        target = path if number == 0 else path.with_name(f"{path.stem}-{stage.name}{path.suffix}")
        draw_stage(run, stage, target)
        written.append(target)
    return written


def draw_stage(run: RunFolder, stage: StageFolder, path: Path) -> None:
    """Write the curves of one stage that has steps as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metrics = stage.read_metrics()
    steps = [record["step"] for record in metrics]
    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{run.recipe.name}: {stage.name}, {len(steps)} steps, seed {run.recipe.seed}")
    panels = _SFT_PANELS if "nll" in metrics[0] else _RL_PANELS
    for axes, panel in zip(figure.subplots(2, 3).flat, panels, strict=True):
        parts = _reward_parts(metrics) if panel.title == "reward" else {}
        for name, label in {**panel.lines, **parts}.items():
            _line(axes, steps, [record.get(name) for record in metrics], label)
        if panel.title == "right answers":
            _held_out(axes, stage)
        for name, label in panel.held_out.items():
            records = [
                record for label in stage.evaluation_labels() if (record := stage.read_evaluation(label))
            ]
            steps_then, values = [r["step"] for r in records], [r[name] for r in records]
            axes.plot(steps_then, values, "o-", markersize=4, color="black", label=label)
        axes.set_title(panel.title, fontsize=10)
        axes.set_xlabel("step", fontsize=8)
        axes.grid(alpha=0.25)
        axes.tick_params(labelsize=8)
        if panel.percent:
            axes.set_ylim(-0.02, 1.02)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": "dunwu"})


def _reward_parts(metrics: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The parts that the reward adds up from, by their keys in the metrics; of a part that adds up from others only the sum."""
    counts = [key for key in dict.fromkeys(k for record in metrics for k in record) if key.endswith("_ok")]
    names = [key.removesuffix("_ok") for key in counts if key.startswith("reward_") and "." not in key]
    return {name: name.removeprefix("reward_").replace("_", " ") for name in names}


def _line(axes: Any, steps: Sequence[int], values: Sequence[float | None], label: str) -> None:
    """A faint line of the values and a strong one of their running mean over a twentieth of the steps."""
    points = [(step, value) for step, value in zip(steps, values, strict=True) if value is not None]
    if not points:
        return
    x = [step for step, _ in points]
    y = [value for _, value in points]
    window = max(1, len(y) // 20)
    smooth = [
        sum(y[max(0, i - window + 1) : i + 1]) / (i + 1 - max(0, i - window + 1)) for i in range(len(y))
    ]
    (strong,) = axes.plot(x, smooth, linewidth=1.6, label=label)
    axes.plot(x, y, linewidth=0.6, alpha=0.3, color=strong.get_color())


def _held_out(axes: Any, stage: StageFolder) -> None:
    """The held-out evaluations as points with their intervals."""
    records = [record for label in stage.evaluation_labels() if (record := stage.read_evaluation(label))]
    records = [record for record in records if record.get("pass_at_1") is not None]
    if not records:
        return
    majority = next((key for key in records[0] if key.startswith("cons_at_") and "interval" not in key), None)
    for key, label, colour in (
        ("pass_at_1", "held-out pass@1", "black"),
        (majority, "held-out majority", "tab:red"),
    ):
        if key is None:
            continue
        x = [record["step"] for record in records]
        y = [record[key] for record in records]
        low = [
            max(0.0, value - record[f"{key}_interval"][0]) for value, record in zip(y, records, strict=True)
        ]
        high = [
            max(0.0, record[f"{key}_interval"][1] - value) for value, record in zip(y, records, strict=True)
        ]
        axes.errorbar(x, y, yerr=[low, high], fmt="o", markersize=4, capsize=2, color=colour, label=label)
