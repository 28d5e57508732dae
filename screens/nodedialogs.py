"""Dialogs of the nodes screen: the list as text, and hosts to pick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from screens.widgets.palette import MUTED, plain
from wizard.draft import DraftNode
from wizard.nodelist import NodeList, merge, parse_nodes
from wizard.sshconfig import ConfigHost

_CSS = """
EditList, PickHosts { align: center middle; }
EditList > Vertical, PickHosts > Vertical {
    width: 90%; max-width: 110; height: 90%; max-height: 40; padding: 0 1;
    background: $surface; border: ascii $primary;
}
EditList TextArea { height: 1fr; border: none; padding: 0; }
EditList #found, PickHosts #found { height: auto; max-height: 5; }
EditList Horizontal, PickHosts Horizontal { height: 1; }
EditList Button, PickHosts Button { margin-right: 2; }
EditList TextArea:focus { border: none; }
PickHosts OptionList { height: 1fr; }
"""
_SHOWN = 3
_PICK_KEYS = "Space marks   a marks all shown   / filters   F10 takes   Esc leaves"


class EditList(ModalScreen[list[DraftNode] | None]):
    """The whole list as text; nodes that stay keep their details. None for Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f10", "take", "Take the list", id="list.take", priority=True),
        Binding("escape", "dismiss(None)", "Cancel", id="list.cancel"),
    ]
    DEFAULT_CSS = _CSS

    def __init__(self, text: str, before: Sequence[DraftNode]) -> None:
        super().__init__()
        self._text, self._before = text, list(before)
        self._refused = ""  # the text whose bad lines were named when it was to be taken

    def compose(self) -> ComposeResult:
        """How to write, the text, what was understood, the ways out."""
        with Vertical():
            yield Static(
                "One node a line, in rank order: host, user@host:port, node[01-04]; lines of a "
                "hosts file or an inventory; # begins a comment.",
                markup=False,
            )
            area = TextArea(self._text, show_line_numbers=True)
            area.cursor_blink = False
            yield area
            yield Static("", id="found", markup=False)
            with Horizontal():
                yield Button("Cancel Esc", id="cancel", compact=True)
                yield Button("Take the list F10", id="take", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Begin at the end of the text."""
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)
        self._show(parse_nodes(area.text))

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Say at once what the text amounts to."""
        self._show(parse_nodes(event.text_area.text))

    def _show(self, found: NodeList) -> None:
        count = "1 node" if len(found.nodes) == 1 else f"{len(found.nodes)} nodes"
        text = plain(f"{count} in rank order", "$text-success" if found.nodes else MUTED)
        for problem in found.problems[:_SHOWN]:
            text += plain(f"\n{problem}", "$text-error")
        if len(found.problems) > _SHOWN:
            text += plain(f"\nand {len(found.problems) - _SHOWN} more lines", "$text-error")
        if found.problems and self._refused == self.query_one(TextArea).text:
            text += plain(
                "\nMend them, or press F10 again to take the good lines alone.", "$text-warning"
            )
        self.query_one("#found", Static).update(text)

    def action_take(self) -> None:
        """Hand back the nodes; bad lines are named first, and left out only when asked twice."""
        area = self.query_one(TextArea)
        found = parse_nodes(area.text)
        if found.problems and self._refused != area.text:
            self._refused = area.text
            area.move_cursor((found.problems[0].line - 1, 0))
            area.focus()
            self._show(found)
            return
        self.dismiss(merge(found.nodes, self._before))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The buttons do what the keys do."""
        event.stop()
        if event.button.id == "take":
            self.action_take()
        else:
            self.dismiss(None)


class PickHosts(ModalScreen[list[str]]):
    """Hosts of ssh_config to pick from; the aliases come back in the order of the file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f10,ctrl+s", "take", "Take the marked", id="pick.take", priority=True),
        Binding("space", "mark", "Mark or unmark", id="pick.mark"),
        Binding("slash", "filter", "Filter", id="pick.filter"),
        Binding("a", "mark_all", "Mark all shown", id="pick.all"),
        Binding("escape", "leave", "Cancel", id="pick.cancel"),
    ]
    DEFAULT_CSS = _CSS

    def __init__(self, hosts: Sequence[ConfigHost]) -> None:
        super().__init__()
        self._hosts = list(hosts)
        self._shown = self._hosts
        self._marked: set[str] = set()

    def compose(self) -> ComposeResult:
        """Filter, hosts, how many are marked, the ways out."""
        with Vertical():
            yield Static("Hosts of ~/.ssh/config", markup=False)
            yield Input(placeholder="/ filters: type a part of a name", id="filter", compact=True)
            yield OptionList(id="hosts", markup=False, compact=True)
            yield Static("", id="found", markup=False)
            yield Static(_PICK_KEYS, classes="hint", markup=False)
            with Horizontal():
                yield Button("Cancel Esc", id="cancel", compact=True)
                yield Button("Take the marked F10", id="take", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Show all of them."""
        self._fill("")
        self.query_one(OptionList).focus()

    def _fill(self, part: str) -> None:
        """Show the hosts that hold ``part`` anywhere; marks stay, also of those not shown."""
        self._shown = [h for h in self._hosts if part.lower() in _words(h).lower()]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(Option(self._row(host)) for host in self._shown)
        if self._shown:
            options.highlighted = 0
        self._count()

    def _row(self, host: ConfigHost) -> Content:
        width = max(plain(h.alias).cell_length for h in self._hosts)
        marked = host.alias in self._marked
        text = plain("[x] " if marked else "[ ] ", "bold $text-success" if marked else "")
        gap = " " * (width - plain(host.alias).cell_length + 2)
        return text + plain(host.alias, "bold") + plain(gap) + plain(_about(host), MUTED)

    def _count(self) -> None:
        text = f"{len(self._marked)} marked, {len(self._shown)} of {len(self._hosts)} shown"
        self.query_one("#found", Static).update(text)

    def _mark(self, hosts: Iterable[ConfigHost], marked: bool) -> None:
        options = self.query_one(OptionList)
        for host in hosts:
            (self._marked.add if marked else self._marked.discard)(host.alias)
            index = self._shown.index(host)
            options.replace_option_prompt_at_index(index, self._row(host))
        self._count()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what holds the typed text."""
        event.stop()
        self._fill(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes from the filter to the hosts."""
        event.stop()
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter marks as Space does."""
        event.stop()
        self.action_mark()

    def action_mark(self) -> None:
        """Mark the highlighted host, or take its mark away."""
        at = self.query_one(OptionList).highlighted
        if at is not None:
            host = self._shown[at]
            self._mark([host], host.alias not in self._marked)

    def action_filter(self) -> None:
        """Type a part of a name."""
        self.query_one("#filter").focus()

    def action_mark_all(self) -> None:
        """Mark every host that is shown."""
        self._mark(self._shown, True)

    def action_leave(self) -> None:
        """Esc leaves the filter first, then the dialog."""
        if isinstance(self.focused, Input):
            self.query_one(OptionList).focus()
        else:
            self.dismiss([])

    def action_take(self) -> None:
        """Hand back the marked ones; without a mark, the highlighted one."""
        at = self.query_one(OptionList).highlighted
        if not self._marked and at is not None:
            self._marked.add(self._shown[at].alias)
        self.dismiss([h.alias for h in self._hosts if h.alias in self._marked])

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The buttons do what the keys do."""
        event.stop()
        if event.button.id == "take":
            self.action_take()
        else:
            self.dismiss([])


def _words(host: ConfigHost) -> str:
    return f"{host.alias} {host.host_name} {host.user} {host.proxy_jump}"


def _about(host: ConfigHost) -> str:
    name = f"{host.user}@{host.host_name}" if host.user else host.host_name
    port = f":{host.port}" if host.port else ""
    via = f" through {host.proxy_jump}" if host.proxy_jump else ""
    return f"{name}{port}{via}"
