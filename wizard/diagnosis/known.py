"""What is known of the cluster from elsewhere than the logs: from its checks, from the launch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Known:
    """What helps to read the logs.

    Attributes:
        npus_per_node: else it is taken from what the logs say.
        addresses: node and device of each NPU's address, as its checks have read it.
        offsets: seconds that a node's clock is ahead, by node.
        dead: nodes whose container is known to have ended by itself.
        hosts: node of each address or name by which the servers are known.
    """

    npus_per_node: int | None = None
    addresses: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    offsets: Mapping[int, float] = field(default_factory=dict)
    dead: Collection[int] = ()
    hosts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of_report(
        cls,
        report: Mapping[str, Any] | None,
        *,
        npus_per_node: int | None = None,
        dead: Collection[int] = (),
    ) -> Self:
        """Return what a report of the checks (``check --format json``) says; None says nothing.

        An address that two NPUs have tells nothing, so it is left out.
        """
        addresses: dict[str, tuple[int, int]] = {}
        twice: set[str] = set()
        offsets: dict[int, float] = {}
        for cell in (report or {}).get("results", ()):
            value = cell.get("value") or {}
            if cell["check"] == "ip" and (address := value.get("address")):
                if address in addresses:
                    twice.add(address)
                addresses[address] = (int(cell["node"]), int(cell["device"]))
            elif cell["check"] == "clock" and isinstance(value.get("offset_s"), (int, float)):
                offsets[int(cell["node"])] = float(value["offset_s"])
        sure = {a: place for a, place in addresses.items() if a not in twice}
        return cls(npus_per_node, sure, offsets, dead)
