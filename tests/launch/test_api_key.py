"""An API key on its way to node 0: used by the server and by us, and found nowhere else."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.launch.bench import until
from tests.launch.test_over_ssh import LIMIT_S, cluster, fleet_of, launch
from tests.scripting import preset as some_preset
from wizard import apikey, scripts
from wizard.chat import ChatClient, KeyRefused, open_chat
from wizard.cluster import Precision
from wizard.errors import PresetError, UsageError
from wizard.launch.plan import plan
from wizard.presets import Preset

PLANTED = "planted-key-0123456789"
ASKED = [{"role": "user", "content": "Hello"}]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "wizard"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv(apikey.VARIABLE, raising=False)


def with_key(preset: Preset) -> Preset:
    serve = preset.serve.model_copy(update={"api_key": True})
    return preset.model_copy(update={"serve": serve})


def holders(folder: Path, text: str) -> list[Path]:
    """Regular files of less than 1 MB below ``folder`` that hold ``text``."""
    found = []
    for path in folder.rglob("*"):
        try:
            small = path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 20
            if small and text.encode() in path.read_bytes():  # the weights are large, and empty
                found.append(path)
        except FileNotFoundError:
            continue
    return found


def spoken(text: str) -> list[str]:
    """Command lines on this machine that hold ``text``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if text.encode() in line:
            found.append(line.decode(errors="replace"))
    return found


async def test_served_with_a_key_that_is_nowhere_but_in_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(apikey.VARIABLE, PLANTED)
    async with cluster(precision=Precision.W8A8) as (simulated, plain):
        chosen = with_key(plain)
        async with fleet_of(chosen) as fleet:
            work = launch(fleet, chosen)
            await work.start()
            async with asyncio.timeout(LIMIT_S):
                await work.follow(until_ready=True)
            assert work.state == "ready"
            async with open_chat(fleet.remotes[0], chosen) as client:
                deltas = [delta async for delta in client.stream(ASKED)]
            assert any(delta.content for delta in deltas)
            assert (await work.status()).serving

            monkeypatch.delenv(apikey.VARIABLE)
            assert (await work.status()).serving  # who has no key still sees that it serves
            async with open_chat(fleet.remotes[0], chosen) as client:
                assert await client.health()
                with pytest.raises(KeyRefused, match=r"asks for an API key.*V32_WIZARD_API_KEY"):
                    await client.models()

            logs = [line async for line in work.logs(0)]
            inspected = await fleet.remotes[0].run(
                f"docker inspect {chosen.container.name}; ls -lR ~/.v32-wizard"
            )
            said = inspected.stdout.decode()
            assert PLANTED not in said + "\n".join(logs) + caplog.text
            assert "api-key" not in said  # gone once read; its directory is empty
            assert '"v32-wizard.launch"' in said
            assert spoken(PLANTED) == []
            assert holders(simulated.directory, PLANTED) == []
            assert holders(tmp_path, PLANTED) == []  # preset, state and audit log
            assert await work.stop() == []


async def test_a_key_of_ours_is_kept_for_later_commands_and_dropped_at_the_stop() -> None:
    async with cluster(precision=Precision.W8A8) as (_, plain):
        chosen = with_key(plain)
        async with fleet_of(chosen) as fleet:
            work = launch(fleet, chosen)
            await work.start()
            async with asyncio.timeout(LIMIT_S):
                await work.follow(until_ready=True)
            file = apikey.path_of(chosen)
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert any(str(file) in line for line in plan(chosen, "x"))
            async with open_chat(fleet.remotes[0], chosen) as client:
                assert await client.models()
            async with fleet.remotes[0].tunnel("127.0.0.1", scripts.api_port(chosen)) as socket:
                with pytest.raises(KeyRefused):
                    await ChatClient(socket, key=SecretStr("another")).models()
            assert await work.stop() == []
            assert not file.exists()


async def test_a_start_that_fails_leaves_no_key_on_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(apikey.VARIABLE, PLANTED)
    async with cluster(precision=Precision.W8A8) as (simulated, plain):
        chosen = with_key(plain)
        async with fleet_of(chosen) as fleet:
            work = launch(fleet, chosen)

            async def fail(*_: object) -> None:
                assert holders(simulated.directory, PLANTED)  # it was there
                raise UsageError("made to fail")

            monkeypatch.setattr(work._nodes[0], "reserve", fail)
            with pytest.raises(UsageError, match="made to fail"):
                await work.start()
            await until(lambda: not holders(simulated.directory, PLANTED), limit_s=LIMIT_S)


# --- parts ---------------------------------------------------------------------------------------


def test_only_node_0_gets_it_and_no_script_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(apikey.VARIABLE, PLANTED)
    nodes = scripts.render(some_preset("A3", "bf16", serve={"api_key": True}))
    texts = [text for node in nodes for text in node.files.values()]
    assert not any(PLANTED in text for text in texts)
    assert "export VLLM_API_KEY" in nodes[0].serve
    assert "/v32-wizard-key" in nodes[0].container
    assert "KEY" not in nodes[1].serve.upper()
    assert "v32-wizard-key" not in nodes[1].container


@pytest.mark.parametrize("value", ["sk-secret", 1, None, ["sk-secret"]])
def test_a_key_in_the_preset_is_refused_and_not_repeated(value: object) -> None:
    with pytest.raises(PresetError, match=r"serve\.api_key: is true or false") as caught:
        some_preset("A3", "bf16", serve={"api_key": value})
    assert "sk-secret" not in str(caught.value)


def test_the_guide_has_no_key() -> None:
    with pytest.raises(PresetError, match=r"serve\.api_key: .*strict_guide"):
        some_preset("A3", "bf16", serve={"api_key": True}, strict_guide=True)


@pytest.mark.parametrize("value", ["two words", "line\nbreak", "schlüssel", "x" * 600])
def test_what_no_header_can_carry_is_refused_and_not_repeated(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(apikey.VARIABLE, value)
    with pytest.raises(UsageError, match=apikey.VARIABLE) as caught:
        apikey.given()
    assert value not in str(caught.value)


def test_the_checksum_of_the_file_tells_nothing() -> None:
    key = SecretStr("weak")
    assert apikey.as_file(key) != apikey.as_file(key)
    assert apikey.as_file(key).splitlines()[0] == b"weak"
