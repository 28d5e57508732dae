"""Widgets that more than one screen shows."""

from __future__ import annotations

import re

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Static

from screens.widgets.logview import LogView, shortened
from screens.widgets.palette import MUTED, plain
from tests.screens.fakes import World
from tests.screens.pilots import Open, shown, until
from wizard.logbuffer import LogBuffer
from wizard.session import Session


@pytest.mark.parametrize(
    ("line", "short"),
    [
        (
            "(Worker_DP1_TP0_EP0 pid=933) INFO 11-24 07:02:52 [loader.py:267] Loading took 2 s",
            "07:02:52 Worker_DP1_TP0_EP0: Loading took 2 s",
        ),
        (
            "(EngineCore_DP0 pid=1) (Worker_TP0 pid=2) ERROR 11-24 07:02:52 [a.py:1] boom",
            "07:02:52 ERROR Worker_TP0: boom",
        ),
        ("INFO 11-24 07:02:46 [__init__.py:207] Platform plugin", "07:02:46 Platform plugin"),
        ("(APIServer pid=806) INFO:     Started", "APIServer: Started"),
        ("(Worker_DP0 pid=1) Loading shards: 7%", "Worker_DP0: Loading shards: 7%"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
    ],
)
def test_a_narrow_log_keeps_time_process_and_message(line: str, short: str) -> None:
    assert shortened(line) == short


async def test_a_log_follows_its_end_until_the_user_scrolls_up(
    world: World, open_wizard: Open
) -> None:
    log = LogBuffer(100)
    view = LogView([log])
    async with open_wizard(Session(rooms=world.rooms)) as pilot:
        await pilot.app.screen.mount(view, before="#message")
        view.styles.height = 5
        view.focus()
        log.extend(f"line {n:03}." for n in range(60))
        view.drain()
        await until(pilot, lambda: "line 059." in shown(pilot))
        await pilot.press("up", "up", "up")
        await until(pilot, lambda: "line 059." not in shown(pilot))
        before = re.findall(r"line \d+", shown(pilot))
        log.extend(f"line {n:03}." for n in range(60, 130))  # the oldest 30 fall out
        view.drain()
        await pilot.pause()
        after = re.findall(r"line \d+", shown(pilot))
        assert after == before
        await pilot.press("end")
        await until(pilot, lambda: "line 129." in shown(pilot))
        log.extend(["line 130."])
        view.drain()
        await until(pilot, lambda: "line 130." in shown(pilot))


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light"])
async def test_muted_text_is_less_bright_than_the_rest(theme: str) -> None:
    class Two(App[None]):
        def compose(self) -> ComposeResult:
            yield Static(plain("text"))
            yield Static(plain("text", MUTED))

    app = Two()
    async with app.run_test() as pilot:
        app.theme = theme
        await pilot.pause()
        shown = [next(iter(one.render_line(0))).style for one in app.query(Static)]
        ground = app.screen.styles.background.rgb
        far = [
            sum(abs(a - b) for a, b in zip(style.color.get_truecolor(), ground, strict=True))
            for style in shown
            if style is not None and style.color is not None
        ]
        assert far[1] < 0.8 * far[0]
