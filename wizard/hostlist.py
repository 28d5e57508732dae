"""List forms of host names: ``node[01-04]`` is four nodes, in that order."""

from __future__ import annotations

import ipaddress
import re

MAX_NAMES = 1024
_PLAIN = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*")
_LIST = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9_.\[\],/-]*")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?:/([1-9]\d{0,8}))?)?")


def is_list_form(host: str) -> bool:
    """Whether ``host`` stands for several names."""
    return "[" in host or "," in host


def is_bracketed(host: str) -> bool:
    """Whether ``host`` stands in brackets as an IPv6 address does before a port: ``[fd00::1]``."""
    return host.startswith("[") and host.endswith("]") and ":" in host


def is_address(text: str) -> bool:
    """Whether ``text`` is an IPv4 or IPv6 address; a pair of brackets around it does not matter."""
    bare = text[1:-1] if is_bracketed(text) else text
    try:
        ipaddress.ip_address(bare)  # takes any character in a zone after %
    except ValueError:
        return False
    return _PLAIN.fullmatch(bare) is not None


def check_host(host: str) -> str:
    """Return ``host``, a name, an address, an ssh_config alias, or a list form of names.

    Raises:
        ValueError: it is none of these.
    """
    if "@" in host:
        raise ValueError("holds '@'; the user's name belongs under the key user")
    if is_list_form(host):
        count_names(host)
    elif not _PLAIN.fullmatch(host) or (":" in host and not is_address(host)):
        raise ValueError(f"{host!r} is not a host name, an address or an ssh_config alias")
    return host


def count_names(host: str) -> int:
    """Return how many names a list form stands for, without expanding it.

    Raises:
        ValueError: it is malformed, or stands for more than MAX_NAMES names.
    """
    if not _LIST.fullmatch(host):
        raise ValueError(f"{host!r} is not a list of host names like node[01-04]")
    if re.search(r"[\[\],]", _BRACKETS.sub("", host).replace(",", "")):
        raise ValueError(f"{host!r} has brackets that do not match")
    total = 0
    for part in _parts(host):
        if not part:
            raise ValueError(f"{host!r} has an empty name between its commas")
        names = 1
        for body in _BRACKETS.findall(part):
            names *= sum(_range_size(item, host) for item in body.split(","))
        total += names
    if total > MAX_NAMES:
        raise ValueError(f"{host!r} stands for {total} names; {MAX_NAMES} are allowed")
    return total


def expand(host: str) -> list[str]:
    """Return the names that ``host`` stands for; just itself when it is no list form.

    Raises:
        ValueError: as count_names.
    """
    if not is_list_form(host):
        return [check_host(host)]
    count_names(host)
    from ClusterShell.NodeSet import (  # noqa: PLC0415 - slow to import, rarely needed
        RESOLVER_NOGROUP,
        NodeSet,
        NodeSetException,
    )

    try:
        # part by part: a NodeSet sorts, and the order of a preset is the order of ranks
        found = [
            str(name)
            for part in _parts(host)
            for name in NodeSet(part, resolver=RESOLVER_NOGROUP)  # no groups: they run commands
        ]
    except NodeSetException as error:
        raise ValueError(f"{host!r} is not a list of host names: {error}") from error
    return found


def _parts(host: str) -> list[str]:
    return re.split(r",(?![^\[]*\])", host)


def _range_size(item: str, host: str) -> int:
    match = _RANGE.fullmatch(item)
    if not match:
        raise ValueError(f"{host!r}: {item!r} is not a range like 01-04")
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if last < first:
        raise ValueError(f"{host!r}: the range {item} runs backwards")
    return (last - first) // step + 1
