"""Secrets that were typed or set are found nowhere: no file, log, report, argv, environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from openssh_lab import OpenSSHLab, needs_accounts, needs_sshd
from terminal_lab import Typist, write_preset
from test_login import generate

pytestmark = [
    needs_sshd,
    needs_accounts,
    pytest.mark.skipif(shutil.which("setsid") is None, reason="no setsid (util-linux) here"),
]
# other runs of these tests may go on beside this one
PASSPHRASE, PASSWORD, SUDO, TOKEN = (f"leak-{n}-{os.urandom(4).hex()}" for n in range(4))
TYPED = (PASSPHRASE, PASSWORD, SUDO)


class Watch(threading.Thread):
    """Reads argv and environment of every process, over and over."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.found: set[tuple[str, str]] = set()
        self.rounds = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            for folder in Path("/proc").iterdir():
                if not folder.name.isdigit() or int(folder.name) == os.getpid():
                    continue
                with contextlib.suppress(OSError):
                    argv = (folder / "cmdline").read_bytes()
                    self._note("argv", argv, (*TYPED, TOKEN), argv)
                    self._note("environ", (folder / "environ").read_bytes(), TYPED, argv)
            self.rounds += 1

    def _note(self, where: str, data: bytes, secrets: tuple[str, ...], argv: bytes) -> None:
        for secret in secrets:
            if secret.encode() in data:
                self.found.add((f"{where} of {argv!r}", secret))


@pytest.fixture
def watch() -> Iterator[Watch]:
    thread = Watch()
    yield thread
    thread.done.set()
    if thread.is_alive():
        thread.join()


def holding(folder: Path, secret: str) -> list[Path]:
    """The files below a folder that hold a secret."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes()
    ]


async def test_a_whole_check_by_passphrase_password_and_sudo(
    openssh: OpenSSHLab, watch: Watch
) -> None:
    key = generate(openssh.folder, "locked", passphrase=PASSPHRASE)
    first = await openssh.account(password=SUDO, sudo="password")
    second = await openssh.account(password=PASSWORD, sudo="nopasswd")
    await openssh.add(authorized=[key.with_name("locked.pub")])
    await openssh.add(publickey=False, password=True)
    nodes = (
        openssh.node(0, user=first.name, identity_file=str(key)),
        openssh.node(1, user=second.name),
    )
    preset = write_preset(openssh.folder / "p.yaml", *nodes)
    report = openssh.folder / "report.json"
    answers = {
        "Passphrase of the SSH key": PASSPHRASE,
        f"sudo password of the user {first.name}": SUDO,
        f"Password of the user {second.name}": PASSWORD,
    }
    words = ("--only", "link,hccn_conf", "--debug", "--format", "json", "-o", str(report))
    watch.start()
    terminal = Typist("check", preset, *words, env={"HF_TOKEN": TOKEN})
    try:
        for _ in range(len(answers)):
            await terminal.wait(r"for node [01] .*: $")
            asked = max(answers, key=terminal.seen.rfind)
            terminal.type(answers.pop(asked) + "\n")
        status = await terminal.ended()
    finally:
        terminal.close()
    text = report.read_text()
    assert status in (1, 3), terminal.seen
    assert "permission denied" not in text, "root was had on both nodes"
    assert text.count('"check": "link"') == 32
    assert watch.rounds > 3
    assert watch.found == set()
    for secret in (*TYPED, TOKEN):
        assert secret not in terminal.seen + terminal.out.decode()
        assert holding(openssh.folder, secret) == []
    audit = Path(os.environ["V32_WIZARD_HOME"]) / "state" / "audit.jsonl"
    assert "sudo -k -S" in audit.read_text()
    assert openssh.folder in audit.parents, "the audit log is among the files looked through"


async def test_a_traceback_of_a_login_that_failed(openssh: OpenSSHLab, watch: Watch) -> None:
    account = await openssh.account(password="another")
    await openssh.add(publickey=False, password=True)
    node = openssh.node(0, user=account.name)
    watch.start()
    terminal = Typist("logs", write_preset(openssh.folder / "p.yaml", node), "--debug")
    try:
        await terminal.wait(r"Password of the user .*\r\n.*: $")
        terminal.type(PASSWORD + "\n")
        assert await terminal.ended() == 1, terminal.seen
    finally:
        terminal.close()
    assert "Traceback" in terminal.seen
    assert "refused the password" in terminal.seen
    assert PASSWORD not in terminal.seen + terminal.out.decode()
    assert watch.found == set()
    assert holding(openssh.folder, PASSWORD) == []


async def test_a_crash_that_prints_all_variables(openssh: OpenSSHLab) -> None:
    """As Textual's own does, of whatever frame an error comes through."""
    from rich.console import Console
    from rich.traceback import Traceback

    from wizard.errors import WizardError

    account = await openssh.account(password="another", sudo="password")
    await openssh.add(publickey=False, password=True)
    await openssh.add()

    async def answer(request: object) -> object:
        from pydantic import SecretStr

        return SecretStr(PASSWORD)

    console = Console(record=True, width=200, file=open(os.devnull, "w"))  # noqa: SIM115
    nodes = [openssh.node(n, user=account.name) for n in range(2)]
    async with openssh.fleet(*nodes, asker=answer) as fleet:
        for remote in fleet.remotes:
            try:
                async with asyncio.timeout(60):
                    await remote.run("true", root="must")
            except WizardError as error:
                console.print(Traceback.from_exception(type(error), error, None, show_locals=True))
                trace = error.__traceback__
                console.print(Traceback.from_exception(type(error), error, trace, show_locals=True))
            else:
                pytest.fail("it was to be refused")
    console.file.close()
    text = console.export_text()
    assert "refused the password" in text
    assert "SecretStr('**********')" in text, "the frames that held it were printed"
    assert PASSWORD not in text
