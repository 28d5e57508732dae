"""The chat client against a small real HTTP server on a Unix socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chatserver import Request, Server, models, said, serving, sse, start, status
from wizard.chat import ChatClient, ChatError, Delta, NoChatTemplate, events, open_chat
from wizard.errors import RemoteError
from wizard.launch.serving import silence
from wizard.presets import Preset, parse_preset

TOLD = [{"role": "user", "content": "The future of AI is"}]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(tmp_path) as running:
        yield running


async def collect(answer: AsyncIterator[Delta]) -> list[Delta]:
    return [delta async for delta in answer]


async def test_an_answer_is_streamed_with_usage(server: Server) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    server.replies["/v1/chat/completions"] = sse(
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        said("bright"),
        said(" –"),
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": usage},
    )
    deltas = await collect(ChatClient(server.socket).stream(TOLD))
    assert "".join(d.content for d in deltas) == "bright –"
    assert [d.usage for d in deltas if d.usage] == [usage]
    assert deltas[-2].finish_reason == "stop"
    asked = server.requests[-1].json
    assert asked["model"] == "deepseek_v3.2"
    assert asked["messages"] == TOLD
    assert asked["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
async def test_reasoning_is_told_apart(server: Server, key: str) -> None:
    server.replies["/v1/chat/completions"] = sse(
        {"choices": [{"delta": {key: "hmm"}}]}, said("yes")
    )
    deltas = await collect(ChatClient(server.socket).stream(TOLD))
    assert [(d.reasoning, d.content) for d in deltas] == [("hmm", ""), ("", "yes")]


async def test_pieces_come_before_the_end(server: Server) -> None:
    more = asyncio.Event()

    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        start(writer)
        writer.write(f"data: {json.dumps(said('one'))}\n\n".encode())
        await writer.drain()
        await more.wait()
        writer.write(f"data: {json.dumps(said('two'))}\n\ndata: [DONE]\n\n".encode())

    server.replies["/v1/chat/completions"] = reply
    answer = ChatClient(server.socket).stream(TOLD)
    async with asyncio.timeout(5):
        assert (await anext(answer)).content == "one"
        more.set()
        assert (await anext(answer)).content == "two"
        assert await anext(answer, None) is None


async def test_cancelling_closes_the_request(server: Server) -> None:
    started = asyncio.Event()

    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        start(writer)
        writer.write(f"data: {json.dumps(said('one'))}\n\n".encode())
        await writer.drain()
        started.set()
        await asyncio.Event().wait()

    server.replies["/v1/chat/completions"] = reply
    task = asyncio.create_task(collect(ChatClient(server.socket).stream(TOLD)))
    async with asyncio.timeout(5):
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.closed_by_client.wait()


async def test_a_wrong_model_name_is_replaced_by_the_served_one(server: Server) -> None:
    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        known = request.json["model"] == "deepseek_v3.2"
        answer = sse(said("ok")) if known else status(404, {"error": {"message": "no such model"}})
        await answer(request, writer)

    server.replies["/v1/chat/completions"] = reply
    client = ChatClient(server.socket, model="deepseek_v3_2")
    assert [d.content for d in await collect(client.stream(TOLD))] == ["ok"]
    assert client.model == "deepseek_v3.2"


async def test_a_404_for_ever_is_an_error_not_a_loop(server: Server) -> None:
    server.replies["/v1/chat/completions"] = status(404, {"error": {"message": "gone"}})
    with pytest.raises(ChatError, match=r"HTTP 404: gone"):
        await collect(ChatClient(server.socket, model="x").stream(TOLD))
    assert len([r for r in server.requests if r.method == "POST"]) == 2


NO_TEMPLATE = {
    "object": "error",
    "message": "As of transformers v4.44, default chat template is no longer allowed",
    "code": 400,
}


async def test_without_a_chat_template_one_prompt_is_completed(server: Server) -> None:
    server.replies["/v1/chat/completions"] = status(400, NO_TEMPLATE)
    server.replies["/v1/completions"] = sse({"choices": [{"text": " bright"}]})
    deltas = await collect(ChatClient(server.socket).stream(TOLD))
    assert [d.content for d in deltas] == [" bright"]
    assert server.requests[-1].json["prompt"] == TOLD[0]["content"]


async def test_without_a_chat_template_a_conversation_is_refused(server: Server) -> None:
    server.replies["/v1/chat/completions"] = status(400, NO_TEMPLATE)
    with pytest.raises(NoChatTemplate, match="no chat template"):
        await collect(ChatClient(server.socket).stream(TOLD * 3))


async def test_an_error_in_the_midst_of_a_stream(server: Server) -> None:
    server.replies["/v1/chat/completions"] = sse(
        said("one"), {"error": {"message": "EngineCore died", "code": 500}}
    )
    got: list[str] = []

    async def listen() -> None:
        async for delta in ChatClient(server.socket).stream(TOLD):
            got.append(delta.content)

    with pytest.raises(ChatError, match="EngineCore died"):
        await listen()
    assert got == ["one"]


async def test_what_the_model_says_acts_on_no_terminal(server: Server) -> None:
    parts = ["\x1b]0;ow", "ned\x07 a\u202eb", "\x1b", "[2J漢\n", "\ud83d", "c\r\n"]
    server.replies["/v1/chat/completions"] = sse(*map(said, parts))
    deltas = await collect(ChatClient(server.socket).stream(TOLD))
    assert "".join(d.content for d in deltas) == "ned ab[2J漢\n\ufffdc\n"
    server.replies["/v1/chat/completions"] = status(500, "\x1b[2Jengine\x07 is dead")
    with pytest.raises(ChatError, match="HTTP 500: engine is dead"):
        await collect(ChatClient(server.socket).stream(TOLD))


async def test_a_stream_that_just_ends_is_an_error(server: Server) -> None:
    server.replies["/v1/chat/completions"] = sse(said("one"), done=False)
    with pytest.raises(ChatError, match="before it was complete"):
        await collect(ChatClient(server.socket).stream(TOLD))


@pytest.mark.parametrize("code", [500, 503])
async def test_server_errors_are_one_sentence(server: Server, code: int) -> None:
    server.replies["/v1/chat/completions"] = status(code, "engine is dead")
    with pytest.raises(ChatError, match=f"HTTP {code}: engine is dead") as caught:
        await collect(ChatClient(server.socket).stream(TOLD))
    assert caught.value.retryable is (code == 503)


async def test_the_key_comes_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.replies["/v1/models"] = status(401, {"error": "Unauthorized"})
    with pytest.raises(ChatError, match="V32_WIZARD_API_KEY"):
        await ChatClient(server.socket).models()
    monkeypatch.setenv("V32_WIZARD_API_KEY", "s3cret")
    server.replies["/v1/models"] = models("m")
    assert await ChatClient(server.socket).models() == ["m"]
    assert server.requests[-1].headers["authorization"] == "Bearer s3cret"


async def test_proxies_of_the_environment_are_not_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert await ChatClient(server.socket).models() == ["deepseek_v3.2"]


async def test_health(server: Server, tmp_path: Path) -> None:
    client = ChatClient(server.socket)
    server.replies["/health"] = status(200, "")
    assert await client.health()
    assert await silence(client, "deepseek_v3.2") == ""
    assert "but not by the preset's model name" in await silence(client, "another")
    server.replies["/health"] = status(503, "")
    assert not await client.health()
    assert "does not answer on the preset's port" in await silence(client, "another")
    assert not await ChatClient(tmp_path / "nobody").health()


async def test_nobody_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ChatError, match="connection to the served model failed"):
        await ChatClient(tmp_path / "nobody").models()


async def test_a_tunnel_to_a_port_where_nobody_listens_is_one_sentence(tmp_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    listener = await asyncio.start_unix_server(hang_up, tmp_path / "s")
    try:
        with pytest.raises(ChatError) as caught:
            await ChatClient(tmp_path / "s").models()
    finally:
        listener.close()
    assert caught.value.message == (
        "the connection to the served model failed: nobody listens there."
    )
    assert "v32-wizard status" in caught.value.hint


@pytest.mark.parametrize("body", ["not json", "{}", '{"data": [1]}', "[]"])
async def test_a_list_of_models_that_is_none(server: Server, body: str) -> None:
    server.replies["/v1/models"] = status(200, body)
    with pytest.raises(ChatError, match="could not be understood"):
        await ChatClient(server.socket).models()


STREAM = (
    ": a comment\r\n\r\n"
    "event: x\nid: 3\ndata: eins\n\n"
    "data:zwei\r\ndata: drei\r\n\r\n"
    "\n\ndata: für\n\ndata: [DONE]"
).encode()


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
async def test_events_are_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        edges = [0, *sorted(cuts), len(STREAM)]
        for a, b in pairwise(edges):
            yield STREAM[a:b]

    assert [e async for e in events(chunks())] == ["eins", "zwei\ndrei", "für", "[DONE]"]


# --- open_chat: the way there ------------------------------------------------------------------


class Head:
    """Node 0 as far as a chat needs it: a tunnel that ends at the server's socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self.opened: list[tuple[str, int]] = []
        self.open_now = 0

    @asynccontextmanager
    async def tunnel(self, host: str, port: int) -> AsyncIterator[Path]:
        self.opened.append((host, port))
        self.open_now += 1
        try:
            yield self._socket
        finally:
            self.open_now -= 1


def served(**serve: object) -> Preset:
    body = {"version": 1, "name": "lab", "series": "A3", "precision": "w8a8"}
    return parse_preset(json.dumps(body | {"nodes": [{"host": "10.0.0.11"}], "serve": serve}))


async def test_a_chat_goes_through_a_tunnel_to_the_api_of_the_preset(server: Server) -> None:
    server.replies["/v1/chat/completions"] = sse(said("bright"))
    head = Head(server.socket)
    async with open_chat(head, served(port=9000)) as client:  # type: ignore[arg-type]
        assert [d.content for d in await collect(client.stream(TOLD))] == ["bright"]
        assert head.open_now == 1
    assert (head.opened, head.open_now) == ([("127.0.0.1", 9000)], 0)
    assert [r.path for r in server.requests] == ["/v1/chat/completions"]  # no need to ask for names
    assert server.requests[0].json["model"] == "deepseek_v3.2"


async def test_a_chat_that_fails_or_is_left_closes_its_tunnel(server: Server) -> None:
    head = Head(server.socket)
    server.replies["/v1/chat/completions"] = status(500, "dead")

    async def ask() -> None:
        async with open_chat(head, served()) as client:  # type: ignore[arg-type]
            await collect(client.stream(TOLD))

    with pytest.raises(ChatError, match="HTTP 500: dead"):
        await ask()
    assert head.open_now == 0

    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        start(writer)
        await asyncio.Event().wait()

    server.replies["/v1/chat/completions"] = reply
    task = asyncio.create_task(ask())
    async with asyncio.timeout(5):
        while not server.requests or server.requests[-1].path == "/v1/models":
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert head.open_now == 0


async def test_a_tunnel_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    class Cut(Head):
        @asynccontextmanager
        async def tunnel(self, host: str, port: int) -> AsyncIterator[Path]:
            raise RemoteError("node 0 cannot be reached.", node=0)
            yield tmp_path

    with pytest.raises(RemoteError, match="node 0 cannot be reached"):
        async with open_chat(Cut(tmp_path), served()):  # type: ignore[arg-type]
            pass
