"""Step 6: exactly what will run on each node, before anything runs; and where to change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, TextArea

from screens.base import Goto, StepScreen
from screens.comparison import ComparisonPage
from screens.parameterform import ParameterForm
from screens.saving import save_as_preset
from screens.scripteditor import ScriptEditor
from screens.scriptremarks import first_change, remark_lines, signs
from screens.widgets.dialog import Answer, Confirm
from screens.widgets.diffview import DiffView
from screens.widgets.glyphs import glyph
from screens.widgets.palette import plain
from screens.widgets.remarklist import RemarkList
from screens.widgets.scriptarea import ScriptArea
from screens.widgets.tabline import TabLine
from wizard.errors import WizardError
from wizard.parameters import parameter_of
from wizard.patchkeys import SCRIPTS, key
from wizard.review import Problem
from wizard.session import Step

PARAMETERS, DIFFERENCES = "parameters", "differences"
PAGES = (*SCRIPTS, PARAMETERS, DIFFERENCES)


class PreviewScreen(StepScreen):
    """Two rows of tabs, nodes and pages, above one page."""

    step = Step.PREVIEW
    heading = "What will run on each node"
    help_text = (
        "Left and Right (F2 and F3 while you type) change the page, o the node. container.sh\n"
        "makes the container, serve.sh runs inside it; e edits the text, d drops your edits.\n"
        "Parameters are fields (Down goes into them): an empty one has the recipe's value.\n"
        "Differences compare the scripts with the guide, the saved preset, node 0 or the last\n"
        "launch (c); n and p go from change to change. Remarks stand under a script: Tab goes\n"
        "there, Enter to the line. Errors block the launch, warnings do not. y copies the page."
    )
    CSS_PATH = "preview.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "page(1)", "Next page", show=False, id="preview.right", priority=True),
        Binding("left", "page(-1)", "Page", show=False, id="preview.left", priority=True),
        Binding("f3", "turn(1)", "Page", id="preview.next"),
        Binding("f2", "turn(-1)", "Previous page", show=False, id="preview.previous"),
        Binding("down,enter", "enter", "To the fields", show=False, id="preview.enter"),
        Binding("o", "node", "Node", id="preview.node"),
        Binding("e", "edit", "Edit", id="preview.edit"),
        Binding("d", "drop", "Drop my edits", show=False, id="preview.drop"),
        Binding("c", "compare", "Compare with", id="preview.compare"),
        Binding("y", "copy", "Copy", show=False, id="preview.copy"),
        Binding("r", "load", "Try again", show=False, id="preview.load"),
        Binding("ctrl+s", "save", "Save as preset", id="preview.save", key_display="^s"),
    ]

    def body(self) -> ComposeResult:
        """Nodes, pages, and the four things that a page may be."""
        self._review = self.session.review
        self._seen: tuple[object, ...] = ()
        yield TabLine([], id="nodes")
        yield TabLine([plain(name) for name in PAGES], id="pages")
        with Horizontal(id="page"):
            yield ParameterForm(self._review, id="form")
            with Vertical(id="script"):
                yield ScriptArea(read_only=True, id="text")
                yield RemarkList(id="remarks")
            yield ComparisonPage(self._review, id="comparison")

    def buttons(self) -> ComposeResult:
        """What e and Ctrl+S do, for people who look for buttons."""
        yield Button("Edit", id="edit", compact=True)
        yield Button("Save as preset", id="save", compact=True)

    def on_mount(self) -> None:
        """Ask for the scripts; it may take a question to the nodes."""
        self._arrange()
        self.action_load()
        self.query_one("#text").focus()

    def action_load(self) -> None:
        """Ask for the scripts, again if need be."""
        self._review.ask()
        if self._page == DIFFERENCES:
            self.query_one(ComparisonPage).again()
        if not self._review.scripts:
            self.say("Asking the nodes for their addresses and interfaces ...")

    def reconnected(self) -> None:
        """Ask again for what could not be asked."""
        if not self._review.scripts:
            self.action_load()

    # -- what is shown

    @property
    def _page(self) -> str:
        return PAGES[self.query_one("#pages", TabLine).current]

    @property
    def _rank(self) -> int:
        return self.query_one("#nodes", TabLine).current

    @property
    def _file(self) -> str:
        """The script that is shown, or that stands beside the form."""
        return self._page if self._page in SCRIPTS else SCRIPTS[-1]

    @property
    def _key(self) -> str:
        return key(self._rank, self._file)

    def drain(self) -> None:
        """Show what became of the answers."""
        comparison = self._review.comparison
        now = (self._review.revision, self._rank, self._page, comparison.against, self.size)
        if now == self._seen or not self.is_mounted:
            return
        self._seen = now
        self._show_tabs()
        self._arrange()
        self.query_one(ParameterForm).drain()
        self._show_script()
        if self._page == DIFFERENCES:
            self._review.look_at_comparison()
            self.query_one(ComparisonPage).show(self._rank)
        self._show_message()

    def _arrange(self) -> None:
        page, wide = self._page, self.size.width >= 120
        form = self.query_one(ParameterForm)
        form.display = page == PARAMETERS
        if form.display:
            form.fill()
        self.query_one("#script").display = page in SCRIPTS or (page == PARAMETERS and wide)
        self.query_one("#comparison").display = page == DIFFERENCES

    def _show_tabs(self) -> None:
        review, nodes = self._review, self.query_one("#nodes", TabLine)
        ranks = sorted({script.rank for script in review.scripts})
        hosts = [node.host for node in review.preset.nodes] if review.preset else []
        nodes.set_labels([plain(f"node {r} {hosts[r]}") for r in ranks])
        nodes.display = len(ranks) > 1
        labels = []
        for name in PAGES:
            label = plain(name)
            if name in SCRIPTS and review.is_edited(key(self._rank, name)):
                label += plain(" *edited", "$text-accent")
            if name == PARAMETERS:
                label += signs(["fail"] * len(review.problems))
            elif name in SCRIPTS:
                found = remark_lines(review, key(self._rank, name))
                label += signs([line.status for line in found])
            labels.append(label)
        self.query_one("#pages", TabLine).set_labels(labels)

    def _show_script(self) -> None:
        review, area = self._review, self.query_one("#text", ScriptArea)
        if not any(script.key == self._key for script in review.scripts):
            return
        script, lines = review.script(self._key), remark_lines(review, self._key)
        if area.text != script.text:
            row = area.cursor_location[0]
            if self._page == PARAMETERS:  # beside the form, show what the answer changed
                row = first_change(area.text, script.text, row)
            area.load_text(script.text)
            area.show_line(row + 1)
        words = {"fail": "error", "warn": "warning"}
        area.mark(
            {line.number - 1: words[line.status] for line in reversed(lines) if line.number},
            script.lines,
        )
        self.query_one(RemarkList).show(lines)

    def _show_message(self) -> None:
        review = self._review
        problem = review.problem()
        if self._page == DIFFERENCES:
            self.say(*self.query_one(ComparisonPage).sentence)
        elif review.error and not review.problems:
            self.say(f"{review.error} Press r to try again.", "fail")
        elif problem is not None and (review.checked or review.problems):
            self.say(f"{glyph('fail')} This blocks the launch: {problem.text}", "fail")
        elif not review.checked:
            self.say("Checking the scripts ..." if review.scripts else "")
        else:
            count = len(review.remarks)
            warned = (
                f" {count} warning{'s' if count > 1 else ''}, see the scripts." if count else ""
            )
            self.say(f"{glyph('pass')} Nothing blocks the launch.{warned}", "pass")

    def on_diff_view_moved(self, event: DiffView.Moved) -> None:
        """Say which change is current."""
        event.stop()
        self.say(f"Change {event.number} of {event.total}; n goes on, p back.")

    def on_tab_line_changed(self, event: TabLine.Changed) -> None:
        """Show another page, node or comparison."""
        event.stop()
        self.drain()
        self.refresh_bindings()
        if event.tabs.id == "pages" and self._page != PARAMETERS and not event.tabs.has_focus:
            self._focus_page()

    def _focus_page(self) -> None:
        form = self.query_one(ParameterForm)
        if self._page == PARAMETERS:
            if not form.has_focus_within:
                form.focus_on()
        else:
            self.query_one("#diff" if self._page == DIFFERENCES else "#text").focus()

    def on_parameter_form_left(self, event: ParameterForm.Left) -> None:
        """From the first field up to the pages."""
        event.stop()
        self.query_one("#pages").focus()

    def on_remark_list_chosen(self, event: RemarkList.Chosen) -> None:
        """Go to the line."""
        event.stop()
        area = self.query_one("#text", ScriptArea)
        if event.number:
            area.show_line(event.number)
        area.focus()

    # -- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Left and right belong to a field while one is typed in; offer what the page has."""
        if action == "page":
            typing = isinstance(self.focused, (Input, Button)) or (
                isinstance(self.focused, TextArea) and not self.focused.read_only
            )
            tabs = isinstance(self.focused, TabLine) and self.focused.id != "pages"
            return not (typing or tabs)
        if action == "enter":
            return self._page == PARAMETERS and self.focused is self.query_one("#pages")
        if action in ("edit", "drop"):
            return self._page in SCRIPTS
        if action == "compare":
            return self._page == DIFFERENCES
        return super().check_action(action, parameters)

    def action_page(self, by: int) -> None:
        """Show a neighbouring page."""
        pages = self.query_one("#pages", TabLine)
        pages.current = (pages.current + by) % len(PAGES)

        if self._page == PARAMETERS:  # not into a field: the next key may be an arrow, or a letter
            pages.focus()

    def action_turn(self, by: int) -> None:
        """Show a neighbouring page and go there, also out of a field."""
        pages = self.query_one("#pages", TabLine)
        pages.current = (pages.current + by) % len(PAGES)
        self.drain()
        self._focus_page()

    def action_enter(self) -> None:
        """From the pages down to the first field."""
        self._focus_page()

    def action_node(self) -> None:
        """Show the same page of the next node."""
        nodes = self.query_one("#nodes", TabLine)
        if nodes.display:
            nodes.current = (nodes.current + 1) % len(self._review.preset.nodes)  # type: ignore[union-attr]

    def action_compare(self) -> None:
        """Compare with the next thing."""
        self.query_one(ComparisonPage).turn()

    def action_edit(self) -> None:
        """Edit the shown script at the line that is shown."""
        if self._page in SCRIPTS and self._review.scripts:
            line = self.query_one("#text", ScriptArea).cursor_location[0] + 1
            self.app.push_screen(ScriptEditor(self._review, self._key, line))

    def action_drop(self) -> None:
        """Ask, then drop the edits of the shown script."""
        if self._review.is_edited(self._key):
            self.run_worker(self._drop(self._key), exclusive=True, exit_on_error=False)
        else:
            self.say(f"{self._key} has no edits of yours.")

    async def _drop(self, script: str) -> None:
        question = f"Drop all your edits of {script} and go back to the generated script?"
        answers: tuple[Answer, ...] = (
            ("cancel", "Cancel", "default"),
            ("drop", "Drop my edits", "error"),
        )
        if await self.app.push_screen_wait(Confirm(question, answers)) == "drop":
            self._review.drop(script)

    def action_copy(self) -> None:
        """Copy the page."""
        if self._page == DIFFERENCES:
            name, text = self.query_one(ComparisonPage).text
            self.copy(text, name)
        elif self._review.scripts:
            self.copy(self._review.script(self._key).text, self._key)

    def action_save(self) -> None:
        """Ask for a name, then save the answers as a preset."""
        self.run_worker(self._save(), exclusive=True, exit_on_error=False)

    async def _save(self) -> None:
        try:
            if await save_as_preset(self.app, self.session):
                self._review.ask()
        except WizardError as error:
            self.failed(error)

    def pressed(self, name: str) -> None:
        """Edit and Save, as buttons."""
        if name == "save":
            self.action_save()
        elif self._page in SCRIPTS:
            self.action_edit()
        else:
            self.say("Choose a script first: container.sh or serve.sh.", "warn")

    def action_back(self) -> None:
        """Go to the problems, or past them when there are none."""
        if self.back_to is not None:
            super().action_back()
            return
        self.post_message(Goto(Step.TROUBLESHOOTING if self.session.findings() else Step.CHECKS))

    def may_leave(self) -> bool:
        """Nothing is launched that could not be shown, or that is known to be wrong."""
        review = self._review
        if review.busy or not review.checked:
            if problem := review.problem():
                self._go_to(problem)
            else:
                self.say("The scripts are still being checked. Try again in a moment.", "warn")
            return False
        problem = review.problem()
        if problem is not None:
            self._go_to(problem)
        return problem is None

    def lead(self, place: Mapping[str, Any]) -> None:
        """Go to the field of a key of the preset."""
        parameter = parameter_of(str(place.get("field", "")))
        if parameter is not None:
            self.query_one("#pages", TabLine).current = PAGES.index(PARAMETERS)
            self.drain()
            self.query_one(ParameterForm).focus_on(parameter)

    def _go_to(self, problem: Problem) -> None:
        """Show what blocks the launch, where it stands."""
        pages, nodes = self.query_one("#pages", TabLine), self.query_one("#nodes", TabLine)
        if problem.parameter is not None:
            pages.current = PAGES.index(PARAMETERS)
            self.drain()
            self.query_one(ParameterForm).focus_on(problem.parameter)
        elif problem.script:
            script = self._review.script(problem.script)
            nodes.current, pages.current = script.rank, PAGES.index(script.name)
            self.drain()
            area = self.query_one("#text", ScriptArea)
            area.show_line(problem.line or 1)
            area.focus()
        again = "" if problem.parameter or problem.script else " Press r to try again."
        self.say(f"{glyph('fail')} This blocks the launch: {problem.text}{again}", "fail")
