"""The catalogue: every check as data. A new check is one entry here and one file of test data."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from wizard.checks import parsers
from wizard.checks.hccn_conf import parse_hccn_conf
from wizard.checks.tooltext import Parsed

Scope = Literal["device", "node", "pair"]

HCCN_TOOL = "/usr/local/Ascend/driver/tools/hccn_tool"
TIME_LIMIT_S = 10.0  # a dead NPU blocks the tool for up to 300 s
# Under sudo the limit must be kept by root: ``timeout`` of a plain user cannot end root's process.
_SUDO_LIMIT_S = 8

# Finds the tool off the PATH of a non-login shell, and root where the login is not root.
_PRELUDE = (
    "export LC_ALL=C; hccn_tool() { local t; "
    f"t=$(type -P hccn_tool) || t={HCCN_TOOL}; "
    'if [ "$EUID" -eq 0 ] || ! type -P sudo >/dev/null; then "$t" "$@"; '
    f'else sudo -n timeout -k 1 {_SUDO_LIMIT_S} "$t" "$@"; fi; }}; '
)
_CONF = "/etc/hccn.conf"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what is asked and how the answer is read.

    Attributes:
        name: as in the contract's report.
        title: column heading for people.
        scope: asked per device, per node, or per ordered pair of devices.
        command: as people see and copy it; ``{device}`` and ``{address}`` are filled in. Empty
            for what is not a command (``ssh``).
        parse: pure reading of (stdout, stderr, exit code).
        meaning: one sentence on what the check tells.
        needs: other checks whose answers its verdict is drawn from.
        timeout_s: time limit of one call, in seconds.
    """

    name: str
    title: str
    scope: Scope
    command: str
    parse: Callable[[str, str, int], Parsed]
    meaning: str
    needs: tuple[str, ...] = ()
    timeout_s: float = TIME_LIMIT_S

    def display(self, device: int | None = None, address: str | None = None) -> str:
        """Return the command as people see it. ``address`` must be an IP address (ValueError)."""
        target = "" if address is None else shlex.quote(str(ip_address(address)))
        return self.command.format(device=device, address=target)

    def shell(self, device: int | None = None, address: str | None = None) -> str:
        """Return the bash text that is really run: finds the tool and root where needed."""
        shown = self.display(device, address)
        if shown.startswith("hccn_tool "):
            return _PRELUDE + shown
        if self.name == "hccn_conf":
            return (
                f"export LC_ALL=C; if [ -e {_CONF} ] && [ ! -r {_CONF} ]; "
                f"then sudo -n cat {_CONF}; else cat {_CONF}; fi"
            )
        return shown


def _no_command(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Stand in for a check that the engine answers itself."""
    raise AssertionError("ssh is answered by connecting, not by a command")


_ALL = (
    Check(
        "ssh",
        "SSH",
        "node",
        "",
        _no_command,
        "Whether the node can be reached over SSH with a verified host key.",
    ),
    Check(
        "link",
        "link",
        "device",
        "hccn_tool -i {device} -link -g",
        parsers.parse_link,
        "Whether the NPU's network port has a link to the switch or the peer.",
    ),
    Check(
        "lldp",
        "LLDP",
        "device",
        "hccn_tool -i {device} -lldp -g",
        parsers.parse_lldp,
        "Which switch port the NPU is plugged into, as the neighbour itself says.",
    ),
    Check(
        "ip",
        "IP",
        "device",
        "hccn_tool -i {device} -ip -g",
        parsers.parse_ip,
        "The NPU's own address and mask; it must have one that nobody else has.",
    ),
    Check(
        "net_health",
        "net health",
        "device",
        "hccn_tool -i {device} -net_health -g",
        parsers.parse_net_health,
        "What the NPU itself says of its network, from watching its netdetect target.",
        needs=("netdetect",),
    ),
    Check(
        "netdetect",
        "netdetect",
        "device",
        "hccn_tool -i {device} -netdetect -g",
        parsers.parse_netdetect,
        "The address that the NPU watches: usually the gateway, or the peer on a direct fibre.",
        needs=("ip",),
    ),
    Check(
        "gateway",
        "gateway",
        "device",
        "hccn_tool -i {device} -gateway -g",
        parsers.parse_gateway,
        "The NPU's way to other subnets; needed only when a peer is in another one.",
        needs=("ip",),
    ),
    Check(
        "hccn_conf",
        "hccn.conf",
        "node",
        f"cat {_CONF}",
        parse_hccn_conf,
        "What the NPUs' addresses will be after a reboot; must equal what runs.",
        needs=("ip",),
    ),
    Check(
        "ping",
        "ping",
        "pair",
        "hccn_tool -i {device} -ping -g address {address}",
        parsers.parse_ping,
        "Whether an NPU reaches an NPU of another node over RoCE.",
        needs=("ip", "lldp"),  # where to, and whether a direct fibre leaves only one peer
    ),
)

CHECKS: dict[str, Check] = {check.name: check for check in _ALL}
