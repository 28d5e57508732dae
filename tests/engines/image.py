"""The small image: busybox by its names, a bash that is busybox's, a script in place of vLLM."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

PARTS = Path(__file__).parent / "standin"


def pack(archive: Path) -> None:
    """Write the files of the image."""
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
