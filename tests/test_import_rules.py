"""The rules of dependency of the house (docs/architecture.md), read from the source text."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def modules(*folders: str) -> list[Path]:
    found = [p for folder in folders for p in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


def imports(path: Path) -> Iterator[str]:
    package = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = ".".join(package[: len(package) - node.level])
                yield f"{base}.{node.module}" if node.module else base
            else:
                assert node.module
                yield node.module


def reaches(path: Path, *packages: str) -> list[str]:
    return [
        name
        for name in imports(path)
        if any(name == p or name.startswith(p + ".") for p in packages)
    ]


@pytest.mark.parametrize("path", modules("wizard"), ids=str)
def test_the_engine_knows_nothing_of_the_screens(path: Path) -> None:
    if path == ROOT / "wizard" / "cli.py":
        return  # the door knows both rooms, and imports the screens lazily
    assert not reaches(path, "textual", "rich", "screens")


@pytest.mark.parametrize("path", modules("wizard", "screens"), ids=str)
def test_only_remote_and_the_simulated_nodes_import_asyncssh(path: Path) -> None:
    if {"remote", "simulator"} & set(path.relative_to(ROOT).parts):
        return
    assert not reaches(path, "asyncssh")


@pytest.mark.parametrize("path", modules("screens/widgets"), ids=str)
def test_widgets_never_import_screens(path: Path) -> None:
    assert [n for n in reaches(path, "screens") if not n.startswith("screens.widgets")] == []


def test_version_imports_neither_textual_nor_asyncssh() -> None:
    if not (ROOT / "wizard" / "cli.py").exists():
        pytest.skip("the command line is not built yet")
    code = (
        "import sys; sys.argv = ['v32-wizard', '--version']\n"
        "from wizard import cli\n"
        "try: cli.main()\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        "print(sorted({'textual', 'asyncssh', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
