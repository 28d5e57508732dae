"""The logs of a launch: merged or one node's, with filter, level, search, and standing still."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from screens.widgets.glyphs import glyph, known
from screens.widgets.logview import LogView
from screens.widgets.palette import COLOURS, plain
from screens.widgets.tabline import TabLine
from wizard.launch.stages import bereft
from wizard.loglevels import Level
from wizard.roomtypes import RankLike

_LEVELS = (Level.DEBUG, Level.WARNING, Level.ERROR)
_COPIED = 2000  # lines: more than a terminal takes as a clipboard, the whole is in a file
_LEVEL_WORDS = {Level.WARNING: "warnings and errors", Level.ERROR: "errors"}


class LogPanel(Vertical):
    """One view for all nodes; which lines it shows stands above it."""

    DEFAULT_CSS = """
    LogPanel { height: 1fr; }
    LogPanel #logbar { height: 1; background: $boost; }
    LogPanel TabLine { width: 1fr; }
    LogPanel #logsays { width: auto; max-width: 60%; height: 1; padding: 0 1; color: $text-muted; }
    LogPanel #find { display: none; height: 1; border: none; padding: 0 1; }
    LogPanel #find.-open { display: block; }
    LogPanel LogView { height: 1fr; }
    """

    class NodeChosen(Message):
        """Another node's log is shown, or all of them."""

    class Kept(Message):
        """The line that finds was left, and what was typed goes on to be found."""

    def __init__(self, ranks: Sequence[RankLike]) -> None:
        super().__init__()
        self.ranks = list(ranks)
        self.view = LogView([rank.log for rank in self.ranks])
        self._tabs = TabLine(self._labels())
        self._bar = Static("", id="logsays", markup=False)
        self._line = Input(placeholder="text in the lines to be shown", id="find", compact=True)
        self._least = Level.DEBUG
        self._words = ""
        self._matching_only = True
        self._told: object = None

    def compose(self) -> ComposeResult:
        """Which logs, and how they are shown; the line that finds; the lines."""
        with Horizontal(id="logbar"):
            yield self._tabs
            yield self._bar
        yield self._line
        yield self.view

    def _labels(self) -> list[Content]:
        labels = []
        for rank in self.ranks:
            state = rank.state if bereft(rank, self.ranks) is None else "running"  # as above it
            sign = f" {glyph(state)}" if known(state) else ""
            labels.append(plain(f"node {rank.rank}") + plain(sign, COLOURS.get(state, "$text")))
        # last, so that a node's digit is its place
        return labels if len(labels) == 1 else [*labels, plain("merged")]

    def on_mount(self) -> None:
        """Begin with all logs in one."""
        self._tabs.current = len(self.ranks)

    def drain(self) -> None:
        """Take up what the logs have got since."""
        if not self.is_mounted or not self.view.is_mounted:
            return
        self.view.drain([rank.clock_offset_s for rank in self.ranks])
        self._tabs.set_labels(self._labels())
        self._say()

    def _say(self) -> None:
        said = self._says()
        if said != self._told:
            self._told = said
            self._bar.update(plain(said))

    def _says(self) -> str:
        view, parts = self.view, list[str]()
        if any(rank.log_lost for rank in self.ranks):  # a full disk, which nobody would look for
            parts.append("! not kept here, w says why")
        if self._words:
            parts.append(f'"{self._words}"')
        if self._least in _LEVEL_WORDS:
            parts.append(_LEVEL_WORDS[self._least])
        if view.index.filtered:
            parts.append(f"{len(view.index)} of {view.index.total}")
        parts.append("follows" if view.follows else "stands still")
        return " · ".join(parts) if glyph("dot") == "·" else " | ".join(parts)

    # -- which lines

    @property
    def node(self) -> int | None:
        """Place of the node whose log is shown; None for all of them."""
        current = self._tabs.current
        return current if current < len(self.ranks) else None

    def show_node(self, rank: int) -> None:
        """Show one node's log."""
        places = [place for place, one in enumerate(self.ranks) if one.rank == rank]
        if places:
            self._tabs.current = places[0]

    def next_node(self) -> None:
        """Go to the next choice: node after node, then all merged."""
        count = len(self.ranks)
        if count > 1:
            self._tabs.current = (self._tabs.current + 1) % (count + 1)

    def on_tab_line_changed(self, event: TabLine.Changed) -> None:
        """Show the chosen log."""
        event.stop()
        self._select()
        self.post_message(self.NodeChosen())

    def next_level(self) -> None:
        """Show all, then warnings and errors, then errors alone."""
        self._least = _LEVELS[(_LEVELS.index(self._least) + 1) % len(_LEVELS)]
        self._select()

    def freeze(self) -> None:
        """Stand still, or follow the end again."""
        self.view.freeze()
        self._say()

    def _select(self) -> None:
        words = self._words if self._matching_only else ""
        self.view.words = self._words
        self.view.select(only=self.node, words=words, least=self._least)
        self._say()

    # -- finding

    @property
    def searching(self) -> bool:
        """Whether there are words to go on to."""
        return bool(self._words)

    @property
    def finding(self) -> bool:
        """Whether the line that finds is open."""
        return self._line.has_class("-open")

    def find(self) -> None:
        """Open the line that finds."""
        self._line.set_class(True, "-open")
        self._line.focus()

    def close_find(self, *, keep: bool) -> None:
        """Close the line; what was typed goes on to be found, or not."""
        self._line.set_class(False, "-open")
        if not keep:
            self._line.value = ""
            self._matching_only = True
            self.view.current = None
            self._set_words("")
        elif self.searching:
            self.post_message(self.Kept())
        self.view.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what matches while it is typed."""
        event.stop()
        self._set_words(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the lines."""
        event.stop()
        self.close_find(keep=True)

    def _set_words(self, words: str) -> None:
        self._words = words
        self._select()

    def go(self, by: int) -> bool:
        """Go to the next or previous line with the words; False when there is none."""
        found = self.view.go(by)
        self._say()
        return found

    def toggle_matching(self) -> bool:
        """Show only the lines that match, or all with these marked; return whether only these."""
        self._matching_only = not self._matching_only
        self._select()
        return self._matching_only

    def on_key(self, event: events.Key) -> None:
        """Down leaves the line that finds for the lines."""
        if event.key == "down" and self.finding and self.screen.focused is not self.view:
            event.stop()
            self.close_find(keep=True)

    def shown_text(self) -> str:
        """Return the last of the lines that are shown, whole, for copying."""
        index = self.view.index
        every = len(self.ranks) > 1 and self.node is None
        lines = []
        for place in range(max(0, len(index) - _COPIED), len(index)):
            entry = index.entry(place)
            head = f"node{self.ranks[entry.log].rank} | " if every else ""
            lines.append(f"{head}{index.text(entry)}\n")
        return "".join(lines)
