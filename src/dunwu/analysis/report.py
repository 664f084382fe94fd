"""A report of a run: one HTML file that opens offline, and the same as Markdown beside its pictures.

    DIR/report.html      everything in one file
    DIR/report.md        the same, for a repository or a mail
    DIR/report.images/   the pictures of report.md

Reads the run folder alone. Called by `dunwu report` and at the end of `dunwu run`.
"""

import base64
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jinja2

from dunwu.analysis.curves import draw_stage
from dunwu.analysis.report_facts import report_facts
from dunwu.analysis.report_plots import draw_models
from dunwu.analysis.stage_words import CLAIM_WORDS, EMBEDDED_WORDS, FIGURE_WORDS, GLOSSARY, ROLE_WORDS
from dunwu.errors import RunError
from dunwu.functional.comparison_text import cell_texts, check_text, row_name
from dunwu.runs.files import remove, write_file, write_folder
from dunwu.runs.folder import RunFolder

HTML_NAME, MARKDOWN_NAME, IMAGES_NAME = "report.html", "report.md", "report.images"
_TEMPLATES = Path(__file__).parent / "templates"


def write_report(
    run: RunFolder, folder: Path, *, damaged: Sequence[str] = (), outdated: Sequence[str] = ()
) -> Path:
    """Write the report of a run, finished or not, into a folder, and return the path of the HTML file.

    What cannot be read in the run folder is told in the report and left out.

    Args:
        damaged: what else is damaged, a sentence each, told before the figures.
        outdated: which stages were made from something that has changed since, a sentence each, told there too.
    Raises:
        OSError: the folder cannot be written.
    """
    facts = report_facts(run)
    facts["damaged"] = [line for line in damaged if not any(line in fault for fault in facts["faults"])]
    facts["outdated"] = list(outdated)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as drawn:
        facts["pictures"] = list(_draw(run, facts, Path(drawn)))
        images = sorted(Path(drawn).glob("*.png"))
        if images:
            write_folder(folder / IMAGES_NAME, partial(_copy, images))
        else:
            remove(folder / IMAGES_NAME)
        data = {image.name: base64.b64encode(image.read_bytes()).decode() for image in images}
    write_file(folder / MARKDOWN_NAME, _render("report.md.jinja", facts, data))
    write_file(folder / HTML_NAME, _render("report.html.jinja", facts, data))
    return folder / HTML_NAME


def _copy(files: Sequence[Path], to: Path) -> None:
    for file in files:
        (to / file.name).write_bytes(file.read_bytes())


def _draw(run: RunFolder, facts: dict[str, Any], folder: Path) -> Iterator[dict[str, str]]:
    """Draw the pictures; for each its file, the stage it is of ("" for the models), and what it shows."""
    if facts["table"] is not None:
        draw_models(facts["table"], folder / "models.png")
        shows = "Right answers, helpfulness and harmlessness of each model, with 95% intervals"
        yield {"file": "models.png", "stage": "", "shows": shows}
    for stage in facts["stages"]:
        if stage["draws"]:
            try:
                draw_stage(run, run.stage(stage["name"]), folder / f"{stage['name']}.png")
            except RunError as error:
                if str(error) not in facts["faults"]:
                    facts["faults"].append(str(error))
                continue
            shows = f"Curves of {stage['name']}: reward, right answers, length, self-checking, KL and entropy over the steps"
            yield {"file": f"{stage['name']}.png", "stage": stage["name"], "shows": shows}


def _render(template: str, facts: dict[str, Any], data: dict[str, str]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=template.endswith(".html.jinja"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "duration": _duration,
        "md": _markdown,
        "percent": _percent,
        "quoted": _quoted,
        "date": _date,
    }
    words = {"roles": ROLE_WORDS, "figures": FIGURE_WORDS, "glossary": GLOSSARY, "claims": CLAIM_WORDS}
    words["embedded_words"] = EMBEDDED_WORDS
    helpers = {"cell_texts": cell_texts, "row_name": row_name, "check_text": check_text, "bar": _bar}
    helpers["model_words"] = _model_words
    return environment.get_template(template).render(run=facts, images=data, **words, **helpers)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _date(time: str) -> str:
    return time[:16].replace("T", " ") + " UTC"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _model_words(stage: dict[str, Any]) -> str:
    """Which model a stage made, in a sentence; nothing for stages that made none."""
    called, count = stage["called"], stage["parameters"]
    if not called and not count:
        return ""
    name = f"Its model, {called} in the tables below," if called else "Its model"
    return f"{name} has {_parameters(count)}." if count else f"{name} is measured there."


def _parameters(count: int) -> str:
    """A model's size in three digits."""
    if count < 10**6:
        return f"{count:,} parameters"
    unit, word = (10**9, "billion") if count >= 10**9 else (10**6, "million")
    return f"{count / unit:.3g} {word} parameters"


def _bar(cell: dict[str, Any] | None, unit: str) -> dict[str, float] | None:
    """Where a cell's figure and interval lie in a bar from 0 to 100."""
    if cell is None or unit != "share":
        return None
    return {
        "value": 100 * cell["value"],
        "low": 100 * cell["low"],
        "width": 100 * (cell["high"] - cell["low"]),
    }


def _markdown(text: object) -> str:
    """Keep text from being taken for Markdown or HTML, on one line."""
    escaped = "".join(f"\\{sign}" if sign in "\\`*_[]|#" else sign for sign in str(text))
    return " ".join(escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def _quoted(text: str) -> str:
    """Indent text as a code block, so that nothing in it is taken for Markdown."""
    return "\n".join(f"    {line}" for line in text.splitlines() or [""])
