"""known_hosts files: read as ssh reads them, and appended to as ssh appends."""

from __future__ import annotations

import shutil
import stat
import subprocess
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import asyncssh
import pytest

from wizard.errors import HostKeyError
from wizard.remote.hostkeys import Judge, KnownHosts, files
from wizard.remote.keyrecord import record
from wizard.remote.knownhosts import fingerprint, hashed_name, host_name, parse
from wizard.remote.shownkey import KeyState, ShownKey

KEYS = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(2)]
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
MINE, OTHER, OLD = (" ".join(key.export_public_key().decode().split()[:2]) for key in (*KEYS, RSA))


def _shown(folder: Path, name: str = "node1", state: KeyState = KeyState.UNKNOWN) -> ShownKey:
    print_ = fingerprint(KEYS[0].public_data)
    file = str(folder / "ssh" / "known_hosts")
    return ShownKey(state, "node 0 (node1)", name, "ssh-ed25519", print_, MINE, file, (0,))


def _state(tmp_path: Path, text: str, *, port: int = 22, alias: str = "", address: str = "") -> str:
    path = tmp_path / "known_hosts"
    path.write_text(text)
    judge = Judge(KnownHosts([str(path)]), "Node1", port, alias)
    return judge.state(KEYS[0].public_data, address)[0]


HASHED = hashed_name("node1", b"x" * 20)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("", "unknown"),
        (f"node1 {MINE}", "known"),
        (f"node1 {MINE} comment here\r", "known"),
        (f"a,NODE1,b {MINE}", "known"),
        (f"n?de* {MINE}", "known"),
        (f"node*,!node1 {MINE}", "unknown"),
        (f"{HASHED} {MINE}", "known"),
        (f"{HASHED} {OTHER}", "changed"),
        (f"node1 {OTHER}", "changed"),
        (f"node1 {OTHER}\nnode1 {MINE}", "known"),
        (f"node1 {OLD}", "changed"),
        (f"node1 {MINE}\n@revoked * {MINE}", "revoked"),
        (f"node1 {MINE}\n@revoked node2 {OTHER}", "known"),
        (f"@cert-authority node1 {MINE}", "unknown"),
        (f"@unheard-of node1 {MINE}\nnode1\nnode1 ssh-ed25519\n#node1 {MINE}", "unknown"),
        (f"node1 ssh-rsa {MINE.split()[1]}", "unknown"),  # a key that is not what it says
    ],
    ids=count(),  # of the keys, which every process makes anew, no name can be made
)
def test_what_a_file_says_of_a_key(tmp_path: Path, text: str, state: str) -> None:
    assert _state(tmp_path, text) == state


@pytest.mark.parametrize(
    ("text", "options", "state"),
    [
        (f"[node1]:2222 {MINE}", {"port": 2222}, "known"),
        (f"[node1]:2222 {OTHER}", {"port": 2222}, "changed"),
        (f"[node1]:2222 {MINE}", {}, "unknown"),
        # the plain name speaks for another port only when it is the very same key
        (f"node1 {MINE}", {"port": 2222}, "known"),
        (f"node1 {OTHER}", {"port": 2222}, "unknown"),
        (f"10.0.0.1 {MINE}", {"address": "10.0.0.1"}, "known"),
        (f"10.0.0.1 {OTHER}", {"address": "10.0.0.1"}, "changed"),
        (f"10.0.0.1 {OLD}", {"address": "10.0.0.1"}, "unknown"),
        (f"[10.0.0.1]:2222 {MINE}", {"address": "10.0.0.1", "port": 2222}, "known"),
        (f"node1 {OTHER}\n10.0.0.1 {MINE}", {"address": "10.0.0.1"}, "changed"),
        (f"box {MINE}", {"alias": "box", "port": 2222}, "known"),
        (f"box {OTHER}\nnode1 {MINE}", {"alias": "box"}, "changed"),
        (f"node1 {MINE}\n10.0.0.1 {MINE}", {"alias": "box", "address": "10.0.0.1"}, "unknown"),
    ],
    ids=count(),  # of the keys, which every process makes anew, no name can be made
)
def test_by_port_address_and_alias(
    tmp_path: Path, text: str, options: dict[str, object], state: str
) -> None:
    assert _state(tmp_path, text, **options) == state  # type: ignore[arg-type]


def test_a_server_is_asked_first_for_what_it_is_known_by(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"node1 {OLD}\n")
    asked = Judge(KnownHosts([str(path)]), "node1", 22).algorithms()
    assert asked[:3] == ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]
    path.write_text(f"@cert-authority *.lab,node1 {OLD}\n")
    asked = Judge(KnownHosts([str(path)]), "node1", 22).algorithms()
    assert asked[0] == "ssh-ed25519-cert-v01@openssh.com"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")
def test_ssh_keygen_agrees_about_hashes_and_fingerprints(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"[node1]:2222 {MINE}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    book = parse(path.read_text(), str(path))
    assert [entry.hashed for entry in book.about(["[node1]:2222"])] == [True]
    said = subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True)
    assert fingerprint(KEYS[0].public_data) in said.stdout


def test_a_file_is_made_private_and_the_line_is_what_ssh_finds(tmp_path: Path) -> None:
    key = _shown(tmp_path, "[node1]:2222")
    record([key])
    path = Path(key.file)
    assert path.read_text() == f"[node1]:2222 {MINE}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    record([key])
    assert path.read_text() == f"[node1]:2222 {MINE}\n", "once is enough"


@pytest.mark.parametrize("text", ["", "# mine", f"other {OTHER}\n", f"other {OTHER}"], ids=count())
def test_what_the_file_holds_stays_and_its_last_line_is_ended(tmp_path: Path, text: str) -> None:
    key = _shown(tmp_path)
    path = Path(key.file)
    path.parent.mkdir()
    path.write_text(text)
    record([key])
    assert path.read_text() == (text + "\n" if text else "").replace("\n\n", "\n") + (
        f"node1 {MINE}\n"
    )


def test_names_are_hidden_where_the_others_are(tmp_path: Path) -> None:
    key = _shown(tmp_path)
    path = Path(key.file)
    path.parent.mkdir()
    path.write_text(f"{hashed_name('other', b'y' * 20)} {OTHER}\n")
    record([key])
    new = path.read_text().splitlines()[1]
    assert new.startswith("|1|")
    assert "node1" not in new
    assert _state(tmp_path, path.read_text()) == "known"


@pytest.mark.parametrize("state", [KeyState.CHANGED, KeyState.REVOKED])
def test_only_unknown_keys_are_ever_recorded(tmp_path: Path, state: KeyState) -> None:
    key = _shown(tmp_path, state=state)
    with pytest.raises(HostKeyError, match="cannot be accepted"):
        record([_shown(tmp_path, "other"), key])
    assert not Path(key.file).exists()


def test_a_key_recorded_by_somebody_else_meanwhile_is_not_overruled(tmp_path: Path) -> None:
    key = _shown(tmp_path)
    Path(key.file).parent.mkdir()
    Path(key.file).write_text(f"node1 {OTHER}\n")
    with pytest.raises(HostKeyError, match="has been recorded as node1"):
        record([key])
    assert Path(key.file).read_text() == f"node1 {OTHER}\n"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "ssh").write_text("a file where the folder should be")
    with pytest.raises(HostKeyError, match=r"could not be recorded in .*known_hosts"):
        record([_shown(tmp_path)])


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    names = [f"node{number}" for number in range(40)]

    def one(name: str) -> Callable[[], None]:
        return lambda: record([_shown(tmp_path, name)])

    threads = [threading.Thread(target=one(name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = Path(_shown(tmp_path).file).read_text().splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(names)


def test_files_never_switch_checking_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/h")
    usual = ("/h/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
    for nothing in ([], ["none"], ["/dev/null"], ["None", "/dev/null"]):
        assert files(None, nothing) == usual
    assert files("~/mine", ["~/a"]) == ("/h/mine",)
    assert files(None, ["~/a", "/b"], ["/c"]) == ("/h/a", "/b", "/c")


def test_a_name_is_as_ssh_has_it() -> None:
    assert host_name("Node1", 22) == "node1"
    assert host_name("fe80::1", 2222) == "[fe80::1]:2222"
