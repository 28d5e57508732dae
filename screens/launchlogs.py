"""The keys of the launch's screen that are about its logs."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from screens.base import StepScreen
from screens.widgets.logpanel import LogPanel


class LaunchLogs(StepScreen):
    """The part of the launch's screen that finds, filters and freezes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "node", "Log", id="launch.node"),
        Binding("slash", "find", "Find", id="launch.find", key_display="/"),
        Binding("n", "match(1)", "Next match", show=False, id="launch.match"),
        Binding("p", "match(-1)", "Previous match", show=False, id="launch.match_back"),
        Binding("m", "matching", "All or matching lines", show=False, id="launch.matching"),
        Binding("f", "level", "Level", id="launch.level"),
        Binding("z", "freeze", "Freeze", id="launch.freeze"),
        Binding("w", "where", "Where the whole log is", show=False, id="launch.where"),
        Binding("y", "copy", "Copy the lines", show=False, id="launch.copy"),
    ]
    panel: LogPanel | None = None  # the logs, once a launch is shown

    @property
    def begun(self) -> bool:
        """Whether there is something to follow."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        if action in ("node", "find", "level", "freeze", "where", "copy"):
            return self.begun
        if action in ("match", "matching"):
            return self.panel is not None and self.panel.searching
        return super().check_action(action, parameters)

    def action_node(self) -> None:
        """Go to the next node's log, after the last to all of them."""
        if self.panel is not None and self.begun:
            self.panel.next_node()
            self.panel.view.focus()

    def action_find(self) -> None:
        """Open the line that finds."""
        if self.panel is not None:
            self.panel.find()

    def action_match(self, by: int) -> None:
        """Go to the next or previous line that matches."""
        if self.panel is not None and not self.panel.go(by):
            self.say("No line holds that.", "warn")

    def action_matching(self) -> None:
        """Show only matching lines, or all with the matches marked."""
        if self.panel is not None:
            self.panel.toggle_matching()

    def action_level(self) -> None:
        """Show all lines, then warnings and errors, then errors."""
        if self.panel is not None:
            self.panel.next_level()

    def action_freeze(self) -> None:
        """Stand still, or follow the end again."""
        if self.panel is not None:
            self.panel.freeze()

    def action_where(self) -> None:
        """Say where the whole logs are."""
        launch = self.session.launch
        if launch is None:
            return
        panel = self.panel
        chosen = panel.node if panel is not None else None
        ranks = launch.ranks if chosen is None else [launch.ranks[chosen]]
        problem = next((rank.log_problem for rank in ranks if rank.log_problem), "")
        folders = {str(r.log_path.parent) for r in ranks if r.log_path is not None}
        if chosen is not None and ranks[0].log_path is not None:
            folders = {str(ranks[0].log_path)}
        if not folders:
            self.say("No log is kept here yet.", "warn")
            return
        words = f"The whole log is in {', '.join(sorted(folders))}"
        self.say(f"{words}; {problem}" if problem else words, "warn" if problem else "pass")

    def action_copy(self) -> None:
        """Copy the lines that are shown."""
        panel = self.panel
        if panel is not None:
            name = "logs" if panel.node is None else f"log of node {panel.ranks[panel.node].rank}"
            self.copy(panel.shown_text(), name)

    def on_log_panel_kept(self, event: LogPanel.Kept) -> None:
        """Say what goes on from here: the line of keys has no room for it."""
        event.stop()
        self.say("n, p: next, previous match. m: all lines, or these alone. Esc ends it.")

    def action_back(self) -> None:
        """Leave the line that finds, then what it found, then the step."""
        panel = self.panel
        if panel is not None and (panel.finding or panel.searching):
            panel.close_find(keep=False)
            self.say("")
            return
        super().action_back()
