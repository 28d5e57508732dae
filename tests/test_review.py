"""The preview's engine: scripts and remarks follow the answers in the background."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.screens.fakes import PRESET, World, preset
from wizard.errors import PresetError, UsageError, WizardError
from wizard.scriptdiffs import Against
from wizard.session import Session, Step

KEY = "node0/serve.sh"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path))
    return World(tmp_path)


@pytest.fixture
async def session(world: World) -> AsyncIterator[Session]:
    found = Session(rooms=world.rooms)
    found.load(preset(PRESET))
    found.go(Step.PREVIEW)
    found.review.ask()
    await found.review.settled()
    yield found
    await found.aclose()


async def test_a_burst_of_answers_is_one_look(session: Session) -> None:
    review = session.review
    before = review.revision
    for digits in ("9", "90", "900", "9000"):
        review.put("port", digits)
    await review.settled()
    assert review.revision <= before + 4 + 2  # each answer once, then scripts and remarks
    assert "--port 9000" in review.script(KEY).text
    assert review.problem() is None
    assert review.checked


@pytest.mark.parametrize(("field", "typed"), [("strict_guide", "yes"), ("deviations", "labels")])
async def test_what_can_only_be_run_by_hand_is_said_before_the_launch_and_still_rendered(
    session: Session, field: str, typed: str
) -> None:
    session.review.put(field, typed)
    await session.review.settled()
    problem = session.review.problem()
    assert problem is not None
    assert problem.parameter is not None
    assert problem.parameter.id == field
    assert "cannot be supervised" in problem.text
    assert session.review.scripts


async def test_what_blocks_is_told_with_its_place_first_things_first(session: Session) -> None:
    review = session.review
    review.put("args", "--no-such-flag 3")
    await review.settled()
    problem = review.problem()
    assert problem is not None
    assert (problem.script, problem.parameter) == (KEY, None)
    assert "--no-such-flag" in review.script(KEY).text.split("\n")[problem.line - 1]
    review.put("rpc_port", "8000")
    await review.settled()
    problem = review.problem()
    assert problem is not None
    assert problem.parameter is not None
    assert problem.parameter.id == "rpc_port"
    assert "8000 is the port of the API too" in problem.text
    assert "--no-such-flag" in review.script(KEY).text  # the last scripts that could be made stay


async def test_every_problem_has_its_field(session: Session) -> None:
    review = session.review
    for name, text in (
        ("port", "x"),
        ("model", "-m"),
        ("mounts", "a:b"),
        ("name", "/"),
        ("os", "z"),
    ):
        review.put(name, text)
    await review.settled()
    assert {"port", "model", "mounts", "name", "os"} <= set(review.problems)
    with pytest.raises(PresetError):
        session.preset()
    for name in ("port", "model", "mounts", "name", "os"):
        review.put(name, "")
    await review.settled()
    assert (review.problem(), review.problems, session.preset().container) == (
        None,
        {},
        preset(PRESET).container,
    )


async def test_the_nodes_are_asked_once_whatever_is_typed(world: World) -> None:
    asked = []

    async def complete(given: object, fleet: object) -> object:
        asked.append(given)
        return given

    object.__setattr__(world.rooms, "complete", complete)
    session = Session(rooms=world.rooms)
    session.load(preset(PRESET))
    for port in ("9000", "9001"):
        session.review.put("port", port)
        await session.review.settled()
    assert len(asked) == 1
    await session.aclose()


async def test_edits_are_answers_that_are_saved_resumed_and_dropped(
    world: World, session: Session
) -> None:
    review = session.review
    text = review.script(KEY).text
    review.keep(KEY, text.replace("set -eu\n", "set -eu\nexport MINE=1\n"))
    await review.settled()
    assert review.is_edited(KEY)
    assert session.unsaved
    session.autosave.flush()
    again = Session(rooms=world.rooms)
    saved = again.saved()
    assert saved is not None
    again.resume(saved)
    assert again.preset().patches == session.preset().patches != {}
    assert again.unsaved
    await again.aclose()
    session.save_preset("mine")
    assert not session.unsaved
    assert world.store.saved["mine"].patches == session.preset().patches
    review.drop(KEY)
    await review.settled()
    assert (review.is_edited(KEY), session.unsaved) == (False, True)


async def test_a_text_that_is_tried_changes_nothing(session: Session) -> None:
    review = session.review
    broken = review.script(KEY).text + "if\n"
    found = await review.remarks_on(KEY, broken)
    assert any(remark.severity == "error" for remark in found)
    assert {(remark.rank, remark.file) for remark in found} == {(0, "serve.sh")}
    assert review.script(KEY).text + "if\n" == broken
    assert review.problem() is None
    with pytest.raises(UsageError, match="no script node9"):
        review.script("node9/serve.sh")


async def test_a_comparison_is_made_when_it_is_looked_at(world: World, session: Session) -> None:
    review = session.review
    assert review.comparison.diffs == []
    review.look_at_comparison()
    assert [diff.title for diff in review.comparison.diffs][1] == KEY
    review.compare(Against.SAVED)
    review.look_at_comparison()
    assert "No preset named lab is saved yet" in review.comparison.message
    world.store.save(preset(PRESET))
    review.put("port", "9000")
    await review.settled()
    review.look_at_comparison()
    assert review.comparison.message == ""
    assert [len(diff.rows) > 0 for diff in review.comparison.diffs] == [False, True, False, True]


async def test_nodes_that_cannot_be_asked_are_said_and_asked_again(world: World) -> None:
    world.complete_error = WizardError("node 1 cannot be reached.")
    session = Session(rooms=world.rooms)
    session.load(preset(PRESET))
    session.review.ask()
    await session.review.settled()
    problem = session.review.problem()
    assert problem is not None
    assert problem.text == "node 1 cannot be reached."
    assert session.review.values == {} or session.review.values["port"].text == "8000"
    world.complete_error = None
    session.review.ask()
    await session.review.settled()
    assert session.review.problem() is None
    await session.aclose()


async def test_a_launch_has_its_own_labels_so_an_edit_of_them_is_said_at_once(
    session: Session,
) -> None:
    review, key = session.review, "node0/container.sh"
    text = review.script(key).text
    review.keep(key, text.replace("launch=manual", "launch=manual --label mine=1"))
    await review.settled()
    problem = review.problem()
    assert problem is not None
    assert problem.script == key
    assert problem.text.endswith("because a launch has its own line there.")
