"""What the simulator tells ``vllm`` of the machine that it runs on."""

from __future__ import annotations

import json
import os
import socket
from typing import Any


class Facts:
    """The node and the scenario's timing. Durations are already divided by the run's speed."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.address: str = data["address"]
        self.nic: str = data["nic"]
        self.devices: int = data["devices"]
        speed: float = data["speed"]
        factor = float(data["slow"]) / speed
        self.stages: dict[str, float] = {k: v * factor for k, v in data["stages"].items()}
        self.patience_s: float = data["patience"] / speed
        self.token_s: float = data["token"] / speed
        self.beat_s: float = 10 / speed  # between two lines of one who waits
        self.rpc_blocked: bool = data["rpc_blocked"]  # packets to node 0's RPC port get lost
        self._fault: dict[str, str] = data["fault"] or {}
        self._held: list[str] = data["held"]

    def fault(self, stage: str) -> str:
        """Return what the scenario does to us at a stage, "" for nothing."""
        return self._fault.get("does", "") if self._fault.get("at") == stage else ""

    def wait_at(self, stage: str) -> None:
        """Wait at a stage for as long as we are held there."""
        if stage in self._held:
            _call("vllm-hold", stage)


def ask() -> Facts:
    """Ask the simulator."""
    return Facts(json.loads(_call("vllm-facts")))


def _call(tool: str, *arguments: str) -> bytes:
    """Call the simulator, by the protocol of the shims (``shims/tool.sh``); return its answer."""
    environment = os.environ
    peer = socket.create_connection(("127.0.0.1", int(environment["V32_SIM_PORT"])))
    number = str(len(arguments))
    fields = [environment["V32_SIM_TOKEN"], tool, os.getcwd(), number, *arguments]
    peer.sendall(b"".join(os.fsencode(field) + b"\0" for field in fields))
    text = b""
    with peer, peer.makefile("rb") as stream:
        while header := stream.readline():
            kind, count = header.split()
            if kind == b"x":
                break
            data = stream.read(int(count))
            text += data if kind == b"o" else b""
    return text
