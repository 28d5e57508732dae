"""Root on nodes where the login is somebody else: by sudo of real accounts on real sshd."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from openssh_lab import Account, OpenSSHLab, Sudo, needs_accounts, needs_sshd
from remote_lab import processes, wait_for
from test_login import Person

from wizard.audittrail import Trail
from wizard.errors import CommandTimeout, NotPermitted
from wizard.remote.api import Completed, Job, JobResult
from wizard.remote.audit import AuditLog
from wizard.remote.connection import SSHRemote
from wizard.remote.fleet import SSHFleet
from wizard.remote.privileges import PROBE, Access, read_probe
from wizard.remote.secrets import SecretKind

pytestmark = [needs_sshd, needs_accounts]


async def _fleet(
    lab: OpenSSHLab, sudo: Sudo, person: Person | None = None, nodes: int = 1
) -> tuple[Account, SSHFleet]:
    account = await lab.account(password="s3cret", sudo=sudo)
    await lab.add(nodes)
    chosen = [lab.node(n, user=account.name) for n in range(nodes)]
    return account, lab.fleet(*chosen, asker=person, audit=AuditLog())


async def _batch(remote: SSHRemote, *jobs: Job) -> dict[str, JobResult]:
    return {result.id: result async for result in remote.batch(jobs)}


async def test_sudo_without_a_password(openssh: OpenSSHLab) -> None:
    account, fleet = await _fleet(openssh, "nopasswd")
    async with fleet:
        remote = fleet.remotes[0]
        assert (await remote.run("id -un")).stdout.decode() == f"{account.name}\n"
        for root in ("try", "must"):
            done = await remote.run('id -un; echo "$HOME"; cat', root=root, stdin=b"given")  # type: ignore[arg-type]
            assert done.stdout.decode() == f"root\n/tmp/{account.name}\ngiven"
        assert b"".join([c async for c in remote.stream("id -un", root="must")]) == b"root\n"
        found = await _batch(remote, Job("a", "id -un", root="must"), Job("b", "id -un"))
        assert {r.stdout for r in found.values()} == {b"root\n"}
        async with remote.desk(root="must") as desk:
            await desk.ask(Job("c", "id -un", root="must"))
        await remote.run("id -un")
    noted = [record for record in Trail(AuditLog().path).news() if record.line != PROBE]
    assert {record.user for record in noted[1:-1]} == {"root"}
    assert len(noted) == 9
    assert (noted[0].user, noted[-1].user) == (account.name, account.name)


async def test_a_sudo_password_is_asked_once_for_all_nodes(openssh: OpenSSHLab) -> None:
    person = Person("s3cret")
    account, fleet = await _fleet(openssh, "password", person, nodes=3)
    async with fleet:
        tried = await asyncio.gather(*(r.run("id -un", root="try") for r in fleet.remotes))
        assert {d.stdout.decode().strip() for d in tried} == {account.name}
        assert person.asked == [], "a try asks nothing"
        for _ in range(2):
            done = await asyncio.gather(
                *(r.run("id -un; cat", root="must", stdin=b"x\n") for r in fleet.remotes)
            )
            assert {d.stdout for d in done} == {b"root\nx\n"}
        assert (await fleet.remotes[0].run("id -un", root="try")).stdout == b"root\n"
        found = await _batch(fleet.remotes[1], Job("a", "id -un", root="must"))
        assert found["a"].stdout == b"root\n"
    assert person.asked == [(SecretKind.SUDO, account.name, 1, "")]


async def test_the_password_of_the_login_is_tried_before_asking_again(openssh: OpenSSHLab) -> None:
    account = await openssh.account(password="s3cret", sudo="password")
    await openssh.add(password=True, publickey=False)
    person = Person("s3cret")
    async with openssh.fleet(openssh.node(0, user=account.name), asker=person) as fleet:
        assert (await fleet.remotes[0].run("id -un", root="must")).stdout == b"root\n"
    assert [kind for kind, *_ in person.asked] == [SecretKind.PASSWORD]


async def test_a_wrong_sudo_password_is_tried_once_and_fails_only_what_needs_root(
    openssh: OpenSSHLab,
) -> None:
    person = Person("wrong", "s3cret")
    account, fleet = await _fleet(openssh, "password", person)
    async with fleet:
        remote = fleet.remotes[0]
        jobs = (Job("root", "id -un", root="must"), Job("me", "id -un"))
        for _ in range(2):
            found = await _batch(remote, *jobs)
            assert found["root"].exit_status == 126
            assert b"permission denied: " in found["root"].stderr
            assert b"sudo refused the password of the user" in found["root"].stderr
            assert found["me"].stdout.decode() == f"{account.name}\n"
        with pytest.raises(NotPermitted, match=r"node 0 .*sudo refused the password"):
            await remote.run("true", root="must")
        assert len(person.asked) == 1
        await remote.connect()
        assert (await remote.run("id -un", root="must")).stdout == b"root\n"
    assert person.asked[1][2:] == (2, f"sudo on {remote.node.label} refused it")


async def test_no_right_to_sudo_is_said_in_its_own_words(openssh: OpenSSHLab) -> None:
    person = Person("s3cret")
    account, fleet = await _fleet(openssh, "none", person)
    async with fleet:
        with pytest.raises(NotPermitted, match=f"{account.name} is not root.*sudoers"):
            await fleet.remotes[0].run("true", root="must")
        done = await fleet.remotes[0].run("id -un", root="try")
        assert done.stdout.decode() == f"{account.name}\n"


async def test_without_anybody_to_ask_it_says_what_would_help(openssh: OpenSSHLab) -> None:
    _, fleet = await _fleet(openssh, "password")
    async with fleet:
        with pytest.raises(NotPermitted, match=r"nobody can be asked.*Log in as root"):
            await fleet.remotes[0].run("true", root="must")


async def test_a_desk_is_root_as_a_whole_and_ends_what_root_runs(openssh: OpenSSHLab) -> None:
    person = Person("s3cret")
    _, fleet = await _fleet(openssh, "password", person)
    mark = f"42{os.getpid()}.75"
    async with fleet:
        async with fleet.remotes[0].desk(root="must") as desk:
            for job in (Job("a", "id -un", root="must"), Job("b", "id -un")):
                assert (await desk.ask(job)).stdout == b"root\n"
            task = asyncio.create_task(desk.ask(Job("c", f"sleep {mark}", 600.0, root="must")))
            await wait_for(lambda: bool(_roots(mark)))
            task.cancel()
        await wait_for(lambda: not processes(mark))
    assert len(person.asked) == 1


async def test_a_desk_that_cannot_be_root_says_so_for_what_must_be(openssh: OpenSSHLab) -> None:
    account, fleet = await _fleet(openssh, "none")
    async with fleet, fleet.remotes[0].desk(root="must") as desk:
        refused = await desk.ask(Job("a", "id -un", root="must"))
        assert refused.exit_status == 126
        assert refused.stderr.startswith(b"permission denied: ")
        assert (await desk.ask(Job("b", "id -un"))).stdout.decode() == f"{account.name}\n"


@pytest.mark.parametrize("sudo", ["nopasswd", "password"])
async def test_time_limit_and_cancelling_end_what_root_runs(
    openssh: OpenSSHLab, sudo: Sudo
) -> None:
    _, fleet = await _fleet(openssh, sudo, Person("s3cret"))
    mark = f"42{os.getpid()}.25"
    async with fleet:
        remote = fleet.remotes[0]
        assert (await remote.run("id -un", root="must")).stdout == b"root\n"
        with pytest.raises(CommandTimeout):
            await remote.run(f"sleep {mark}", timeout_s=0.5, root="must")
        await wait_for(lambda: not processes(mark))
        task = asyncio.create_task(remote.run(f"sleep {mark}", root="must"))
        await wait_for(lambda: bool(_roots(mark)))
        task.cancel()
        await wait_for(lambda: not processes(mark))

        async def read() -> None:
            await _batch(remote, Job("a", f"sleep {mark}", root="must"))

        task = asyncio.create_task(read())
        await wait_for(lambda: bool(_roots(mark)))
        task.cancel()
        await wait_for(lambda: not processes(mark))


def _roots(mark: str) -> list[int]:
    return [pid for pid in processes(mark) if Path(f"/proc/{pid}").stat().st_uid == 0]


@pytest.mark.parametrize(
    ("output", "status", "access"),
    [
        ("uid=0\n", 0, Access.IS_ROOT),
        ("uid=7\n", 0, Access.FREE),
        ("uid=7\nsudo: a password is required\n", 1, Access.PASSWORD),
        ("uid=7\nsudo: sorry, you must have a tty to run sudo\n", 1, Access.NONE),
        ("uid=7\nthere is no sudo\n", 3, Access.NONE),
    ],
)
def test_what_sudo_says(output: str, status: int, access: Access) -> None:
    assert read_probe(Completed("", status, output.encode(), b"", 0.0))[0] is access
