"""Step 3: the nodes, one line each, node 0 first; details of the current one beside or below."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from screens.base import StepScreen
from wizard.draft import DraftNode
from wizard.session import Step

# field of the draft, label, what an empty field means
DETAILS = (
    ("identity_file", "Identity file", "your SSH agent and ~/.ssh/config"),
    ("jump", "Jump host", "none: reached directly, or as ~/.ssh/config says"),
    ("known_hosts", "Known hosts", "~/.ssh/known_hosts"),
    ("local_ip", "Local IP", "asked from the node before the preview"),
    ("nic", "Interface", "asked from the node before the preview"),
)


class NodeLine(Vertical):
    """One node: its rank, its address, and under it what is wrong with it."""

    def __init__(self, rank: int, node: DraftNode, problem: str) -> None:
        super().__init__(id=f"node{rank}")
        self.rank, self._node, self._problem = rank, node, problem

    def compose(self) -> ComposeResult:
        """Rank, address; the problem below takes no line when there is none."""
        with Horizontal():
            role = "head" if self.rank == 0 else ""
            yield Static(f"{self.rank:>2} {role:<5}", classes="rank", markup=False)
            yield Input(self._node.address, placeholder="user@host:port", compact=True)
        error = Static(self._problem, classes="error", markup=False)
        error.display = bool(self._problem)
        yield error

    def show_problem(self, problem: str) -> None:
        """Write or clear the problem."""
        error = self.query_one(".error", Static)
        error.update(problem)
        error.display = bool(problem)


class NodesScreen(StepScreen):
    """An editable list. Every keystroke is in the session at once, so no answer can be lost."""

    step = Step.NODES
    heading = "Which nodes?"
    help_text = (
        "One node per line: host, user@host or user@host:port; a host may be an alias of\n"
        "~/.ssh/config. Node 0 is the head: it serves the API. Up, down and Enter move between\n"
        "lines; Tab goes to the details of the current node and to the buttons.\n"
        "Host keys are verified: connect once by ssh, or name a known_hosts file."
    )
    CSS_PATH = "nodes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f6", "add", "Add", id="nodes.add"),
        Binding("f8", "remove", "Remove", id="nodes.remove"),
        Binding("ctrl+up,f4", "move(-1)", "Up", id="nodes.up", key_display="F4"),
        Binding("ctrl+down,f5", "move(1)", "Down", id="nodes.down", key_display="F5"),
    ]

    def body(self) -> ComposeResult:
        """The list, and the details of its current line."""
        self._current = 0
        self._shown_problems: dict[int | None, str] = {}
        yield Static(id="need", markup=False)
        with Container(id="both"):
            yield VerticalScroll(id="list", can_focus=False)
            with VerticalScroll(id="details", can_focus=False):
                yield Static("Details", id="whose", markup=False)
                for name, label, empty in DETAILS:
                    with Horizontal():
                        yield Static(label, classes="label", markup=False)
                        yield Input(placeholder=empty, id=name, compact=True)

    def buttons(self) -> ComposeResult:
        """What F4 to F8 do, for people who look for buttons."""
        yield Button("Add", id="add", compact=True)
        yield Button("Remove", id="remove", compact=True)

    async def on_mount(self) -> None:
        """Show the answers so far."""
        if not self.session.draft.nodes:
            self.session.set_nodes([DraftNode()])
        await self._rebuild(0)

    # -- what is shown

    @property
    def _drafts(self) -> list[DraftNode]:
        return self.session.draft.nodes

    async def _rebuild(self, current: int) -> None:
        self._current = max(0, min(current, len(self._drafts) - 1))
        lines = self.query_one("#list")
        await lines.remove_children()
        problems = self._shown_problems
        await lines.mount_all(
            NodeLine(rank, node, problems.get(rank, "")) for rank, node in enumerate(self._drafts)
        )
        self._show_need()
        if self._drafts:
            self._focus_line(self._current)
            self._show_details()

    def _show_need(self) -> None:
        session, have = self.session, len(self._drafts)
        needed = session.nodes_needed()
        named = sum(1 for node in self._drafts if node.address.strip())
        text = f"{named} named"
        if needed is not None and session.draft.precision is not None:
            hardware = f"{session.draft.precision.label} on {session.draft.series}"
            plural = "node" if needed == 1 else "nodes"
            text = f"{hardware} needs {needed} {plural}; {named} named"
            if have > needed:
                text += f", the list has {have - needed} too many"
        self.query_one("#need", Static).update(text)

    def _focus_line(self, rank: int) -> None:
        self.query_one(f"#node{rank} Input", Input).focus()

    def _show_details(self) -> None:
        if self._current >= len(self._drafts):
            return
        node = self._drafts[self._current]
        with self.prevent(Input.Changed):
            for name, _, _ in DETAILS:
                self.query_one(f"#{name}", Input).value = getattr(node, name)
        whose = f"Details of node {self._current} (all may stay empty)"
        self.query_one("#whose", Static).update(whose)

    # -- what is typed

    def on_input_changed(self, event: Input.Changed) -> None:
        """Put every keystroke into the session."""
        event.stop()
        line = _line_of(event.input)
        rank = self._current if line is None else line.rank
        if rank >= len(self._drafts):
            return
        field = (event.input.id or "") if line is None else "address"
        if getattr(self._drafts[rank], field) == event.value:
            return
        nodes = [DraftNode(**vars(node)) for node in self._drafts]
        setattr(nodes[rank], field, event.value)
        self.session.set_nodes(nodes)
        self._show_need()
        if rank in self._shown_problems:
            self._show_problems()  # once a problem was named, it goes as soon as it is mended

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show the details of the line that has the focus."""
        line = _line_of(event.widget)
        if line is not None and line.rank != self._current:
            self._current = line.rank
            self._show_details()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes to the next line, and from the last one to the next step."""
        event.stop()
        line = _line_of(event.input)
        if line is None:
            self.focus_next()
        elif line.rank + 1 < len(self._drafts):
            self._focus_line(line.rank + 1)
        else:
            self.action_next()

    def on_key(self, event: events.Key) -> None:
        """Up and down move between lines of the list."""
        line = _line_of(self.focused) if self.focused is not None else None
        if line is not None and event.key in ("up", "down"):
            event.stop()
            rank = line.rank + (1 if event.key == "down" else -1)
            if 0 <= rank < len(self._drafts):
                self._focus_line(rank)
        else:
            super().on_key(event)

    # -- what is done to the list

    async def action_add(self) -> None:
        """Add a node after the current one, with the same user, port, key and jump host."""
        nodes = list(self._drafts)
        like = nodes[self._current] if nodes else DraftNode()
        new = DraftNode(
            identity_file=like.identity_file, jump=like.jump, known_hosts=like.known_hosts
        )
        nodes.insert(self._current + 1, new)
        await self._set(nodes, self._current + 1)

    async def action_remove(self) -> None:
        """Take the current node off the list."""
        nodes = list(self._drafts)
        if len(nodes) > 1:
            gone = nodes.pop(self._current)
            await self._set(nodes, self._current)
            if gone.address:
                self.say(f"Removed {gone.address} from the list.")

    async def action_move(self, by: int) -> None:
        """Move the current node up or down; the first of the list is node 0."""
        nodes, here, there = list(self._drafts), self._current, self._current + by
        if 0 <= there < len(nodes):
            nodes[here], nodes[there] = nodes[there], nodes[here]
            await self._set(nodes, there)

    async def _set(self, nodes: list[DraftNode], current: int) -> None:
        self.session.set_nodes(nodes)
        self._shown_problems = {}
        self.say("")
        await self._rebuild(current)

    def pressed(self, name: str) -> None:
        """Add and Remove as buttons."""
        self.run_worker(self.action_add() if name == "add" else self.action_remove())

    # -- on to the next step

    def _show_problems(self) -> dict[int | None, str]:
        problems = self._shown_problems = self.session.node_problems()
        for line in self.query(NodeLine):
            line.show_problem(problems.get(line.rank, ""))
        self.say(problems.get(None, ""), "fail")
        return problems

    def may_leave(self) -> bool:
        """Go to the first problem, if there is one, and say under the field what to do."""
        problems = self._show_problems()
        ranks = [rank for rank in problems if rank is not None]
        if ranks:
            self._focus_line(min(ranks))
        if problems:
            return False
        try:
            self.session.preset()
        except Exception as error:  # a preset's own rules, each with its key
            self.say(str(error), "fail")
            return False
        return True


def _line_of(widget: Widget) -> NodeLine | None:
    return next((w for w in widget.ancestors_with_self if isinstance(w, NodeLine)), None)
