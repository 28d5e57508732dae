"""A chat with the served model, as state: what was said, and what is being said."""

from __future__ import annotations

from dataclasses import dataclass, field


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
