"""The question whether to go on although not every node has said what it is."""

from __future__ import annotations

from screens.widgets.dialog import Answer, Confirm
from wizard.discovering import Discovering
from wizard.discovery.disagreement import named


def about_nodes_not_known(discovering: Discovering) -> Confirm:
    """Return the question; ``again`` and ``go`` are the answers that do something."""
    stay: Answer = ("stay", "Stay here", "default")
    go: Answer = ("go", "Go on without", "warning")
    if discovering.running:
        return Confirm(
            "The nodes are still being asked what they are. Going on without their answers means "
            "that a wrong host, address or interface shows only later.",
            (("stay", "Wait", "default"), go),
        )
    return Confirm(
        f"{named(list(discovering.failed)).capitalize()} did not answer. Going on is of use "
        "without a network, for scripts alone: then each node's Local IP and interface must be "
        "typed into its details.",
        (stay, ("again", "Ask again", "primary"), go),
    )
