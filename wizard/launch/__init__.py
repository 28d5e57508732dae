"""Launching on all nodes: plan, start, progress, supervision, stop."""

from __future__ import annotations

from wizard.launch.state import NodeStatus, RankState, StatusReport
from wizard.launch.supervisor import Launch

__all__ = ["Launch", "NodeStatus", "RankState", "StatusReport"]
