"""Against Debian's own sshd: the ways in, and the limits that servers set."""

from __future__ import annotations

import asyncio

from openssh_lab import OpenSSHLab, needs_accounts


async def test_a_node_is_reached_and_its_bashrc_is_no_part_of_the_answer(
    openssh: OpenSSHLab,
) -> None:
    await openssh.add(bashrc="echo noise; echo more >&2; sleep 0.3\n")
    async with openssh.fleet() as fleet:
        done = await fleet.remotes[0].run("echo in; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.exit_status) == (b"in\n", b"err\n", 3)


async def test_nodes_behind_two_jump_hosts(openssh: OpenSSHLab) -> None:
    first, second, *_ = await openssh.add(4)
    jump = f"{first.spec},{second.spec}"
    async with openssh.fleet(*(openssh.node(n, jump=jump) for n in (2, 3))) as fleet:
        assert await fleet.connect() == {}
        done = await asyncio.gather(*(r.run('echo "$HOME"') for r in fleet.remotes))
    assert [d.stdout.decode().strip() for d in done] == [str(s.home) for s in openssh.servers[2:]]
    assert [s.logins for s in openssh.servers] == [1, 1, 1, 1], "one connection per jump host"


@needs_accounts
async def test_the_lab_has_accounts(openssh: OpenSSHLab) -> None:
    account = await openssh.account(password="x", sudo="nopasswd")
    await openssh.add()
    async with openssh.fleet(openssh.node(0, user=account.name)) as fleet:
        done = await fleet.remotes[0].run("id -un; sudo -n id -un")
    assert done.stdout.decode().split() == [account.name, "root"], done.stderr
