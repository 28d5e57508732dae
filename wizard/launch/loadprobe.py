"""Asking a served model for its figures, again and again or once; what they mean is in metrics."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from wizard import apikey
from wizard.chat import ChatClient, ChatError
from wizard.errors import RemoteError
from wizard.launch.metrics import Load, Sample, load, parse
from wizard.launch.record import Record
from wizard.launch.serving import holds
from wizard.presets import Preset
from wizard.remote.api import Remote
from wizard.scripts import api_port

INTERVAL_S = 10.0  # every question is a line in node 0's log
_ONCE_S = 1.0  # between the two looks that a speed takes


class LoadProbe:
    """Keeps asking node 0 while the launch serves; the last answer is the record's ``load``."""

    def __init__(self, remote: Remote, record: Record, *, interval_s: float = INTERVAL_S) -> None:
        self._remote, self._record = remote, record
        self._interval_s = interval_s

    async def run(self) -> None:
        """Ask until cancelled, through one tunnel for as long as it holds."""
        preset = self._record.preset
        try:
            while True:
                await self._record.ready.wait()
                try:
                    async with self._remote.tunnel("127.0.0.1", api_port(preset)) as socket:
                        await self._ask(socket, ChatClient(socket, key=apikey.current(preset)))
                except RemoteError:
                    pass
                self._saw(None)
                await asyncio.sleep(self._interval_s)
        finally:
            self._saw(None)

    async def _ask(self, socket: Path, client: ChatClient) -> None:
        before: Sample | None = None
        while self._record.ready.is_set():
            sample = await _sample(client)
            self._saw(load(sample, before) if sample is not None else None)
            if sample is None and not await holds(socket):
                return
            first, before = before is None, sample
            # the first speed soon, the others at leisure
            await asyncio.sleep(min(_ONCE_S, self._interval_s) if first else self._interval_s)

    def _saw(self, found: Load | None) -> None:
        if found != self._record.load:
            self._record.load = found
            self._record.touch()


async def load_now(remote: Remote, preset: Preset) -> Load | None:
    """Look twice, a second apart, and return what the model does; None when it does not say."""
    try:
        async with remote.tunnel("127.0.0.1", api_port(preset)) as socket:
            client = ChatClient(socket, key=apikey.current(preset))
            before = await _sample(client)
            if before is None:
                return None
            await asyncio.sleep(_ONCE_S)
            sample = await _sample(client)
            return load(sample or before, before if sample else None)
    except RemoteError:
        return None


async def _sample(client: ChatClient) -> Sample | None:
    try:
        return parse(await client.metrics(), time.monotonic())
    except ChatError:
        return None
