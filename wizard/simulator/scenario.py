"""A scenario: how the simulated cluster behaves and what is wrong with it. Pure data, from YAML.

Every key is optional; one that is not known is refused with its path. Durations are seconds at
speed 1 and are divided by the run's ``speed``. Ranks and devices count from 0; a fault that names
a node or device which the cluster does not have is refused, since it could show nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wizard.cluster import Series
from wizard.errors import UsageError
from wizard.simulator.traits import Traits
from wizard.yamldata import load_data

Rank = Annotated[int, Field(ge=0)]
Device = Annotated[int, Field(ge=0, le=15)]
Seconds = Annotated[float, Field(ge=0)]
Address = Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,3}){3}$")]
# what belongs to the node itself, so that nothing of this machine can be meant
NodePath = Annotated[
    str, Field(pattern=r"^/(?:etc/ascend_install\.info|(?:usr/local|data|dev)(?:/[\w.-]+)+)$")
]
NetHealth = Literal[
    "Success",
    "Socket fail",
    "Socket failed",
    "Receive timeout",
    "Unreachable",
    "Time exceeded",
    "Fault",
    "Init",
    "Thread error",
    "Detect ip set",
    "Unknown",
]
SHIPPED = Path(__file__).parent / "scenarios"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stages(_Strict):
    """How long each part of ``vllm serve`` takes."""

    start: Seconds = 0.8  # python, imports, arguments
    connect: Seconds = 0.6  # rendezvous of all ranks once they have met
    load: Seconds = 4.0  # weights
    graph: Seconds = 2.0  # profile, KV cache and graph capture


class Timing(_Strict):
    """How long things take."""

    hccn_tool: tuple[Seconds, Seconds] = (0.1, 0.4)  # range that a call's time is drawn from
    ping_timeout: Seconds = 1.0  # one unanswered packet
    stages: Stages = Stages()
    rpc_patience: Seconds = 30.0  # what stands for the 5 minutes that a worker waits for node 0
    token: Seconds = 0.03  # between two tokens of an answer
    pull: Seconds = 5.0  # `docker pull` of an image that the node does not have

    @model_validator(mode="after")
    def _ordered(self) -> Timing:
        if self.hccn_tool[0] > self.hccn_tool[1]:
            raise ValueError("hccn_tool must be [shortest, longest]")
        return self


class DeviceFault(_Strict):
    """What is wrong with one NPU's network port.

    ``link``: ``down`` (mended by ``-link -s up``) or ``no_light`` (only hands can mend it).
    ``ip``, ``gateway``, ``netdetect``: ``missing``, or another address; ``netdetect`` may be
    ``own``. ``conf_ip``: what hccn.conf gives it, when that is not what runs. ``tls``: switched
    ``on`` for this one alone. ``net_health``: what it says of itself whatever holds. ``flaps``: how
    often the link went down within the last minutes. ``optic``: ``missing``, ``weak`` (warns) or
    ``dim`` (out of its limits). ``lldp``: ``silent``. ``vlan``: ``wrong``, so that it has a link
    and reaches nobody. ``vnic``: ``down``. ``hung``: every call blocks for minutes.
    ``health``: what ``npu-smi`` says of it. ``held``: by a ``process``, or its ``memory`` alone.
    """

    node: Rank
    device: Device
    link: Literal["down", "no_light"] | None = None
    ip: Literal["missing"] | Address | None = None
    gateway: Literal["missing"] | Address | None = None
    netdetect: Literal["missing", "own"] | Address | None = None
    conf_ip: Address | None = None
    lldp: Literal["silent"] | None = None
    tls: Literal["on"] | None = None
    net_health: NetHealth | None = None
    flaps: Annotated[int, Field(ge=1, le=50)] | None = None
    optic: Literal["missing", "weak", "dim"] | None = None
    vlan: Literal["wrong"] | None = None
    vnic: Literal["down"] | None = None
    hung: bool = False
    held: Literal["process", "memory"] | None = None
    health: Literal["Warning", "Alarm", "Critical", "UNKNOWN"] | None = None


class End(_Strict):
    """One end of a pair."""

    node: Rank
    device: Device


class PairFault(_Strict):
    """Packets (of 3) that get lost from one NPU to another, in that direction only.

    ``over``: which network loses them. ``says``: what the tool says instead of a timeout.
    """

    source: End
    target: End
    lost: Annotated[int, Field(ge=1, le=3)] = 3
    over: Literal["roce", "hccs"] = "roce"
    says: Literal["Message too long", "Destination Host Unreachable"] | None = None


class NodeFault(_Strict):
    """What is wrong with a whole node.

    ``slow``: factor on the time of its tools. ``ssh``: ``refused`` (nothing listens) or ``silent``
    (accepts and never says a word). ``hccn_conf``, ``weights``, ``image``: ``missing``; weights
    may also be ``incomplete`` (two shards short), ``other`` (of the other precision) or ``older``
    (a shard of another size). ``host``: what is unusual about the machine. ``busy``: something
    else holds hccn_tool all the time. ``switch``: the switch that it is on; pings between nodes
    on different switches get lost when the scenario's ``uplink`` is ``down``. ``isolated``: none of
    its NPUs reaches another node. ``rpc``: ``blocked``, as by a firewall: what it sends to
    node 0's RPC port gets lost. ``ports``: TCP ports that something listens on. ``absent``:
    paths that do not exist; ``folders``: paths that are folders where files must be. ``registry``:
    what it says to a pull from this node. ``archive``: of the image, as ``docker save`` makes it,
    at /data/images/vllm-ascend.tar (``packed``: .tar.gz); ``broken`` (half of one), ``other`` (of
    another image).
    """

    node: Rank
    slow: Annotated[float, Field(ge=1)] = 1.0
    ssh: Literal["refused", "silent"] | None = None
    hccn_conf: Literal["missing"] | None = None
    weights: Literal["missing", "incomplete", "other", "older"] | None = None
    busy: bool = False
    isolated: bool = False
    rpc: Literal["blocked"] | None = None
    switch: Annotated[str, Field(pattern=r"^[\w-]{1,40}$")] | None = None
    ports: tuple[Annotated[int, Field(ge=1024, le=65535)], ...] = ()
    absent: tuple[NodePath, ...] = ()
    folders: tuple[NodePath, ...] = ()
    image: Literal["missing"] | None = None
    registry: Literal["no_route", "unknown", "unauthorized", "rate_limit"] | None = None
    archive: Literal["whole", "packed", "broken", "other"] | None = None
    host: Traits = Traits()


class LaunchFault(_Strict):
    """What ``vllm serve`` does on a node once it has reached a stage.

    ``exits``: with code 0, without a word. ``hccl_port``: HCCL's port is taken, which only CANN's
    own log (plog) says.
    """

    node: Rank
    at: Literal["start", "load", "graph", "serving"]
    does: Literal["out_of_memory", "killed", "hangs", "exits", "hccl_port"]


class Drop(_Strict):
    """All SSH connections to a node are cut, once, at a command of its container engine.

    ``when``: ``before`` the command, which is then not carried out, or ``after`` it, so that its
    answer gets lost.
    """

    node: Rank
    command: Literal["create", "start", "stop", "rm", "ps"]
    when: Literal["before", "after"] = "after"


class Scenario(_Strict):
    """One scenario, checked."""

    title: str = ""
    driver: Literal["25", "26"] = "25"  # whose wording hccn_tool uses: up to 25.x, or 26.x
    topology: Literal["switched", "direct", "super-pod"] = "switched"
    uplink: Literal["up", "down"] = "up"  # between switches
    hccn_width: Annotated[int, Field(ge=1)] = 4  # calls side by side before `busy`
    timing: Timing = Timing()
    devices: tuple[DeviceFault, ...] = ()
    pairs: tuple[PairFault, ...] = ()
    nodes: tuple[NodeFault, ...] = ()
    launch: tuple[LaunchFault, ...] = ()
    drops: tuple[Drop, ...] = ()

    def node_fault(self, rank: int) -> NodeFault:
        """Return what is wrong with a node as a whole; a faultless answer when nothing is."""
        return next((f for f in self.nodes if f.node == rank), NodeFault(node=rank))


def names() -> list[str]:
    """Return the names of the shipped scenarios."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_scenario(source: str | Path) -> Scenario:
    """Read a shipped scenario by name, or any by the path of its YAML file.

    Raises:
        UsageError: there is none of that name, or the file is refused; names the key's path.
    """
    path = SHIPPED / f"{source}.yaml" if str(source) in names() else Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"Scenario {str(source)!r} is neither the name of one nor a readable file.",
            hint=f"Shipped are: {', '.join(names())}.",
        ) from error
    return parse_scenario(text, origin=str(source))


def parse_scenario(text: str, origin: str = "scenario") -> Scenario:
    """Read a scenario from YAML text; ``origin`` names it in errors.

    Raises:
        UsageError: not YAML, or a key or value that does not belong there.
    """
    try:
        data = load_data(text)
    except yaml.YAMLError as error:
        raise UsageError(f"scenario {origin}: is not valid YAML: {error}") from error
    try:
        return Scenario.model_validate({} if data is None else data)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"])
        what = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise UsageError(f"scenario {origin}: {where.lstrip('.') or 'the file'}: {what}.") from None


def check_fits(scenario: Scenario, origin: str, series: Series, nodes: int) -> None:
    """Refuse a scenario whose faults name what a cluster of this size does not have.

    Raises:
        UsageError: names the key, and what the cluster has.
    """
    places = [(f"devices[{i}]", f.node, f.device) for i, f in enumerate(scenario.devices)]
    for i, pair in enumerate(scenario.pairs):
        places.append((f"pairs[{i}].source", pair.source.node, pair.source.device))
        places.append((f"pairs[{i}].target", pair.target.node, pair.target.device))
    places += [(f"nodes[{i}]", f.node, 0) for i, f in enumerate(scenario.nodes)]
    for i, f in enumerate(scenario.nodes):
        others = (*f.host.no_route_to, *filter(None, [f.host.same_machine_as]))
        places += [(f"nodes[{i}].host", rank, 0) for rank in others]
    places += [(f"launch[{i}]", f.node, 0) for i, f in enumerate(scenario.launch)]
    places += [(f"drops[{i}]", f.node, 0) for i, f in enumerate(scenario.drops)]
    for key, node, device in places:
        if node >= nodes:
            have = "only node 0" if nodes == 1 else f"nodes 0 to {nodes - 1}"
            raise UsageError(
                f"scenario {origin}: {key}.node is {node}, but this cluster has {have}."
            )
        if device >= series.devices:
            raise UsageError(
                f"scenario {origin}: {key}.device is {device}, but an {series.value} node has"
                f" devices 0 to {series.devices - 1}."
            )
