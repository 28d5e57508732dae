"""What answers on a port that did not let us in: asked once more, so that it can be named."""

from __future__ import annotations

import asyncio

from wizard.remote.text import clean

_OURS = b"SSH-2.0-v32-wizard\r\n"  # a web server speaks only when it is spoken to
_ENOUGH = 256


async def greeting(host: str, port: int, limit_s: float) -> bytes | None:
    """Return the first that a port says, b"" when it says nothing, None when it takes no call.

    Args:
        host: name or address.
        port: of TCP.
        limit_s: for the connection, and again for the first words.
    """
    try:
        async with asyncio.timeout(limit_s):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return None
    try:
        writer.write(_OURS)
        async with asyncio.timeout(limit_s):
            return await reader.read(_ENOUGH)
    except (OSError, TimeoutError):
        return b""
    finally:
        writer.transport.abort()


def quoted(said: bytes) -> str:
    """Return the first line of a greeting for people, or "" when it is no text."""
    if b"\0" in said:
        return ""
    line = clean(said).strip().partition("\n")[0].strip()[:60]
    return line if line.isprintable() and "\ufffd" not in line else ""
