"""What is known of a device that a command of the runbook needs: address, gateway, target. Pure."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

from wizard.checks.board import Board
from wizard.checks.model import CellKey
from wizard.cluster import Cluster, Series

NAMES = (
    *("device", "card", "chip", "address", "netmask", "gateway", "target"),
    *("conf_address", "conf_netmask", "conf_gateway"),
)


class Context:
    """Answers of a board, by device, as words of a command."""

    def __init__(self, board: Board, cluster: Cluster) -> None:
        self._board = board
        self._chips = 2 if cluster.series is Series.A3 else 1  # of a card, in npu-smi's counting
        self._ranks = [node.rank for node in cluster.nodes]

    def values(self, node: int, device: int | None) -> dict[str, str]:
        """Return what can be filled in for a device, of ``NAMES``; the unknown is not there."""
        if device is None:
            return {}
        found = {
            "device": str(device),
            "card": str(device // self._chips),
            "chip": str(device % self._chips),
            "address": self._value(node, device, "ip", "address"),
            "netmask": self._value(node, device, "ip", "netmask"),
            "gateway": self._value(node, device, "gateway", "gateway"),
        }
        found |= self._configured(node, device)
        found["target"] = found["gateway"] or self._peer(node, device)
        return {name: value for name, value in found.items() if value}

    def _configured(self, node: int, device: int) -> dict[str, str]:
        """Return what /etc/hccn.conf gives the device, as far as it can be right."""
        file = self._board.get(CellKey(node, None, "hccn_conf"))
        entry = file.value.get("devices", {}).get(str(device), {}) if file else {}
        try:
            interface = ip_interface(f"{entry['address']}/{entry['netmask']}")
        except (KeyError, ValueError):
            return {}
        found = {"conf_address": str(interface.ip), "conf_netmask": str(interface.netmask)}
        try:
            if ip_address(entry.get("gateway", "")) in interface.network:
                found["conf_gateway"] = str(ip_address(entry["gateway"]))
        except ValueError:
            pass  # none is set, or it is no address: nothing to suggest
        return found

    def _peer(self, node: int, device: int) -> str:
        """Return the address of the same device on the next node."""
        if node not in self._ranks or len(self._ranks) < 2:
            return ""
        peer = self._ranks[(self._ranks.index(node) + 1) % len(self._ranks)]
        return self._value(peer, device, "ip", "address")

    def _value(self, node: int, device: int, check: str, name: str) -> str:
        result = self._board.get(CellKey(node, device, check))
        return str(result.value.get(name) or "") if result else ""
