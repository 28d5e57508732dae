"""Files for a node: modes, all or nothing, repeatable, and nothing of ours in the way."""

from __future__ import annotations

import secrets
import stat
from pathlib import Path

import pytest
from remote_lab import Lab

from wizard.errors import RemoteError, UsageError
from wizard.remote.fleet import SSHFleet

FILES = {"serve.sh": b"#!/bin/bash\necho hi\n", "v32.env": bytes(range(256)), "empty": b""}


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["runs/a1", 'it\'s $(touch evil) "x" *'])
async def test_files_arrive_whole_and_private(lab: Lab, one: SSHFleet, name: str) -> None:
    home = lab.servers[0].home
    await one.remotes[0].upload(f"~/{name}", FILES)
    target = home / name
    assert _tree(home) == {f"{name}/{k}": v for k, v in FILES.items()}
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in target.iterdir()}
    assert modes == {"serve.sh": 0o700, "v32.env": 0o600, "empty": 0o600}
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert list(target.parent.glob("*")) == [target], "nothing else is left"


async def test_the_same_again_is_no_error_and_other_content_is(lab: Lab, one: SSHFleet) -> None:
    target = lab.folder / "run"
    remote = one.remotes[0]
    await remote.upload(str(target), FILES)
    await remote.upload(str(target), FILES)
    for other in ({**FILES, "v32.env": b"new"}, {**FILES, "more": b""}, {"empty": b""}):
        with pytest.raises(RemoteError, match="exists already with other content"):
            await remote.upload(str(target), other)
    assert _tree(target) == FILES
    assert len(list(lab.folder.glob("run*"))) == 1


async def test_big_files_and_a_noisy_login(lab: Lab, one: SSHFleet) -> None:
    (lab.servers[0].home / ".bashrc").write_text("echo Welcome; echo mail >&2\n")
    files = {"big": secrets.token_bytes(3_000_000)}
    await one.remotes[0].upload("~/big", files)
    assert _tree(lab.servers[0].home / "big") == files


async def test_a_place_that_cannot_be_written_says_why(lab: Lab, one: SSHFleet) -> None:
    (lab.servers[0].home / "file").write_text("")
    with pytest.raises(RemoteError, match=r"~/file/run on node 0 .*could not be written: .*file"):
        await one.remotes[0].upload("~/file/run", FILES)
    assert _tree(lab.servers[0].home) == {"file": b""}


@pytest.mark.parametrize("name", ["../x", "a b", "", ".hidden", "a/b", "-rf", "x\n"])
async def test_only_plain_names_go(lab: Lab, one: SSHFleet, name: str) -> None:
    with pytest.raises(UsageError, match="plain file name"):
        await one.remotes[0].upload("~/run", {name: b""})
    assert lab.servers[0].commands == []


@pytest.mark.parametrize("directory", ["run", "", "~root/x", "/a\nb"])
async def test_only_places_that_say_where_they_are(one: SSHFleet, directory: str) -> None:
    with pytest.raises(UsageError, match="must begin with"):
        await one.remotes[0].upload(directory, FILES)
