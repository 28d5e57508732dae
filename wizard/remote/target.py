"""Where to connect to, and how long to wait."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.cluster import Node


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of connections, in seconds; tests make them short."""

    connect_s: float = 10.0
    keepalive_s: float = 3.0
    keepalive_count: int = 3


@dataclass(frozen=True, slots=True)
class Target:
    """A node, or a jump host: as in a preset; None leaves it to ssh_config.

    Attributes:
        label: what errors call it.
        rank: the node's; None for a jump host.
        spare_identity: key file for when ssh_config names none (a jump host's node has one).
        also_known: known_hosts file that counts beside the user's own (a jump host's node has one).
    """

    host: str
    label: str
    rank: int | None = None
    port: int | None = None
    user: str | None = None
    identity_file: str | None = None
    jump: str | None = None
    known_hosts: str | None = None
    spare_identity: str | None = None
    also_known: str | None = None

    @classmethod
    def of(cls, node: Node) -> Target:
        """Return the target that a node of a preset is."""
        return cls(
            host=node.host,
            label=node.label,
            rank=node.rank,
            port=node.port,
            user=node.user,
            identity_file=node.identity_file,
            jump=node.jump,
            known_hosts=node.known_hosts,
        )
