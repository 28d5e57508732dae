"""Step 3: the nodes, one line each, node 0 first; what they say, and what disagrees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Static

from screens.nodeasking import NodeAsking
from screens.nodefacts import Row, details, odd_of, remarks, table
from screens.nodesources import NodeSources
from screens.widgets.nodeline import AddressInput, NodeLine, line_of
from screens.widgets.palette import plain
from wizard.cluster import Precision
from wizard.discovery.disagreement import Disagreement
from wizard.draft import DraftNode, node_key
from wizard.errors import WizardError
from wizard.nodeentry import fill
from wizard.nodelist import is_many, parse_nodes
from wizard.session import Step

# field of the draft, label, what an empty field means
DETAILS = (
    ("identity_file", "Identity file", "your SSH agent and ~/.ssh/config"),
    ("jump", "Jump host", "none: reached directly, or as ~/.ssh/config says"),
    ("known_hosts", "Known hosts", "~/.ssh/known_hosts"),
    ("local_ip", "Local IP", "asked from the node"),
    ("nic", "Interface", "asked from the node"),
)
_RANK, _LEAST_INPUT = 10, 26  # cells
_NARROW_ROOM = 22


class NodesScreen(NodeAsking, NodeSources):
    """An editable list. Every keystroke is in the session at once, so no answer can be lost."""

    step = Step.NODES
    heading = "Which nodes?"
    help_text = (
        "One node per line: host, user@host or user@host:port; a host may be an alias of\n"
        "~/.ssh/config. node[01-04] and Enter, or a pasted list, become as many lines; F3 edits\n"
        "the list as text, F2 picks from ~/.ssh/config, Ctrl+O loads a file. Node 0 is the head:\n"
        "it serves the API. Next connects to all nodes and asks what they are (F7 does it at any\n"
        "time); Ctrl+R asks those again that did not answer. Local IP and interface are found by\n"
        "the nodes themselves; what you type there wins. Up, down and Enter move between lines;\n"
        "Tab goes to the details of the current node and to the buttons."
    )
    CSS_PATH = "nodes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f6", "add", "Add", show=False, id="nodes.add"),
        Binding("f8", "remove", "Remove", show=False, id="nodes.remove"),
        Binding("ctrl+up,f4", "move(-1)", "Up", show=False, id="nodes.up", key_display="F4"),
        Binding("ctrl+down,f5", "move(1)", "Down", show=False, id="nodes.down", key_display="F5"),
    ]

    def body(self) -> ComposeResult:
        """What disagrees, the list, and the details of its current line."""
        self._current = 0
        self._shown_problems: dict[int | None, str] = {}
        self._seen: object = None
        yield Static(id="need", markup=False)
        with VerticalScroll(id="remarks"):
            yield Static(id="remark", markup=False)
        yield Static(id="titles", markup=False)
        yield VerticalScroll(id="list", can_focus=False)
        with Vertical(id="details"):
            yield Static("Details", id="whose", markup=False)
            with Container(id="about"):
                yield Static(id="facts", markup=False)
                with Vertical(id="fields"):
                    for name, label, empty in DETAILS:
                        with Horizontal():
                            yield Static(label, classes="label", markup=False)
                            yield Input(placeholder=empty, id=name, compact=True)

    def buttons(self) -> ComposeResult:
        """What F6 and F8 do, for people who look for buttons."""
        yield Button("Add", id="add", compact=True)
        yield Button("Remove", id="remove", compact=True)

    async def on_mount(self) -> None:
        """Show the answers so far."""
        if not self.session.draft.nodes:
            self.session.set_nodes([DraftNode()])
        self._asked = self.session.discovering.running
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
        if self._drafts:
            self.focus_line(self._current)
        self.show_all()

    def show_all(self) -> None:
        """Write everything but the addresses themselves."""
        discovering = self.session.discovering
        self._seen = discovering.revision
        items, owns = discovering.disagreements(), discovering.owns
        rows = [
            Row(discovering.answer(node), owns.get(rank), odd_of(rank, items))
            for rank, node in enumerate(self._drafts)
        ]
        self._show_need(items)
        self._show_remarks(items)
        self._show_table(rows)
        self._show_details(rows)

    def _show_need(self, items: list[Disagreement]) -> None:
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
        known = len(session.discovering.facts)
        if session.discovering.running:
            text += f"; asking: {known} of {have} answered"
        elif known or session.discovering.failed:
            away = len(session.discovering.failed)
            text += f", {known} answered" + (f", {away} did not" if away else "")
            blocks = sum(1 for item in items if item.severity == "blocks")
            words = [f"{blocks} block" + ("s" if blocks == 1 else "")] if blocks else []
            words += [f"{len(items) - blocks} to mind"] if len(items) > blocks else []
            text += f": {', '.join(words)}" if words else ""
            text += " (Shift+Tab scrolls)" if len(items) > 2 and not self.has_class("-wide") else ""
        self.query_one("#need", Static).update(text)

    def _show_remarks(self, items: list[Disagreement]) -> None:
        self.query_one("#remark", Static).update(remarks(items))
        self.query_one("#remarks").display = bool(items)

    def _show_table(self, rows: list[Row]) -> None:
        wide = self.has_class("-wide")
        room = self.size.width - _RANK - _LEAST_INPUT - 4 if wide else _NARROW_ROOM
        shown = table(rows, self.session.draft.precision or Precision.BF16, room)
        for line, cells in zip(self.query(NodeLine), shown.cells, strict=False):
            line.show_cells(cells)
        titles = self.query_one("#titles", Static)
        titles.display = wide and bool(shown.heading.plain.strip())
        titles.update(plain(" " * max(0, self.size.width - 1 - shown.width)) + shown.heading)

    def focus_line(self, rank: int) -> None:
        """Go to the line of a node."""
        self.query_one(f"#node{rank} Input", Input).focus()

    def lead(self, place: Mapping[str, Any]) -> None:
        """Go to a field of a node."""
        found = node_key(str(place.get("field", "")))
        rank, name = found or (int(place.get("node", 0)), "")
        if rank >= len(self._drafts):
            return
        self.focus_line(rank)
        if any(name == field for field, _, _ in DETAILS):
            self._current = rank
            self._show_details()
            self.query_one(f"#{name}", Input).focus()

    def _show_details(self, rows: list[Row] | None = None) -> None:
        if self._current >= len(self._drafts):
            return
        node, rank = self._drafts[self._current], self._current
        discovering = self.session.discovering
        row = rows[rank] if rows else Row(discovering.answer(node), discovering.owns.get(rank), {})
        with self.prevent(Input.Changed):
            for name, _, empty in DETAILS:
                field = self.query_one(f"#{name}", Input)
                if field.value != getattr(node, name):
                    field.value = getattr(node, name)
                found = dict(zip(("local_ip", "nic"), node.found, strict=True)).get(name)
                field.placeholder = f"{found} (as the node says)" if found else empty
        facts = self.query_one("#facts", Static)
        text = details(row, self.session.draft.precision or Precision.BF16)
        facts.update(text)
        facts.display = bool(text.plain)
        whose = f"Details of node {self._current} (all may stay empty)"
        self.query_one("#whose", Static).update(whose)

    # -- what is typed

    def on_input_changed(self, event: Input.Changed) -> None:
        """Put every keystroke into the session."""
        event.stop()
        line = line_of(event.input)
        rank = self._current if line is None else line.rank
        if rank >= len(self._drafts):
            return
        field = (event.input.id or "") if line is None else "address"
        if getattr(self._drafts[rank], field) == event.value:
            return
        nodes = [DraftNode(**vars(node)) for node in self._drafts]
        setattr(nodes[rank], field, event.value)
        self.session.set_nodes(nodes)
        self._leaving = False  # who types on does not want to be taken to the next step
        self.show_all()
        if rank in self._shown_problems:
            self._show_problems()  # once a problem was named, it goes as soon as it is mended

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show the details of the line that has the focus."""
        line = line_of(event.widget)
        if line is not None and line.rank != self._current:
            self._current = line.rank
            self._show_details()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes to the next line, and from the last one to the next step."""
        event.stop()
        line = line_of(event.input)
        if line is None:
            self.focus_next()
        elif is_many(event.value):
            await self.put_in(line.rank, event.value)
        elif line.rank + 1 < len(self._drafts):
            self.focus_line(line.rank + 1)
        else:
            self.action_next()

    async def on_address_input_pasted(self, event: AddressInput.Pasted) -> None:
        """A pasted list becomes lines; one with a mistake is shown as text, to be mended."""
        event.stop()
        line = line_of(event.field)
        if line is not None:
            await self.put_in(line.rank, event.text)

    async def put_in(self, rank: int, text: str) -> None:
        """Put the nodes of a text in place of a line, if it can be read."""
        found = parse_nodes(text)
        if found.problems and ("\n" in text or found.nodes):
            self.edit_as_text([*self._drafts[:rank], *self._drafts[rank + 1 :]], text)
        elif found.problems:
            self._shown_problems[rank] = found.problems[0].text.capitalize()
            self.query_one(f"#node{rank}", NodeLine).show_problem(self._shown_problems[rank])
        else:
            await self.set_list(*fill(self._drafts, rank, found.nodes))

    def on_key(self, event: events.Key) -> None:
        """Up and down move between lines of the list."""
        line = line_of(self.focused)
        if line is not None and event.key in ("up", "down"):
            event.stop()
            rank = line.rank + (1 if event.key == "down" else -1)
            if 0 <= rank < len(self._drafts):
                self.focus_line(rank)
        else:
            super().on_key(event)

    # -- what is done to the list

    async def action_add(self) -> None:
        """Add a node after the current one, with the same key and jump host."""
        nodes = list(self._drafts)
        like = nodes[self._current] if nodes else DraftNode()
        new = DraftNode(
            identity_file=like.identity_file, jump=like.jump, known_hosts=like.known_hosts
        )
        nodes.insert(self._current + 1, new)
        await self.set_list(nodes, self._current + 1)

    async def action_remove(self) -> None:
        """Take the current node off the list."""
        nodes = list(self._drafts)
        if len(nodes) > 1:
            gone = nodes.pop(self._current)
            await self.set_list(nodes, self._current)
            if gone.address:
                self.say(f"Removed {gone.address} from the list.")

    async def action_move(self, by: int) -> None:
        """Move the current node up or down; the first of the list is node 0."""
        nodes, here, there = list(self._drafts), self._current, self._current + by
        if 0 <= there < len(nodes):
            nodes[here], nodes[there] = nodes[there], nodes[here]
            await self.set_list(nodes, there)

    async def set_list(self, nodes: list[DraftNode], current: int) -> None:
        """Show another list, with the focus on one of its lines."""
        self.session.set_nodes(nodes)
        self._shown_problems, self._leaving = {}, False
        self.say("")
        await self._rebuild(current)

    def pressed(self, name: str) -> None:
        """Add and Remove as buttons."""
        self.run_worker(self.action_add() if name == "add" else self.action_remove())

    # -- on to the next step

    def _show_problems(self) -> dict[int | None, str]:
        problems = self._shown_problems = self.session.node_problems()
        failed = self.session.discovering.failed
        for line in self.query(NodeLine):
            line.show_problem(problems.get(line.rank) or failed.get(line.rank, ""))
        self.say(problems.get(None, ""), "fail")
        return problems

    def may_leave(self) -> bool:
        """Go to the first problem, if there is one, and say under the field what to do."""
        many = [rank for rank, node in enumerate(self._drafts) if is_many(node.address)]
        if many:
            self.run_worker(self.put_in(many[0], self._drafts[many[0]].address))
            return False  # they are shown as lines first, to be looked at
        problems = self._show_problems()
        ranks = [rank for rank in problems if rank is not None]
        if ranks:
            self.focus_line(min(ranks))
        if problems:
            return False
        try:
            self.session.preset()
        except WizardError as error:  # a preset's own rules, each with its key
            self.failed(error)
            return False
        return True

    def show_failures(self) -> None:
        """Write under each line what is wrong with it, or why its node did not answer."""
        failed = self.session.discovering.failed
        for line in self.query(NodeLine):
            line.show_problem(self._shown_problems.get(line.rank) or failed.get(line.rank, ""))
