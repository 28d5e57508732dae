"""Every rule of the linter: a script that is spoiled at one place gets a remark at that line."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scripting import preset
from wizard import recipes, scripts
from wizard.lint import Remark, Severity, errors, lint, lint_all
from wizard.scripts import NodeScripts

OPEN = "open-endpoint"  # the guide itself serves on every interface without a key


def rendered(series: str, precision: str, **extra: Any) -> tuple[Any, list[NodeScripts]]:
    chosen = preset(series, precision, **extra)
    return chosen, scripts.render(chosen)


def spoil(nodes: list[NodeScripts], rank: int, old: str, new: str) -> list[NodeScripts]:
    """Replace text in one node's serve.sh; the old text must be there."""
    text = nodes[rank].serve
    assert text.count(old) == 1, (old, text)
    changed = NodeScripts(rank, nodes[rank].container, text.replace(old, new))
    return [changed if node.rank == rank else node for node in nodes]


def all_ids(remarks: list[Remark]) -> set[str]:
    return {remark.id for remark in remarks} - {OPEN}


@pytest.mark.parametrize("recipe", recipes.names())
@pytest.mark.parametrize("strict", [False, True])
def test_what_we_generate_has_no_error(recipe: str, strict: bool) -> None:
    for choice in filter(lambda c: c.possible, recipes.choices(recipe)):
        chosen, nodes = rendered(
            choice.series.value, choice.precision.value, recipe=recipe, strict_guide=strict
        )
        assert errors(lint(chosen, nodes)) == []


A3, A2Q = ("A3", "bf16"), ("A2", "w8a8")
SPOILED = [
    # hardware, node, old text, new text, rule, what the remarked line holds, what is said
    (A3, 0, "--seed 1024", "--sede 1024", "unknown-flag", "--sede", "Did you mean --seed?"),
    (A3, 0, "--seed 1024", "--max-num 16", "unknown-flag", "--max-num", "may be short for"),
    (A3, 0, "--seed 1024", "--see 1024", "abbreviated-flag", "--see", "Write --seed."),
    (A3, 0, "--seed 1024", "--seed abc", "wrong-type", "--seed", "a whole number"),
    (A3, 0, "--seed 1024", "--seed 1 --seed 2", "repeated-flag", "--seed", "Keep one"),
    (A3, 0, "--seed 1024", "--seed", "missing-value", "--seed", "--seed VALUE"),
    (A3, 0, "--seed 1024", "--headless=1", "unexpected-value", "--headless", "alone"),
    (A3, 0, "--seed 1024", "--dtype bfloat61", "unknown-choice", "--dtype", "bfloat16"),
    (A3, 0, "--seed 1024", "--seed 1024 stray", "stray-word", "stray", "Quote a value"),
    (A3, 0, "--seed 1024 \\", "--seed 1024", "lost-line", "--served-model", "backslash"),
    (A3, 0, "--seed 1024 \\", "--seed 1024 \\ ", "lost-line", "--seed", "backslash"),
    (A3, 0, "vllm serve", "vllm bench", "no-serve", "", "vllm serve MODEL"),
    (A3, 0, "--max-model-len 17450", "--max-model-len 20k", "batched-tokens", "batched", "20000"),
    (A3, 0, "--max-num-seqs 16", "--max-num-seqs 32", "graph-batch-sizes", "additional", "32"),
    (A3, 0, "--max-num-seqs 16", "--max-num-seqs 20", "graph-batch-sizes", "num-seqs", "Write 32"),
    (A3, 0, "[16]", "16", "graph-batch-sizes", "additional-config", "Write it as [16]"),
    (A3, 0, '"enabled":true,"graph', '"graph', "graph-batch-sizes", "additional", "true"),
    (A3, 0, "--seed 1024", "--enforce-eager", "torchair-eager", "--enforce-eager", "Keep one"),
    (A3, 0, "}}'", "}'", "bad-json", "--additional-config", "single quotes"),
    (A3, 0, "-parallel-size 16", "-parallel-size 32", "devices", "--tensor", "must be 16"),
    (A3, 0, "-parallel-size 16", "-parallel-size 8", "devices-idle", "--tensor", "should be 16"),
    (A3, 0, "-parallel-size 16", "-parallel-size 7", "tensor-parallel", "--tensor", "power of two"),
    (A3, 0, "-parallel-size 2", "-parallel-size 3", "experts", "--tensor", "divide 256"),
    (A3, 0, "-parallel-size 2", "-parallel-size 4", "ranks-tile", "l-size 4", "l-size 2"),
    (A3, 1, "-start-rank 1", "-start-rank 2", "ranks-tile", "-start-rank 2", "-start-rank 1"),
    (A3, 1, "--headless \\\n", "", "headless-missing", "vllm serve", "Write --headless"),
    (A3, 0, "--seed 1024", "--headless", "headless-on-head", "--headless", "out"),
    (A3, 0, "--seed 1024", "-dpr 0", "start-rank-on-head", "-dpr", "out"),
    (A3, 1, '$node0_ip" \\', '$local_ip" \\', "head-address", "", ""),
    (A3, 1, "rpc-port 13389", "rpc-port 13390", "nodes-differ", "rpc-port", "the same"),
    (A3, 1, "-parallel-size 16", "-parallel-size 8", "nodes-differ", "--tensor", "the same"),
    (A3, 1, "vllm serve /root", "vllm serve /boot", "nodes-differ", "vllm serve", "same weights"),
    (A3, 1, "--max-model-len 17450", "--max-model-len 17k", "nodes-differ", "-len", "the same"),
    (A3, 1, "--enable-expert-parallel \\\n", "", "nodes-differ", "vllm serve", "the same"),
    (A3, 1, "[16]", "[8]", "nodes-differ", "additional", 'batch_sizes":[8]}} here'),
    (A3, 1, "BUFFSIZE=1024", "BUFFSIZE=512", "variables-differ", "BUFFSIZE", "the same"),
    (A3, 0, "rpc-port 13389", "rpc-port 8000", "ports-equal", "rpc-port", "different"),
    (A3, 0, "--port 8000", "--port 80", "port-range", "--port", "1024"),
    (A3, 0, "--port 8000", "--port 16666", "port-hccl", "--port", "another"),
    (A3, 0, "rpc-port 13389", "rpc-port 60031", "port-hccl", "rpc-port", "another"),
    (A3, 0, "--port 8000", "--port 9000", "preset-disagrees", "--port", "serve.port"),
    (A3, 0, "name deepseek", "name other", "preset-disagrees", "served", "serve.args"),
    (A3, 0, "utilization 0.9", "utilization 92", "memory-share", "utilization", "at most 1"),
    (A3, 0, "serve /root", "serve root", "model-repository", "vllm serve", "serve.model"),
    (A3, 0, "--seed 1024", "--quantization ascend", "quantization-unwanted", "--quant", "out"),
    (A3, 0, "--seed 1024", "--api-key x", "key-in-argv", "--api-key", "serve.api_key"),
    (A3, 0, 'HCCL_IF_IP="$local_ip"', "HCCL_IF_IP=1.2.3.4", "node-address", "_IP", "local_ip"),
    (A3, 1, 'GLOO_SOCKET_IFNAME="$nic_name"', "GLOO_SOCKET_IFNAME=lo", "node-address", "lo", "nic"),
    (A3, 0, "HCCL_BUFFSIZE", "HCCL_BUFSIZE", "misspelt-variable", "BUFSIZE", "HCCL_BUFFSIZE"),
    (A3, 0, "'{\"ascend", '\'{"layer_sharding":["q"],"ascend', "layer-sharding", "add", "out"),
    (A2Q, 0, "--quantization ascend \\\n", "", "quantization-missing", "vllm serve", "ascend"),
    (A3, 0, "--additional-config '", "--additional-config ", "unreadable", "additional", "Close"),
]


@pytest.mark.parametrize(
    ("hardware", "rank", "old", "new", "rule", "holds", "right"),
    SPOILED,
    ids=[f"{case[4]}-{case[3].strip() or 'nothing'}" for case in SPOILED],
)
def test_a_spoiled_line_gets_its_remark(
    hardware: tuple[str, str], rank: int, old: str, new: str, rule: str, holds: str, right: str
) -> None:
    chosen, nodes = rendered(*hardware)
    spoiled = spoil(nodes, rank, old, new)
    found = [r for r in lint(chosen, spoiled) if r.id == rule and r.file == "serve.sh"]
    assert found, lint(chosen, spoiled)
    assert any(
        r.rank == rank and right in r.right + r.text and holds in _at(spoiled, r) for r in found
    ), found


def _at(nodes: list[NodeScripts], remark: Remark) -> str:
    return nodes[remark.rank].serve.splitlines()[remark.line - 1] if remark.line else ""


def test_a_repository_is_only_warned_of_where_the_guide_itself_has_one() -> None:
    chosen, nodes = rendered("A3", "w8a8")
    named = spoil(nodes, 0, "serve /root/.cache/vllm-ascend/", "serve vllm-ascend/")
    (remark,) = [r for r in lint(chosen, named) if r.id == "model-repository"]
    assert remark.severity is Severity.WARNING
    strict, guides = rendered("A3", "w8a8", strict_guide=True)
    assert "model-repository" not in all_ids(lint(strict, guides))


def test_keys_of_an_old_version_are_ignored_by_a_new_one() -> None:
    config = {"--additional-config": {"torchair_graph_config": {"enabled": True}}}
    chosen, nodes = rendered("A3", "w8a8", recipe="v0.23.0", serve={"args": config})
    (remark,) = [r for r in lint(chosen, nodes) if r.id == "ignored-config"]
    assert remark.severity is Severity.WARNING
    assert "torchair_graph_config" in remark.text


def test_flags_are_those_of_the_recipes_version() -> None:
    serve = {"args": {"--kernel-config": {}}}
    old, nodes = rendered("A3", "w8a8", recipe="v0.11.0", serve=serve)
    assert "unknown-flag" in all_ids(lint(old, nodes))
    new, nodes = rendered("A3", "w8a8", recipe="v0.23.0", serve=serve)
    assert "unknown-flag" not in all_ids(lint(new, nodes))


def test_spellings_that_vllm_takes_are_taken() -> None:
    chosen, nodes = rendered("A3", "bf16")
    for old, new in (
        ("--tensor-parallel-size 16", "-tp 16"),
        ("--max-num-seqs 16", "--max_num_seqs=16"),
        ("--seed 1024", '--seed "10"24'),
        ("--max-model-len 17450", "--max-model-len $'17450'"),
    ):
        nodes = spoil(nodes, 0, old, new)
    assert errors(lint(chosen, nodes)) == []


def test_a_value_that_only_running_tells_is_not_judged() -> None:
    chosen, nodes = rendered("A3", "bf16")
    unknown = spoil(nodes, 0, "rpc-port 13389", 'rpc-port "$(cat port)"')
    unknown = spoil(unknown, 0, "--seed 1024", "--seed ${SEED:-1024}")
    assert errors(lint(chosen, unknown)) == []


def test_a_container_without_our_label_cannot_be_found_again() -> None:
    chosen, nodes = rendered("A3", "w8a8")
    text = nodes[0].container
    bare = text.replace("--label v32-wizard.launch=manual", "")
    assert bare != text
    (remark,) = errors(lint(chosen, [NodeScripts(0, bare, nodes[0].serve)]))
    assert (remark.id, remark.file) == ("label-missing", "container.sh")
    fewer = text.replace("  --device /dev/davinci3\n", "")
    (remark,) = errors(lint(chosen, [NodeScripts(0, fewer, nodes[0].serve)]))
    assert (remark.id, "davinci3" in remark.text) == ("devices", True)


async def test_bash_says_where_it_stops() -> None:
    chosen, nodes = rendered("A3", "w8a8")
    assert errors(await lint_all(chosen, nodes)) == []
    broken = NodeScripts(0, nodes[0].container, nodes[0].serve + "if true; then\n")
    found = errors(await lint_all(chosen, [broken]))
    assert [r.id for r in found] == ["bash-syntax"]
    assert found[0].line >= len(nodes[0].serve.splitlines())
    quote = spoil(nodes, 0, "export", "export 'X")
    found = errors(await lint_all(chosen, quote))
    assert {r.id for r in found} == {"bash-syntax"}
