"""What is unusual about one simulated server as a machine, apart from its NPUs' network. Pure data.

In a scenario it stands under ``nodes[N].host``; every key is optional.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from wizard.cluster import Series

Word = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\n\"'\\]+$")]


class Traits(BaseModel):
    """One server.

    ``series``: a server of the other series (8 or 16 NPUs). ``devices``: fewer NPUs than that.
    ``clock``: whole seconds that its clock is ahead. ``docker``: ``down`` (the daemon does not
    answer), ``denied`` (the login may not ask it), ``missing``. ``free_gb``: free space of every
    file system. ``same_machine_as``: rank of the node whose machine it really is.
    ``no_route_to``: ranks that it has no route to. ``network``: where its own address lies:

    - ``plain``: on one NIC; ``two``: on one NIC that has a second address, beside a second NIC;
    - ``bond``, ``vlan``: on a bond, or a VLAN of the NIC; ``dummy``: on ``dummy0``, routed;
    - ``nat``: nowhere; it is reached by an address that it does not hold.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    series: Series | None = None
    devices: Annotated[int, Field(ge=0, le=16)] | None = None
    arch: Literal["aarch64", "x86_64"] = "aarch64"
    hostname: Word | None = None
    os: Word = "openEuler 22.03 (LTS-SP4)"
    driver: Word = "25.2.0"
    firmware: Word = "7.7.0.6.236"
    clock: Annotated[int, Field(ge=-86_400_000, le=86_400_000)] = 0
    docker: Literal["up", "down", "denied", "missing"] = "up"
    free_gb: Annotated[int, Field(ge=0, le=100_000)] = 2400
    same_machine_as: Annotated[int, Field(ge=0)] | None = None
    no_route_to: tuple[Annotated[int, Field(ge=0)], ...] = ()
    network: Literal["plain", "two", "bond", "vlan", "dummy", "nat"] = "plain"
