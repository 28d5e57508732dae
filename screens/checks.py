"""Step 4: the checks, live: a matrix per node, and all about the cell under the cursor."""

from __future__ import annotations

import os
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from screens.base import Goto, StepScreen
from screens.results import place_name, result_content, result_text
from screens.widgets.dialog import Notice
from screens.widgets.glyphs import glyph
from screens.widgets.matrix import CELL, LABEL, BoardMatrix
from screens.widgets.matrixlayout import Place
from screens.widgets.palette import COLOURS, plain
from screens.widgets.tabline import TabLine
from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status
from wizard.errors import WizardError
from wizard.session import Step

BAD = (Status.FAIL, Status.ERROR)


class ChecksScreen(StepScreen):
    """Reads the session's check run; starts it on the first visit."""

    step = Step.CHECKS
    heading = "Do all NPUs see the network and each other?"
    help_text = (
        "Checks only read; nothing on a node is changed. Each column is a device, each row a\n"
        "check. Arrow keys move, Enter shows all about a cell, x goes to the next failure,\n"
        "Page Up and Page Down change the node. An error (?) means that the answer is not known."
    )
    CSS_PATH = "checks.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "rerun", "Re-run", id="checks.rerun"),
        Binding("a", "all", "Run all", show=False, id="checks.all"),
        Binding("f", "filter", "Failures", id="checks.filter"),
        Binding("x", "failure", "Next bad", id="checks.failure"),
        Binding("y", "copy", "Copy", id="checks.copy"),
        Binding("pagedown", "node(1)", "Next node", show=False, id="checks.next_node"),
        Binding("pageup", "node(-1)", "Previous node", show=False, id="checks.previous_node"),
    ]

    def body(self) -> ComposeResult:
        """Progress, nodes, matrices, detail."""
        self._board: Board | None = None
        self._seen = 0
        self._told = Content("")
        self._was_done = True
        self._moved = False
        self._current = 0
        self._shown: Result | None = None
        yield Static("", id="progress", markup=False)
        yield TabLine([], id="nodes")
        yield Container(id="panes")
        with VerticalScroll(id="detail", can_focus=False):
            yield Static("", markup=False)

    def buttons(self) -> ComposeResult:
        """What r does."""
        yield Button("Re-run failed", id="rerun", compact=True)

    async def on_mount(self) -> None:
        """Start the checks if none were run for these nodes; show what there is."""
        session = self.session
        try:
            if session.checks is None or session.checks_are_of_other_nodes:
                session.start_checks()
        except WizardError as error:
            self.failed(error)
        await self._rebuild()
        self.drain()

    # -- building

    async def _rebuild(self) -> None:
        run = self.session.checks
        if run is None:
            return
        self._board, self._seen, self._shown = run.board, 0, None
        self._was_done, self._moved = False, False
        panes = self.query_one("#panes")
        await panes.remove_children()
        nodes = self.session.preset().nodes
        matrices = [
            BoardMatrix(rank, f"node {rank} {node.host}", run.board)
            for rank, node in enumerate(nodes)
        ]
        await panes.mount_all(matrices)
        self.query_one(TabLine).set_labels([plain(f"node {m.node}") for m in matrices])
        self._arrange()
        if matrices:
            matrices[0].focus()

    @property
    def _matrices(self) -> list[BoardMatrix]:
        return list(self.query(BoardMatrix))

    def _arrange(self) -> None:
        """Give every node a pane where there is room, else only the current one."""
        wide = self.size.width >= 120
        matrices = self._matrices
        devices = max((len(m.layout_of.devices) for m in matrices), default=8)
        columns = max(1, self.size.width // (LABEL + CELL * devices + 1))
        panes = self.query_one("#panes")
        panes.styles.grid_size_columns = min(columns, max(len(matrices), 1)) if wide else 1
        for matrix in matrices:
            matrix.display = wide or matrix.node == self._current
        self.query_one(TabLine).display = not wide and len(matrices) > 1

    def on_resize(self, event: events.Resize) -> None:
        """Panes come and go with the room."""
        self._arrange()

    # -- draining

    def drain(self) -> None:
        """Take up what the engine wrote since the last time."""
        run, board = self.session.checks, self._board
        if run is None or board is None:
            return
        changed = board.changed_since(self._seen)
        self._seen = board.revision
        if changed:
            by_node: dict[int, list[CellKey]] = {}
            for key in changed:
                by_node.setdefault(key.node, []).append(key)
            for matrix in self._matrices:
                matrix.update_cells(by_node.get(matrix.node, ()))
            self.query_one(TabLine).set_labels([self._tab(m) for m in self._matrices])
        self._tell_progress()
        self._show_detail()
        done = not self.session.checks_running
        if done and not self._was_done and not self._moved:
            self._jump(first=True)
        self._was_done = done

    def _tab(self, matrix: BoardMatrix) -> Content:
        assert self._board is not None
        bad = sum(self._board.count(status, matrix.node) for status in BAD)
        going = self._board.count(Status.PENDING, matrix.node) + self._board.count(
            Status.RUNNING, matrix.node
        )
        name = "fail" if bad else "running" if going else "pass"
        count = f" {bad}" if bad else ""
        return plain(f"node {matrix.node} ") + plain(f"{glyph(name)}{count}", COLOURS[name])

    def _tell_progress(self) -> None:
        text = self._progress()
        if (text.plain, text.spans) != (self._told.plain, self._told.spans):
            self._told = text
            self.query_one("#progress", Static).update(text)

    def _progress(self) -> Content:
        run, session = self.session.checks, self.session
        assert run is not None
        done, total = run.progress
        failed, unknown, warned = (
            run.board.count(status) for status in (Status.FAIL, Status.ERROR, Status.WARN)
        )
        counts = plain("")
        for count, word, style in (
            (failed, "failed", "bold $text-error"),
            (unknown, "unknown", "bold $text-accent"),
            (warned, "warned", "$text-warning"),
        ):
            if count:
                counts += plain(", ") + plain(f"{count} {word}", style)
        if session.checks_running:
            filled = 20 * done // max(total, 1)
            bar = "#" * filled + "-" * (20 - filled)
            # a clock would cost a write to a slow terminal every second
            clock = "" if "SSH_CONNECTION" in os.environ else f", {run.duration_s:.0f} s"
            return plain(f"[{bar}] {done} of {total}") + counts + plain(clock)
        if session.checks_error:
            return plain(f"The checks stopped: {session.checks_error}", "$text-error")
        took = f"{done} of {total} checks done in {run.duration_s:.0f} s"
        if failed or unknown:
            return plain(took) + counts + plain(". Next explains.")
        if done < total:
            return plain(f"{took}, stopped. Press r to run the rest.", "$text-warning")
        return plain(f"{glyph('pass')} All {total} checks passed", "$text-success") + counts

    # -- the cell under the cursor

    @property
    def _matrix(self) -> BoardMatrix | None:
        return next((m for m in self._matrices if m.node == self._current), None)

    def _show_detail(self) -> None:
        matrix = self._matrix
        result = matrix.selected if matrix else None
        if result is not self._shown and result is not None:
            if self._shown is None or self._shown.key != result.key:
                self.query_one("#detail").scroll_home(animate=False)
            self._shown = result
            self.query_one("#detail Static", Static).update(result_content(result))

    def on_board_matrix_moved(self, event: BoardMatrix.Moved) -> None:
        """The details follow the cursor; Enter shows them whole."""
        event.stop()
        self._current = event.matrix.node
        self.query_one(TabLine).current = self._current
        self._show_detail()
        if event.opened and event.matrix.selected is not None:
            self.app.push_screen(Notice(result_content(event.matrix.selected)))

    def on_tab_line_changed(self, event: TabLine.Changed) -> None:
        """Show another node."""
        event.stop()
        if event.index != self._current:
            self._go_to_node(event.index)

    def on_key(self, event: events.Key) -> None:
        """Remember that the user moves by hand: the cursor is then left alone."""
        if event.key in ("up", "down", "left", "right", "tab", "x", "pageup", "pagedown"):
            self._moved = True
        super().on_key(event)

    def _go_to_node(self, node: int) -> None:
        self._current = node
        self._arrange()
        matrix = self._matrix
        if matrix is not None:
            matrix.focus()
        self._show_detail()

    # -- keys

    def action_node(self, by: int) -> None:
        """Show the next or previous node."""
        node = self._current + by
        if 0 <= node < len(self._matrices):
            self._go_to_node(node)

    def action_failure(self) -> None:
        """Go to the next failed cell, over all nodes, and from the last to the first."""
        self._jump(first=False)

    def _jump(self, *, first: bool) -> None:
        places = [(m.node, place) for m in self._matrices for place in m.failures]
        if not places:
            if not first:
                self.say("Nothing has failed.", "pass")
            return
        matrix = self._matrix
        here = (self._current, matrix.cursor if matrix else (0, 0))
        # a ping that fails is more often a consequence than a cause
        own = [p for p in places if not self._is_ping(*p)]
        node, place = (own or places)[0]
        if not first:
            node, place = next((p for p in places if p > here), places[0])
        self._go_to_node(node)
        matrix = self._matrix
        if matrix is not None:
            matrix.go_to(place)

    def _is_ping(self, node: int, place: Place) -> bool:
        result = self._matrices[node].result_at(place)
        return result is not None and result.key.peer_node is not None

    def action_filter(self) -> None:
        """Show only rows in which something is wrong, or all."""
        on = not any(matrix.failures_only for matrix in self._matrices)
        for matrix in self._matrices:
            matrix.show_failures_only(on)
        self.say("Showing failures only; f shows all rows." if on else "")
        self._show_detail()

    def action_rerun(self) -> None:
        """Run again what failed; what never ran counts as well."""
        if self.session.checks_running:
            self.say("Checks are running already.")
        elif self.session.rerun_failed():
            self.say("Running the failed checks again.")
        else:
            self.say("Nothing failed; press a to run all checks again.", "pass")
        self._was_done = False

    async def action_all(self) -> None:
        """Run everything again."""
        try:
            self.session.start_checks()
        except WizardError as error:
            self.failed(error)
            return
        await self._rebuild()

    def action_copy(self) -> None:
        """Copy all about the cell under the cursor."""
        if self._shown is not None:
            self.copy(result_text(self._shown), place_name(self._shown.key))

    def pressed(self, name: str) -> None:
        """Re-run, as a button."""
        self.action_rerun()

    def action_next(self) -> None:
        """Go to the problems, or past them when there are none."""
        board = self._board
        bad = board is None or any(board.count(s) for s in (*BAD, Status.WARN))
        going = self.session.checks_running
        self.post_message(Goto(Step.TROUBLESHOOTING if bad or going else Step.PREVIEW))
