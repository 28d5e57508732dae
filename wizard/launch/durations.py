"""How long the parts of a launch usually take: the one place that says it. Pure data.

Of the weights, the graph and the whole start it is known from launches (facts on launching); of the
other phases only that they are short, unless Python is read from a cold disk.
"""

from __future__ import annotations

from dataclasses import dataclass

from wizard.launch.progress import Phase


@dataclass(frozen=True, slots=True)
class Typical:
    """Seconds that something usually takes, from ``low_s`` to ``high_s``.

    ``slow_s`` is what it was seen to take under bad conditions and still succeed (weights on a slow
    network disk); nothing is called too late before it.
    """

    low_s: float
    high_s: float
    slow_s: float

    @property
    def words(self) -> str:
        """It for people: ``10 to 20 minutes``, ``10 seconds to 12 minutes``."""
        low, high = _amount(self.low_s), _amount(self.high_s)
        if low.partition(" ")[2] == high.partition(" ")[2]:
            return f"{low.partition(' ')[0]} to {high}"
        return f"{low} to {high}"


def _amount(seconds: float) -> str:
    """Return a duration in its largest whole unit: ``90 seconds``, ``12 minutes``."""
    if seconds >= 60 and seconds % 60 == 0:
        count, unit = int(seconds // 60), "minute"
    else:
        count, unit = int(seconds), "second"
    return f"{count} {unit}" + ("" if count == 1 else "s")


WHOLE = Typical(600, 1200, 3000)  # from the first container to a served model
PHASES: dict[Phase, Typical] = {
    Phase.CONTAINER: Typical(1, 30, 120),
    Phase.PYTHON: Typical(10, 60, 300),
    Phase.HANDSHAKE: Typical(1, 60, 300),  # a worker waits five minutes for node 0, no longer
    Phase.RANKS: Typical(5, 60, 300),
    Phase.WEIGHTS: Typical(10, 720, 2400),  # from the page cache; from a disk; from a slow NFS
    Phase.KV_CACHE: Typical(5, 60, 300),
    Phase.GRAPH: Typical(30, 90, 300),
    Phase.ENGINE: Typical(1, 60, 600),  # done itself; waits for the other nodes
}
NO_PROGRESS_S = 120.0  # a phase without any progress for so long is marked, and never killed
# between the log's word that it serves, or the first question, and an answer
UNANSWERED_S = 20.0
