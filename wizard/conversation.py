"""A chat with the served model, as state: what was said, and what is being said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wizard.background import sentence
from wizard.remote.text import clean

if TYPE_CHECKING:
    from wizard.roomtypes import DeltaLike


@dataclass
class Message:
    """One turn. ``state`` is done, streaming, stopped (by the user) or failed."""

    role: str
    content: str = ""
    reasoning: str = ""
    state: str = "done"
    note: str = ""  # why it failed, or how many tokens it took


@dataclass
class Conversation:
    """All turns, oldest first. ``revision`` is bumped on every change."""

    messages: list[Message] = field(default_factory=list)
    revision: int = 0

    def add(self, message: Message) -> Message:
        """Append a turn."""
        self.messages.append(message)
        self.revision += 1
        return message

    @property
    def busy(self) -> bool:
        """Whether an answer is streaming."""
        return bool(self.messages) and self.messages[-1].state == "streaming"

    def for_model(self) -> list[dict[str, str]]:
        """Return the turns as the API takes them; a question whose answer failed is left out."""
        turns: list[dict[str, str]] = []
        for message in self.messages:
            if message.role == "assistant" and not message.content:
                if message.state != "streaming" and turns and turns[-1]["role"] == "user":
                    turns.pop()
                continue
            turns.append({"role": message.role, "content": message.content})
        return turns

    @contextmanager
    def answering(self, answer: Message) -> Iterator[None]:
        """Note in a turn how the block that answers it ends; an error ends here."""
        try:
            yield
            answer.state = "done"
        except asyncio.CancelledError:
            answer.state, answer.note = "stopped", "stopped"
            raise
        except Exception as error:
            answer.state, answer.note = "failed", sentence(error)
        finally:
            self.revision += 1

    async def take(self, answer: Message, deltas: AsyncIterator[DeltaLike]) -> None:
        """Add an answer to its turn as it comes, fit to be shown."""
        async for delta in deltas:
            answer.content += clean(delta.content)
            answer.reasoning += clean(delta.reasoning)
            if delta.usage:
                answer.note = f"{delta.usage.get('completion_tokens', '?')} tokens"
            self.revision += 1
