"""The served model: an OpenAI-compatible API reached through a Unix socket (an SSH tunnel's end).

Facts that shape this file (launch.md, "Chat"): the model's id is taken from ``/v1/models``, since
documentation has served one name and queried another; chat needs a chat template, and weights
without one answer HTTP 400, so that a single question falls back to ``/v1/completions``; reasoning
comes as ``reasoning_content`` or, newer, ``reasoning``.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from wizard import apikey
from wizard.errors import WizardError
from wizard.presets import Preset
from wizard.remote.api import Remote
from wizard.remote.text import clean
from wizard.scripts import api_port, served_model

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody
_CONNECT_S = 10.0
_FIRST_TOKEN_S = 600.0  # a long prompt on a busy server takes minutes; cancel is always possible
_SHORT_S = 10.0
_DONE = "[DONE]"


class ChatError(WizardError):
    """The served model did not answer as asked."""


class KeyRefused(ChatError):
    """The server wants an API key that we do not have."""


class NoChatTemplate(ChatError):
    """The weights carry no chat template: chat is impossible, completions are not."""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer. ``usage`` comes once, at the end: token counts as the server says."""

    content: str = ""
    reasoning: str = ""
    usage: dict[str, Any] | None = None
    finish_reason: str = ""


class ChatClient:
    """Talks to one server through ``socket``. Cancelling a stream closes its request.

    Every method but :meth:`health` raises ChatError, one sentence, when the server cannot be
    reached, refuses, or answers something else than the API says.
    """

    def __init__(
        self, socket: Path, *, model: str | None = None, key: SecretStr | None = None
    ) -> None:
        self.socket = socket
        self.key = key or apikey.given()
        self.model = model

    async def health(self) -> bool:
        """Return whether ``/health`` answers 200. It can lie: a dead worker may go unnoticed."""
        try:
            async with self._http(_SHORT_S) as http:
                return (await http.get("/health")).status_code == httpx.codes.OK
        except (httpx.HTTPError, OSError):
            return False

    async def models(self) -> list[str]:
        """Return the ids that the server lists, most important first."""
        response = await self._get("/v1/models")
        try:
            return [str(entry["id"]) for entry in response.json()["data"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ChatError("the server's list of models could not be understood.") from error

    async def metrics(self) -> str:
        """Return ``/metrics`` as it is: Prometheus' text format."""
        return (await self._get("/metrics")).text

    async def _get(self, path: str) -> httpx.Response:
        try:
            async with self._http(_SHORT_S) as http:
                response = await http.get(path)
        except (httpx.HTTPError, OSError) as error:
            raise _unreachable(error) from error
        if response.status_code != httpx.codes.OK:
            raise _refused(response.status_code, response.text)
        return response

    async def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> AsyncGenerator[Delta, None]:
        """Yield the answer to a conversation piece by piece (``/v1/chat/completions``).

        A server without a chat template gets a single question as a plain completion instead; a
        longer conversation raises NoChatTemplate.
        """
        body = {"messages": [dict(message) for message in messages]}
        try:
            async for delta in self._ask("/v1/chat/completions", body, max_tokens, temperature):
                yield delta
        except NoChatTemplate:
            if len(messages) != 1:
                raise
            async for delta in self.complete(
                messages[0]["content"], max_tokens=max_tokens or 256, temperature=temperature
            ):
                yield delta

    async def complete(
        self, prompt: str, *, max_tokens: int | None = 256, temperature: float | None = None
    ) -> AsyncIterator[Delta]:
        """Yield the continuation of ``prompt`` (``/v1/completions``, the guide's smoke test)."""
        async for delta in self._ask(
            "/v1/completions", {"prompt": prompt}, max_tokens, temperature
        ):
            yield delta

    async def _ask(
        self, path: str, body: dict[str, Any], max_tokens: int | None, temperature: float | None
    ) -> AsyncIterator[Delta]:
        if max_tokens is not None:
            body["max_tokens"] = max_tokens
        if temperature is not None:
            body["temperature"] = temperature
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        try:
            async with self._http(_FIRST_TOKEN_S) as http, self._post(http, path, body) as response:
                async for event in events(response.aiter_bytes()):
                    if event == _DONE:
                        return
                    if (delta := _delta(event)) is not None:
                        yield delta
        except (httpx.HTTPError, OSError) as error:
            raise _unreachable(error) from error
        raise ChatError("the answer ended before it was complete.", retryable=True)

    @asynccontextmanager
    async def _post(
        self, http: httpx.AsyncClient, path: str, body: dict[str, Any]
    ) -> AsyncIterator[httpx.Response]:
        """Post ``body`` with the model's id; a 404 asks for the id again, once."""
        asked_again = False
        while True:
            if self.model is None:
                self.model = await self._first_model()
                asked_again = True
            async with http.stream("POST", path, json={"model": self.model, **body}) as response:
                if response.status_code == httpx.codes.OK:
                    yield response
                    return
                text = (await response.aread()).decode("utf-8", "replace")
            if response.status_code != httpx.codes.NOT_FOUND or asked_again:
                raise _refused(response.status_code, text)
            self.model = None

    async def _first_model(self) -> str:
        found = await self.models()
        if not found:
            raise ChatError("the server lists no model.")
        return found[0]

    def _http(self, read_s: float) -> httpx.AsyncClient:
        """A client of one request: no proxy from the environment, no reuse of a dead tunnel."""
        key = self.key.get_secret_value() if self.key else ""
        return httpx.AsyncClient(
            # by default every client reads all of the machine's certificates: 50 ms, for no TLS
            transport=httpx.AsyncHTTPTransport(uds=str(self.socket), verify=_NO_TLS),
            base_url="http://localhost",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(read_s, connect=_CONNECT_S),
            trust_env=False,
        )


@asynccontextmanager
async def open_chat(head: Remote, preset: Preset) -> AsyncIterator[ChatClient]:
    """Open a tunnel to the API on node 0 and give a client for it; closed at the end.

    Raises:
        RemoteError: the tunnel cannot be opened.
    """
    async with head.tunnel("127.0.0.1", api_port(preset)) as socket:
        yield ChatClient(socket, model=served_model(preset), key=apikey.current(preset))


async def events(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """Yield the data of server-sent events from chunks cut anywhere, also inside a character.

    Comments, other fields and empty events are passed over; lines may end in CR LF. A last event
    without its empty line counts as well.
    """
    buffer, data = b"", []
    async for chunk in chunks:
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")  # noqa: PLW2901 - the same line, its end taken off
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data).decode("utf-8", "replace")
                data = []
    if buffer.startswith(b"data:"):
        data.append(buffer[5:].strip())
    if data:
        yield b"\n".join(data).decode("utf-8", "replace")


def _delta(event: str) -> Delta | None:
    """Read one event of a stream; None when it carries nothing to show."""
    try:
        body = json.loads(event)
    except ValueError as error:
        raise ChatError(f"the server sent something that is not JSON: {event[:80]!r}.") from error
    if not isinstance(body, dict):
        raise ChatError(f"the server sent something unexpected: {event[:80]!r}.")
    if body.get("error") or body.get("object") == "error":
        raise _refused(None, event)
    usage = body.get("usage")
    choices = body.get("choices") or [{}]
    choice = choices[0] if isinstance(choices[0], dict) else {}
    part = choice.get("delta") or {}
    delta = Delta(
        # a terminal shows it as it comes, so nothing in it may act there, however it is cut
        content=clean(part.get("content") or choice.get("text") or ""),
        reasoning=clean(part.get("reasoning_content") or part.get("reasoning") or ""),
        usage=usage if isinstance(usage, dict) else None,
        finish_reason=choice.get("finish_reason") or "",
    )
    return delta if delta != Delta() else None


def _refused(status: int | None, text: str) -> ChatError:
    """Make the error for an answer that is not 200, or an error object in a stream."""
    message = _message(text)
    if "chat template" in message:
        return NoChatTemplate(
            "the served weights have no chat template, so that they cannot chat.",
            hint="Send a single prompt, or serve with a chat template.",
        )
    if status == httpx.codes.UNAUTHORIZED:
        return KeyRefused(
            "the server asks for an API key, and we have none or another.",
            hint=f"Put it in {apikey.VARIABLE}.",
        )
    if status is None:
        return ChatError(f"the server broke off the answer: {message}")
    busy = status in (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS)
    return ChatError(f"the server answered HTTP {status}: {message}", retryable=busy)


def _message(text: str) -> str:
    """Take the sentence out of an error body, whichever of vLLM's shapes it has."""
    try:
        body = json.loads(text)
    except ValueError:
        return clean(text).strip()[:300] or "without a word"
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, dict):
            inner = inner.get("message") or inner.get("detail") or inner
        return clean(str(inner))[:300]
    return clean(str(body))[:300]


def _unreachable(error: Exception) -> ChatError:
    detail = str(error).rstrip(".") or type(error).__name__
    if isinstance(error, httpx.RemoteProtocolError) and "without sending" in detail:
        # an SSH tunnel is open before its far end is: then nobody listens on the API's port
        detail = "nobody listens there"
    return ChatError(
        f"the connection to the served model failed: {detail}.",
        hint="See whether it still runs: v32-wizard status.",
        retryable=True,
    )
