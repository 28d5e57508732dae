"""Step 4: the checks, live: a matrix per node, and all about the cell under the cursor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from screens import checkwords
from screens.base import Goto, StepScreen
from screens.checkfilter import CheckFilter
from screens.ignoring import ask_reason
from screens.mesh import MeshScreen
from screens.results import place_name, result_content, result_text
from screens.widgets.dialog import Notice
from screens.widgets.matrix import BoardMatrix
from screens.widgets.palette import plain
from screens.widgets.panes import Panes
from screens.widgets.tabline import TabLine
from wizard.checks.board import Board
from wizard.checks.changes import Since
from wizard.checks.model import CellKey, Result, Status
from wizard.errors import WizardError
from wizard.session import Step

BAD = checkwords.BAD
BY_HAND = ("up", "down", "left", "right", "tab", "n", "p", "x", "pageup", "pagedown", "slash")


class ChecksScreen(StepScreen):
    """Reads the session's check run; starts it on the first visit."""

    step = Step.CHECKS
    heading = "Do all NPUs see the network and each other?"
    help_text = (
        "Checks only read; nothing on a node is changed. Each column is a device, each row a\n"
        "check; the node's own checks stand below. Arrow keys move, Enter shows all about a\n"
        "cell, n and p go through what is bad, Page Up and Page Down change the node. i ignores\n"
        "what you know and accept, with a reason. An error (?) means: the answer is not known."
    )
    CSS_PATH = "checks.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,x", "failure(1)", "Next bad", id="checks.failure", key_display="n"),
        Binding("p", "failure(-1)", "Previous bad", show=False, id="checks.previous_failure"),
        Binding("r", "rerun", "Re-run", id="checks.rerun"),
        Binding("a", "all", "Run all", show=False, id="checks.all"),
        Binding("s", "stop", "Stop, go on", show=False, id="checks.stop"),
        Binding("f", "filter", "Bad only", show=False, id="checks.filter"),
        Binding("slash", "find", "Find", id="checks.find", key_display="/"),
        Binding("m", "mesh", "Pings", id="checks.mesh"),
        Binding("i", "ignore", "Ignore", id="checks.ignore"),
        Binding("c", "changes", "Changes", show=False, id="checks.changes"),
        Binding("y", "copy", "Copy", show=False, id="checks.copy"),
        Binding("pagedown", "node(1)", "Next node", show=False, id="checks.next_node"),
        Binding("pageup", "node(-1)", "Previous node", show=False, id="checks.previous_node"),
    ]

    def body(self) -> ComposeResult:
        """Progress, nodes, matrices, detail."""
        self._board: Board | None = None
        self._seen = 0
        self._cells = 0  # how many the board had when the matrices were laid out
        self._told = Content("")
        self._was_done = True
        self._moved = False
        self._shown: Result | None = None
        self._filter = CheckFilter()
        self._ignored: frozenset[CellKey] = frozenset()
        self._since: Since | None = None
        yield Static("", id="progress", markup=False)
        yield Static("", id="network", classes="-empty", markup=False)
        yield TabLine([], id="nodes")
        yield Input(placeholder="words of a check, status, node 1, device 3 ...", id="filter")
        yield Panes()
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
        self._moved = self.place is not None  # then it is not the first failure that is gone to
        self.drain()

    # -- building

    async def _rebuild(self) -> None:
        run = self.session.checks
        if run is None:
            return
        self._board, self._seen, self._shown = run.board, 0, None
        self._cells, self._ignored = len(run.board), frozenset()
        self._was_done, self._moved = False, False
        hosts = [node.host for node in self.session.preset().nodes]
        await self._panes.build(hosts, run.board)
        self.query_one(TabLine).set_labels([plain(f"node {n}") for n in range(len(hosts))])
        self._arrange()
        if self.place is None and (matrix := self._panes.matrix):
            matrix.focus()

    @property
    def _panes(self) -> Panes:
        return self.query_one(Panes)

    def _arrange(self) -> None:
        self.query_one(TabLine).display = not self._panes.fit()

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
            self._panes.take(changed, grown=len(board) != self._cells)
            self._cells = len(board)  # the full mesh adds cells
        self._take_ignores()
        self._tell()
        self._show_detail()
        done = not self.session.checks_running
        if done and not self._was_done and not self._moved:
            self._jump(0)
        self._was_done = done

    def _take_ignores(self) -> None:
        book = self.session.book
        ignored = frozenset(book.settled(every_s=1.0).ignored) if book is not None else frozenset()
        if ignored != self._ignored:
            touched, self._ignored = ignored ^ self._ignored, ignored
            self._panes.ignore(ignored, touched)
            self._shown = None
        since = book.since if book is not None else None
        if since is not self._since:
            self._since, self._shown = since, None

    def _tell(self) -> None:
        text = checkwords.progress(self.session)
        if (text.plain, text.spans) != (self._told.plain, self._told.spans):
            self._told = text
            self.query_one("#progress", Static).update(text, layout=False)
            tabs = [checkwords.tab(self.session, m.node) for m in self._panes.matrices]
            self.query_one(TabLine).set_labels(tabs)
        network, line = checkwords.network(self.session), self.query_one("#network", Static)
        if line.has_class("-empty") == bool(network.plain) or str(line.content) != network.plain:
            line.set_class(not network.plain, "-empty")
            line.update(network)

    # -- the cell under the cursor

    def _show_detail(self) -> None:
        matrix = self._panes.matrix
        result = matrix.selected if matrix else None
        if result is self._shown:
            return
        if self._shown is None or result is None or self._shown.key != result.key:
            self.query_one("#detail").scroll_home(animate=False)
        self._shown = result
        text = self._about(result) if result is not None else plain("Nothing is shown here.")
        self.query_one("#detail Static", Static).update(text)

    def _about(self, result: Result) -> Content:
        return result_content(result, checkwords.about(self.session, result.key))

    def on_board_matrix_moved(self, event: BoardMatrix.Moved) -> None:
        """The details follow the cursor; Enter shows them whole."""
        event.stop()
        if self.focused is not event.matrix and event.matrix.node != self._panes.current:
            return  # said before the focus went on to another node
        self._panes.current = event.matrix.node
        self.query_one(TabLine).current = event.matrix.node
        self._show_detail()
        if event.opened and event.matrix.selected is not None:
            self.app.push_screen(Notice(self._about(event.matrix.selected)))

    def on_tab_line_changed(self, event: TabLine.Changed) -> None:
        """Show another node."""
        event.stop()
        if event.index != self._panes.current:
            self._go_to_node(event.index)

    def on_key(self, event: events.Key) -> None:
        """Remember that the user moves by hand: the cursor is then left alone."""
        if event.key in BY_HAND:
            self._moved = True
        super().on_key(event)

    def _go_to_node(self, node: int) -> None:
        self._panes.go_to_node(node)
        self._arrange()
        self._show_detail()

    # -- keys

    def action_node(self, by: int) -> None:
        """Show the next or previous node."""
        node = self._panes.current + by
        if 0 <= node < len(self._panes.matrices):
            self._go_to_node(node)

    def action_failure(self, by: int) -> None:
        """Go to the next or previous bad cell, over all nodes, and round at the ends."""
        self._jump(by)

    def _jump(self, by: int) -> None:
        found = self._panes.next_bad(by)
        if found is None:
            if by:
                text = "Nothing failed among what is shown." if self._filter.on else ""
                self.say(text or "Nothing has failed. Ctrl+N goes on.", "pass")
            return
        self._go_to_node(found[0])
        if matrix := self._panes.matrix:
            matrix.go_to(found[1])

    def lead(self, place: Mapping[str, Any]) -> None:
        """Go to a cell: the one that is named, or the first of its check on that node."""
        node = int(place.get("node", 0))
        if not 0 <= node < len(self._panes.matrices):
            return
        self._moved = True
        self._go_to_node(node)
        found = self._panes.matrices[node].place_of(place.get("check"), place.get("device"))
        if found is not None:
            self._panes.matrices[node].go_to(found)

    def action_filter(self) -> None:
        """Show only rows in which something is wrong, or all."""
        self._filter.bad_only = not self._filter.bad_only
        self._show_filtered()

    def action_find(self) -> None:
        """Type what to look for; Enter keeps it, Esc shows everything again."""
        line = self.query_one("#filter", Input)
        line.add_class("-open")
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what matches while it is typed."""
        event.stop()
        self._filter.words = event.value
        self._show_filtered()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the cells that match."""
        event.stop()
        self._close_filter(keep=True)

    def _close_filter(self, *, keep: bool) -> None:
        line = self.query_one("#filter", Input)
        if not keep:
            line.value = ""
        line.set_class(bool(line.value), "-open")
        hits = [m for m in self._panes.matrices if m.layout_of.rows]
        here = self._panes.matrix
        node = self._panes.current if not hits or here in hits else hits[0].node
        self._go_to_node(node)

    def _show_filtered(self) -> None:
        self._filter.take(self._board, self._ignored)
        self._panes.show_only(self._filter.shows if self._filter.on else None)
        self._arrange()
        self.say(self._filter.told)
        self._show_detail()

    def action_back(self) -> None:
        """Leave the line that finds, then the filter, then the step."""
        line = self.query_one("#filter", Input)
        if line.has_class("-open"):
            self._close_filter(keep=False)
        else:
            super().action_back()

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

    def action_stop(self) -> None:
        """Stop the checks, or go on with what has no answer yet."""
        if self.session.checks_running:
            self.session.cancel_checks()
            self.say("Stopping. What was answered stays; s goes on.")
        elif self.session.resume_checks():
            self.say("Going on with what has no answer yet.")
        else:
            self.say("Everything has an answer.", "pass")

    def action_mesh(self) -> None:
        """Show the pings as a square, node by node."""
        if self.session.checks is not None:
            self.app.push_screen(MeshScreen(self.session))

    def action_changes(self) -> None:
        """Show what changed since the last run."""
        book = self.session.book
        if book is None or self.session.checks_running:
            self.say("The checks must have run to an end for that.")
            return
        lines = [plain(f"Network: {line}\n") for line in book.network]
        text = plain("").join([*lines, checkwords.changes(book.since)])
        self.app.push_screen(Notice(text))

    @work
    async def action_ignore(self) -> None:
        """Ignore the cell under the cursor, with a reason; or judge it again."""
        matrix = self._panes.matrix
        result = matrix.selected if matrix else None
        if result is None:
            self.say("There is no cell under the cursor.")
        else:
            said = await ask_reason(self.app, self.session, [result], place_name(result.key))
            if said:
                self.say(*said)
                self.drain()

    def action_copy(self) -> None:
        """Copy all about the cell under the cursor."""
        if self._shown is not None:
            self.copy(result_text(self._shown), place_name(self._shown.key))

    def pressed(self, name: str) -> None:
        """Re-run, as a button."""
        self.action_rerun()

    def action_next(self) -> None:
        """Go to the problems, or past them when there are none."""
        bad = any(self.session.wrong(status) for status in (*BAD, Status.WARN))
        going = self.session.checks_running or self.session.checks is None
        self.post_message(Goto(Step.TROUBLESHOOTING if bad or going else Step.PREVIEW))
