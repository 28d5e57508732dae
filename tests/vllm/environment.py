"""An environment with a real vLLM and vLLM-Ascend, as far as parsing and configuration need them.

No accelerator, about 1 GB and a minute for each version; kept in a cache folder
(``V32_WIZARD_VLLM_DIR``, else the user's cache). Needs uv, and a package index that has them: pip's
own settings decide which. What cannot be had is said, never passed over.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

# recipe → vLLM, vLLM-Ascend, transformers; the guide's image is a candidate of 0.11.0
VERSIONS = {
    "guide": ("0.11.0", "0.11.0", "==4.56.2"),
    "v0.11.0": ("0.11.0", "0.11.0", "==4.56.2"),
    "v0.18.0": ("0.18.0", "0.18.0", "<5"),
    "v0.23.0": ("0.23.0", "0.23.0", ""),
}
_BUILD = ("setuptools", "setuptools-scm", "setuptools_rust", "wheel", "packaging", "cmake", "ninja")
_SINGLE = ("llguidance", "lark", "outlines_core")  # imported early, pure or small
_BARE = ("xgrammar", "apache-tvm-ffi")  # without what they depend on
# vLLM names these, and neither its parser nor its configuration needs them
_HEAVY = re.compile(
    r"(torch|torchvision|torchaudio|xformers|ray|flashinfer|nvidia|triton|vllm|tpu|runai|"
    r"fastsafetensors|tensorizer|opencv|numba|xgrammar|llguidance|outlines|lark|lm-format|"
    r"anthropic|model-hosting|mcp|quack|tilelang|apache-tvm|humming|tokenspeed|fastokens)",
    re.IGNORECASE,
)
_LIMIT_S = 1800


class CannotBeHad(Exception):
    """The environment could not be made here; says which step failed, and how."""


@cache
def folder() -> Path:
    """Return where the environments are kept; found out once, for tests move HOME later."""
    given = os.environ.get("V32_WIZARD_VLLM_DIR")
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(given or f"{cache}/v32-wizard/vllm").expanduser()


def python_of(version: str, ascend: str, transformers: str) -> Path:
    """Return the interpreter of the environment of a version, made if it is missing.

    Raises:
        CannotBeHad: it could not be made.
    """
    place = folder() / version
    python, ready = place / "bin/python", place / "ready"
    if ready.exists():
        return python
    place.parent.mkdir(parents=True, exist_ok=True)
    links = find_links()
    env = {**os.environ, "VLLM_TARGET_DEVICE": "empty"} | (
        {"UV_FIND_LINKS": links} if links else {}
    )

    def uv(*words: str) -> None:
        run_tool("uv", *words, env=env)

    def install(*words: str) -> None:
        uv("pip", "install", "--quiet", "--python", str(python), *words)

    print(f"making the environment of vLLM {version} in {place} ...", file=sys.stderr)
    uv("venv", "--quiet", "--clear", "--python", "3.11", str(place))
    torch, *backend = _torch(links)
    install(*backend, torch, f"transformers{transformers}", "numpy<2.3", "jinja2", *_BUILD)
    source = ("--no-deps", "--no-build-isolation", "--no-binary", "vllm")
    install(*source, f"vllm=={version}")
    install("--no-deps", f"vllm-ascend=={ascend}")
    needs = place / "needs.txt"
    needs.write_text("\n".join(needs_of(python)))
    fixed = place / "fixed.txt"
    fixed.write_text(f"{torch}\ntransformers{transformers}\n")
    install("-r", str(needs), *_SINGLE, "-c", str(fixed))
    install("--no-deps", *_BARE)
    ready.touch()
    return python


def run_tool(*words: str, env: dict[str, str] | None = None) -> str:
    """Run a tool; return what it printed. Raises CannotBeHad."""
    try:
        done = subprocess.run(
            words, env=env, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except FileNotFoundError as error:
        raise CannotBeHad(f"{words[0]} is not installed here") from error
    if done.returncode:
        raise CannotBeHad(f"{' '.join(words[:3])} ... failed: {done.stderr.strip()[-600:]}")
    return done.stdout


def find_links() -> str:
    """Return the folder that pip's settings name as find-links, for uv does not read them."""
    text = run_tool(sys.executable, "-m", "pip", "config", "list")
    match = re.search(r"find-links='([^']+)'", text)
    return match[1] if match else ""


def _torch(links: str) -> list[str]:
    """Return torch without an accelerator: from that folder, or as uv knows to find it."""
    for path in sorted(Path(links).glob("torch-*+cpu-*.whl")) if links else []:
        return [f"torch=={path.name.split('-')[1]}"]
    return ["torch", "--torch-backend", "cpu"]


def needs_of(python: Path, package: str = "vllm", heavy: re.Pattern[str] = _HEAVY) -> list[str]:
    """Return what an installed package needs, less the heavy ones."""
    code = (
        f"from importlib.metadata import requires; print('\\n'.join(requires('{package}') or []))"
    )
    lines = run_tool(str(python), "-c", code, env={}).splitlines()
    return [line for line in lines if "extra ==" not in line and not heavy.match(line)]
