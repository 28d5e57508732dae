"""Logging in to real sshd: keys of all kinds, agent, passphrase, password; asked once for all."""

from __future__ import annotations

import asyncio
import getpass
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from openssh_lab import OpenSSHLab, needs_accounts, needs_sshd
from pydantic import SecretStr
from remote_lab import wait_for

from wizard.errors import AuthenticationFailed
from wizard.remote.secrets import SecretKind, SecretRequest

pytestmark = needs_sshd


class Person:
    """Answers questions as told, and remembers them."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[SecretKind, str, int, str]] = []
        self.nodes: list[list[str]] = []
        self.hold: Callable[[SecretRequest], bool] = lambda _: False

    async def __call__(self, request: SecretRequest) -> SecretStr | None:
        async with asyncio.timeout(20):
            while self.hold(request):
                await asyncio.sleep(0.01)
        self.asked.append((request.kind, request.subject, request.attempt, request.refused))
        self.nodes.append(list(request.nodes))
        answer = self.answers.pop(0)
        return None if answer is None else SecretStr(answer)


def generate(
    folder: Path, name: str, *options: str, kind: str = "ed25519", passphrase: str = ""
) -> Path:
    """A key as ssh-keygen makes it."""
    path = folder / name
    # -t: some versions make a big RSA key by default, which takes seconds;
    # -a: one round of bcrypt, because sixteen take a second each time
    command = ["ssh-keygen", "-q", "-t", kind, "-a", "1", "-f", path, "-N", passphrase, "-C", ""]
    command += options
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


@pytest.mark.parametrize(("kind", "options"), [("ecdsa", []), ("rsa", ["-b", "2048"])])
async def test_keys_of_other_types(openssh: OpenSSHLab, kind: str, options: list[str]) -> None:
    key = generate(openssh.folder, "other", *options, kind=kind)
    await openssh.add(authorized=[key.with_name("other.pub")])
    async with openssh.fleet(openssh.node(0, identity_file=str(key))) as fleet:
        assert (await fleet.remotes[0].run("echo in")).stdout == b"in\n"


async def test_a_certificate_beside_the_key_is_used(openssh: OpenSSHLab) -> None:
    authority = generate(openssh.folder, "ca")
    key = generate(openssh.folder, "signed")
    me = getpass.getuser()
    subprocess.run(
        ["ssh-keygen", "-q", "-s", authority, "-I", "test", "-n", me, f"{key}.pub"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    (server,) = await openssh.add(extra=[f"TrustedUserCAKeys {authority}.pub"])
    async with openssh.fleet(openssh.node(0, identity_file=str(key))) as fleet:
        assert await fleet.connect() == {}
    assert server.logged("Accepted certificate ID") >= 1


async def test_a_passphrase_is_asked_once_for_all_nodes_and_only_when_a_node_takes_the_key(
    openssh: OpenSSHLab,
) -> None:
    key = generate(openssh.folder, "locked", passphrase="open sesame")
    await openssh.add(2)
    await openssh.add(authorized=[key.with_name("locked.pub")])
    await openssh.add(authorized=[key.with_name("locked.pub")])
    person = Person("wrong", "open sesame")
    nodes = [openssh.node(n, identity_file=str(key)) for n in range(4)]
    person.hold = lambda request: len(request.nodes) < 2
    async with openssh.fleet(*nodes, asker=person) as fleet:
        errors = await fleet.connect()
        assert sorted(errors) == [0, 1]
        assert all("refused every key" in str(e) for e in errors.values())
        assert (await fleet.remotes[2].run("echo in")).stdout == b"in\n"
        openssh.servers[2].cut()
        await fleet.remotes[2].connect()
    assert person.asked == [
        (SecretKind.PASSPHRASE, str(key), 1, ""),
        (SecretKind.PASSPHRASE, str(key), 2, "it does not open the key"),
    ]
    assert [sorted(n) for n in person.nodes] == [[nodes[2].label, nodes[3].label]] * 2


async def test_a_passphrase_not_given_concerns_only_who_needs_it(openssh: OpenSSHLab) -> None:
    key = generate(openssh.folder, "locked", passphrase="open sesame")
    await openssh.add(2, authorized=[key.with_name("locked.pub")])
    person = Person(None, "open sesame")
    nodes = [openssh.node(0, identity_file=str(key)), openssh.node(1)]
    async with openssh.fleet(*nodes, asker=person) as fleet:
        errors = await fleet.connect()
        assert list(errors) == [0]
        assert isinstance(errors[0], AuthenticationFailed)
        assert f"no passphrase of {key} was given" in str(errors[0])
        with pytest.raises(AuthenticationFailed, match="no passphrase"):
            await fleet.remotes[0].run("true")
        assert len(person.asked) == 1, "not asked again by itself"
        await fleet.remotes[0].connect()
    assert len(person.asked) == 2, "connect is the user's own retry"


async def test_a_key_that_the_agent_holds_needs_no_passphrase(
    openssh: OpenSSHLab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = generate(openssh.folder, "locked")
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-a", "1", "-f", key, "-N", "secret", "-P", ""], check=True
    )
    await openssh.add(authorized=[key.with_name("locked.pub")])
    socket = tmp_path_factory.mktemp("agent") / "s"
    agent = await asyncio.create_subprocess_exec(
        "ssh-agent", "-D", "-a", socket, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(10):
            while not socket.exists():
                await asyncio.sleep(0.01)
        script = openssh.folder / "askpass"
        script.write_text("#!/bin/sh\necho secret\n")
        script.chmod(0o700)
        environment = {"SSH_AUTH_SOCK": str(socket), "SSH_ASKPASS": str(script)}
        environment["SSH_ASKPASS_REQUIRE"] = "force"
        async with asyncio.timeout(20):  # the socket is there before anybody listens on it
            while await (
                await asyncio.create_subprocess_exec("ssh-add", "-q", key, env=environment)
            ).wait():
                await asyncio.sleep(0.05)
        config = Path("~/.ssh/config").expanduser()
        config.write_text(f"Host *\n IdentityAgent {socket}\n IdentitiesOnly yes\n")
        async with openssh.fleet(openssh.node(0, identity_file=str(key))) as fleet:
            assert await fleet.connect() == {}
    finally:
        agent.terminate()
        await agent.wait()


@needs_accounts
@pytest.mark.parametrize("interactive", [False, True])
async def test_a_password_is_asked_once_for_all_nodes(
    openssh: OpenSSHLab, interactive: bool
) -> None:
    account = await openssh.account(password="p4ss word")
    ways = {"password": not interactive, "keyboard_interactive": interactive}
    servers = await openssh.add(3, publickey=False, **ways)
    person = Person("p4ss word")
    nodes = [openssh.node(n, user=account.name) for n in range(3)]
    async with openssh.fleet(*nodes, asker=person) as fleet:
        assert await fleet.connect() == {}
        assert (await fleet.remotes[2].run("id -un")).stdout.decode().strip() == account.name
    assert person.asked == [(SecretKind.PASSWORD, account.name, 1, "")]
    assert [s.logged("Failed password") for s in servers] == [0, 0, 0]


@needs_accounts
async def test_a_wrong_password_is_tried_on_one_node_once_and_asked_again_only_by_the_user(
    openssh: OpenSSHLab,
) -> None:
    account = await openssh.account(password="right")
    servers = await openssh.add(3, password=True, keyboard_interactive=True, publickey=False)
    person = Person("wrong", "right")
    nodes = [openssh.node(n, user=account.name) for n in range(3)]

    def failures() -> int:
        return sum(s.logged("Failed (password|keyboard)") for s in servers)

    person.hold = lambda request: len(request.nodes) < 3 and request.attempt == 1
    async with openssh.fleet(*nodes, asker=person) as fleet:
        errors = await fleet.connect()
        assert sorted(errors) == [0, 1, 2]
        assert all(isinstance(e, AuthenticationFailed) for e in errors.values())
        assert all("refused" in str(e) for e in errors.values())
        with pytest.raises(AuthenticationFailed):
            await fleet.remotes[0].run("true")
        await wait_for(lambda: failures() == 1)
        assert await fleet.connect() == {}
        assert failures() == 1
    assert [(attempt, bool(why)) for _, _, attempt, why in person.asked] == [(1, False), (2, True)]


@needs_accounts
@needs_accounts
async def test_a_password_refused_as_the_last_attempt_is_not_sent_again(
    openssh: OpenSSHLab,
) -> None:
    account = await openssh.account(password="right")
    (server,) = await openssh.add(password=True, extra=["MaxAuthTries 1"])
    person = Person("wrong", "right")
    node = openssh.node(0, user=account.name, identity_file=None)
    async with openssh.fleet(node, asker=person) as fleet:
        for _ in range(2):
            with pytest.raises(AuthenticationFailed, match="refused the password"):
                await fleet.remotes[0].run("true")
        assert server.logged("Failed password") == 1
        assert await fleet.connect() == {}
    assert [attempt for _, _, attempt, _ in person.asked] == [1, 2]


async def test_more_keys_than_the_server_bears_are_a_refusal(openssh: OpenSSHLab) -> None:
    (server,) = await openssh.add(extra=["MaxAuthTries 2"])
    keys = [generate(openssh.folder, f"unknown{n}") for n in range(3)]
    config = Path("~/.ssh/config").expanduser()
    config.write_text("".join(f"IdentityFile {key}\n" for key in keys))
    config.chmod(0o600)
    async with openssh.fleet(openssh.node(0, identity_file=None)) as fleet:
        for _ in range(2):
            with pytest.raises(
                AuthenticationFailed, match=r"after too many keys .* IdentitiesOnly"
            ):
                await fleet.remotes[0].run("true")
    assert server.logged("Connection from") == 1


async def test_without_anybody_to_ask_a_password_is_said_to_be_needed(
    openssh: OpenSSHLab,
) -> None:
    account = await openssh.account(password="right")
    await openssh.add(password=True)
    other = generate(openssh.folder, "unknown")
    node = openssh.node(0, user=account.name, identity_file=str(other))
    async with openssh.fleet(node) as fleet:
        errors = await fleet.connect()
    assert "It would take a password: run this in a terminal" in str(errors[0])


async def test_sixteen_connections_pass_an_sshd_that_lets_two_knock_at_once(
    openssh: OpenSSHLab,
) -> None:
    (server,) = await openssh.add(max_startups="2:100:2")
    nodes = [openssh.node(0, rank=n) for n in range(16)]
    async with openssh.fleet(*nodes) as fleet:
        assert await fleet.connect() == {}
    assert server.logins == 16


@needs_accounts
async def test_a_jump_hosts_password_is_its_own_and_asked_once_for_the_nodes_behind_it(
    openssh: OpenSSHLab,
) -> None:
    account = await openssh.account(password="gate")
    (bastion,) = await openssh.add(publickey=False, password=True)
    await openssh.add(2)
    jump = f"{account.name}@{bastion.address}:{bastion.port}"
    person = Person("gate")
    async with openssh.fleet(*(openssh.node(n, jump=jump) for n in (1, 2)), asker=person) as fleet:
        assert await fleet.connect() == {}
    subject = f"{account.name} at {bastion.address}"
    assert person.asked == [(SecretKind.PASSWORD, subject, 1, "")]
    assert person.nodes == [[f"jump host {bastion.address}"]]
    assert [s.logins for s in openssh.servers] == [1, 1, 1]
