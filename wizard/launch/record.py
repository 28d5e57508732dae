"""What is known of a launch here, to be read at any time by screens and the command line."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wizard.launch.conflict import Holder
from wizard.launch.fence import Fence
from wizard.launch.progress import Phase
from wizard.launch.state import RankState
from wizard.presets import Preset

if TYPE_CHECKING:
    from wizard.diagnosis.verdict import Diagnosis
    from wizard.launch.metrics import Load


class Record:
    """The state of one launch. ``revision`` moves on every change.

    Attributes:
        state: pending, starting, waiting (all run, not yet serving), ready, failed or stopped.
        message: the state in a sentence.
        brief: of a failure: the message without the diagnosis.
        diagnosis: why it failed, as far as the logs tell.
        started_at: epoch seconds; None before the start.
        ranks: one per node.
        load: what the model does, by its own figures, while it serves; else None.
        trouble: why a launch that served does not now, by a request for one token; else "".
        fence: what marks its containers.
        conflict: who holds what it needs, when that is why it did not start. ``what`` is "preset"
            when the same preset is launched already: then it can be attached to, or restarted.
        changed: set on every change, for whoever waits for one.
    """

    def __init__(self, preset: Preset, fence: Fence) -> None:
        self.preset = preset
        self.fence = fence
        self.state = "pending"
        self.message = ""
        self.brief = ""
        self.diagnosis: Diagnosis | None = None
        self.revision = 0
        self.started_at: float | None = None
        self.ranks = [RankState(node.rank, node.host) for node in preset.cluster.nodes]
        self.load: Load | None = None
        self.trouble = ""
        self.changed = asyncio.Event()
        self.conflict: Holder | None = None
        self._ready = asyncio.Event()
        self._served = False
        self.found = False  # it was begun by another run of the wizard

    @property
    def served(self) -> bool:
        """Whether it has served, as far as is known: seen from here, or told by node 0's log."""
        return self._served or Phase.READY in self.ranks[0].phases

    @property
    def launch_id(self) -> str:
        """The id of the launch, as the labels on the nodes have it."""
        return self.fence.launch_id

    @property
    def ready(self) -> asyncio.Event:
        """Set while the launch serves."""
        return self._ready

    def touch(self) -> None:
        """Note that something changed."""
        self.revision += 1
        self.changed.set()

    def begin_anew(self) -> None:
        """Forget what an earlier start of this launch has left here."""
        self.diagnosis, self.conflict, self.trouble = None, None, ""
        self._served = self.found = False
        for rank in self.ranks:
            rank.begin_anew()

    def put(self, state: str, message: str, brief: str = "") -> None:
        """Set the state and its sentence; ``ready`` follows it."""
        self.state, self.message, self.brief = state, message, brief
        if state == "ready":
            self._served = True
            self._ready.set()
        else:
            self._ready.clear()
        self.touch()
