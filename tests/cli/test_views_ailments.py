"""What ails a stage stays in the live panel until it is over."""

from io import StringIO

from rich.console import Console

from dunwu.cli.views import LiveView
from dunwu.functional.diagnosis.watch import AILMENTS, Diagnosis, heard, spoken


def begins(name: str, step: int) -> dict:
    known = Diagnosis(name, step, step, "the figures", "it hurts", "rest")
    return {"state": "begins", "step": step, **known.__dict__, "figures": []}


def shown(view: LiveView) -> str:
    console = Console(file=StringIO(), width=120)
    console.print(view)
    return console.file.getvalue()


def test_an_ailment_is_shown_while_it_lasts() -> None:
    view = LiveView(Console(file=StringIO(), width=120))
    view.stage_started("r1_zero", 10)
    assert "ailing" not in shown(view)
    view.message(spoken(begins("entropy collapse", 3)))
    view.message(spoken(begins("KL blow-up", 4)))
    view.message("step 5: the loss is 0 by construction")
    assert "ailing: entropy collapse, KL blow-up (" in shown(view)
    view.message(spoken({"state": "ends", "name": "entropy collapse", "step": 9, "ended": 8}))
    assert "ailing: KL blow-up (" in shown(view)
    view.stage_started("reasoning_rl", 10)
    assert "ailing" not in shown(view)


def test_every_ailment_is_heard_as_it_is_spoken() -> None:
    for ailment in AILMENTS:
        assert heard(spoken(begins(ailment.name, 3))) == (ailment.name, True)
        assert heard(spoken({"state": "ends", "name": ailment.name, "step": 9, "ended": 8})) == (
            ailment.name,
            False,
        )
    assert heard("reward hacking suspected at step 4: ...") is None
