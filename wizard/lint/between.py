"""What the nodes' scripts must agree on: ranks that tile, one address, and the same of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wizard.lint.call import Call, Option
from wizard.lint.model import Place
from wizard.presetmodel import Preset
from wizard.textdiff import differing

# What may differ (facts: launch.md): rank, headless, addresses and memory utilisation.
_OWN = frozenset(
    {"headless", "data_parallel_start_rank", "data_parallel_address", "gpu_memory_utilization"}
)
# A difference in one of these hangs or breaks the start; in others it is merely suspicious.
_MUST = frozenset(
    [
        "tensor_parallel_size",
        "data_parallel_size",
        "data_parallel_size_local",
        "data_parallel_rpc_port",
        "pipeline_parallel_size",
        "quantization",
        "max_model_len",
        "max_num_seqs",
        "max_num_batched_tokens",
        "seed",
        "enable_expert_parallel",
        "dtype",
        "additional_config",
        "compilation_config",
        "speculative_config",
        "enable_prefix_caching",
        "trust_remote_code",
        "block_size",
        "kv_cache_dtype",
        "enforce_eager",
    ]
)
_OWN_ENV = frozenset(
    {"HCCL_IF_IP", "HCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME", "VLLM_API_KEY"}
)


def check(calls: Sequence[Call], preset: Preset, places: Mapping[int, Place]) -> None:
    """Check all nodes' calls together; ``calls`` are those that could be read, in rank order."""
    for call in calls:
        _head_or_worker(call, places[call.rank])
    if len(preset.nodes) == 1:
        return
    _tile(calls, len(preset.nodes), places)
    _address(calls, preset, places)
    first = calls[0] if calls else None
    for call in calls[1:]:
        if first is not None:
            _same(first, call, places[call.rank])


def _head_or_worker(call: Call, place: Place) -> None:
    start, headless = call.last("data_parallel_start_rank"), call.last("headless")
    if call.rank == 0:
        if start is not None:
            text = "A start rank on node 0 switches vLLM to another way of balancing load."
            place.error(start.line, "start-rank-on-head", text, f"Leave {start.name} out.")
        if headless is not None:
            text = "Node 0 serves the API; --headless keeps it from doing so."
            place.error(headless.line, "headless-on-head", text, "Leave --headless out.")
    elif headless is None:
        text = "A worker without --headless switches vLLM to another way of balancing load."
        place.error(call.line, "headless-missing", text, "Write --headless.")


def _tile(calls: Sequence[Call], nodes: int, places: Mapping[int, Place]) -> None:
    """Node i must own the ranks right after those of node i - 1, up to all of them."""
    if len(calls) != nodes:
        return  # one of them could not be read; that is said
    begin, size = 0, calls[0].number("data_parallel_size", 1)
    for call in calls:
        local = call.number("data_parallel_size_local", 1)
        option = call.last("data_parallel_start_rank")
        start = call.number("data_parallel_start_rank") if call.rank else 0
        if local is None or (option is not None and option.text is None):
            return
        if call.rank and start != begin:
            name = "--data-parallel-start-rank"
            text = f"{name} is {'not given' if start is None else start}; ranks must follow on."
            line = option.line if option else call.line
            places[call.rank].error(line, "ranks-tile", text, f"Write {name} {begin}.")
        begin += local
    if size is not None and begin != size:
        option = calls[0].last("data_parallel_size")
        text = f"The nodes own {begin} data-parallel ranks, --data-parallel-size says {size}."
        line = option.line if option else calls[0].line
        places[0].error(line, "ranks-tile", text, f"Write --data-parallel-size {begin}.")


def _address(calls: Sequence[Call], preset: Preset, places: Mapping[int, Place]) -> None:
    head = preset.nodes[0].local_ip
    for call in calls:
        option = call.last("data_parallel_address")
        if option is None:
            text = "No --data-parallel-address is given, so that the node waits for itself."
            right = f"Write --data-parallel-address {head or 'ADDRESS OF NODE 0'}."
            places[call.rank].error(call.line, "head-address", text, right)
        elif option.text is not None and head and option.text != head:
            text = f"{option.name} is {option.text!r}, but node 0's local_ip is {head}."
            places[call.rank].error(option.line, "head-address", text, f"Write {head}.")


def _said(option: Option | None) -> tuple[object, ...]:
    if option is None:
        return ("nothing",)
    return (option.sets, *(value.text for value in option.values))


def _same(first: Call, call: Call, place: Place) -> None:
    a, b = first.model, call.model
    if a and b and None not in {a.text, b.text} and a.text != b.text:
        text = f"The model is {b.text}, on node {first.rank} it is {a.text}."
        place.error(b.line, "nodes-differ", text, "Every node must serve the same weights.")
    dests = dict.fromkeys(o.dest for o in (*first.options, *call.options) if o.dest and not o.path)
    for dest in dests:
        one, other = first.last(dest), call.last(dest)
        if dest in _OWN or None in _said(one) or None in _said(other) or _said(one) == _said(other):
            continue
        option = other or one
        assert option is not None
        line = other.line if other else call.line
        here, there = differing(_words(other), _words(one))
        text = (
            f"{option.name} is {here} here and {there} on node {first.rank} "
            f"(line {one.line if one else first.line})."
        )
        tell = place.error if dest in _MUST else place.warning
        tell(line, "nodes-differ", text, "Give every node the same.")
    for name in dict.fromkeys((*first.env, *call.env)):
        mine, theirs = call.env.get(name), first.env.get(name)
        if name in _OWN_ENV or (mine and mine.text is None) or (theirs and theirs.text is None):
            continue
        if (mine.text if mine else "") != (theirs.text if theirs else ""):
            text = (
                f"{name} is {mine.text if mine else 'not set'!r} here and "
                f"{theirs.text if theirs else 'not set'!r} on node {first.rank}."
            )
            line = mine.line if mine else call.line
            place.warning(line, "variables-differ", text, "Give every node the same.")


def _words(option: Option | None) -> str:
    if option is None:
        return "not given"
    return " ".join(str(v.text) for v in option.values) or ("on" if option.sets else "off")
