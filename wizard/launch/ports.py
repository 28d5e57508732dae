"""The TCP ports that node 0 of a launch listens on. Pure."""

from __future__ import annotations

from wizard.presets import Preset
from wizard.scripts import api_port, rpc_port


def ports(preset: Preset) -> dict[int, str]:
    """Return the ports that node 0 opens, and what for."""
    found = {api_port(preset): "the API"}
    rpc = rpc_port(preset)
    return found | ({rpc: "data-parallel RPC"} if rpc else {})
