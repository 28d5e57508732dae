"""The pings as a square: node by node, Enter for the devices of two nodes, and what it means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from screens import checkwords
from screens.copying import copy_text
from screens.results import result_content
from screens.widgets.dialog import Answer, Confirm, Notice
from screens.widgets.keyline import KeyLine
from screens.widgets.meshgrid import MeshGrid, Square
from screens.widgets.palette import MUTED, plain, status_text
from wizard.checks.meshview import MeshView
from wizard.checks.model import Result, Status
from wizard.checks.report import readings_of
from wizard.session import Session

ALL_WORDS = "Ping every pair of NPUs across nodes"


class MeshScreen(Screen[None]):
    """Lies over the checks; Esc goes from two nodes to all, then back to the checks."""

    CSS_PATH = "mesh.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="pings.back"),
        Binding("n,x", "failure(1)", "Next bad", id="pings.failure", key_display="n"),
        Binding("p", "failure(-1)", "Previous bad", show=False, id="pings.previous_failure"),
        Binding("g", "every", "All pairs", id="pings.every"),
        Binding("s", "stop", "Stop/go", id="pings.stop"),
        Binding("y", "copy", "Copy", id="pings.copy"),
        Binding("f1,question_mark", "help", "Help", id="pings.help", key_display="F1"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._view: MeshView | None = None
        self._seen = 0
        self._pair: tuple[int, int] | None = None  # whose devices are shown; None: all nodes
        self._told = ""
        self._read_of = (-1, False)

    def compose(self) -> ComposeResult:
        """How far, the square, what it means, the cell under the cursor."""
        yield Static("Pings between NPUs of different nodes", id="heading", markup=False)
        yield Static("", id="state", markup=False)
        yield MeshGrid()
        with VerticalScroll(id="words", can_focus=False):
            yield Static("", id="cell", markup=False)
            yield Static("", id="reading", markup=False)
        yield Static("", id="message", classes="-empty", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """Show all nodes."""
        run = self.session.checks
        if run is not None:
            self._view, self._seen = MeshView(run.board), run.board.revision
            self._show_nodes()
        self.query_one(MeshGrid).focus()
        self.drain()

    # -- what is shown

    def _show_nodes(self, at: Square | None = None) -> None:
        self._pair = None
        nodes = self.session.checks.cluster.nodes if self.session.checks else ()
        heads = [(f"node {node.rank}", f" n{node.rank}") for node in nodes]
        grid = self.query_one(MeshGrid)
        grid.show(
            "from  to",
            heads,
            self._node_cells(self._view.pairs if self._view else ()),
            counted=True,
        )
        if at is not None:
            grid.go_to(at)
        self._say_cell()

    def _show_devices(self, source: int, target: int) -> None:
        self._pair = (source, target)
        devices = self.session.checks.cluster.series.devices if self.session.checks else 0
        heads = [(f"n{source} d{n}", f" {n}") for n in range(devices)]
        grid = self.query_one(MeshGrid)
        grid.show(f"to n{target}", heads, self._device_cells())
        if bad := list(grid.bad()):
            grid.go_to(bad[0])
        self._say_cell()

    def _node_cells(self, pairs: Iterable[Square]) -> dict[Square, tuple[Status, str]]:
        found: dict[Square, tuple[Status, str]] = {}
        assert self._view is not None
        for source, target in list(pairs):
            pair = self._view.pairs[source, target]
            bad = sum(pair.counts[s] for s in (Status.FAIL, Status.ERROR, Status.WARN))
            found[source, target] = (pair.status, str(bad) if bad else "")
        return found

    def _device_cells(self) -> dict[Square, tuple[Status, str]]:
        if self._view is None or self._pair is None:
            return {}
        pings = self._view.devices(*self._pair)
        return {square: (result.status, "") for square, result in pings.items()}

    # -- draining

    def drain(self) -> None:
        """Take up what changed."""
        run, view = self.session.checks, self._view
        if run is None or view is None:
            return
        changed = run.board.changed_since(self._seen)
        self._seen = run.board.revision
        touched = view.update(changed)
        grid = self.query_one(MeshGrid)
        if self._pair is None:
            grid.put(self._node_cells(touched))
        elif self._pair in touched:
            grid.put(self._device_cells())
        if touched:
            self._say_cell()
        self._say_state()
        self._say_reading()

    def _say_state(self) -> None:
        text = checkwords.progress(self.session) if self.session.checks_running else self._amount()
        if text.plain != self._told:
            self._told = text.plain
            self.query_one("#state", Static).update(text, layout=False)

    def _amount(self) -> Content:
        assert self._view is not None
        counts = self._view.counts
        total = sum(counts.values())
        every = self._missing
        text = plain(f"{total} pings: {counts[Status.PASS]} pass")
        for status in (Status.FAIL, Status.ERROR, Status.WARN, Status.SKIPPED):
            if counts[status]:
                text += plain(", ") + plain(f"{counts[status]} {status.value}")
        if checkwords.is_stopped(self.session):
            return text + plain(". Stopped; s goes on.", "$text-warning")
        if every:
            return text + plain(f". g pings the other {every} pairs too.", MUTED)
        return text + plain(". Every pair was pinged.", MUTED)

    def _say_reading(self) -> None:
        run, running = self.session.checks, self.session.checks_running
        assert run is not None
        now = (run.board.revision, running)
        if now == self._read_of or (running and self._read_of[1]):
            return
        self._read_of = now
        if running:  # it is read from the whole matrix
            words = plain("What the pings say together is told when all have answered.")
            self.query_one("#reading", Static).update(words)
            return
        readings = readings_of(run)
        text = plain("What the pings say together\n", "bold")
        lines = [plain(f"{line}\n") for line in readings]
        counts = self._view.counts if self._view is not None else {}
        none = plain("Nothing yet.", MUTED)
        if bad := sum(counts.get(status, 0) for status in (Status.FAIL, Status.ERROR)):
            none = plain(f"{bad} pings failed for reasons of their own; n shows them.")
        elif counts.get(Status.PASS):
            none = plain("All pings pass.", "$text-success")
        text += plain("").join(lines) if lines else none
        self.query_one("#reading", Static).update(text)

    # -- the cell under the cursor

    @property
    def _missing(self) -> int:
        run = self.session.checks
        return self._view.missing(run.cluster) if self._view and run is not None else 0

    @property
    def _result(self) -> Result | None:
        if self._view is None or self._pair is None:
            return None
        return self._view.devices(*self._pair).get(self.query_one(MeshGrid).cursor)

    def _say_cell(self) -> None:
        grid = self.query_one(MeshGrid)
        text: Content = plain("")
        if self._pair is None and self._view is not None and grid.cursor in self._view.pairs:
            pair = self._view.pairs[grid.cursor]
            source, target = grid.cursor
            text = plain(f"node {source} to node {target}  ", "bold") + status_text(pair.status)
            text += plain(f"  {pair.words}. Enter shows the devices.\n")
        elif (result := self._result) is not None:
            text = result_content(result) + plain("\n")
        elif self._pair is not None:
            text = plain("This pair was not pinged; g pings every pair.\n", MUTED)
        self.query_one("#cell", Static).update(text)

    def on_mesh_grid_moved(self, event: MeshGrid.Moved) -> None:
        """The words follow the cursor; Enter goes closer."""
        event.stop()
        if not event.opened:
            self._say_cell()
        elif self._pair is None:
            if self._view is not None and event.grid.cursor in self._view.pairs:
                self._show_devices(*event.grid.cursor)
        elif (result := self._result) is not None:
            self.app.push_screen(Notice(result_content(result)))

    # -- keys

    def action_back(self) -> None:
        """Go from two nodes to all, from all to the checks."""
        if self._pair is not None:
            self._show_nodes(self._pair)
        else:
            self.dismiss()

    def action_failure(self, by: int) -> None:
        """Go to the next or previous square in which something fails."""
        grid = self.query_one(MeshGrid)
        bad = list(grid.bad())
        if not bad:
            self._say("No ping failed here.", "$text-success")
        elif by > 0:
            grid.go_to(next((s for s in bad if s > grid.cursor), bad[0]))
        else:
            grid.go_to(next((s for s in reversed(bad) if s < grid.cursor), bad[-1]))

    @work
    async def action_every(self) -> None:
        """Say how long pinging every pair takes; do it after a yes."""
        session = self.session
        if session.checks is None or session.checks_running:
            self._say("Checks are running already; s stops them.")
            return
        missing = self._missing
        if not missing:
            self._say("Every pair was pinged already.", "$text-success")
            return
        long = checkwords.duration(session.checks.estimate(full=True))
        question = (
            f"{ALL_WORDS}: {missing} more pairs, about {long}. Pings only read; each NPU is pinged "
            "by one other at a time. s stops them, and goes on later."
        )
        answers: tuple[Answer, Answer] = (
            ("no", "Not now", "default"),
            ("yes", "Ping every pair", "primary"),
        )
        if await self.app.push_screen_wait(Confirm(question, answers)) == "yes":
            session.start_mesh()
            self.drain()

    def action_stop(self) -> None:
        """Stop the checks, or go on with what has no answer yet."""
        if self.session.checks_running:
            self.session.cancel_checks()
            self._say("Stopping. What was answered stays; s goes on.")
        elif self.session.resume_checks():
            self._say("Going on with what has no answer yet.")
        else:
            self._say("Nothing is stopped. g pings every pair.")

    def action_copy(self) -> None:
        """Copy the words below the square."""
        words = [str(self.query_one(f"#{name}", Static).content) for name in ("cell", "reading")]
        text, kind = copy_text(self.app, "\n".join(words), "pings")
        self._say(text, "$text-success" if kind == "pass" else "$text-warning")

    def action_help(self) -> None:
        """Show what this is for."""
        self.app.push_screen(
            Notice(
                plain(
                    "Each row pings, each column is pinged. A number counts what is bad between "
                    "two nodes. Enter shows their devices, Esc goes back, n and p go through what "
                    "is bad. g pings every pair of devices, after saying how long that takes; s "
                    "stops and goes on, y copies the words."
                )
            )
        )

    def _say(self, text: str, style: str = MUTED) -> None:
        message = self.query_one("#message", Static)
        message.set_class(not text, "-empty")
        message.update(plain(text, style))
