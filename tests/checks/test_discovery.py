"""Filling in what a preset leaves open."""

from __future__ import annotations

from typing import Any

import pytest

from wizard import discovery
from wizard.errors import Unreachable, UsageError
from wizard.presets import Preset, parse_preset
from wizard.remote.fleet import Discovered


def preset(*nodes: dict[str, str]) -> Preset:
    lines = "".join(
        f"  - {{{', '.join(f'{k}: {v}' for k, v in node.items())}}}\n" for node in nodes
    )
    head = "version: 1\nname: lab\nseries: A3\nprecision: bf16\nrecipe: guide\nnodes:\n"
    return parse_preset(head + lines, "a test")


FULL = {"host": "n0", "local_ip": "10.0.0.1", "nic": "bond0"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    ranks: list[int] = []

    async def discover(remote: Any) -> Discovered:
        ranks.append(remote.node.rank)
        if remote.connect_error:
            raise remote.connect_error
        return Discovered(f"10.9.9.{remote.node.rank}", "enp1s0")

    monkeypatch.setattr(discovery, "discover", discover)
    return ranks


async def test_what_the_preset_holds_is_kept_and_what_it_lacks_is_asked(
    fleet: Any, asked: list[int]
) -> None:
    given = preset(FULL, {"host": "n1", "nic": "eth7"})
    found = await discovery.complete(given, fleet)
    assert [(n.local_ip, n.nic) for n in found.nodes] == [
        ("10.0.0.1", "bond0"),
        ("10.9.9.1", "eth7"),
    ]
    assert asked == [1]
    assert given.nodes[1].local_ip is None
    assert (discovery.is_complete(given), discovery.is_complete(found)) == (False, True)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ({1: Unreachable("node 1 is away.", node=1)}, "node 1 is away"),
        ({0: UsageError("set nodes[0].nic."), 1: Unreachable("node 1 is away.")}, "set nodes"),
    ],
)
async def test_the_first_nodes_error_comes_out_as_itself(
    fleet: Any, asked: list[int], errors: dict[int, Exception], expected: str
) -> None:
    for rank, error in errors.items():
        fleet.nodes[rank].connect_error = error
    with pytest.raises((Unreachable, UsageError), match=expected):
        await discovery.complete(preset({"host": "n0"}, {"host": "n1"}), fleet)
    assert sorted(asked) == [0, 1]
