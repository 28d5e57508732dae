"""The preview's last page: the scripts against something else."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical

from screens.widgets.diffview import DiffView
from screens.widgets.glyphs import glyph
from screens.widgets.palette import plain
from screens.widgets.tabline import TabLine
from wizard.review import Review
from wizard.scriptdiffs import Against
from wizard.textdiff import FileDiff, unified

NAMES = {
    Against.GUIDE: "the guide",
    Against.SAVED: "the saved preset",
    Against.NODES: "node 0",
    Against.DEPLOYED: "the last launch",
}
_ORDER = list(NAMES)


class ComparisonPage(Vertical):
    """What is compared with, above the differences on one node."""

    def __init__(self, review: Review, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._review, self._rank = review, 0

    def compose(self) -> ComposeResult:
        """Lay out the choices above the differences."""
        yield TabLine([plain(f"with {name}") for name in NAMES.values()], id="against")
        yield DiffView(id="diff")

    def on_mount(self) -> None:
        """Begin with what was compared last."""
        self.query_one("#against", TabLine).current = _ORDER.index(self._review.comparison.against)

    def show(self, rank: int) -> None:
        """Show what the engine has for a node."""
        self._rank = rank
        self.query_one(DiffView).show(self._diffs())

    def _diffs(self) -> list[FileDiff]:
        comparison, rank = self._review.comparison, self._rank
        if comparison.against is Against.NODES:
            return [diff for diff in comparison.diffs if diff.right == f"node{rank}"]
        return [diff for diff in comparison.diffs if diff.title.startswith(f"node{rank}/")]

    @property
    def text(self) -> tuple[str, str]:
        """A name for what is shown, and it as a unified diff."""
        lines = [line for diff in self._diffs() for line in unified(diff)]
        name = f"node{self._rank}-against-{self._review.comparison.against}"
        return name, "".join(f"{line}\n" for line in lines)

    @property
    def sentence(self) -> tuple[str, str]:
        """What is to be said of it, and its status."""
        comparison, total = self._review.comparison, self.query_one(DiffView).total
        if comparison.busy:
            return "Asking the nodes for the scripts of the last launch ...", ""
        if comparison.message:
            return comparison.message, "warn"
        if comparison.against is Against.NODES and self._rank == 0:
            return "Node 0 is what the others are compared with; o shows the next node.", ""
        if not total:
            return f"{glyph('pass')} Nothing differs from {NAMES[comparison.against]}.", "pass"
        return (
            f"{total} changes on this node; n goes to the next, p back; c compares with another.",
            "",
        )

    def again(self) -> None:
        """Compare once more."""
        self._review.compare(self._review.comparison.against, again=True)

    def turn(self) -> None:
        """Compare with the next thing."""
        against = self.query_one("#against", TabLine)
        against.current = (against.current + 1) % len(_ORDER)

    def on_tab_line_changed(self, event: TabLine.Changed) -> None:
        """Compare with what was chosen."""
        self._review.compare(_ORDER[event.index])  # and the screen hears of it as well
