"""The connections of one command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wizard.commands.hostkeys import refusal, see_all, tell_recorded
from wizard.commands.secrets import asker
from wizard.errors import HostKeyError, WizardError
from wizard.paths import state_dir
from wizard.presets import Preset
from wizard.remote.audit import AuditLog
from wizard.remote.fleet import SSHFleet, open_fleet


@asynccontextmanager
async def connected(preset: Preset, arguments: argparse.Namespace) -> AsyncIterator[SSHFleet]:
    """Yield the audited fleet of a preset, opened on first use and closed in the end.

    Host keys that kept nodes out of reach are told at the end, all at once.

    Args:
        preset: its nodes.
        arguments: what every connecting command has: ``accept_new_host_keys``, ``no_input``.
    """
    fleet = open_fleet(
        preset.cluster,
        audit=AuditLog(state_dir() / "audit.jsonl"),
        accept_new=tell_recorded if arguments.accept_new_host_keys else None,
        asker=asker(arguments),
    )
    try:
        yield fleet
    except HostKeyError as error:
        await see_all(fleet)
        if keys := fleet.host_keys.pending:
            raise refusal(keys) from error
        raise
    except WizardError:
        _tell(fleet)
        raise
    else:
        _tell(fleet)
    finally:
        await fleet.close()
        if fleet.audit_problem:
            print(f"v32-wizard: {fleet.audit_problem}", file=sys.stderr)


def _tell(fleet: SSHFleet) -> None:
    if keys := fleet.host_keys.pending:
        print(f"v32-wizard: {refusal(keys)}", file=sys.stderr)
