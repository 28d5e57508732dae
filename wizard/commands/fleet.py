"""The connections of one command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wizard.paths import state_dir
from wizard.presets import Preset
from wizard.remote.audit import AuditLog
from wizard.remote.fleet import SSHFleet, open_fleet


@asynccontextmanager
async def connected(preset: Preset) -> AsyncIterator[SSHFleet]:
    """Yield the audited fleet of a preset, opened on first use and closed in the end."""
    fleet = open_fleet(preset.cluster, audit=AuditLog(state_dir() / "audit.jsonl"))
    try:
        yield fleet
    finally:
        await fleet.close()
