"""The wheel holds all that it needs and runs outside the checkout; the locks name no registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_data_files_and_nothing_else_at_the_top(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "wizard",
        "screens",
    }
    for pattern in (
        r"wizard/recipes/guide\.yaml",
        r"wizard/shipped_presets/a3-bf16\.yaml",
        r"wizard/simulator/scenarios/link-down\.yaml",
        r"screens/\w+\.tcss",
    ):
        assert [n for n in names if re.fullmatch(pattern, n)], pattern


def test_the_wheel_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    # Only our own package comes from the wheel; what it depends on comes from this environment.
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    ours = next(p for p in map(Path, sys.path) if p.name == "site-packages")
    # Plain path entries only: the editable install's own .pth of this checkout is not followed.
    (site / "dependencies.pth").write_text(f"{ours}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "V32_WIZARD_HOME": str(tmp_path / "home"),
    }

    def run(*words: str) -> str:
        done = subprocess.run(
            [python, "-P", "-m", "wizard.cli", *words],
            check=False,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("--version").startswith("v32-wizard ")
    assert "a3-bf16" in run("presets", "list")
    where = subprocess.run(
        [python, "-P", "-c", "import wizard, screens; print(wizard.__file__, screens.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(ROOT) not in where


def test_textual_is_pinned_exactly_and_locks_hold_hashes_but_no_address() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert any(d.startswith("textual==") for d in project["project"]["dependencies"])
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        packages = re.findall(r"(?m)^[a-z0-9_.\[\]-]+==", text)
        assert len(packages) > 5
        assert text.count("--hash=sha256:") >= len(packages)
