"""Whether node 0 serves: ``/health`` is 200 and ``/v1/models`` lists the name.

That alone does not make a launch ready (``/health`` can be 200 while a node is dead); the
containers of all ranks count as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from wizard import apikey
from wizard.chat import ChatClient, ChatError, KeyRefused
from wizard.errors import RemoteError
from wizard.launch.state import RankState
from wizard.presets import Preset
from wizard.remote.api import Remote
from wizard.scripts import api_port, served_model

INTERVAL_S = 2.0
_MISSES = 2  # answers that must be bad, one after the other, before it counts as not serving
_CALM = 5  # times rarer once it serves: every question is a line in node 0's log


_EDITED = "was the preset edited since? v32-wizard render PRESET --diff deployed shows it"
_NAME = f"it answers, but not by the preset's model name: {_EDITED}"
_PORT = (
    "its API does not answer on the preset's port: does sshd forbid forwarding there "
    f"(AllowTcpForwarding), or {_EDITED}"
)
_TUNNEL = "its API cannot be asked: no tunnel leads there"


async def silence(client: ChatClient, model: str) -> str:
    """Return why the API does not count as serving ``model``, "" when it does."""
    try:
        if not await client.health():
            return _PORT
        return "" if model in await client.models() else _NAME
    except KeyRefused:
        return ""  # it answers, only not to us: who has no key still sees that it serves
    except ChatError:
        return _PORT


async def silence_now(remote: Remote, preset: Preset) -> str:
    """Ask once, through a tunnel of its own; a node out of reach does not serve."""
    try:
        async with remote.tunnel("127.0.0.1", api_port(preset)) as socket:
            client = ChatClient(socket, key=apikey.current(preset))
            return await silence(client, served_model(preset))
    except RemoteError:
        return _TUNNEL


async def holds(socket: Path) -> bool:
    """Return whether a tunnel still takes connections: it goes with the connection it runs over."""
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    writer.close()
    return True


class ServingProbe:
    """Keeps asking node 0 until cancelled. ``serving`` is the last answer.

    Why it does not serve, and since when, is put into ``head``, its state.
    """

    def __init__(
        self,
        remote: Remote,
        preset: Preset,
        head: RankState,
        touch: Callable[[], None],
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self.serving = False
        self._missed = 0
        self._remote, self._preset, self._touch = remote, preset, touch
        self._head = head
        head.heard("")  # what was asked before is no news
        self._key = apikey.current(preset)  # here, so that a bad one is said before the asking
        self._interval_s = interval_s

    async def run(self) -> None:
        """Ask again and again, through one tunnel for as long as it holds."""
        while True:
            try:
                async with self._remote.tunnel("127.0.0.1", api_port(self._preset)) as socket:
                    client = ChatClient(socket, key=self._key)
                    while True:
                        self._saw(await self._ask(client))
                        if (self._missed or not self.serving) and not await holds(socket):
                            break  # it went with its connection: open another
                        calm = self.serving and not self._missed
                        await asyncio.sleep(self._interval_s * (_CALM if calm else 1))
            except RemoteError:
                self._saw(_TUNNEL)
            await asyncio.sleep(self._interval_s)

    async def _ask(self, client: ChatClient) -> str:
        if not self.serving:
            return await silence(client, served_model(self._preset))
        try:
            return "" if await client.health() else _PORT  # names do not change while it lives
        except ChatError:
            return _PORT

    def _saw(self, why: str) -> None:
        serving = not why
        self._head.heard(why)
        self._missed = 0 if serving else self._missed + 1
        if self.serving and 0 < self._missed < _MISSES:
            return
        if serving != self.serving:
            self.serving = serving
            self._touch()
