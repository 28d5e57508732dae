"""The rendered scripts, truly executed: ``vllm serve`` on every node of every combination."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.bench import LIMIT_S, Running, running
from wizard import scripts
from wizard.cluster import Precision, Series
from wizard.lint.knownflags import known
from wizard.presets import load_preset
from wizard.simulator.vllm.arguments import read

# As listed in the shared facts (launch.md): every node, then node 0 alone, then the workers.
ALL = [
    "Platform plugin ascend is activated",
    r"Waiting for init message from front-end",
    r"Initializing a V1 LLM engine",
    r"rank (\d+) in world size (\d+) is assigned as DP rank (\d+)",
    r"Starting to load model (.+?)\.\.\.",
    r"Loading model weights took ([\d.]+) GB",
    r"GPU KV cache size: ([\d,]+) tokens",
    r"Capturing torchair graph, this usually takes ([\d.]+)~([\d.]+) mins",
    r"Batchsize (\d+) is compiled successfully: (\d+)/(\d+)",
    r"init engine \(profile, create kv cache, warmup model\) took ([\d.]+) seconds",
]
API = r"vLLM API server version (\S+)"
COORDINATOR = "Started DP Coordinator process"
ADJUSTING = r"Adjusting world_size=(\d+) rank=(\d+) distributed_init_method=(\S+) for DP"
HEADLESS = (
    r"Launching (\d+) data parallel engine\(s\) in headless mode, with head node address (\S+)\."
)
SUBSCRIBED = "All engine subscriptions received by DP coordinator"
COMPLETE = "Application startup complete"
PROGRESS = (
    r"\r[^\r\n]*(\d+)% Completed \| (\d+)/(\d+)"
    r" \[([\d:]+)<([\d:?]+),\s+([\d.?]+)(it/s|s/it)"
)
NAME = "vllm-ascend"
FOLLOW = f"docker logs -f {NAME} 2>&1"
COMBINATIONS = [
    (Series.A3, Precision.BF16, 2),
    (Series.A2, Precision.W8A8, 2),
    (Series.A2, Precision.BF16, 4),
    (Series.A3, Precision.W8A8, 1),
]


async def launch(made: Running, only: set[int] | None = None, **changes: tuple[str, str]) -> None:
    """Run both rendered scripts of every node; ``node1=(old, new)`` changes one of serve.sh."""
    preset = load_preset(made.cluster.preset_path)
    for node, shell in zip(scripts.render(preset), made.shells, strict=True):
        if only is not None and node.rank not in only:
            continue
        for name, text in node.files.items():
            old, new = changes.get(f"node{node.rank}", ("", "")) if name == "serve.sh" else ("", "")
            assert old in text
            await shell.good(f"mkdir -p run && tee run/{name} >/dev/null", text.replace(old, new))
        await shell.good("bash run/container.sh")


async def log(made: Running, rank: int) -> str:
    return await made.shells[rank].good(f"docker logs {NAME} 2>&1")


def check_order(text: str, signs: list[str]) -> None:
    position = 0
    for sign in signs:
        match = re.search(sign, text[position:])
        assert match is not None, f"{sign!r} is missing, or too early, in:\n{text}"
        position += match.end()


async def ask(made: Running, path: str, body: object = None) -> tuple[int, str]:
    """Ask node 0's API."""

    def fetch() -> tuple[int, str]:
        url = f"http://{made.cluster.nodes[0].address}:8000{path}"
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(url, data), timeout=LIMIT_S) as answer:
            return answer.status, answer.read().decode()

    return await asyncio.to_thread(fetch)


async def stream(made: Running, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask for a streamed answer; return its events."""
    whole = body | {"stream": True, "stream_options": {"include_usage": True}}
    _, text = await ask(made, path, whole)
    events = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


@pytest.mark.parametrize(("series", "precision", "nodes"), COMBINATIONS)
async def test_all_stages_and_an_answer(series: Series, precision: Precision, nodes: int) -> None:
    async with running(series=series, precision=precision) as made:
        await launch(made)
        text = await made.shells[0].follow(FOLLOW, COMPLETE)
        assert re.search(PROGRESS, text)
        assert "\x1b[" in text
        assert re.search(r"\(EngineCore_DP0 pid=\d+\)\S* INFO \d\d-\d\d \d\d:\d\d:\d\d \[", text)
        if nodes == 1:
            check_order(text, [ALL[0], API, *ALL[1:], COMPLETE])
        else:
            signs = [ALL[0], API, COORDINATOR, *ALL[1:3], ADJUSTING, *ALL[3:]]
            check_order(text, [*signs, SUBSCRIBED, COMPLETE])
        for rank in range(1, nodes):
            worker = await log(made, rank)
            check_order(worker, [ALL[0], HEADLESS, *ALL[1:3], ADJUSTING, *ALL[3:]])
            assert f"is assigned as DP rank {rank}," in worker
            assert COMPLETE not in worker

        assert (await ask(made, "/health"))[0] == 200
        model = json.loads((await ask(made, "/v1/models"))[1])["data"][0]["id"]
        assert model == scripts.served_model(load_preset(made.cluster.preset_path))
        ports = await made.shells[0].good("ss -ltnH")
        assert ":8000 " in ports
        assert (":13389 " in ports) == (nodes > 1)
        for shell in made.shells:
            await shell.good(f"docker stop {NAME}")
            assert "58400" not in await shell.good("npu-smi info")
        assert ":8000 " not in await made.shells[0].good("ss -ltnH")


async def test_the_api_streams_counts_and_refuses() -> None:
    async with running(precision=Precision.W8A8) as made:
        await launch(made)
        await made.shells[0].follow(FOLLOW, COMPLETE)
        model = json.loads((await ask(made, "/v1/models"))[1])["data"][0]["id"]
        prompt = {"model": model, "prompt": "The future of AI is", "max_tokens": 5}
        *pieces, usage = await stream(made, "/v1/completions", prompt)
        assert usage["choices"] == []
        assert usage["usage"] == {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
        assert len([p for p in pieces if p["choices"][0]["text"]]) == 5
        assert pieces[-1]["choices"][0]["finish_reason"] == "length"

        chat = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        events = await stream(made, "/v1/chat/completions", chat)
        assert events[0]["choices"][0]["delta"]["role"] == "assistant"
        said = "".join(e["choices"][0]["delta"]["content"] for e in events if e["choices"])
        whole = json.loads((await ask(made, "/v1/chat/completions", chat))[1])
        assert said == whole["choices"][0]["message"]["content"]
        assert "hi" in said

        _, metrics = await ask(made, "/metrics")
        assert 'vllm:num_requests_running{engine="0",' in metrics
        counted = re.search(r'vllm:generation_tokens_total\{engine="0",[^}]*\} ([\d.]+)', metrics)
        assert counted is not None
        spoken = [usage, events[-1], whole]
        assert float(counted[1]) == sum(e["usage"]["completion_tokens"] for e in spoken)
        first = 'vllm:time_to_first_token_seconds_%s{engine="0",model_name="' + model
        assert f'{first % "count"}"}} 3.0\n' in metrics
        assert f'{first % "bucket"}",le="+Inf"}} 3.0\n' in metrics
        with pytest.raises(urllib.error.HTTPError, match="404"):
            await ask(made, "/v1/chat/completions", chat | {"model": "another"})


async def test_a_worker_that_calls_the_wrong_port_waits_and_gives_up() -> None:
    async with running() as made:
        wrong = ("--data-parallel-rpc-port 13389", "--data-parallel-rpc-port 13390")
        await launch(made, node1=wrong)
        assert await made.shells[1].good(f"docker wait {NAME}") == "1\n"
        worker = await log(made, 1)
        assert "Waiting for init message from front-end" in worker
        assert "Did not receive response from front-end process within 5 minutes" in worker
        head = await log(made, 0)
        assert "Waiting for init message" in head
        assert "Initializing a V1 LLM engine" not in head
        state = "docker inspect -f '{{.State.Running}}' " + NAME
        assert await made.shells[0].good(state) == "true\n", "node 0 waits for ever"


def test_options_that_the_linter_knows_are_taken_and_others_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = "serve /m -tp 16 --max-log-len 50 --headless --disable-log-stats -dpr 3 --port 9000"
    found = read(words.split())
    assert (found.tensor_parallel_size, found.data_parallel_start_rank) == (16, 3)
    assert (found.headless, found.port, found.served_model_name) == (True, 9000, ["/m"])
    every = [f for f in known("guide").flags.values() if f.dest != "help" and f.type != "json"]
    given = [[flag.name, *(["1"] if flag.arity in (1, "+") else [])] for flag in every]
    assert len(given) > 100
    assert read(["serve", "/m", *(word for words in given for word in words)]).port == 1
    with pytest.raises(SystemExit):
        read(["serve", "/m", "--no-such-flag"])
    assert "unrecognized arguments: --no-such-flag" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("nic_name=enp66s0f0", "nic_name=eth9"), "Unable to find address for: eth9"),
        (("--max-num-batched-tokens 17450", "--max-num-batched-tokens 9"), "is smaller than max"),
        (("--tensor-parallel-size 16", "--tensor-parallel-size 32"), "invalid device ID"),
        (("--data-parallel-start-rank 1", "--data-parallel-start-rank 0"), None),
        (("--trust-remote-code", "--no-such-flag"), "unrecognized arguments: --no-such-flag"),
        (("Modelers_Park", "Modelers_Plark"), "Invalid repository ID or local directory"),
    ],
)
async def test_mistakes_in_the_script(change: tuple[str, str], says: str | None) -> None:
    async with running() as made:
        await launch(made, node1=change)
        failed = 1 if says else 0  # a wrong rank is what node 0 stumbles over
        code = await made.shells[failed].good(f"docker wait {NAME}")
        assert code.strip() in ("1", "2")
        said = await log(made, failed)
        assert (says or "HELLO message from remote engine 0, expected it to be local") in said


async def test_when_a_rank_dies_while_loading_the_others_wait_and_hold_memory(
    tmp_path: Path,
) -> None:
    path = tmp_path / "dies.yaml"
    path.write_text("launch: [{node: 1, at: load, does: killed}]\n")
    async with running(scenario=path) as made:
        await launch(made)
        assert await made.shells[1].good(f"docker wait {NAME}") == "137\n"
        text = await made.shells[0].follow(FOLLOW, ALL[-1])
        assert COMPLETE not in text
        assert SUBSCRIBED not in text
        state = "docker inspect -f '{{.State.Running}}' " + NAME
        assert await made.shells[0].good(state) == "true\n"
        assert "58400/ 65536" in await made.shells[0].good("npu-smi info")
        assert "58400" not in await made.shells[1].good("npu-smi info")


async def test_a_dead_rank_lets_requests_hang_and_node_0_serve_on() -> None:
    async with running() as made:
        await launch(made)
        await made.shells[0].follow(FOLLOW, COMPLETE)
        assert (await ask(made, "/v1/completions", {"prompt": "A rose is"}))[0] == 200
        await made.shells[1].good(f"docker kill {NAME}")
        assert (await ask(made, "/health"))[0] == 200
        reader, writer = await asyncio.open_connection(made.cluster.nodes[0].address, 8000)
        body = b'{"prompt": "A rose is"}'
        head = f"POST /v1/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 1)
        writer.close()


async def test_out_of_memory_names_its_cause_before_the_wrapper(tmp_path: Path) -> None:
    path = tmp_path / "full.yaml"
    path.write_text("launch: [{node: 0, at: load, does: out_of_memory}]\n")
    async with running(scenario=path) as made:
        await launch(made)
        assert await made.shells[0].good(f"docker wait {NAME}") == "1\n"
        check_order(await log(made, 0), ["NPU out of memory", "Engine core initialization failed"])
