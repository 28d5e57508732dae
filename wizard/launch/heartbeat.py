"""Now and then a request for one token: it tells an engine that hangs behind a healthy API.

``/health`` can be 200 while a node is dead, and a request then waits for ever. Off unless the
preset has ``serve.probe_s``, for each is a request to a server that works for others.
"""

from __future__ import annotations

import asyncio

from wizard import apikey
from wizard.chat import ChatClient, ChatError, KeyRefused
from wizard.errors import RemoteError
from wizard.launch.record import Record
from wizard.remote.api import Remote
from wizard.scripts import api_port

PATIENCE_S = 120.0  # a busy server lets a request wait; a dead one for ever
_SOONER_S = 30.0  # after a bad answer it is asked again that soon


class Heartbeat:
    """Asks node 0 while the launch serves; what is wrong becomes the record's ``trouble``."""

    def __init__(
        self, remote: Remote, record: Record, every_s: float, *, patience_s: float | None = None
    ) -> None:
        self._remote, self._record, self._every_s = remote, record, every_s
        self._patience_s = PATIENCE_S if patience_s is None else patience_s

    async def run(self) -> None:
        """Ask until cancelled, the first time ``every_s`` after it serves."""
        record = self._record
        while True:
            if not record.trouble:
                await record.ready.wait()
            rest = min(self._every_s, _SOONER_S) if record.trouble else self._every_s
            await asyncio.sleep(rest)
            if record.trouble or record.ready.is_set():
                self._saw(await self._ask())

    async def _ask(self) -> str:
        """Ask for one token; return what is wrong, "" for nothing."""
        record = self._record
        try:
            async with self._remote.tunnel("127.0.0.1", api_port(record.preset)) as socket:
                client = ChatClient(socket, key=apikey.current(record.preset))
                async with asyncio.timeout(self._patience_s):
                    async for _ in client.complete("1", max_tokens=1):
                        pass
        except TimeoutError:
            return (
                f"no answer to a request for one token within {self._patience_s:g} s: the engine "
                "hangs, or is overloaded."
            )
        except KeyRefused:
            return ""  # it answers, only not to us
        except ChatError as error:
            return f"a request for one token failed: {error}"
        except RemoteError:
            return record.trouble  # node 0 is out of reach, which its watch tells
        return ""

    def _saw(self, trouble: str) -> None:
        if trouble != self._record.trouble:
            self._record.trouble = trouble
            self._record.touch()
