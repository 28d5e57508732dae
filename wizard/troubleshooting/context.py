"""What is known of a device that a command of the runbook needs: address, gateway, target. Pure."""

from __future__ import annotations

from wizard.checks.board import Board
from wizard.checks.model import CellKey
from wizard.cluster import Cluster


class Context:
    """Answers of a board, by device, as words of a command."""

    def __init__(self, board: Board, cluster: Cluster) -> None:
        self._board = board
        self._ranks = [node.rank for node in cluster.nodes]

    def values(self, node: int, device: int | None) -> dict[str, str]:
        """Return what can be filled in for a device; what is not known is not there."""
        if device is None:
            return {}
        found = {
            "device": str(device),
            "address": self._value(node, device, "ip", "address"),
            "netmask": self._value(node, device, "ip", "netmask"),
            "gateway": self._value(node, device, "gateway", "gateway"),
        }
        found["target"] = found["gateway"] or self._peer(node, device)
        return {name: value for name, value in found.items() if value}

    def _peer(self, node: int, device: int) -> str:
        """Return the address of the same device on the next node."""
        if node not in self._ranks or len(self._ranks) < 2:
            return ""
        peer = self._ranks[(self._ranks.index(node) + 1) % len(self._ranks)]
        return self._value(peer, device, "ip", "address")

    def _value(self, node: int, device: int, check: str, name: str) -> str:
        result = self._board.get(CellKey(node, device, check))
        return str(result.value.get(name) or "") if result else ""
