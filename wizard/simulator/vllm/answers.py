"""The simulated model: what it says to a prompt, in tokens."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\s*\S+")
_ABOUT = (
    " a matter of patient engineering. The models grow more capable, and the people who put them "
    "into service decide whether that helps anybody: links that are up, ranks that find each "
    "other, and an answer that comes before the reader has gone away.\n\n"
    "This text comes from the **simulated cluster**: no model has been loaded, and nothing here "
    "was computed by an NPU."
)


def tokens(text: str) -> list[str]:
    """Split a text into what stands for its tokens; joined they give it back, but for its end."""
    return _TOKEN.findall(text)


def complete(prompt: str) -> list[str]:
    """Return the tokens that continue a prompt."""
    return tokens(_ABOUT if prompt.rstrip().endswith(("is", "was")) else " ..." + _ABOUT)


def reply(messages: list[dict[str, object]]) -> list[str]:
    """Return the tokens of an answer; it names the question and its place in the conversation."""
    asked = [str(message.get("content", "")) for message in messages if message["role"] == "user"]
    question = " ".join(asked[-1].split())[:200] if asked else ""
    return tokens(f"You asked (question {len(asked)}): {question}\n\nIn short,{_ABOUT}")
