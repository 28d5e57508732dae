"""The OpenAI-compatible server of node 0, on a socket that was bound before it."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from argparse import Namespace
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from wizard.simulator.vllm import answers
from wizard.simulator.vllm.console import Voice

_FIRST_TOKEN_S = (0.001, 0.01, 0.1, 1.0, 10.0)  # buckets of the histogram
_COMPLETION_TOKENS = 16  # OpenAI's default for /v1/completions; a chat goes on to its end


class Server(ThreadingHTTPServer):
    """Serves until the process ends; ``stuck`` tells that the engines no longer answer."""

    daemon_threads = True

    def __init__(
        self,
        bound: socket.socket,
        arguments: Namespace,
        token_s: float,
        stuck: Callable[[], bool],
        voice: Voice,
    ) -> None:
        super().__init__(bound.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        self.arguments, self.token_s, self.stuck, self.voice = arguments, token_s, stuck, voice
        self.names: list[str] = arguments.served_model_name
        self.key = arguments.api_key or os.environ.get("VLLM_API_KEY")
        self.started = int(time.time())
        self.running = self.generated = self.prompted = 0
        self.first_tokens: list[float] = []  # how long each request waited for its first token
        self.lock = threading.Lock()
        self.server_activate()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone away."""


class _ApiError(Exception):
    def __init__(self, status: HTTPStatus, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(
            {"/health": self._health, "/v1/models": self._models, "/metrics": self._metrics}
        )

    def do_POST(self) -> None:
        self._answer({"/v1/completions": self._completions, "/v1/chat/completions": self._chat})

    def _answer(self, routes: dict[str, Callable[[], None]]) -> None:
        try:
            path = self.path.partition("?")[0]
            self._body = self._read_body()
            bearer = f"Bearer {self.server.key}"
            if (
                path.startswith("/v1")
                and self.server.key
                and self.headers.get("Authorization") != bearer
            ):
                self._json({"error": "Unauthorized"}, HTTPStatus.UNAUTHORIZED)
                return
            if path not in routes:
                self._json({"detail": "Not Found"}, HTTPStatus.NOT_FOUND)
                return
            routes[path]()
        except _ApiError as error:
            body = {"message": str(error), "type": error.kind, "param": None, "code": error.status}
            self._json({"error": body}, error.status)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, data: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(data).encode(), "application/json", status)

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        path = self.path.partition("?")[0]
        peer = f"{self.client_address[0]}:{self.client_address[1]}"
        self.server.voice.plain(
            f'INFO:     {peer} - "{self.command} {path} HTTP/1.1" {status.value} {status.phrase}'
        )

    # -- looking

    def _health(self) -> None:
        self._send(b"", "text/plain")

    def _models(self) -> None:
        arguments = self.server.arguments
        models = [
            {
                "id": name,
                "object": "model",
                "created": self.server.started,
                "owned_by": "vllm",
                "root": arguments.model_tag,
                "parent": None,
                "max_model_len": arguments.max_model_len,
            }
            for name in self.server.names
        ]
        self._json({"object": "list", "data": models})

    def _metrics(self) -> None:
        server, lines = self.server, []
        values = (
            ("vllm:num_requests_running", "gauge", server.running),
            ("vllm:num_requests_waiting", "gauge", 0),
            ("vllm:kv_cache_usage_perc", "gauge", 0.01 * server.running),
            ("vllm:prompt_tokens_total", "counter", server.prompted),
            ("vllm:generation_tokens_total", "counter", server.generated),
        )
        for name, kind, value in values:
            lines.append(f"# TYPE {name} {kind}")
            for engine in range(server.arguments.data_parallel_size):
                labels = f'engine="{engine}",model_name="{server.names[0]}"'
                lines.append(f"{name}{{{labels}}} {float(value if engine == 0 else 0)}")
        lines += self._first_token_lines()
        self._send("\n".join([*lines, ""]).encode(), "text/plain; version=0.0.4; charset=utf-8")

    def _first_token_lines(self) -> Iterator[str]:
        """The histogram of the time to the first token; node 0's engine answers everything."""
        name, waits = "vllm:time_to_first_token_seconds", self.server.first_tokens
        labels = f'engine="0",model_name="{self.server.names[0]}"'
        yield f"# TYPE {name} histogram"
        for limit in (*_FIRST_TOKEN_S, float("inf")):
            count, edge = sum(w <= limit for w in waits), "+Inf" if limit > 1e9 else limit
            yield f'{name}_bucket{{{labels},le="{edge}"}} {float(count)}'
        yield f"{name}_count{{{labels}}} {float(len(waits))}"
        yield f"{name}_sum{{{labels}}} {sum(waits)}"

    # -- generating

    def _request(self) -> dict[str, Any]:
        try:
            request = json.loads(self._body)
        except ValueError as error:
            raise _bad(f"JSON decode error: {error}") from error
        if not isinstance(request, dict):
            raise _bad("Input should be a valid dictionary")
        model = request.get("model") or self.server.names[0]
        if model not in self.server.names:
            raise _ApiError(
                HTTPStatus.NOT_FOUND, "NotFoundError", f"The model `{model}` does not exist."
            )
        return request

    def _completions(self) -> None:
        request = self._request()
        prompt = request.get("prompt")
        if not isinstance(prompt, str):
            raise _bad("[{'type': 'missing', 'loc': ('body', 'prompt'), 'msg': 'Field required'}]")
        limit = request.get("max_tokens", _COMPLETION_TOKENS)
        asked = len(answers.tokens(prompt))
        self._generate(request, "text_completion", answers.complete(prompt), asked, limit)

    def _chat(self) -> None:
        request = self._request()
        messages = request.get("messages")
        if not isinstance(messages, list) or not all(
            isinstance(m, dict) and "role" in m for m in messages
        ):
            raise _bad(
                "[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required'}]"
            )
        limit = request.get("max_completion_tokens", request.get("max_tokens"))
        asked = sum(len(answers.tokens(str(m.get("content", "")))) for m in messages)
        self._generate(request, "chat.completion", answers.reply(messages), asked, limit)

    def _generate(
        self, request: dict[str, Any], kind: str, said: list[str], asked: int, limit: object
    ) -> None:
        server = self.server
        room = server.arguments.max_model_len
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise _bad(f"max_tokens must be at least 1, got {limit}.")
        if asked + (limit or 0) > room:
            raise _bad(
                f"This model's maximum context length is {room} tokens. However, you requested "
                f"{asked + (limit or 0)} tokens. Please reduce the length of the messages."
            )
        reason = "length" if limit is not None and limit < len(said) else "stop"
        said = said[:limit]
        usage = {"prompt_tokens": asked, "completion_tokens": len(said)}
        usage["total_tokens"] = asked + len(said)
        head = {
            "id": f"{'chatcmpl' if kind == 'chat.completion' else 'cmpl'}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": server.names[0],
        }
        with server.lock:
            server.running += 1
            server.prompted += asked
        try:
            if request.get("stream"):
                wants = (request.get("stream_options") or {}).get("include_usage")
                self._stream(head, kind, said, reason, usage if wants else None)
            else:
                text = "".join(self._paced(said))
                choice: dict[str, object] = {"index": 0, "finish_reason": reason}
                choice |= _whole(kind, text)
                self._json({**head, "object": kind, "choices": [choice], "usage": usage})
        finally:
            with server.lock:
                server.running -= 1

    def _paced(self, said: list[str]) -> Iterator[str]:
        began = time.monotonic()
        for position, token in enumerate(said):
            while self.server.stuck():
                time.sleep(1)  # the request hangs, as it does when a rank has died
            time.sleep(self.server.token_s)
            with self.server.lock:
                self.server.generated += 1
                if position == 0:
                    self.server.first_tokens.append(time.monotonic() - began)
            yield token

    def _stream(
        self,
        head: dict[str, Any],
        kind: str,
        said: list[str],
        reason: str,
        usage: dict[str, int] | None,
    ) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        whole = {**head, "object": f"{kind}.chunk" if kind == "chat.completion" else kind}

        def event(choices: list[dict[str, object]], **more: object) -> None:
            self._chunk(f"data: {json.dumps({**whole, 'choices': choices, **more})}\n\n")

        if kind == "chat.completion":
            event([_piece(kind, "", role="assistant")])
        for token in self._paced(said):
            event([_piece(kind, token)])
        event([{**_piece(kind, ""), "finish_reason": reason}])
        if usage is not None:
            event([], usage=usage)
        self._chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


def _bad(message: str) -> _ApiError:
    return _ApiError(HTTPStatus.BAD_REQUEST, "BadRequestError", message)


def _whole(kind: str, text: str) -> dict[str, object]:
    if kind == "chat.completion":
        return {"message": {"role": "assistant", "content": text}}
    return {"text": text}


def _piece(kind: str, text: str, **more: str) -> dict[str, object]:
    base: dict[str, object] = {"index": 0, "finish_reason": None}
    if kind == "chat.completion":
        return {**base, "delta": {"content": text, **more}}
    return {**base, "text": text}
