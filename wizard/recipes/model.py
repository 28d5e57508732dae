"""The shape of a recipe: what a YAML file beside this module may say (pydantic, no unknown keys).

Source of the facts: vLLM-Ascend's own documentation of the version named; each value that is not
from there says so by its provenance.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wizard.cluster import Precision, Series

ArgValue = Literal[True] | str | dict[str, Any]
"""``True`` is a bare flag; an object is passed as compact JSON."""

PLACEHOLDERS = ("$local_ip", "$nic_name", "$node0_ip")  # a whole value, filled in per node

DP_SIZE = "--data-parallel-size"
DP_LOCAL = "--data-parallel-size-local"
DP_START = "--data-parallel-start-rank"
DP_ADDRESS = "--data-parallel-address"
RPC_PORT = "--data-parallel-rpc-port"
TP_SIZE = "--tensor-parallel-size"
HEADLESS = "--headless"
PORT = "--port"
COMPUTED = frozenset({DP_SIZE, DP_LOCAL, DP_START, DP_ADDRESS, RPC_PORT, TP_SIZE, HEADLESS})
"""Arguments that follow from a scenario's layout and a node's rank; never written in a recipe."""


class Provenance(StrEnum):
    """Where a value comes from."""

    GUIDE = "guide"  # as the guide writes it
    UPSTREAM = "upstream"  # vLLM-Ascend's documentation of another version than the guide
    DERIVED = "derived"  # ours: follows from a published scenario
    OURS = "ours"  # a deviation that the wizard makes, with a reason
    YOURS = "yours"  # set in the preset


class Os(StrEnum):
    """Operating system inside the image."""

    UBUNTU = "ubuntu"
    OPENEULER = "openeuler"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Note(_Model):
    """Provenance and reason of one argument or variable that differs from its surroundings.

    ``guide`` is what the guide says in its place, None where it says nothing.
    """

    provenance: Provenance
    reason: str = Field(min_length=1)
    guide: str | None = None


class Correction(_Model):
    """An argument that we pass otherwise than the documentation, unless it is switched off.

    ``value`` None leaves it out; ``switch`` is its name among the preset's ``deviations``.
    """

    value: ArgValue | None
    switch: str = Field(pattern=r"[a-z][a-z_]*")
    reason: str = Field(min_length=1)


class ContainerRecipe(_Model):
    """What the documentation's ``docker run`` says beside name and image."""

    devices: list[str]  # beside /dev/davinci0..n
    mounts: list[str]  # source:destination
    registry: str  # the one that the documentation runs, a mirror for the guide
    shm_size: str | None = None
    privileged: bool = False
    hccn_conf: bool = False  # the documentation itself mounts /etc/hccn.conf


class Order(_Model):
    """The order of arguments in the documentation, for people who compare the two."""

    head: list[str]
    workers: list[str] = []


class Scenario(_Model):
    """One combination of series, precision and number of nodes, with its layout and parameters."""

    series: Series
    precision: Precision
    nodes: int = Field(ge=1)
    dp: int = Field(default=1, ge=1)  # data-parallel ranks in all
    dp_local: int = Field(default=1, ge=1)  # of these on each node
    tp: int = Field(ge=1)  # NPUs per data-parallel rank
    rpc_port: int | None = None
    head_address: Literal["$local_ip", "$node0_ip"] = "$local_ip"
    model: str
    local_model: str | None = None  # where we expect the weights when ``model`` is a repository id
    provenance: Provenance
    note: str = ""
    env: dict[str, str]
    args: dict[str, ArgValue] = {}
    head: dict[str, ArgValue] = {}
    workers: dict[str, ArgValue] = {}
    order: Order | None = None
    notes: dict[str, Note] = {}

    @property
    def ranks_per_node(self) -> list[range]:
        """Data-parallel ranks that each node owns, in rank order; together they tile [0, DP)."""
        return [range(i * self.dp_local, (i + 1) * self.dp_local) for i in range(self.nodes)]

    @model_validator(mode="after")
    def _layout(self) -> Scenario:
        if self.dp != self.nodes * self.dp_local:
            raise ValueError("dp must be nodes x dp_local: the nodes' ranks must tile [0, DP)")
        if self.tp * self.dp_local > self.series.devices:
            raise ValueError(f"tp x dp_local exceeds the {self.series.devices} NPUs of a node")
        if (self.nodes > 1) != (self.rpc_port is not None):
            raise ValueError("rpc_port belongs to every scenario of several nodes, and to no other")
        if self.provenance is Provenance.DERIVED and not self.note:
            raise ValueError("a derived scenario says in its note what it is derived from")
        if disagree := set(self.head) ^ set(self.workers) if self.nodes > 1 else set(self.workers):
            raise ValueError(f"head and workers must name the same arguments: {sorted(disagree)}")
        return self


class Recipe(_Model):
    """One version of the documentation."""

    name: str
    version: str  # the version part of its image tags
    title: str
    provenance: Provenance
    image_tags: dict[str, str]  # A2, A3, and with -openeuler
    container: ContainerRecipe
    absent: dict[str, str] = {}  # precision -> why it has no scenario
    order: Order
    args: dict[str, ArgValue]  # what all scenarios share
    corrections: dict[str, Correction] = {}
    notes: dict[str, Note] = {}
    scenarios: list[Scenario]

    @model_validator(mode="after")
    def _complete(self) -> Recipe:
        for s in self.scenarios:
            order = s.order or self.order
            for rank in {0, s.nodes - 1}:
                arguments = self.arguments(s, rank)
                listed = order.head if rank == 0 else order.workers
                if missing := set(arguments) - set(listed):
                    raise ValueError(f"{s.series} {s.precision}: no place for {sorted(missing)}")
            known = {*s.env, *self.arguments(s, 0), "model"}
            if unknown := {n for n, note in s.notes.items() if note.guide is None} - known:
                raise ValueError(f"{s.series} {s.precision}: notes on unknown {sorted(unknown)}")
        return self

    def arguments(self, scenario: Scenario, rank: int) -> dict[str, ArgValue]:
        """Return the arguments of ``vllm serve MODEL`` on one node, in the documentation's order.

        Placeholders (``$local_ip``, ``$node0_ip``) are left as they are.
        """
        own = scenario.head if rank == 0 else scenario.workers
        every = {**self.args, **scenario.args, **own, **_layout_arguments(scenario, rank)}
        order = scenario.order or self.order
        listed = order.head if rank == 0 else order.workers
        place = {name: index for index, name in enumerate(listed)}
        return dict(sorted(every.items(), key=lambda item: place.get(item[0], len(place))))

    def note(self, scenario: Scenario, name: str) -> Note:
        """Return provenance and reason of an argument, a variable, or ``model``."""
        note = self.all_notes(scenario).get(name)
        return note or Note(provenance=scenario.provenance, reason=scenario.note or self.title)

    def all_notes(self, scenario: Scenario) -> dict[str, Note]:
        """Return the notes that hold for a scenario, by argument or variable."""
        return {**self.notes, **scenario.notes}


def _layout_arguments(scenario: Scenario, rank: int) -> dict[str, ArgValue]:
    found: dict[str, ArgValue] = {TP_SIZE: str(scenario.tp)}
    if scenario.dp > 1:
        found[DP_SIZE] = str(scenario.dp)
    if scenario.nodes > 1:
        found[DP_LOCAL] = str(scenario.dp_local)
        found[DP_ADDRESS] = scenario.head_address if rank == 0 else "$node0_ip"
        found[RPC_PORT] = str(scenario.rpc_port)
    if rank > 0:  # start-rank 0 on node 0 would switch vLLM to another load-balancing mode
        found[HEADLESS] = True
        found[DP_START] = str(rank * scenario.dp_local)
    return found


def merged(data: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe's data on top of those of the recipe that it is ``like``.

    ``container`` and ``args`` are merged key by key, null drops a key; of the others the recipe's
    own replaces the base's. Notes on the base's differences from the guide are not inherited.
    """
    found = {k: v for k, v in base.items() if k not in {"notes"}}
    for key, value in data.items():
        if key in {"container", "args"} and isinstance(value, dict):
            both = {**base.get(key, {}), **value}
            found[key] = {name: item for name, item in both.items() if item is not None}
        elif key != "like":
            found[key] = value
    return found


def as_text(value: object) -> str:
    """Return the text that the shell passes for a value; objects as compact JSON, as the guide."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)
