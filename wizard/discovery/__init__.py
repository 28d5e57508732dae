"""Nodes describe themselves: machine, NPUs, addresses, storage; and what does not fit together."""

from wizard.discovery.addresses import Own, own
from wizard.discovery.completing import complete, is_complete
from wizard.discovery.disagreement import Disagreement
from wizard.discovery.disagreements import disagreements
from wizard.discovery.facts import NodeFacts
from wizard.discovery.places import usual_places
from wizard.discovery.run import Answer, DiscoveryRun

__all__ = [
    "Answer",
    "Disagreement",
    "DiscoveryRun",
    "NodeFacts",
    "Own",
    "complete",
    "disagreements",
    "is_complete",
    "own",
    "usual_places",
]
