"""The catalogue: every check as data. A new check is one entry here and one file of test data."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal

from wizard.checks import hostparsers, npuparsers, optics, parsers, portparsers
from wizard.checks.hccn_conf import parse_hccn_conf
from wizard.checks.tooltext import Parsed
from wizard.cluster import Series
from wizard.remote.api import Root

Scope = Literal["device", "node", "pair"]

HCCN_TOOL = "/usr/local/Ascend/driver/tools/hccn_tool"
TIME_LIMIT_S = 10.0  # a dead NPU blocks the tool for up to 300 s
PING_LIMIT_S = 10.0  # three packets, a second or so each when they get lost

# Finds the tool off the PATH of a non-login shell.
_PRELUDE = (
    "export LC_ALL=C; hccn_tool() { local t; "
    f't=$(type -P hccn_tool) || t={HCCN_TOOL}; "$t" "$@"; }}; '
)
_CONF = "/etc/hccn.conf"
# Plain commands: in English, and also where a non-login shell's PATH lacks the place.
_PLAIN = "export LC_ALL=C PATH=$PATH:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin; "


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what is asked and how the answer is read.

    Attributes:
        name: as in the contract's report.
        title: column heading for people.
        scope: asked per device, per node, or per ordered pair of devices.
        command: as people see and copy it; ``{device}``, ``{address}`` and the words of
            :class:`wizard.checks.expectations.Expectations` are filled in. Empty for what is not
            a command (``ssh``).
        parse: pure reading of (stdout, stderr, exit code).
        meaning: one sentence on what the check tells.
        needs: other checks whose answers its verdict is drawn from.
        timeout_s: time limit of one call, in seconds.
        series: the only series that has it; None for all.
    """

    name: str
    title: str
    scope: Scope
    command: str
    parse: Callable[[str, str, int], Parsed]
    meaning: str
    needs: tuple[str, ...] = ()
    timeout_s: float = TIME_LIMIT_S
    series: Series | None = None

    @property
    def root(self) -> Root:
        """Whether it needs root: NPUs answer nobody else; of the rest, the answer itself tells."""
        if self.uses_hccn_tool:
            return "must"
        return "try" if self.scope == "node" else "no"

    @property
    def uses_hccn_tool(self) -> bool:
        """Whether it calls the tool that bears only so many calls at a time."""
        return self.command.startswith("hccn_tool ")

    def display(
        self,
        device: int | None = None,
        address: str | None = None,
        words: Mapping[str, str] | None = None,
    ) -> str:
        """Return the command as people see it. ``address`` must be an IP address (ValueError).

        ``words`` are quoted for the shell by whoever gives them.
        """
        target = "" if address is None else shlex.quote(str(ip_address(address)))
        return self.command.format(device=device, address=target, **(words or {}))

    def shell(
        self,
        device: int | None = None,
        address: str | None = None,
        words: Mapping[str, str] | None = None,
    ) -> str:
        """Return the bash text that is really run: finds the tool where needed."""
        shown = self.display(device, address, words)
        if shown.startswith("hccn_tool "):
            return _PRELUDE + shown
        return _PLAIN + shown if shown else ""


def _no_command(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Stand in for a check that the engine answers itself."""
    raise AssertionError("ssh is answered by connecting, not by a command")


def _device(
    name: str, parse: Callable[[str, str, int], Parsed], meaning: str, **options: Any
) -> Check:
    command = f"hccn_tool -i {{device}} -{name} -g"
    return Check(name, _titled(name), "device", command, parse, meaning, **options)


def _node(
    name: str, command: str, parse: Callable[[str, str, int], Parsed], meaning: str, **options: Any
) -> Check:
    return Check(name, _titled(name), "node", command, parse, meaning, **options)


def _titled(name: str) -> str:
    return _TITLES.get(name, name.replace("_", " "))


_TITLES = {"ssh": "SSH", "lldp": "LLDP", "ip": "IP", "tls": "TLS", "hccn_conf": "hccn.conf"}
_TITLES |= {"npu_health": "NPU health", "npu_idle": "NPU idle", "spod": "super-pod", "nic": "NIC"}
_TITLES |= {"vnic": "virtual NIC", "hccs_ping": "HCCS ping"}
_FIND = r"find -L {model} -maxdepth 1 -type f -printf '%s %f\n'"
_INDEX = r"""grep -oh '"[^"/]*\.safetensors"' {model}/*.index.json | sort -u"""
_STORE = "$({runtime} info --format '{store}' 2>/dev/null)"  # where images lie, if elsewhere
_DISKS = "/ /var/lib/docker /var/lib/containers /root/.cache /tmp"

_ALL = (
    _node(
        "ssh",
        "",
        _no_command,
        "Whether the node can be reached over SSH with a verified host key.",
    ),
    _device(
        "link",
        parsers.parse_link,
        "Whether the NPU's network port has a link to the switch or the peer.",
    ),
    _device(
        "lldp",
        parsers.parse_lldp,
        "Which switch port the NPU is plugged into, as the neighbour itself says.",
    ),
    _device(
        "ip",
        parsers.parse_ip,
        "The NPU's own address and mask; it must have one that nobody else has.",
    ),
    _device(
        "net_health",
        parsers.parse_net_health,
        "What the NPU itself says of its network, from watching its netdetect target.",
        needs=("netdetect",),
    ),
    _device(
        "netdetect",
        parsers.parse_netdetect,
        "The address that the NPU watches: usually the gateway, or the peer on a direct fibre.",
        needs=("ip",),
    ),
    _device(
        "gateway",
        parsers.parse_gateway,
        "The NPU's way to other subnets; needed only when a peer is in another one.",
        needs=("ip",),
    ),
    _device(
        "tls",
        portparsers.parse_tls,
        "Whether NPUs encrypt what they send each other; all of all nodes must do alike.",
    ),
    _device(
        "link_stat",
        portparsers.parse_link_stat,
        "How often the link went down: one that flaps looks fine in between.",
    ),
    _device(
        "optical",
        optics.parse_optical,
        "Whether the optical module is there, and how much light comes in and goes out.",
        needs=("link",),
    ),
    _device(
        "vnic",
        portparsers.parse_vnic,
        "The NPU's address within its super-pod, where traffic runs over HCCS.",
        needs=("spod",),
        series=Series.A3,
    ),
    _node(
        "hccn_conf",
        f"cat {_CONF}",
        parse_hccn_conf,
        "What the NPUs' addresses will be after a reboot; must equal what runs.",
        needs=("ip",),
    ),
    _node(
        "npu_health",
        "npu-smi info",
        npuparsers.parse_health,
        "What the driver says of each NPU; only OK will do.",
        timeout_s=30.0,
    ),
    _node(
        "npu_idle",
        "npu-smi info",
        npuparsers.parse_idle,
        "Whether something still runs on an NPU or holds its memory.",
        timeout_s=30.0,
    ),
    _node(
        "spod",
        "npu-smi info -t spod-info -i 0 -c 0",
        npuparsers.parse_spod,
        "Which super-pod the node is part of; within one, traffic runs over HCCS.",
        series=Series.A3,
    ),
    _node(
        "devices",
        "ls -d /dev/davinci[0-9]* /dev/davinci_manager /dev/devmm_svm /dev/hisi_hdc",
        hostparsers.parse_devices,
        "Whether the node has all NPUs of its series, and the files that a container needs.",
    ),
    _node("arch", "uname -m", hostparsers.parse_arch, "The images are made for aarch64 alone."),
    _node(
        "driver",
        "cat /usr/local/Ascend/driver/version.info",
        hostparsers.parse_driver,
        "The driver's version, which must be the same on all nodes.",
    ),
    _node(
        "nic",
        "ip -o addr show",
        hostparsers.parse_nic,
        "Whether the node's address is on the interface that the scripts name.",
    ),
    _node(
        "ports",
        "ss -ltn",
        hostparsers.parse_ports,
        "Whether the ports that the launch needs are free.",
    ),
    _node(
        "disk",
        f"df -Pk $(ls -d {_DISKS} {_STORE} 2>/dev/null)",
        hostparsers.parse_disk,
        "How much room is left for images, logs and caches.",
    ),
    _node(
        "runtime",
        "{runtime} info --format '{version}'{ours}",
        hostparsers.parse_runtime,
        "Whether the container engine runs, and a launch of ours in it.",
    ),
    _node(
        "image",
        "{runtime} image inspect --format '{{{{.Os}}}}/{{{{.Architecture}}}} {{{{.Id}}}}' {image}",
        hostparsers.parse_image,
        "Whether the image is on the node; a launch fetches it only when told to.",
    ),
    _node(
        "weights",
        f"{_FIND} && {_INDEX} && echo end",
        hostparsers.parse_weights,
        "Whether all of the weights are there, the same on all nodes.",
        timeout_s=30.0,
    ),
    _node(
        "mounts",
        "stat -L -c '%F %n' {mounts}",
        hostparsers.parse_mounts,
        "Whether all that the container mounts exists; of what not, docker makes a folder.",
    ),
    _node(
        "clock",
        "date +%s.%N",
        hostparsers.parse_clock,
        "Whether the nodes' clocks agree.",
    ),
    Check(
        "ping",
        "ping",
        "pair",
        "hccn_tool -i {device} -ping -g address {address}",
        parsers.parse_ping,
        "Whether an NPU reaches an NPU of another node over RoCE.",
        needs=("ip", "lldp", "link", "spod"),  # where to, and which pairs must reach each other
        timeout_s=PING_LIMIT_S,
    ),
    Check(
        "hccs_ping",
        "HCCS ping",
        "pair",
        "hccn_tool -i {device} -hccs_ping -g address {address}",
        portparsers.parse_hccs_ping,
        "Whether an NPU reaches an NPU of another node of its super-pod over HCCS.",
        needs=("vnic", "spod"),
        series=Series.A3,
        timeout_s=PING_LIMIT_S,
    ),
)

CHECKS: dict[str, Check] = {check.name: check for check in _ALL}
