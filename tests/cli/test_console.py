import os

from dunwu.cli.console import LastingConsole
from dunwu.cli.views import LiveView, PlainView


def test_a_view_that_nobody_reads_any_more_goes_on_silently():
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as file:
        view = PlainView(LastingConsole(file=file))
        view.stage_started("one", 3)
        assert os.read(reader, 100) == b"stage one: 3 steps\n"
        os.close(reader)
        for step in (1, 2, 3):
            view.step(step, {"reward": 0.5}, {})
        view.stage_finished("one", {})
        assert view.history.step == 3


def test_a_live_view_does_too():
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as file:
        console = LastingConsole(file=file, force_terminal=True, width=80)
        with LiveView(console) as view:
            os.close(reader)
            view.stage_started("one", 1)
            view.step(1, {"reward": 0.5}, {})
            view.message("told to nobody")
        assert console.quiet
