"""``v32-wizard chat``."""

from __future__ import annotations

import argparse
import sys
from contextlib import aclosing

from wizard.chat import ChatClient, open_chat
from wizard.commands.fleet import connected
from wizard.commands.terminal import read_all, read_line
from wizard.errors import UsageError
from wizard.presets import load_preset

Message = dict[str, str]


async def chat(arguments: argparse.Namespace) -> int:
    """One streamed answer to PROMPT or stdin; without either, a line-by-line chat."""
    preset = load_preset(arguments.preset)
    prompt = arguments.prompt
    if prompt is None and not sys.stdin.isatty():
        prompt = (await read_all()).strip()
    if prompt is not None and not prompt:
        raise UsageError("the prompt is empty:", hint="give it as an argument or on stdin.")
    async with (
        connected(preset, arguments) as fleet,
        open_chat(fleet.remotes[0], preset) as client,
    ):
        if prompt is not None:
            await _answer(client, [{"role": "user", "content": prompt}])
            return 0
        await _converse(client)
    return 0


async def _answer(client: ChatClient, messages: list[Message]) -> str:
    said: list[str] = []
    async with aclosing(client.stream(messages)) as answer:  # the request ends when we do
        async for delta in answer:
            sys.stdout.write(delta.content)
            sys.stdout.flush()
            said.append(delta.content)
    sys.stdout.write("\n")
    return "".join(said)


async def _converse(client: ChatClient) -> None:
    messages: list[Message] = []
    print("Chat with the served model; an empty line or Ctrl-D ends it.", file=sys.stderr)
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        line = (await read_line()).strip()
        if not line:
            return
        messages.append({"role": "user", "content": line})
        messages.append({"role": "assistant", "content": await _answer(client, messages)})
