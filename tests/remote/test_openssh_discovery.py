"""Discovery of a plain Linux machine through Debian's sshd: what is not there is not invented."""

from __future__ import annotations

import os
import platform
import socket
from pathlib import Path

import pytest
from openssh_lab import OpenSSHLab, Sudo

from wizard.discovery import DiscoveryRun, disagreements
from wizard.errors import Unreachable


async def test_this_machine_twice_and_a_server_that_is_gone(
    openssh: OpenSSHLab, tmp_path: Path
) -> None:
    for _ in range(3):
        await openssh.add(bashrc="echo noise; echo more >&2")
    (gone,) = await openssh.add()
    model = tmp_path / "it's a model"
    model.mkdir()
    (model / "config.json").write_text('{"quantization_config": {"quant_method": "fp8"}}')
    (model / "m-1.safetensors").write_bytes(b"x" * 10)
    (model / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}'
    )
    async with openssh.fleet() as fleet:
        await gone.stop()
        run = DiscoveryRun(fleet, [str(model), "~/none"])
        await run.run()
        assert isinstance(run.errors[3], Unreachable)
        assert set(run.facts) == {0, 1, 2}
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
        for rank, facts in run.facts.items():
            assert (facts.hostname, facts.arch) == (socket.gethostname(), platform.machine())
            assert facts.boot_id == boot
            assert facts.devices == len([n for n in os.listdir("/dev") if n[:7] == "davinci"])
            assert (facts.driver, facts.firmware, facts.chips) == (None, None, None)
            assert facts.arrival == openssh.servers[rank].address
            assert facts.root_space is not None
            assert facts.root_space.free > 0
            assert facts.clock is not None
            assert abs(facts.clock.offset) <= facts.clock.bound + 0.05
            (weights,) = facts.weights
            assert (weights.method, weights.shards, weights.expected) == ("fp8", 1, 2)
            assert not weights.complete
        items = {item.id: item for item in disagreements(run.facts, fleet.cluster)}
        assert items["same-machine"].nodes == (0, 1, 2)
        assert items["no-npu"].severity == "blocks"


@pytest.mark.parametrize(
    ("sudo", "hidden"), [("none", ("/root/.cache/some/model",)), ("nopasswd", ())]
)
async def test_a_login_that_is_not_root_says_what_it_may_not_see(
    openssh: OpenSSHLab, sudo: Sudo, hidden: tuple[str, ...]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make the account")
    await openssh.add()
    account = await openssh.account(sudo=sudo)
    async with openssh.fleet(openssh.node(0, user=account.name)) as fleet:
        run = DiscoveryRun(fleet, ["/root/.cache/some/model", "~/none"])
        await run.run()
        assert not run.errors, run.errors
        facts = run.facts[0]
        assert facts.hostname == socket.gethostname()
        assert facts.arrival == openssh.servers[0].address  # as the login itself, not by sudo
        assert facts.hidden == hidden  # by sudo it is looked at
        assert facts.weights == ()
