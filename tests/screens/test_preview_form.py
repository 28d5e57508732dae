"""The preview's parameters: every keystroke an answer; empty fields have the recipe's value."""

from __future__ import annotations

from textual.widgets import Input, TextArea

from screens.parameterform import Field
from tests.screens.fakes import World
from tests.screens.pilots import Open, at, shown, until
from tests.screens.test_preview import previewing
from wizard.autosave import Autosave
from wizard.session import Step


async def test_what_is_typed_is_rendered_and_clearing_goes_back(
    world: World, open_wizard: Open
) -> None:
    session = previewing(world)
    async with open_wizard(session, size=(160, 48)) as pilot:
        await until(pilot, lambda: "#!/" in shown(pilot))
        await pilot.press("right", "right", "down")
        await until(pilot, lambda: "guide: 8000" in shown(pilot))
        assert "ours: quay.io/ascend/vllm-ascend" in shown(pilot)
        await pilot.press(*"9000")
        await until(pilot, lambda: "--port 9000" in shown(pilot))
        assert "* API port" in shown(pilot)
        assert "yours; when empty, guide: 8000" in shown(pilot)
        assert session.preset().serve.port == 9000
        await pilot.press(*["backspace"] * 4)
        await until(pilot, lambda: "--port 8000" in shown(pilot))
        assert "* API port" not in shown(pilot)
        assert session.preset().serve.port is None


async def test_a_wrong_value_stays_is_said_at_the_field_and_blocks(
    world: World, open_wizard: Open
) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "#!/" in shown(pilot))
        await pilot.press("f3", "f3")
        await pilot.press("down", *"80000")
        await until(pilot, lambda: "less than or equal to 65535" in shown(pilot))
        assert "✗ RPC port" in shown(pilot)
        await pilot.press("f3", "ctrl+n")
        await until(pilot, lambda: "This blocks the launch: RPC port" in shown(pilot))
        assert session.step is Step.PREVIEW
        focused = pilot.app.focused
        assert isinstance(focused, Input)
        assert focused.value == "80000"
        session.autosave.flush()
        saved = Autosave(world.rooms.autosave).load()
        assert saved is not None
        assert saved.draft.extra["serve"] == {"rpc_port": 80000}
        await pilot.press("backspace")
        await until(pilot, lambda: "Nothing blocks the launch" in shown(pilot))
        await pilot.press("ctrl+n")
        await at(pilot, Step.LAUNCH)


async def test_every_field_can_be_reached_by_down_alone(world: World, open_wizard: Open) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "#!/" in shown(pilot))
        await pilot.press("right", "right", "down")
        await until(pilot, lambda: pilot.app.screen.query(Field))
        fields = list(pilot.app.screen.query(Field))
        await until(pilot, lambda: fields[0].has_focus_within)
        await pilot.press(*["down"] * (len(fields) - 1))
        await until(pilot, lambda: fields[-1].has_focus_within)
        await until(pilot, lambda: fields[-1].region.bottom <= 21)
        await pilot.press(*"shm", "enter", *"nonsense")  # Enter is a new line there, up goes up it
        await until(pilot, lambda: "✗ 'nonsense' is no deviation" in shown(pilot))
        await until(pilot, lambda: fields[-1].region.bottom <= 21)  # the whole of what is wrong
        await pilot.press("up", "up", *"yes")
        assert fields[-2].has_focus_within
        assert session.draft.extra["strict_guide"] is True
        fields[0].query_one(Input).focus()
        await pilot.pause()
        await pilot.press("up")
        await until(pilot, lambda: getattr(pilot.app.focused, "id", "") == "pages")


async def test_turning_pages_in_haste_types_nothing_into_a_field(
    world: World, open_wizard: Open
) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "#!/" in shown(pilot))
        await pilot.press("f3", "f3", "f3", "c")  # the form is made while they are pressed
        await until(pilot, lambda: "with the saved preset" in shown(pilot))
        await pilot.press("left", "o", "7", "c")
        await until(pilot, lambda: "API port" in shown(pilot))
        await pilot.press("right")
        await until(pilot, lambda: "with the saved preset" in shown(pilot))
        assert not session.draft.typed
        assert "serve" not in session.draft.extra


async def test_lines_become_arguments_variables_and_mounts(world: World, open_wizard: Open) -> None:
    session = previewing(world)
    async with open_wizard(session, size=(160, 48)) as pilot:
        await until(pilot, lambda: "#!/" in shown(pilot))
        await pilot.press("right", "right", "down")
        wanted = {"args": "--swap-space 8", "env": "HCCL_CONNECT_TIMEOUT=1200", "mounts": "/d:/d"}
        for field in pilot.app.screen.query(Field):
            if text := wanted.get(field.parameter.id):
                field.query_one(TextArea).insert(text)
        await until(pilot, lambda: "export HCCL_CONNECT_TIMEOUT=1200" in shown(pilot))
        chosen = session.preset()
        assert chosen.serve.args == {"--swap-space": 8}
        assert chosen.serve.env == {"HCCL_CONNECT_TIMEOUT": "1200"}
        assert chosen.container.mounts == ["/d:/d"]
