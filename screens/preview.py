"""Step 6: exactly what will run on each node, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.highlight import highlight
from textual.widgets import Static

from screens.base import Goto, StepScreen
from screens.widgets.palette import plain
from screens.widgets.tabline import TabLine
from wizard.errors import WizardError
from wizard.session import Step

if TYPE_CHECKING:
    from wizard.scripts import NodeScripts

DIFF = "differences"


class PreviewScreen(StepScreen):
    """Two rows of tabs, nodes and files, above one text."""

    step = Step.PREVIEW
    heading = "What will run on each node"
    help_text = (
        "Left and Right change the script, o the node; Up, Down and Page keys scroll.\n"
        "container.sh makes the container, serve.sh runs inside it. The third page says where\n"
        "the scripts differ from the guide, and why. y copies the shown text, also to a file."
    )
    CSS_PATH = "preview.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "file(1)", "Next script", id="preview.next", priority=True),
        Binding(
            "left", "file(-1)", "Previous script", show=False, id="preview.prev", priority=True
        ),
        Binding("o", "node", "Other node", id="preview.node"),
        Binding("y", "copy", "Copy", id="preview.copy"),
        Binding("r", "load", "Try again", show=False, id="preview.load"),
    ]

    def body(self) -> ComposeResult:
        """Nodes, files, text."""
        self._scripts: list[NodeScripts] = []
        self._diff = ""
        yield TabLine([], id="nodes")
        yield TabLine([], id="files")
        with VerticalScroll(id="text"):
            yield Static("", markup=False)

    def on_mount(self) -> None:
        """Ask for the scripts; it may take a question to the nodes."""
        self.query_one("#nodes").display = False
        self.query_one("#files").display = False
        self.action_load()

    def action_load(self) -> None:
        """Ask for the scripts, again if need be."""
        self.run_worker(self._load(), exclusive=True, exit_on_error=False)

    def reconnected(self) -> None:
        """Ask again for what could not be asked."""
        if not self._scripts:
            self.action_load()

    async def _load(self) -> None:
        self.say("Asking the nodes for their addresses and interfaces ...")
        try:
            self._scripts = await self.session.scripts()
            self._diff = await self.session.guide_diff()
        except WizardError as error:
            self.say(f"{error} Press r to try again.", "fail")
            return
        self.say("")
        nodes, files = self.query_one("#nodes", TabLine), self.query_one("#files", TabLine)
        hosts = [node.host for node in self.session.preset().nodes]
        nodes.set_labels([plain(f"node {s.rank} {hosts[s.rank]}") for s in self._scripts])
        nodes.display = len(self._scripts) > 1
        files.set_labels([plain(name) for name in self._files])
        files.display = True
        self._show()
        self.query_one("#text").focus()

    # -- what is shown

    @property
    def _files(self) -> list[str]:
        return [*self._scripts[0].files, DIFF] if self._scripts else []

    def _shown(self) -> tuple[str, str]:
        """Name and text of the page that the tabs point at."""
        name = self._files[self.query_one("#files", TabLine).current]
        if name == DIFF:
            return name, self._diff or "Nothing differs from the guide.\n"
        node = self.query_one("#nodes", TabLine).current
        return f"node{node}-{name}", self._scripts[node].files[name]

    def _show(self) -> None:
        if not self._scripts:
            return
        name, text = self._shown()
        language = "diff" if name == DIFF else "bash"
        self.query_one("#text Static", Static).update(highlight(text, language=language))
        self.query_one("#text").scroll_home(animate=False)

    def on_tab_line_changed(self, event: TabLine.Changed) -> None:
        """Show another page."""
        event.stop()
        self._show()

    # -- keys

    def action_file(self, by: int) -> None:
        """Show the next script, and from the last one the first of the next node."""
        if self.focused is not None and self.focused.parent is self.query_one("#buttons"):
            self.focus_next() if by > 0 else self.focus_previous()
            return
        files = self.query_one("#files", TabLine)
        if self._files:
            files.current = (files.current + by) % len(self._files)

    def action_node(self) -> None:
        """Show the same script of the next node."""
        if self._scripts:
            nodes = self.query_one("#nodes", TabLine)
            nodes.current = (nodes.current + 1) % len(self._scripts)

    def action_copy(self) -> None:
        """Copy the page."""
        if self._scripts:
            name, text = self._shown()
            self.copy(text, name)

    def action_back(self) -> None:
        """Go to the problems, or past them when there are none."""
        self.post_message(Goto(Step.TROUBLESHOOTING if self.session.findings() else Step.CHECKS))

    def may_leave(self) -> bool:
        """Nothing is launched that could not be shown."""
        if not self._scripts:
            self.say("The scripts are not there yet. Press r to try again.", "fail")
        return bool(self._scripts)
