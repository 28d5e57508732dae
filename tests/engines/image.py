"""The small image: busybox by its names, a bash that is busybox's, a script in place of vLLM."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

PARTS = Path(__file__).parent / "standin"


def pack(archive: Path) -> None:
    """Write the files of the image, its one layer."""
    busybox = shutil.which("busybox")
    assert busybox is not None
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    with tarfile.open(archive, "w") as tar:
        for folder in ("bin", "etc", "tmp", "root", "usr/local/bin", "usr/local/lib"):
            add(tar, folder, kind=tarfile.DIRTYPE)
        tar.add(os.path.realpath(busybox), "bin/busybox")
        for applet in applets.stdout.split():
            if applet != "busybox":
                add(tar, f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
        add(tar, "bin/bash", b'#!/bin/sh\nexec /bin/sh "$@"\n')
        add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
        add(tar, "usr/local/bin/vllm", (PARTS / "vllm").read_bytes())
        for name in ("join.sh", "answer.sh"):
            add(tar, f"usr/local/lib/{name}", (PARTS / name).read_bytes())


def wrap(layer: Path, reference: str, archive: Path) -> None:
    """Make of a layer's files an archive for ``load``: an image of linux/arm64, as the guide's."""
    text = layer.read_bytes()
    digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
    config = {
        "os": "linux",
        "architecture": "arm64",  # though its programs are this computer's
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    }
    parts = {"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}
    with tarfile.open(archive, "w") as tar:
        add(tar, "manifest.json", json.dumps([parts]).encode())
        add(tar, "config.json", json.dumps(config).encode())
        add(tar, "layer.tar", text)


def add(
    tar: tarfile.TarFile,
    name: str,
    text: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode, entry.size = kind, link, 0o755, len(text)
    tar.addfile(entry, io.BytesIO(text))
