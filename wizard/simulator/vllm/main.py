"""``vllm serve``: its stages, in order, and its ways to fail."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from typing import NoReturn

from wizard.simulator.vllm import arguments as command_line
from wizard.simulator.vllm import facts as machine
from wizard.simulator.vllm import plog
from wizard.simulator.vllm.api import Server
from wizard.simulator.vllm.console import Voice
from wizard.simulator.vllm.ranks import FrontEnd, RanksError, Worker, hang

VERSION = "0.11.0"
# How many NPUs of 64 GB the weights need: about 44 GB of each, in every shape of the guide.
_NPUS_FOR_BF16, _NPUS_FOR_W8A8 = 32, 16
_WEIGHTS_GB = 43.6
_STEPS = 20  # redraws of the progress bar


_PORT_TAKEN = "socket type[1], listen on ip[29.11.0.43] and specific port[16666] fail, ret[7]"
_HCCL_FAILED = (  # all that vLLM's own log says: the reason is in the plog alone
    "RuntimeError: [ERROR] HCCL error in: "
    "hcclCommInitRootInfoConfig(numRanks, &rootInfo, rank, &config, &comm), error code is 7"
)


def main() -> None:
    """Run ``vllm`` with the arguments of the command line."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    options = command_line.read(sys.argv[1:])
    Serve(options, machine.ask()).run()


def _leave(*_: object) -> NoReturn:
    Voice().plain("INFO:     Shutting down")
    os._exit(0)


class Serve:
    """One ``vllm serve`` on one node."""

    def __init__(self, options: Namespace, facts: machine.Facts) -> None:
        self.options, self.facts = options, facts
        self.size: int = options.data_parallel_size
        self.local: int = options.data_parallel_size_local or self.size
        self.first: int = options.data_parallel_start_rank or 0
        # Other processes of the real one are played by this one: only their lines have their pids.
        self.front = Voice("" if options.headless else "APIServer")
        self.core = Voice(f"EngineCore_DP{self.first}", os.getpid() + 1)
        self.npu = Voice(f"Worker_DP{self.first}_TP0_EP0", os.getpid() + 2)

    def run(self) -> None:
        """Go through the stages; serve on node 0, stay on a worker."""
        options, facts = self.options, self.facts
        Voice().log("__init__.py:207", "Platform plugin ascend is activated")
        time.sleep(facts.stages["start"])
        model = self._model()
        self._check()
        if options.headless:
            self._as_worker(model)
        else:
            self._as_node_0(model)

    def _as_node_0(self, model: str) -> None:
        options, facts = self.options, self.facts
        self.front.log("api_server.py:1839", f"vLLM API server version {VERSION}")
        bound = self._bind()
        self._stage("start")
        front_end = None
        if self.size > 1:
            self.front.log("utils.py:651", f"Started DP Coordinator process (PID: {os.getpid()})")
            if options.data_parallel_address != facts.address:
                self._die(
                    "zmq.error.ZMQError: Cannot assign requested address "
                    f"(addr='tcp://{options.data_parallel_address}"
                    f":{options.data_parallel_rpc_port}')"
                )
            try:
                front_end = FrontEnd(facts.address, options.data_parallel_rpc_port)
                self.core.log("core.py:644", "Waiting for init message from front-end.")
                self._stage("handshake")
                front_end.gather(options, self.local)
            except RanksError as error:
                self._die(str(error))
        else:
            self.core.log("core.py:644", "Waiting for init message from front-end.")
        self._engine(model)
        if front_end is not None:
            while not front_end.all_ready(facts.beat_s):
                self._wait_for_peers()
            front_end.tell("go")
            Voice().log("coordinator.py:187", "All engine subscriptions received by DP coordinator")
        self._serve(bound, front_end)

    def _as_worker(self, model: str) -> None:
        options, facts = self.options, self.facts
        rpc = f"tcp://{options.data_parallel_address}:{options.data_parallel_rpc_port}"
        self.front.log(
            "serve.py:117",
            f"Launching {self.local} data parallel engine(s) in headless mode, "
            f"with head node address {rpc}.",
        )
        self._stage("start")
        self.core.log("core.py:644", "Waiting for init message from front-end.")
        try:
            worker = Worker(options, self.local, facts.patience_s, blocked=facts.rpc_blocked)
        except RanksError as error:
            self._die(str(error))
        worker.wait_for("init")
        self._engine(model)
        worker.ready()
        while not worker.heard(facts.beat_s):
            self._wait_for_peers()
        worker.wait_for("go")
        self._stage("serving")
        hang()  # a worker has nothing more to say

    def _wait_for_peers(self) -> None:
        self.core.log("core.py:1072", "Waiting for READY message from DP Coordinator...")

    # -- before anything is loaded

    def _model(self) -> str:  # noqa: RET503 - _die never returns
        """Find the weights: a path, or a repository that is in the node's cache."""
        tag, root = self.options.model_tag, os.environ.get("V32_SIM_ROOT", "")
        places = [tag] if tag.startswith("/") else [f"/root/.cache/modelscope/hub/models/{tag}"]
        for place in places:
            if os.path.isfile(f"{root}{place}/config.json"):
                return place
        if not tag.startswith("/"):
            # A simulated node has no way out to a hub.
            self._die(
                "OSError: We couldn't connect to the hub to load the files, and couldn't find "
                f"them in the cached files: {tag}"
            )
        self._die(
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
            f"  Value error, Invalid repository ID or local directory specified: '{tag}'."
        )

    def _check(self) -> None:
        options, facts = self.options, self.facts
        batched = options.max_num_batched_tokens
        if batched is not None and batched < options.max_model_len:
            self._die(
                f"ValueError: max_num_batched_tokens ({batched}) is smaller than max_model_len "
                f"({options.max_model_len})."
            )
        need = options.tensor_parallel_size * self.local
        if need > facts.devices:
            self._die(
                f"RuntimeError: rank {facts.devices} needs NPU {facts.devices}, but this node has "
                f"{facts.devices}: invalid device ID, error code is 107001"
            )
        for name in ("GLOO_SOCKET_IFNAME", "HCCL_SOCKET_IFNAME", "TP_SOCKET_IFNAME"):
            nic = os.environ.get(name)
            if nic is not None and nic != facts.nic and self.size > 1:
                self._die(
                    "RuntimeError: [enforce fail at gloo/transport/tcp/device.cc:84] "
                    f"ifa != nullptr. Unable to find address for: {nic}"
                )
        address = os.environ.get("HCCL_IF_IP")
        if address is not None and address != facts.address and self.size > 1:
            self._die(
                f"[ERROR] HCCL [Find][LocalHostIP]ip [{address}] is not found in the nic list."
            )

    def _bind(self) -> socket.socket:
        """Take the API port now, as the real one does; it answers only once the model is loaded."""
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # This machine plays every node: 0.0.0.0 of a node is the node's own address.
            bound.bind((self.facts.address, self.options.port))
        except OSError as error:
            self._die(f"OSError: [Errno {error.errno}] {os.strerror(error.errno or 0)}")
        return bound

    # -- the engine

    def _engine(self, model: str) -> None:
        options, facts = self.options, self.facts
        self.core.log(
            "core.py:77",
            f"Initializing a V1 LLM engine (v{VERSION}) with config: model='{model}', "
            f"tensor_parallel_size={options.tensor_parallel_size}, "
            f"data_parallel_size={self.size}, quantization={options.quantization}",
        )
        if self.size > 1:
            head = options.data_parallel_address
            for rank in range(self.first, self.first + self.local):
                self.core.log(
                    "parallel_state.py:1047",
                    f"Adjusting world_size={self.size * options.tensor_parallel_size} "
                    f"rank={rank * options.tensor_parallel_size} "
                    f"distributed_init_method=tcp://{head}:60919 for DP",
                )
        time.sleep(facts.stages["connect"])
        world = self.size * options.tensor_parallel_size
        rank = self.first * options.tensor_parallel_size
        self.npu.log(
            "parallel_state.py:1208",
            f"rank {rank} in world size {world} is assigned as DP rank {self.first}, "
            "PP rank 0, TP rank 0, EP rank 0",
        )
        self._stage("ranks")
        started = time.monotonic()
        self._load(model, world)
        self.npu.log("kv_cache_utils.py:1087", "GPU KV cache size: 122,880 tokens")
        self._graphs()
        took = time.monotonic() - started
        self.core.log(
            "core.py:210",
            f"init engine (profile, create kv cache, warmup model) took {took:.2f} seconds",
        )

    def _load(self, model: str, world: int) -> None:
        self.npu.log("model_runner_v1.py:2627", f"Starting to load model {model}...")
        self._stage("load")
        if world < (_NPUS_FOR_W8A8 if self.options.quantization else _NPUS_FOR_BF16):
            self._out_of_memory()
        root = os.environ.get("V32_SIM_ROOT", "")
        names = os.listdir(f"{root}{model}")
        shards = sum(name.endswith(".safetensors") for name in names)
        if not shards:
            self._die(f"RuntimeError: Cannot find any model weights with `{model}`", core=True)
        total_s = self.facts.stages["load"]
        started = time.monotonic()
        for step in range(_STEPS + 1):
            done = shards * step // _STEPS
            spent = time.monotonic() - started
            rate = f"{done / spent:.2f}it/s" if done and spent else "?it/s"
            left = _clock(spent / done * (shards - done)) if done else "?"
            self.npu.bar(
                f"Loading safetensors checkpoint shards: {100 * done // shards:3d}% Completed | "
                f"{done}/{shards} [{_clock(spent)}<{left}, {rate}]",
                end=True,  # vLLM's format of this bar ends with a newline
            )
            if step == _STEPS // 2:
                self._stage("shards")
            if step < _STEPS:
                time.sleep(total_s / _STEPS)
        # The real one reads the index only to pass over files that it does not name, and misses
        # tensors only where nothing is quantised; elsewhere it serves what was never loaded.
        missing = self._missing(f"{root}{model}", names) if not self.options.quantization else []
        if missing:
            self._die(
                f"ValueError: Following weights were not initialized from checkpoint: {missing}",
                core=True,
            )
        spent = time.monotonic() - started
        self.npu.log("default_loader.py:267", f"Loading weights took {spent:.2f} seconds")
        self.npu.log("model_runner_v1.py:2651", f"Loading model weights took {_WEIGHTS_GB} GB")

    @staticmethod
    def _missing(folder: str, names: list[str]) -> list[str]:
        """Return the tensors whose shard is not there."""
        with open(f"{folder}/model.safetensors.index.json", encoding="utf-8") as file:
            shards: dict[str, str] = json.load(file)["weight_map"]
        return [tensor for tensor, shard in shards.items() if shard not in names]

    def _graphs(self) -> None:
        self._stage("graph")
        options, total_s = self.options, self.facts.stages["graph"]
        torchair = (options.additional_config or {}).get("torchair_graph_config", {})
        if options.enforce_eager:
            return
        if torchair.get("enabled"):
            sizes = torchair.get("graph_batch_sizes") or [options.max_num_seqs]
            self.npu.log(
                "torchair_model_runner.py:191",
                "Capturing torchair graph, this usually takes 0.5~1.5 mins.",
            )
            for done, size in enumerate(sizes, 1):
                time.sleep(total_s / len(sizes))
                self.npu.log(
                    "torchair_model_runner.py:171",
                    f"Batchsize {size} is compiled successfully: {done}/{len(sizes)}.",
                )
            self._stage("capture")
            return
        for percent in (0, 33, 66, 100):
            bar = f"Capturing ACL graphs (mixed prefill-decode): {percent:3d}%"
            self.npu.bar(f"{bar}|          | {percent // 33}/3", end=percent == 100)
            time.sleep(total_s / 4)
        self._stage("capture")
        self.npu.log("model_runner_v1.py:3017", f"Graph capturing finished in {total_s:.0f} secs")

    # -- serving

    def _serve(self, bound: socket.socket, front_end: FrontEnd | None) -> None:
        front = self.front
        stuck: Callable[[], bool] = lambda: front_end is not None and front_end.lost  # noqa: E731
        front.plain(f"INFO:     Started server process [{os.getpid()}]")
        front.plain("INFO:     Waiting for application startup.")
        server = Server(bound, self.options, self.facts.token_s, stuck, front)
        front.plain("INFO:     Application startup complete.")
        self._stage("serving")
        server.serve_forever()

    # -- failing

    def _stage(self, name: str) -> None:
        """Do what the scenario wants of us at this stage, once we are not held at it."""
        self.facts.wait_at(name)
        does = self.facts.fault(name)
        if does == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif does == "hangs":
            hang()
        elif does == "out_of_memory":
            self._out_of_memory()
        elif does == "exits":  # as a headless node does that ran out of /dev/shm: code 0, no word
            sys.stdout.flush()
            os._exit(0)
        elif does == "hccl_port":
            plog.write("HCCL", "transport.cc:88", _PORT_TAKEN)
            self._die(_HCCL_FAILED, core=True)

    def _out_of_memory(self) -> NoReturn:
        self._die(
            "RuntimeError: NPU out of memory. Tried to allocate 2.00 GiB (NPU 0; 61.28 GiB total "
            "capacity; 59.87 GiB already allocated; 59.87 GiB current active; 1.02 GiB free; "
            "60.01 GiB reserved in total by PyTorch)",
            core=True,
        )

    def _die(self, error: str, *, core: bool = False) -> NoReturn:
        """End with an error as vLLM does; one of the engine core's is followed by a wrapper."""
        if core:
            self.core.fail("core.py:708", "EngineCore failed to start.", error)
            error = "RuntimeError: Engine core initialization failed. See root cause above."
            error += " Failed core proc(s): {}"
        self.front.plain(f'Traceback (most recent call last):\n  File "vllm", line 8\n{error}')
        sys.stdout.flush()
        os._exit(1)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
