"""One node's ``vllm serve`` against its preset, its recipe and the hardware.

Sources: facts of vLLM 0.11 to 0.23 and vLLM-Ascend, as their own checks say them (read in the
installed packages, and tried by ``make test-vllm``).
"""

from __future__ import annotations

import json
from typing import Any

from wizard.cluster import Precision, Series
from wizard.lint.call import Call, Option
from wizard.lint.model import Place
from wizard.presetmodel import Preset
from wizard.recipes.model import PORT
from wizard.scripts import api_port, rpc_port, served_model

HEADS = 128  # attention heads of DeepSeek-V3.2, which tensor parallelism shares out evenly
EXPERTS = 256
HCCL_PORTS = (16666, *range(60000, 60032))  # an NPU's NIC, and HCCL on the host


def check(call: Call, preset: Preset, place: Place) -> None:
    """Check what one node's script says."""
    _model(call, preset, place)
    _quantization(call, preset, place)
    _ports(call, preset, place)
    _served(call, preset, place)
    _endpoint(call, place)
    _memory(call, place)
    _parallel(call, preset, place)
    _tokens(call, preset, place)
    _additional(call, preset, place)


def _model(call: Call, preset: Preset, place: Place) -> None:
    named = call.last("model")
    model = named.values[0] if named and named.values else call.model
    if model is None:
        text = "vllm serve is not told which model."
        place.error(call.line, "no-model", text, "Write the directory of the weights after it.")
    elif model.text is not None and not model.text.startswith("/") and not preset.strict_guide:
        text = (
            f"{model.text} is no absolute path, so vLLM takes it for a repository: every node "
            "downloads about 700 GB."
        )
        right = "Give the directory of the weights, as serve.model in the preset."
        documented = model.text == preset.scenario.model  # then it is switched off on purpose
        (place.warning if documented else place.error)(model.line, "model-repository", text, right)


def _quantization(call: Call, preset: Preset, place: Place) -> None:
    option = call.last("quantization")
    line = option.line if option else call.line
    value = option.text if option else ""
    if value is None:
        return
    if preset.precision is Precision.W8A8 and value != "ascend":
        given = f"--quantization {value}" if value else "no --quantization"
        text = f"W8A8 weights are served with {given}."
        place.error(line, "quantization-missing", text, "Write --quantization ascend.")
    elif preset.precision is Precision.BF16 and value:
        text = f"BF16 weights are served with --quantization {value}."
        place.error(line, "quantization-unwanted", text, "Leave --quantization out.")


def _ports(call: Call, preset: Preset, place: Place) -> None:
    option, rpc = call.last("port"), call.last("data_parallel_rpc_port")
    ours = (("serve.port", option, api_port(preset)), ("serve.rpc_port", rpc, rpc_port(preset)))
    for key, used, expected in ours:
        port = call.number(used.dest) if used else None
        if used is None or port is None:
            continue
        if not 1024 <= port <= 65535:
            right = "Choose one from 1024 to 65535."
            place.error(used.line, "port-range", f"{used.name} {port} is no free port.", right)
        elif port in HCCL_PORTS:
            text = f"{used.name} {port} is one of HCCL's own ports (16666, 60000 to 60031)."
            place.error(used.line, "port-hccl", text, "Choose another.")
        if expected is not None and port != expected and (key != "serve.port" or call.rank == 0):
            text = f"{used.name} is {port}, but the launch and the chat use {expected}."
            place.error(used.line, "preset-disagrees", text, f"Set {key} in the preset instead.")
    if option and rpc and option.text is not None and call.number("port") == call.number(rpc.dest):
        text = f"{rpc.name} and {option.name} are both {option.text}."
        place.error(rpc.line, "ports-equal", text, "Choose two different ports.")
    if option is None and call.rank == 0 and api_port(preset) != 8000:
        text = f"No {PORT} is given, so that vLLM serves on 8000, not on {api_port(preset)}."
        place.error(call.line, "preset-disagrees", text, f"Write {PORT} {api_port(preset)}.")


def _served(call: Call, preset: Preset, place: Place) -> None:
    option = call.last("served_model_name")
    names = [v.text for v in option.values] if option else [call.model.text if call.model else None]
    if call.rank or None in names or served_model(preset) in names:
        return
    line = option.line if option else call.line
    text = (
        f"The model is served as {names[0]!r}, but the launch waits for {served_model(preset)!r}."
    )
    right = "Set --served-model-name in serve.args of the preset instead."
    place.error(line, "preset-disagrees", text, right)


def _endpoint(call: Call, place: Place) -> None:
    host, key = call.last("host"), call.last("api_key")
    if key is not None:
        text = "An API key on the command line is seen by everybody on the node (ps)."
        place.error(key.line, "key-in-argv", text, "Leave it out; set serve.api_key: true.")
    address = host.text if host else "0.0.0.0"  # noqa: S104 - said, not bound
    if call.rank or address not in {"0.0.0.0", "::"} or "VLLM_API_KEY" in call.env or key:  # noqa: S104
        return
    text = "The API listens on every interface, and anybody who reaches it may use it."
    right = "Set serve.api_key: true, or --host to an address that only you reach."
    place.warning(host.line if host else call.line, "open-endpoint", text, right)


def _memory(call: Call, place: Place) -> None:
    option = call.last("gpu_memory_utilization")
    try:
        share = float(option.text) if option and option.text else None
    except ValueError:
        return  # said already: not a number
    if option and share is not None and not 0 < share <= 1:
        text = f"{option.name} {option.text} is not a share of the NPU's memory."
        place.error(option.line, "memory-share", text, "It is above 0 and at most 1, such as 0.9.")


def _line(call: Call, option: Option | None) -> int:
    return option.line if option else call.line


def _parallel(call: Call, preset: Preset, place: Place) -> None:
    tp, dp = call.number("tensor_parallel_size", 1), call.number("data_parallel_size", 1)
    option = call.last("tensor_parallel_size")
    line = _line(call, option)
    if tp is None or dp is None:
        return
    several = len(preset.nodes) > 1
    local = call.number("data_parallel_size_local", 1 if several else dp)
    devices = preset.series.devices
    if tp < 1 or HEADS % tp:
        text = f"Tensor parallelism {tp} does not share out the model's {HEADS} attention heads."
        place.error(line, "tensor-parallel", text, "Choose a power of two.")
    if local is not None and tp * local > devices:
        text = f"{local} data-parallel ranks of {tp} NPUs need {tp * local}; a node has {devices}."
        place.error(line, "devices", text, f"Local ranks × TP must be {devices}.")
    elif local is not None and tp * local < devices:
        text = f"{tp * local} of the node's {devices} NPUs are used."
        right = f"The weights fill {devices} NPUs: local ranks × TP should be {devices}."
        place.warning(line, "devices-idle", text, right)
    if call.last("enable_expert_parallel") and dp > 0 and tp > 0 and EXPERTS % (dp * tp):
        text = f"The {EXPERTS} experts do not spread evenly over DP {dp} × TP {tp} ranks."
        place.error(line, "experts", text, f"DP × TP must divide {EXPERTS}.")


def _tokens(call: Call, preset: Preset, place: Place) -> None:
    batched, length = call.number("max_num_batched_tokens"), call.number("max_model_len")
    seqs = call.number("max_num_seqs")
    option = call.last("max_num_batched_tokens")
    if option is None or batched is None:
        return
    if length is not None and batched < length and _whole_prompts(call, preset):
        text = f"{option.name} {batched} is less than --max-model-len {length}."
        right = f"The ascend scheduler takes a prompt at once: give at least {length}."
        place.error(option.line, "batched-tokens", text, right)
    if seqs is not None and batched < seqs:
        text = f"{option.name} {batched} is less than --max-num-seqs {seqs}."
        place.error(option.line, "batched-tokens", text, "Every sequence needs one token at least.")


def _torchair_version(preset: Preset) -> bool:
    """Whether vLLM-Ascend still reads the guide's two keys; from 0.13 on it ignores them."""
    return preset.recipe in {"guide", "v0.11.0"}


def _whole_prompts(call: Call, preset: Preset) -> bool:
    """Whether prompts are never cut: the ascend scheduler without chunked prefill."""
    scheduler = _part(additional(call), "ascend_scheduler_config")
    enabled = scheduler.get("enabled") is True and not scheduler.get("enable_chunked_prefill")
    chunked = call.last("enable_chunked_prefill")
    if not _torchair_version(preset):
        return chunked is not None and not chunked.sets
    return enabled


def additional(call: Call) -> dict[str, Any]:
    """Return the object given as --additional-config, {} where it cannot be told."""
    option = call.last("additional_config")
    try:
        found = json.loads(option.text or "{}") if option else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _part(config: dict[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _additional(call: Call, preset: Preset, place: Place) -> None:
    config, option = additional(call), call.last("additional_config")
    if option is None:
        return
    if config.get("layer_sharding") and not call.last("kv_transfer_config"):
        text = "layer_sharding outside prefill/decode disaggregation is refused by vLLM-Ascend."
        (place.error if preset.makes("layer_sharding") else place.warning)(
            option.line, "layer-sharding", text, "Leave it out of --additional-config."
        )
    old = sorted({"ascend_scheduler_config", "torchair_graph_config"} & config.keys())
    if old and not _torchair_version(preset):
        text = f"vLLM-Ascend of this version ignores {' and '.join(old)}."
        place.warning(option.line, "ignored-config", text, "Use --compilation-config for graphs.")
        return
    _torchair(call, preset, option, _part(config, "torchair_graph_config"), place)


def _torchair(
    call: Call, preset: Preset, option: Option, graph: dict[str, Any], place: Place
) -> None:
    sizes = graph.get("graph_batch_sizes") or []
    eager = call.last("enforce_eager")
    if graph.get("enabled") and eager is not None and eager.sets:
        text = "torchair graphs are on, and --enforce-eager forbids graphs."
        place.error(eager.line, "torchair-eager", text, "Keep one of them.")
    if not isinstance(sizes, list) or not all(isinstance(s, int) and s > 0 for s in sizes):
        text = f"graph_batch_sizes {sizes!r} is no list of whole numbers."
        place.error(option.line, "graph-batch-sizes", text, "Write it as [16].")
        return
    if sizes and not graph.get("enabled"):
        text = "graph_batch_sizes is given, but torchair graphs are off."
        right = "Set torchair_graph_config.enabled to true, or leave the sizes out."
        place.error(option.line, "graph-batch-sizes", text, right)
    seqs, tp = call.number("max_num_seqs"), call.number("tensor_parallel_size", 1)
    if seqs is None or not tp or not graph.get("enabled"):
        return
    if sizes and max(sizes) != seqs:
        text = f"The largest of graph_batch_sizes is {max(sizes)}, --max-num-seqs is {seqs}."
        right = f"vLLM-Ascend drops larger ones and adds {seqs}: write {seqs} yourself."
        place.warning(option.line, "graph-batch-sizes", text, right)
    if preset.series is Series.A3 and seqs % tp:
        more = -(-seqs // tp) * tp
        text = f"On A3 a graph's batch is a multiple of TP {tp}: {seqs} becomes {more}."
        place.warning(
            _line(call, call.last("max_num_seqs")), "graph-batch-sizes", text, f"Write {more}."
        )
