r"""Files and streams into scans: chunks of any size, colours, overlong lines, several nodes in one.

One file holds one node's log, or several nodes' lines as ``v32-wizard logs`` prints them, each with
``node1 | `` before it.
"""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from errno import ENOENT
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO

from wizard.diagnosis.marks import NodeLog
from wizard.diagnosis.scan import NodeScan

CHUNK = 1 << 18
_SUFFIXES = (".log", ".log.gz")
_LONGEST = 16 * 1024  # bytes of a line; what is beyond is dropped
_JSON = b'{"log":"'  # how a line of the file begins that docker keeps of a container (json-file)
_ANSI = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\^_])")
_NODE = re.compile(rb"node(\d{1,4}) \| ")


class LogReader:
    """Cuts a byte stream into lines for the scan of its node, or of each node in it."""

    def __init__(self, node: int, name: str, *, plog: bool = False) -> None:
        self._node, self._name, self._plog = node, name, plog
        self._rest = b""
        self._skipping = False  # inside an overlong line
        self._number = 0
        self._merged: bool | None = None
        self._scans: dict[int, NodeScan] = {}

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self._skipping:
            end = chunk.find(b"\n")
            if end < 0:
                return
            chunk, self._skipping = chunk[end:], False
        data = self._rest + chunk
        end = data.rfind(b"\n")
        if end < 0 and len(data) > _LONGEST:
            self._rest, self._skipping = data[:_LONGEST], True
            return
        self._rest = data[end + 1 :]
        if end >= 0:
            self._lines(data[:end])

    def close(self) -> list[NodeLog]:
        """Take the last line; return what was found, by node."""
        if self._rest:
            self._lines(self._rest)
            self._rest = b""
        if not self._scans:
            self._scan(self._node)
        return [scan.close() for scan in self._scans.values()]

    def _lines(self, data: bytes) -> None:
        if data.startswith(_JSON):
            data = b"\n".join(map(_unwrapped, data.split(b"\n")))
        if b"\x1b" in data:
            data = _ANSI.sub(b"", data)
        first = self._number + 1
        lines = [
            (number, line if len(line) <= _LONGEST else line[:_LONGEST])
            for number, line in enumerate(data.split(b"\n"), first)
        ]
        self._number += len(lines)
        if self._merged is None:
            told = next((line for _, line in lines if line.strip()), None)
            self._merged = None if told is None else _NODE.match(told) is not None
        if not self._merged:
            self._scan(self._node).feed(lines)
            return
        by_node: dict[int, list[tuple[int, bytes]]] = {}
        node = self._node
        for number, line in lines:
            if match := _NODE.match(line):
                node = int(match[1])
            by_node.setdefault(node, []).append((number, line))
        for node, its in by_node.items():
            self._scan(node).feed(its)

    def _scan(self, node: int) -> NodeScan:
        if node not in self._scans:
            self._scans[node] = NodeScan(node, self._name, plog=self._plog)
        return self._scans[node]


def _unwrapped(line: bytes) -> bytes:
    """Return a line of docker's own file as ``docker logs -t`` gives it; another as it is."""
    if not line.startswith(_JSON):
        return line
    try:
        entry = json.loads(line)
        return f"{entry['time']} {entry['log'].rstrip()}".replace("\n", " ").encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return line


def read_stream(node: int, name: str, stream: IO[bytes], *, plog: bool = False) -> list[NodeLog]:
    """Return what a stream of bytes holds; gzip and UTF-16 are recognised by their first bytes.

    Of gzip that is cut off or damaged, what stands before that counts (``remark`` says so).

    Raises:
        OSError: it cannot be read.
    """
    reader = LogReader(node, name, plog=plog)
    first = stream.read(CHUNK)
    remark = ""
    pieces = iter(partial(stream.read, CHUNK), b"")
    if first[:2] == b"\x1f\x8b":
        pieces = _unpacked(chain([first], pieces))
        try:
            first = next(pieces, b"")
        except _DAMAGED as error:
            raise OSError(f"damaged gzip: {error}") from error
    convert = _conversion(first)
    try:
        if not first:
            remark = "is empty"
        elif _strange(text := convert(first)):
            remark = "does not look like a text"
        while first:
            reader.feed(text)
            if first := next(pieces, b""):
                text = convert(first)
    except _DAMAGED as error:
        remark = f"is damaged gzip ({error}): only what stands before that was read"
    logs = reader.close()
    for log in logs:
        log.remark = remark
    return logs


_DAMAGED = (EOFError, zlib.error)
_GZIP = 31  # zlib's name for the format
_LITTLE = 1024
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_CONTROL = bytes({*range(1, 32), 127} - {*b"\t\n\v\f\r\b\x1b"})  # NULs fill rotated logs


def _unpacked(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what gzip holds, all of it that comes before a damage.

    Of the call that meets the damage zlib returns nothing, so each unpacks only a little.
    """
    unpacker, out = zlib.decompressobj(wbits=_GZIP), bytearray()
    try:
        for piece in _little(packed):
            data = piece
            while data:
                if unpacker.eof:  # several may follow one another, with zeros to fill a block
                    if not (data := data.lstrip(b"\0")):
                        break
                    unpacker = zlib.decompressobj(wbits=_GZIP)
                out += unpacker.decompress(data, _LITTLE)
                data = unpacker.unused_data or unpacker.unconsumed_tail
            if len(out) >= CHUNK:
                yield bytes(out)
                out.clear()
        if not unpacker.eof:
            out += unpacker.flush()
            raise EOFError("it is cut off")
    except _DAMAGED:
        if out:
            yield bytes(out)
        raise
    if out:
        yield bytes(out)


def _little(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), _LITTLE):
            yield chunk[start : start + _LITTLE]


def _conversion(first: bytes) -> Callable[[bytes], bytes]:
    """Return what makes UTF-8 of a text, by its beginning: Windows writes UTF-16, and marks it."""
    if (encoding := _UTF16.get(first[:2])) is None:
        return lambda data: data.removeprefix(codecs.BOM_UTF8)
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    return lambda data: decoder.decode(data).removeprefix("\ufeff").encode("utf-8", "replace")


def _strange(text: bytes) -> bool:
    """Whether it has more control characters than any log."""
    return len(text) - len(text.translate(None, _CONTROL)) > len(text) // 20


def read_file(node: int, path: Path) -> list[NodeLog]:
    """Return what a file holds; see :func:`read_stream`. A plog is known by its name.

    CANN writes one for each process: ``~/ascend/log/debug/plog/plog-4711_20261120101233123.log``.
    """
    with path.open("rb") as stream:
        return read_stream(node, str(path), stream, plog=path.name.startswith("plog-"))


def read_parts(node: int, name: str, paths: Iterable[Path]) -> list[NodeLog]:
    """Return what a log that lies in several files holds, as if it were one.

    Raises:
        OSError: one cannot be read.
    """
    reader = LogReader(node, name)
    for path in paths:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                reader.feed(chunk)
    return reader.close()


def read_folder(node: int, folder: Path) -> list[NodeLog]:
    """Return what the files of a node's folder hold: its serve log and what CANN wrote.

    Raises:
        FileNotFoundError: it holds no log.
        OSError: see :func:`read_stream`.
    """
    paths = sorted(p for s in _SUFFIXES for p in folder.rglob(f"*{s}") if p.is_file())
    if not paths:
        raise FileNotFoundError(ENOENT, f"no *{' or *'.join(_SUFFIXES)} in this folder")
    return [log for path in paths for log in read_file(node, path)]


def read_lines(node: int, name: str, lines: Iterable[str]) -> list[NodeLog]:
    """Return what lines in memory hold."""
    reader = LogReader(node, name)
    reader.feed("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
    return reader.close()
