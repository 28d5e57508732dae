"""Passphrases and passwords that wait for the user's answer, whichever step wanted the nodes.

State that any screen may show: the one question that is open now. What was answered lives in
:class:`wizard.remote.secrets.Secrets`, for as long as the nodes stay the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pydantic import SecretStr

from wizard.cluster import Node
from wizard.remote.secrets import SecretRequest, Secrets


class SecretDesk:
    """See the module."""

    def __init__(self) -> None:
        self._open: list[tuple[SecretRequest, asyncio.Future[SecretStr | None]]] = []
        self._secrets = Secrets(self.ask)
        self._known: set[tuple[object, ...]] = set()

    @property
    def pending(self) -> SecretRequest | None:
        """The question to be answered now."""
        return self._open[0][0] if self._open else None

    async def ask(self, request: SecretRequest) -> SecretStr | None:
        """Wait for the answer to a question; None: not given."""
        answer: asyncio.Future[SecretStr | None] = asyncio.get_running_loop().create_future()
        entry = (request, answer)
        self._open.append(entry)
        try:
            return await answer
        finally:
            self._open.remove(entry)

    def answer(self, request: SecretRequest, value: SecretStr | None) -> None:
        """Answer a question that is still open; None refuses it."""
        for asked, answer in self._open:
            if asked is request and not answer.done():
                answer.set_result(value)

    def secrets_for(self, nodes: Sequence[Node]) -> Secrets:
        """Return where the answers for these nodes are kept.

        What was typed for some machines is never sent to another one: as soon as a node is new,
        all is asked anew.
        """
        ends = {(node.host, node.port, node.user, node.jump) for node in nodes}
        if not ends <= self._known:
            self._secrets, self._known = Secrets(self.ask), set(ends)
        return self._secrets
