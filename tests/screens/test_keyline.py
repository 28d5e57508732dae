"""The line of keys: what works now, pressed with the mouse as well."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from screens.widgets.keyline import KeyLine
from tests.screens.fakes import World, preset
from tests.screens.pilots import Open, at, until
from wizard.session import Session, Step


class Keys(App[None]):
    """Three keys, one of them off, one that only a field knows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "press('two')", "Two", key_display="F2"),
        Binding("f3", "off", "Three", key_display="F3"),
        Binding("f4", "press('hidden')", "Hidden", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.pressed: list[str] = []
        self.beeps = 0

    def compose(self) -> ComposeResult:
        yield Field()
        yield KeyLine()

    def action_press(self, name: str) -> None:
        self.pressed.append(name)

    def action_off(self) -> None:
        self.pressed.append("off")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return None if action == "off" else True

    def bell(self) -> None:
        self.beeps += 1


class Field(Input):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f5", "app.press('five')", "Five")]


def line(app: App[None]) -> str:
    return app.query_one(KeyLine).render().plain.rstrip()


async def test_a_click_does_what_the_key_does_and_one_that_is_off_beeps() -> None:
    app = Keys()
    async with app.run_test(size=(80, 24)) as pilot:
        app.set_focus(None)
        await until(pilot, lambda: line(app).startswith(" F2 Two  F3 Three"))
        assert "Hidden" not in line(app)
        assert await pilot.click(KeyLine, offset=(5, 0))
        await until(pilot, lambda: app.pressed == ["two"])
        assert await pilot.click(KeyLine, offset=(12, 0))
        await until(pilot, lambda: app.beeps == 1)
        assert await pilot.click(KeyLine, offset=(70, 0))
        await pilot.pause()
        assert (app.pressed, app.beeps) == (["two"], 1)


async def test_the_keys_follow_the_focus_and_the_mouse_shows_what_it_would_press() -> None:
    app = Keys()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "f5 Five" in line(app))
        spans = app.query_one(KeyLine).render().spans
        await pilot.hover(KeyLine, offset=(2, 0))
        await until(pilot, lambda: app.query_one(KeyLine).render().spans != spans)
        app.set_focus(None)
        await until(pilot, lambda: "Five" not in line(app))
        await pilot.hover(Field)
        await until(pilot, lambda: app.query_one(KeyLine).styles.pointer == "default")


async def test_every_key_of_a_step_is_on_the_line_at_80_columns(
    world: World, open_wizard: Open
) -> None:
    session = Session(rooms=world.rooms)
    session.load(preset())
    async with open_wizard(session) as pilot:
        for step in Step:
            pilot.app.goto(step)  # type: ignore[attr-defined]
            await at(pilot, step)
            keys = pilot.app.screen.query_one(KeyLine)
            await until(pilot, lambda keys=keys: "Quit" in keys.render().plain)
            assert keys.render().cell_length <= 80, step.name
