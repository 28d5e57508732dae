"""Reads the arguments of ``docker`` as docker does: flags first, then the rest is not ours."""

from __future__ import annotations

from dataclasses import dataclass, field

_RUN_VALUES = {
    *("name", "net", "network", "device", "volume", "env", "env-file", "label", "shm-size"),
    *("restart", "workdir", "user", "entrypoint", "log-opt", "log-driver", "ulimit", "cap-add"),
    *("security-opt", "pull", "ipc", "pid", "mount", "stop-timeout", "stop-signal", "hostname"),
    *("memory", "cpus", "tmpfs", "runtime", "platform", "group-add", "cidfile", "publish"),
}
_RUN_SWITCHES = {"detach", "interactive", "tty", "rm", "init", "privileged", "read-only", "quiet"}
# command → (flags with a value, flags without)
FLAGS: dict[str, tuple[set[str], set[str]]] = {
    "run": (_RUN_VALUES, _RUN_SWITCHES),
    "create": (_RUN_VALUES, _RUN_SWITCHES),
    "start": (set(), {"attach", "interactive"}),
    "logs": ({"since", "until", "tail"}, {"follow", "timestamps", "details"}),
    "ps": ({"filter", "format", "last"}, {"all", "quiet", "no-trunc"}),
    "inspect": ({"format", "type"}, {"size"}),
    "exec": ({"env", "workdir", "user"}, {"detach", "interactive", "tty", "privileged"}),
    "stop": ({"time", "timeout", "signal"}, set()),
    "kill": ({"signal"}, set()),
    "rm": (set(), {"force", "volumes", "link"}),
    "wait": (set(), set()),
    "image inspect": ({"format"}, set()),
    "images": ({"filter", "format"}, {"all", "quiet", "no-trunc", "digests"}),
    "pull": ({"platform"}, {"quiet", "all-tags"}),
    "load": ({"input"}, {"quiet"}),
    "info": ({"format"}, set()),
    "version": ({"format"}, set()),
}
_SHORT = {
    **{"v": "volume", "e": "env", "l": "label", "w": "workdir", "u": "user", "d": "detach"},
    **{"i": "interactive", "t": "tty", "q": "quiet", "h": "hostname", "m": "memory"},
    "p": "publish",
}
_SHORT_OF = {
    "logs": {"f": "follow", "t": "timestamps", "n": "tail"},
    "ps": {"a": "all", "f": "filter", "q": "quiet", "n": "last"},
    "inspect": {"f": "format", "s": "size"},
    "image inspect": {"f": "format"},
    "images": {"a": "all", "f": "filter", "q": "quiet"},
    "load": {"i": "input", "q": "quiet"},
    "stop": {"t": "time", "s": "signal"},
    "kill": {"s": "signal"},
    "rm": {"f": "force", "v": "volumes"},
    "info": {"f": "format"},
    "version": {"f": "format"},
}


SAYS = "Error response from daemon: "


class BadOptions(Exception):
    """The arguments are refused; the message is docker's."""


class Refused(Exception):
    """A command that fails: the text for stderr, and the exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Options:
    """The arguments of one docker command."""

    command: str
    values: dict[str, list[str]] = field(default_factory=dict)
    switches: set[str] = field(default_factory=set)
    rest: list[str] = field(default_factory=list)

    def last(self, *names: str) -> str | None:
        """Return the value given last to any of these names."""
        return next((self.values[n][-1] for n in names if n in self.values), None)

    def all(self, name: str) -> list[str]:
        """Return every value given to a flag, in order."""
        return self.values.get(name, [])


def parse(argv: list[str]) -> Options:
    """Read the arguments that follow ``docker``.

    Raises:
        BadOptions: no such command, or no such flag.
    """
    if argv[:1] == ["container"]:
        argv = argv[1:]
    if argv[:1] == ["ls"]:
        argv = ["ps", *argv[1:]]
    if argv[:2] == ["image", "ls"]:
        argv = ["images", *argv[2:]]
    if argv[:1] == ["image"] and argv[1:2] in (["pull"], ["load"]):
        argv = argv[1:]
    command = " ".join(argv[:2]) if argv[:1] == ["image"] else "".join(argv[:1])
    if command not in FLAGS:
        raise BadOptions(f"docker: '{command}' is not a docker command.\nSee 'docker --help'")
    options = Options(command)
    left = argv[len(command.split()) :]
    while left and left[0].startswith("-") and left[0] != "-":
        word = left.pop(0)
        if word == "--":
            break
        (_long if word.startswith("--") else _short)(options, word, left)
    if command not in ("run", "create", "exec"):  # here flags may also follow the names
        rest: list[str] = []
        while left:
            word = left.pop(0)
            if word.startswith("-") and len(word) > 1:
                (_long if word.startswith("--") else _short)(options, word, left)
            else:
                rest.append(word)
        left = rest
    options.rest = left
    return options


def _long(options: Options, word: str, left: list[str]) -> None:
    name, given, value = word[2:].partition("=")
    _set(options, name, value if given else None, left, word)


def _short(options: Options, word: str, left: list[str]) -> None:
    letters = word[1:]
    names = {**_SHORT, **_SHORT_OF.get(options.command, {})}
    while letters:
        name, letters = names.get(letters[0], ""), letters[1:]
        if name in FLAGS[options.command][0] and letters:  # -n10, -ea=b
            _set(options, name, letters.removeprefix("="), left, word)
            return
        _set(options, name, None, left, word)


def _set(options: Options, name: str, value: str | None, left: list[str], word: str) -> None:
    with_value, without = FLAGS[options.command]
    if name in without:
        if (value or "true").lower() in ("true", "1"):
            options.switches.add(name)
        return
    if name not in with_value:
        kind = "flag" if word.startswith("--") else "shorthand flag"
        raise BadOptions(f"unknown {kind}: {word}\nSee 'docker {options.command} --help'.")
    if value is None:
        if not left:
            raise BadOptions(
                f"flag needs an argument: {word}\nSee 'docker {options.command} --help'."
            )
        value = left.pop(0)
    options.values.setdefault(name, []).append(value)
