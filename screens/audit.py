"""What was run on my nodes: the audit log's end, over whatever step is shown."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input, Static

from screens.copying import copy_text
from screens.widgets.auditlist import AuditList
from screens.widgets.dialog import Notice
from screens.widgets.keyline import KeyLine
from screens.widgets.palette import MUTED, plain
from wizard.audittrail import Record, Trail, Wanted
from wizard.remote.text import clean

_KEPT = 20_000  # records in memory; `v32-wizard audit` prints all there are
_INTERVAL_S = 0.5


class AuditScreen(Screen[None]):
    """Reads the log off the loop, and goes on reading while it is shown.

    Args:
        path: of the log.
        problem: why the log could not be written, or "".
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f9", "close", "Back", id="audit.close"),
        Binding("slash", "filter", "Filter", id="audit.filter", key_display="/"),
        Binding("o", "node", "Node", id="audit.node"),
        Binding("f", "failed", "Failed only", id="audit.failed"),
        Binding("y", "copy", "Copy", id="audit.copy"),
    ]
    CSS_PATH = "audit.tcss"

    def __init__(self, path: Path, problem: Callable[[], str]) -> None:
        super().__init__()
        self._trail = Trail(path, everything=False)
        self._problem = problem
        self._records: deque[Record] = deque(maxlen=_KEPT)
        self._shown: list[Record] = []
        self._place: tuple[int, str] | None = None  # rank and host of the only node shown
        self._failed = False
        self._read = False
        self._error = ""

    def compose(self) -> ComposeResult:
        """Title, filter, list, what happened, keys."""
        yield Static("What was run on the nodes", id="heading", markup=False)
        yield Input(
            placeholder="part of a command, user@host or outcome", id="filter", compact=True
        )
        yield Static("", id="which", markup=False)
        yield AuditList(id="records")
        yield Static("", id="problem", markup=False)
        yield Static("", id="message", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin to read."""
        for name in ("#filter", "#problem", "#message"):
            self.query_one(name).display = False
        self.query_one(AuditList).focus()
        self.run_worker(self._follow(), exit_on_error=False)

    async def _follow(self) -> None:
        while True:
            try:
                news = await asyncio.to_thread(lambda: list(self._trail.news()))
                self._error = self._problem()
            except OSError as error:
                news, self._error = [], f"The audit log cannot be read: {error.strerror}."
            self._records.extend(news)
            if news or not self._read:
                self._read = True
                self._show()
            self._say("#problem", self._error, "$text-error")
            await asyncio.sleep(_INTERVAL_S)

    def _show(self) -> None:
        wanted = Wanted(
            node=self._place[0] if self._place else None,
            failed=self._failed,
        )
        words = self.query_one("#filter", Input).value.lower().split()
        self._shown = [
            record
            for record in self._records
            if record in wanted
            and (self._place is None or record.host == self._place[1])
            and all(word in _searched(record) for word in words)
        ]
        self.query_one(AuditList).show(self._shown)
        self._tell_which()

    def _tell_which(self) -> None:
        parts = [f"node {self._place[0]} {self._place[1]}" if self._place else "all nodes"]
        if self._failed:
            parts.append("failed only")
        if value := self.query_one("#filter", Input).value.strip():
            parts.append(f"with {value!r}")
        failed = sum(record.failed for record in self._shown)
        count = len(self._shown)
        text = plain(f"{', '.join(parts)}: {count} {'entry' if count == 1 else 'entries'}")
        if failed:
            text += plain(f", {failed} failed", "$text-error")
        if self._read and not self._records:
            text = plain("Nothing has been run on any node yet.")
        self.query_one("#which", Static).update(text)

    def _say(self, where: str, text: str, style: str) -> None:
        line = self.query_one(where, Static)
        line.display = bool(text)
        line.update(plain(text, style))

    # -- keys

    def action_close(self) -> None:
        """Leave the filter, or the page."""
        if isinstance(self.focused, Input):
            self.focused.value = ""
            self._end_filter()
        else:
            self.dismiss()

    def action_filter(self) -> None:
        """Type what entries must hold."""
        box = self.query_one("#filter", Input)
        box.display = True
        box.focus()

    def _end_filter(self) -> None:
        box = self.query_one("#filter", Input)
        box.display = bool(box.value)
        self.query_one(AuditList).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as it is typed."""
        event.stop()
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the list, filtered."""
        event.stop()
        self._end_filter()

    def action_node(self) -> None:
        """Show the next node alone, and after the last one all."""
        places = sorted({(record.node, record.host) for record in self._records})
        choices = [None, *places]
        at = choices.index(self._place) if self._place in choices else 0
        self._place = choices[(at + 1) % len(choices)]
        self._show()

    def action_failed(self) -> None:
        """Show only what did not end well, or everything."""
        self._failed = not self._failed
        self._show()

    def action_copy(self) -> None:
        """Copy the command under the cursor, as it was run."""
        record = self.query_one(AuditList).current
        if record is not None:
            said, status = copy_text(self.app, record.command + "\n", "command")
            self._say("#message", said, "$text-success" if status == "pass" else "$text-warning")

    def on_audit_list_opened(self, event: AuditList.Opened) -> None:
        """Show all of a record."""
        event.stop()
        record = event.record
        when = record.time.astimezone().isoformat(sep=" ", timespec="milliseconds")
        port = f":{record.port}" if record.port else ""
        text = plain(f"node {record.node} {record.where}{port}\n", "bold")
        text += plain(f"{record.kind}, begun {when}, {record.duration_s:.3f} s\n")
        text += plain(f"{record.outcome}\n\n", "$text-error" if record.failed else MUTED)
        self.app.push_screen(Notice(text + plain(clean(record.command))))


def _searched(record: Record) -> str:
    return f"{record.where} {record.kind} {record.outcome} {record.line}".lower()
