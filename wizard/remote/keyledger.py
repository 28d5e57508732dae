"""The host keys that keep a fleet's nodes out of reach, for people to decide on.

State, not events: whoever asks finds the keys that stand in the way now, each once, with all the
nodes behind it. A jump host's key keeps every node behind it away.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence

from wizard.errors import HostKeyError
from wizard.remote.keyrecord import record
from wizard.remote.shownkey import KeyState, ShownKey

_Id = tuple[KeyState, str, str, str]


class KeyLedger:
    """See the module.

    Args:
        accept_new: told of every unknown key that was recorded without asking anybody; None:
            none ever is.
        recorded: told of every key that was recorded, whoever accepted it.

    Attributes:
        revision: bumped whenever what stands in the way changes.
    """

    def __init__(
        self,
        accept_new: Callable[[ShownKey], None] | None = None,
        recorded: Callable[[ShownKey], None] = lambda key: None,
    ) -> None:
        self.revision = 0
        self._accept_new = accept_new
        self._recorded = recorded
        self._keys: dict[_Id, ShownKey] = {}
        self._lock = asyncio.Lock()

    @property
    def pending(self) -> list[ShownKey]:
        """The keys that stand in the way; those that can be accepted first, then by node."""
        order = {KeyState.UNKNOWN: 0, KeyState.CHANGED: 1, KeyState.REVOKED: 2}
        return sorted(self._keys.values(), key=lambda k: (order[k.state], k.nodes, k.name))

    def report(self, rank: int, error: HostKeyError) -> None:
        """Note that a node could not be reached because of a key."""
        shown = error.shown
        if shown is None:
            return
        name = _id(shown)
        known = self._keys.get(name)
        nodes = tuple(sorted({rank, *(known.nodes if known else ())}))
        if known is None or known.nodes != nodes:
            self._keys[name] = dataclasses.replace(shown, nodes=nodes)
            self.revision += 1

    def settle(self, rank: int) -> None:
        """Note that a node has been reached, so that no key keeps it away."""
        for name, key in list(self._keys.items()):
            if rank in key.nodes:
                nodes = tuple(node for node in key.nodes if node != rank)
                self.revision += 1
                if nodes:
                    self._keys[name] = dataclasses.replace(key, nodes=nodes)
                else:
                    del self._keys[name]

    def dismiss(self, keys: Sequence[ShownKey] | None = None) -> None:
        """Take keys off the list (all by default): refused for now; they come again when shown."""
        gone = list(self._keys) if keys is None else [_id(key) for key in keys]
        for name in gone:
            if self._keys.pop(name, None) is not None:
                self.revision += 1

    async def record(self, keys: Sequence[ShownKey]) -> list[int]:
        """Record keys that were accepted, and take them off the list.

        Returns:
            the ranks of the nodes that they kept away.

        Raises:
            HostKeyError: see :func:`wizard.remote.keyrecord.record`.
        """
        async with self._lock:
            await asyncio.to_thread(record, list(keys))
        for key in keys:
            self._recorded(key)
        self.dismiss(keys)
        return sorted({rank for key in keys for rank in key.nodes})

    async def accepts(self, error: HostKeyError) -> bool:
        """Whether a key is taken without asking: then it is recorded now.

        Raises:
            HostKeyError: it could not be recorded.
        """
        key = error.shown
        if self._accept_new is None or key is None or key.state is not KeyState.UNKNOWN:
            return False
        async with self._lock:
            await asyncio.to_thread(record, [key])
        self._recorded(key)
        self._accept_new(key)
        return True


def _id(key: ShownKey) -> _Id:
    return key.state, key.name, key.public_key, key.file
