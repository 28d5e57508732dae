"""What a session needs of the other rooms, as a set of factories.

A session gets everything through :class:`Rooms`, so that a test puts stand-ins there. The real
rooms are imported on first use: opening the wizard must not wait for SSH or HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wizard.checks.board import Board
from wizard.checks.model import Result
from wizard.cluster import Cluster
from wizard.remote.api import Fleet, Remote
from wizard.remote.secrets import Secrets
from wizard.roomtypes import ChatLike, CheckRunLike, FindingLike, LaunchLike, StoreLike

if TYPE_CHECKING:
    from wizard.checks.book import Book
    from wizard.discovering import DiscoveryLike
    from wizard.edits import EditedScript
    from wizard.launch.finding import RunningLaunch
    from wizard.launch.launchplan import LaunchPlan
    from wizard.launch.pending import Pending
    from wizard.lint import Remark
    from wizard.presets import Preset
    from wizard.recipes import Choice
    from wizard.recipevalues import RecipeValue
    from wizard.scriptdiffs import Against
    from wizard.scripts import NodeScripts
    from wizard.textdiff import FileDiff


def _open_fleet(cluster: Cluster, secrets: Secrets) -> Fleet:
    from wizard.paths import state_dir  # noqa: PLC0415

    audit = import_module("wizard.remote.audit").AuditLog(state_dir() / "audit.jsonl")
    fleet: Fleet = import_module("wizard.remote.fleet").open_fleet(
        cluster, audit=audit, secrets=secrets
    )
    return fleet


def _check_run(fleet: Fleet, preset: Preset) -> CheckRunLike:
    run: CheckRunLike = import_module("wizard.checks.engine").CheckRun.of(fleet, preset)
    return run


def _book(run: CheckRunLike, preset: Preset) -> Book:
    book: Book = import_module("wizard.checks.book").Book(run, preset.name, preset.ignores)
    return book


def _launch(fleet: Fleet, preset: Preset) -> LaunchLike:
    launch: LaunchLike = import_module("wizard.launch").Launch(fleet, preset)
    return launch


async def _running(preset: Preset) -> RunningLaunch | None:
    found: RunningLaunch | None = await import_module("wizard.launch.finding").find_running(
        preset, _open_fleet
    )
    return found


async def _plan(launch: LaunchLike) -> LaunchPlan:
    made: LaunchPlan = await import_module("wizard.launch.planning").make_plan(launch)
    return made


def _pending_stops() -> list[Pending]:
    found: list[Pending] = import_module("wizard.launch.pending").every()
    return found


def _open_chat(remote: Remote, preset: Preset) -> AbstractAsyncContextManager[ChatLike]:
    chat: AbstractAsyncContextManager[ChatLike] = import_module("wizard.chat").open_chat(
        remote, preset
    )
    return chat


def _discovery(fleet: Fleet, preset: Preset) -> DiscoveryLike:
    room = import_module("wizard.discovery")
    run: DiscoveryLike = room.DiscoveryRun(fleet, room.usual_places(preset))
    return run


async def _complete(preset: Preset, fleet: Fleet) -> Preset:
    found: Preset = await import_module("wizard.discovery").complete(preset, fleet)
    return found


def _render(preset: Preset) -> list[NodeScripts]:
    from wizard.scripts import render  # noqa: PLC0415

    return render(preset)


def _edited(preset: Preset) -> list[EditedScript]:
    from wizard.scripts import edited  # noqa: PLC0415

    return edited(preset)


def _recipe_values(preset: Preset) -> dict[str, RecipeValue]:
    from wizard.recipevalues import recipe_values  # noqa: PLC0415

    return recipe_values(preset)


async def _lint(preset: Preset, scripts: Sequence[NodeScripts]) -> list[Remark]:
    from wizard.lint import lint_all  # noqa: PLC0415

    return await lint_all(preset, scripts)


def _compare(against: Against, preset: Preset, saved: Preset | None = None) -> list[FileDiff]:
    from wizard import scriptdiffs  # noqa: PLC0415

    return scriptdiffs.without_nodes(against, preset, saved)


async def _deployed(preset: Preset, fleet: Fleet) -> tuple[list[FileDiff], list[str]]:
    from wizard.launch.deployed import compare  # noqa: PLC0415

    return await compare(preset, fleet.remotes)


def _findings(board: Board, cluster: Cluster) -> list[FindingLike]:
    found: list[FindingLike] = import_module("wizard.troubleshooting.findings").findings(
        board, cluster
    )
    return found


def _explain(result: Result) -> str:
    sentence: str = import_module("wizard.troubleshooting.findings").explain(result)
    return sentence


def _choices(recipe: str) -> list[Choice]:
    from wizard.recipes import choices  # noqa: PLC0415

    return choices(recipe)


def _build(keys: Mapping[str, Any]) -> Preset:
    from wizard.presets import check_preset  # noqa: PLC0415

    return check_preset(keys)


def _simulated(**options: Any) -> AbstractAsyncContextManager[Path]:
    cluster: AbstractAsyncContextManager[Path] = import_module("wizard.simulator.process").spawn(
        **options
    )
    return cluster


def _store() -> StoreLike:
    from wizard.presets import PresetStore  # noqa: PLC0415

    return PresetStore()


@dataclass(frozen=True)
class Rooms:
    """The factories; the defaults are the real ones."""

    open_fleet: Callable[[Cluster, Secrets], Fleet] = _open_fleet
    check_run: Callable[[Fleet, Preset], CheckRunLike] = _check_run
    book: Callable[[CheckRunLike, Preset], Book] = _book
    launch: Callable[[Fleet, Preset], LaunchLike] = _launch
    running: Callable[[Preset], Awaitable[RunningLaunch | None]] = _running
    plan: Callable[[LaunchLike], Awaitable[LaunchPlan]] = _plan
    pending_stops: Callable[[], list[Pending]] = _pending_stops
    open_chat: Callable[[Remote, Preset], AbstractAsyncContextManager[ChatLike]] = _open_chat
    discovery: Callable[[Fleet, Preset], DiscoveryLike] = _discovery
    complete: Callable[[Preset, Fleet], Awaitable[Preset]] = _complete
    render: Callable[[Preset], list[NodeScripts]] = _render
    edited: Callable[[Preset], list[EditedScript]] = _edited
    recipe_values: Callable[[Preset], dict[str, RecipeValue]] = _recipe_values
    lint: Callable[[Preset, Sequence[NodeScripts]], Awaitable[list[Remark]]] = _lint
    compare: Callable[..., list[FileDiff]] = _compare
    deployed: Callable[[Preset, Fleet], Awaitable[tuple[list[FileDiff], list[str]]]] = _deployed
    findings: Callable[[Board, Cluster], list[FindingLike]] = _findings
    explain: Callable[[Result], str] = _explain
    choices: Callable[[str], list[Choice]] = _choices
    build: Callable[[Mapping[str, Any]], Preset] = _build
    store: Callable[[], StoreLike] = _store
    simulated: Callable[..., AbstractAsyncContextManager[Path]] = _simulated
    autosave: Path | None = None  # None: session.yaml in the state folder
    autosave_delay_s: float = 0.5
