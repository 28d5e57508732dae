"""Many nodes as text: what people paste or keep in files, read line by line.

Understood are names, addresses, ``user@host:port``, list forms (``node[01-04]``, also with a user
and port around), several of them in a line, lines of /etc/hosts (the address counts) and of an
Ansible inventory (``host ansible_host=…``). The order is the order of ranks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from wizard.draft import DraftNode
from wizard.hostlist import (
    MAX_NAMES,
    check_host,
    count_names,
    expand,
    is_address,
    is_bracketed,
    is_list_form,
)

_COMMENT = re.compile(r"(?:^|\s)[#;].*$")
_SECTION = re.compile(r"\[[A-Za-z_][\w.-]*(?::(\w+))?\]")
_ANSIBLE_RANGE = re.compile(r"\[(\d+):(\d+)(?::(\d+))?\]")  # Ansible writes [01:50]
_SPEC = re.compile(r"(?:([^@\s]+)@)?(\[[0-9A-Fa-f:.%]*:[0-9A-Fa-f:.%\w]*\]|[^@]+?)(?::(\d+))?")
_HERE = re.compile(r"localhost\b.*|ip6-.*|broadcasthost", re.I)
_ANSIBLE = {
    "ansible_user": "user",
    "ansible_port": "port",
    "ansible_ssh_private_key_file": "identity_file",
}


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong with a line, in one sentence that says what would be right."""

    line: int  # from 1
    text: str

    def __str__(self) -> str:
        return f"Line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class NodeList:
    """The nodes of the good lines, in order, and the problems of the others."""

    nodes: tuple[DraftNode, ...]
    problems: tuple[LineProblem, ...]


def parse_nodes(text: str) -> NodeList:
    """Read a list of nodes; a line that is wrong is named and left out, the others are kept."""
    nodes: list[DraftNode] = []
    problems: list[LineProblem] = []
    seen: dict[tuple[str, str], int] = {}
    hosts_section = True
    for number, raw in enumerate(text.lstrip("\ufeff").replace("\r\n", "\n").split("\n"), 1):
        line = _COMMENT.sub("", raw.replace("\t", " ")).strip()
        if section := _SECTION.fullmatch(line):
            hosts_section = section[1] is None  # [all:vars] and [x:children] hold no hosts
        elif line and hosts_section:
            try:
                found = _read_line(line, len(nodes))
            except ValueError as error:
                problems.append(LineProblem(number, str(error)))
                continue
            for node in found:
                _, host, port = node.parts
                key = (host.lower(), port or "22")
                if key in seen:
                    text_ = f"{node.address} stands in line {seen[key]} already; each node is once"
                    problems.append(LineProblem(number, f"{text_} in the list."))
                    continue
                seen[key] = number
                nodes.append(node)
    return NodeList(tuple(nodes), tuple(problems))


def expand_spec(spec: str) -> list[str]:
    """Return the addresses that ``[user@]host[:port]`` stands for; the host may be a list form.

    Raises:
        ValueError: it cannot be read, or stands for too many; says what would be right.
    """
    user, host, port = _split(spec)
    names = [host] if is_bracketed(host) else expand(host)
    before, after = f"{user}@" if user else "", f":{port}" if port else ""
    return [f"{before}{name}{after}" for name in names]


def is_many(spec: str) -> bool:
    """Whether what was typed into one line stands for several nodes."""
    text = spec.strip()
    if re.search(r"[\s,]", re.sub(r"\[[^\[\]]*\]", "", text)):
        return True
    try:
        _, host, _ = _split(text)
    except ValueError:
        return False
    return is_list_form(host) and not is_bracketed(host)


def format_nodes(nodes: Iterable[DraftNode]) -> str:
    """Return the addresses, one a line; :func:`parse_nodes` and :func:`merge` give them back."""
    return "".join(f"{node.address.strip()}\n" for node in nodes if node.address.strip())


def merge(found: Sequence[DraftNode], before: Sequence[DraftNode]) -> list[DraftNode]:
    """Give nodes of an edited list the details that they had: key, jump host, addresses.

    A node that is new gets the key, jump host and known_hosts that all others share.
    """
    old = {node.address.strip(): node for node in before if node.address.strip()}
    shared = {}
    for name in ("identity_file", "jump", "known_hosts"):
        values = {getattr(node, name) for node in old.values()}
        shared[name] = values.pop() if len(values) == 1 else ""
    merged = []
    for node in found:
        if node.address in old:
            own = {"identity_file": node.identity_file} if node.identity_file else {}
            merged.append(replace(old[node.address], **own))
        else:
            merged.append(
                replace(node, **{k: v for k, v in shared.items() if not getattr(node, k)})
            )
    return merged


def _read_line(line: str, before: int) -> list[DraftNode]:
    """Read one line without its comment; ``before`` nodes stand above it."""
    words = [w for w in re.split(r"[\s,]+(?![^\[]*\])", line) if w]
    if any("=" in word for word in words[1:]):
        return _inventory(words, before)
    if len(words) > 1 and is_address(words[0]) and not any(map(_looks_like_spec, words[1:])):
        if any(_HERE.fullmatch(word) for word in words[1:]):
            return []  # the machine itself, which every hosts file names
        words = words[:1]  # /etc/hosts: the names are not known here for certain
    found: list[DraftNode] = []
    for word in words:
        found += [DraftNode(a) for a in _expanded(word, before + len(found))]
    return found


def _inventory(words: list[str], before: int) -> list[DraftNode]:
    variables = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    name = _ANSIBLE_RANGE.sub(_dashes, words[0])
    spec = variables.get("ansible_host", name).strip("'\"")
    keys = {
        ours: variables[theirs].strip("'\"")
        for theirs, ours in _ANSIBLE.items()
        if theirs in variables
    }
    user, host, port = _split(spec)
    user, port = keys.get("user", user), keys.get("port", port)
    whole = f"{user}@{host}" if user else host
    whole = f"{whole}:{port}" if port else whole
    identity = keys.get("identity_file", "")
    return [DraftNode(a, identity_file=identity) for a in _expanded(whole, before)]


def _dashes(match: re.Match[str]) -> str:
    step = f"/{match[3]}" if match[3] else ""
    return f"[{match[1]}-{match[2]}{step}]"


def _expanded(spec: str, before: int) -> list[str]:
    """Expand one word; names are counted first, because a range can stand for millions."""
    spec = _ANSIBLE_RANGE.sub(_dashes, spec)
    _, host, _ = _split(spec)
    many = is_list_form(host) and not is_bracketed(host)
    count = count_names(host) if many else 1
    if before + count > MAX_NAMES:
        raise ValueError(
            f"with {spec} the list has {before + count} nodes; {MAX_NAMES} are allowed."
        )
    return expand_spec(spec)


def _split(spec: str) -> tuple[str, str, str]:
    """Split ``[user@]host[:port]``; an IPv6 address with a port stands in brackets."""
    text = spec.strip()
    if text.startswith("@"):
        raise ValueError(f"{text} is a group; groups run commands, so name the nodes themselves.")
    unreadable = f"{text!r} cannot be read; type host, user@host or user@host:port."
    if text.count("@") > 1:
        raise ValueError(unreadable)
    user, _, host = text.rpartition("@")
    if ":" in host and "[" not in host and is_address(host):
        return user, f"[{host}]" if user else host, ""
    match = _SPEC.fullmatch(text)
    if not match:
        raise ValueError(unreadable)
    user, host, port = match[1] or "", match[2], match[3] or ""
    if port and not 1 <= int(port) <= 65535:
        raise ValueError(f"port {port} of {text} is out of range; it must be from 1 to 65535.")
    bare = host[1:-1] if is_bracketed(host) else host
    if bare != host and not is_address(bare):
        raise ValueError(f"{host} is not an IPv6 address.")
    try:
        check_host(bare)
    except ValueError as error:
        raise ValueError(f"{error}.") from None
    return user, host, port


def _looks_like_spec(word: str) -> bool:
    """Whether a word after an address is another node rather than the name of the first."""
    return is_address(word) or "@" in word or "[" in word or bool(re.search(r":\d+$", word))
