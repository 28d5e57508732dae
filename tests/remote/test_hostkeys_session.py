"""From a check that meets unknown host keys to one that passes, over real SSH."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml
from remote_lab import Lab, wait_for

from wizard.checks.engine import CheckRun
from wizard.checks.model import CellKey, Status
from wizard.presets import Preset, parse_preset
from wizard.remote.api import Fleet
from wizard.rooms import Rooms
from wizard.session import Session


def _session(lab: Lab, tmp_path: Path) -> Session:
    def only_ssh(fleet: Fleet, preset: Preset) -> CheckRun:
        return CheckRun.of(fleet, preset, only=frozenset({"ssh"}))

    keys = ("host", "port", "user", "identity_file", "known_hosts")
    nodes = [{key: getattr(lab.node(n), key) for key in keys} for n in range(2)]
    preset = {"version": 1, "name": "lab", "series": "A3", "precision": "bf16", "nodes": nodes}
    rooms = replace(Rooms(), check_run=only_ssh, autosave=tmp_path / "session.yaml")
    session = Session(rooms=rooms)
    session.load(parse_preset(yaml.safe_dump(preset)))
    return session


def _statuses(session: Session) -> list[Status]:
    assert session.checks is not None
    results = [session.checks.board.get(CellKey(rank, None, "ssh")) for rank in (0, 1)]
    return [result.status for result in results if result is not None]


async def _still(session: Session) -> None:
    """Wait until nothing goes on: asking again follows accepting, in the background."""
    await wait_for(
        lambda: (
            not (session.checks_running or session.host_keys.busy or session._work.busy("again"))
        ),
        30,
    )


async def test_accepted_keys_let_the_checks_of_those_nodes_go_on(lab: Lab, tmp_path: Path) -> None:
    servers = await lab.add(2)
    lab.known_hosts.write_text("")
    session = _session(lab, tmp_path)
    try:
        session.start_checks()
        await _still(session)
        assert _statuses(session) == [Status.FAIL, Status.FAIL]
        assert [key.nodes for key in session.host_keys.pending] == [(0,), (1,)]
        assert session.host_keys.accept(session.host_keys.pending[1:])
        await wait_for(lambda: _statuses(session) == [Status.FAIL, Status.PASS], 30)
        await _still(session)
        assert [len(server.logins) for server in servers] == [0, 1]
        assert [key.nodes for key in session.host_keys.pending] == [(0,)]
        session.host_keys.dismiss()
        await wait_for(lambda: not session.checks_running, 30)
        assert session.rerun_failed(), "the user's own retry"
        await _still(session)
        assert session.host_keys.accept(session.host_keys.pending)
        await wait_for(lambda: _statuses(session) == [Status.PASS, Status.PASS], 30)
        assert [len(server.logins) for server in servers] == [1, 1]
    finally:
        await session.aclose()
