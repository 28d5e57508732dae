"""A small real HTTP server on a Unix socket, in place of vLLM's API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

Reply = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


class Request:
    def __init__(self, line: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, _ = line.split(" ", 2)
        self.headers = headers
        self.json: Any = json.loads(body) if body else None


class Server:
    """Answers by path; keeps what it was asked."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.replies: dict[str, Reply] = {"/v1/models": models("deepseek_v3.2")}
        self.requests: list[Request] = []
        self.closed_by_client = asyncio.Event()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.strip().split("\r\n")
            headers = {k.lower(): v for k, v in (h.split(": ", 1) for h in rest)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            request = Request(line, headers, body)
            self.requests.append(request)
            reply = asyncio.create_task(
                self.replies.get(request.path, status(404, "no"))(request, writer)
            )
            gone = asyncio.create_task(reader.read())
            await asyncio.wait({reply, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not reply.done():
                self.closed_by_client.set()
                reply.cancel()
            await asyncio.gather(reply, return_exceptions=True)
            gone.cancel()
        finally:
            writer.close()


def models(*ids: str) -> Reply:
    return status(200, {"object": "list", "data": [{"id": i} for i in ids]})


def status(code: int, body: object) -> Reply:
    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        head = f"HTTP/1.1 {code} X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + text)
        await writer.drain()

    return reply


def start(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")


def sse(*parts: object, done: bool = True) -> Reply:
    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        start(writer)
        for part in parts:
            writer.write(f"data: {json.dumps(part)}\n\n".encode())
            await writer.drain()
        if done:
            writer.write(b"data: [DONE]\n\n")

    return reply


def said(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}}]}


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Server]:
    server = Server(folder / "api.sock")
    listener = await asyncio.start_unix_server(server.handle, server.socket)
    try:
        yield server
    finally:
        listener.close()
