"""The door: arguments in, the engine or the screens behind it.

Nothing heavy is imported before a command needs it, so ``--version`` and ``--help`` are instant.
What each command does stands in :mod:`wizard.commands`; what it may be relied upon for, in the
project's contract (docs/commands.md).
"""

from __future__ import annotations

import argparse
import codecs
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from wizard import __version__
from wizard.cluster import Precision, Series
from wizard.errors import WizardError

PROGRAM = "v32-wizard"
INTERRUPTED = 130
_ESCAPED = "json-escaped"  # a way to encode what an encoding cannot hold

EPILOG = """\
Without a command the wizard opens, with PRESET loaded when one is given.
PRESET is everywhere the name of a saved preset or the path of a YAML file.
Exit status: 0 done, 1 failed, 2 bad preset or usage, 3 node not reached, 130 interrupted.
"""


def _preset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", metavar="PRESET", help="saved name, or path to a YAML file")


def _connecting(parser: argparse.ArgumentParser) -> None:
    """A command that connects to the nodes of a preset."""
    _preset(parser)
    parser.add_argument(
        "--accept-new-host-keys",
        action="store_true",
        help="record host keys that are not known yet; changed ones are refused all the same",
    )
    parser.add_argument(
        "--no-input",
        action="store_true",
        help="never ask for a passphrase or password, even on a terminal",
    )


def _format(parser: argparse.ArgumentParser, *formats: str) -> None:
    parser.add_argument("--format", choices=formats, default=formats[0])


def _simulation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenario", default="healthy", help="a shipped scenario or a YAML file")
    parser.add_argument("--series", choices=[*Series], default=Series.A3, type=Series)
    parser.add_argument("--precision", choices=[*Precision], default=Precision.BF16, type=Precision)
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="FACTOR", help="10 makes everything 10× quicker"
    )


def _screen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ascii", action="store_true", help="draw with plain ASCII only")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every command (``wizard`` is the one meant when none is named)."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show a traceback on errors")
    top = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Puts DeepSeek-V3.2-Exp into service on Huawei Ascend servers.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[common])

    wizard = add("wizard", "open the wizard (what happens when no command is named)")
    wizard.add_argument("preset", metavar="PRESET", nargs="?", help="saved name or path")
    _screen(wizard)
    demo = add("demo", "open the wizard on a simulated cluster started for it")
    _simulation(demo)
    _screen(demo)
    simulate = add("simulate", "start the simulated cluster alone")
    _simulation(simulate)
    simulate.add_argument("--nodes", type=int, metavar="N", help="1 to 16")
    simulate.add_argument(
        "--preset-out", metavar="FILE", type=Path, help="write a preset for it here"
    )

    _add_preset_commands(
        add("presets", "list, show, make, validate, import, export, delete presets")
    )

    discover = add("discover", "ask the nodes what they are, and whether they fit together")
    _connecting(discover)
    _format(discover, "text", "json")
    discover.add_argument(
        "--write", action="store_true", help="put the addresses and NICs found into the preset"
    )
    _add_render(add("render", "the generated scripts"))
    lint = add("lint", "what is wrong in the generated scripts, at the line")
    _connecting(lint)
    _format(lint, "text", "json")
    lint.add_argument("--offline", action="store_true", help="ask no node anything")
    check = add("check", "run the checks on all nodes")
    _connecting(check)
    check.add_argument("--only", metavar="CHECK,…", help="only these checks")
    check.add_argument("--full", action="store_true", help="ping every pair across nodes")
    check.add_argument(
        "--width", type=int, default=4, metavar="N",
        help="calls of hccn_tool at a time on one node, at most (1 to 16; default 4)",
    )  # fmt: skip
    _format(check, "text", "json", "junit", "html")
    _report(check)
    _add_check_records(add)
    launch = add("launch", "launch the model on all nodes and follow until it serves")
    _connecting(launch)
    launch.add_argument("--yes", action="store_true", help="do not ask")
    launch.add_argument("--skip-checks", action="store_true", help="do not run the checks first")
    launch.add_argument("--no-follow", action="store_true", help="return once it is started")
    launch.add_argument(
        "--pull",
        action="store_true",
        help="fetch the image where it is missing: a pull, or the load of container.image_archive",
    )
    launch.add_argument(
        "--dry-run", action="store_true", help="show the plan and what stands in the way, no more"
    )
    _format(launch, "text", "json")
    running = launch.add_mutually_exclusive_group()
    running.add_argument(
        "--attach", action="store_true", help="follow a launch of the preset that runs already"
    )
    running.add_argument("--restart", action="store_true", help="stop such a launch first")
    status = add("status", "what runs where, and whether it serves")
    _connecting(status)
    _format(status, "text", "json")
    logs = add("logs", "the serve logs")
    _connecting(logs)
    logs.add_argument("--node", type=int, metavar="N", help="only this node")
    logs.add_argument("-f", dest="follow", action="store_true", help="follow")
    stop = add("stop", "stop what we launched, on every node, and verify that it is gone")
    _connecting(stop)
    stop.add_argument("--yes", action="store_true", help="do not ask")
    chat = add("chat", "ask the served model")
    _connecting(chat)
    chat.add_argument("prompt", metavar="PROMPT", nargs="?", help="one question (or on stdin)")
    _add_audit(add("audit", "what was run on the nodes"))
    _add_diagnose(add("diagnose", "name the cause of a failed launch from saved logs"))
    return top


def _add_diagnose(diagnose: argparse.ArgumentParser) -> None:
    diagnose.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="a log per node, node 0 first (plain, gzip, - for stdin), or a folder per node",
    )
    diagnose.add_argument(
        "--preset", metavar="PRESET", help="whose checks say which NPU has which address"
    )
    _format(diagnose, "text", "json")
    diagnose.add_argument("--lang", choices=["en", "zh"], default="en", help="of the explanations")


def _add_audit(audit: argparse.ArgumentParser) -> None:
    audit.add_argument(
        "preset", metavar="PRESET", nargs="?", help="only its nodes (saved name, or path)"
    )
    audit.add_argument("--node", type=int, metavar="N", help="only this node")
    audit.add_argument("--since", metavar="WHEN", help="30m, 2h, 3d, today, 14:05 or a date")
    audit.add_argument("--failed", action="store_true", help="only what did not end well")
    _format(audit, "text", "json")
    audit.add_argument("-f", dest="follow", action="store_true", help="follow")


def _add_render(render: argparse.ArgumentParser) -> None:
    _connecting(render)
    _format(render, "scripts", "lws")
    one = render.add_mutually_exclusive_group()
    one.add_argument(
        "-o",
        dest="output",
        metavar="DIR",
        help="write them here, with a README and a manifest"
        " (--format lws: the file, or a folder for it)",
    )
    one.add_argument(
        "--diff",
        choices=["guide", "saved", "nodes", "deployed"],
        help="how they differ from the guide (and why), from the preset as saved, from node to "
        "node, or from what the last launch left on the nodes",
    )
    one.add_argument(
        "--import",
        dest="import_from",
        metavar="DIR",
        help="take edits made by hand in a folder that -o wrote into the preset",
    )
    render.add_argument("--offline", action="store_true", help="ask no node anything")
    render.add_argument("--force", action="store_true", help="-o: replace files that are there")
    render.add_argument("--yes", action="store_true", help="--import: do not ask")
    render.add_argument(
        "--npu-resource", metavar="NAME",
        help="lws: what the cluster calls an NPU (default huawei.com/ascend-1980)",
    )  # fmt: skip
    render.add_argument("--namespace", metavar="NAME", help="lws: where the objects belong")


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--redact", action="store_true", help="mask addresses, hosts, users, serial numbers"
    )
    parser.add_argument("-o", dest="output", metavar="FILE", help="write it here")


def _add_check_records(add: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add what goes with the checks: earlier runs, and faults that are ignored."""
    history = add("history", "earlier runs of the checks: list them, or show one")
    _preset(history)
    history.add_argument("run", metavar="RUN", nargs="?", help="id of a run, or last")
    _format(history, "text", "json", "junit", "html")
    _report(history)
    ignores = add("ignores", "faults that the preset ignores, each with a reason")
    _preset(ignores)
    actions = ignores.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="what is ignored, why, by whom and since when")
    for name, text in (("add", "ignore one fault"), ("remove", "judge it again")):
        action = actions.add_parser(name, help=text)
        action.add_argument("--check", required=True, metavar="CHECK", help="link, disk, ping, …")
        action.add_argument("--node", required=True, type=int, metavar="N", help="its rank")
        action.add_argument("--device", type=int, metavar="N", help="the NPU, if it is about one")
        action.add_argument("--peer-node", type=int, metavar="N", help="of a ping")
        action.add_argument("--peer-device", type=int, metavar="N", help="of a ping")
        action.add_argument(
            "--problem", metavar="ID", help="as reports name it; else as the last run saw it"
        )
        if name == "add":
            action.add_argument("--reason", required=True, metavar="TEXT", help="why it is fine")


def _add_preset_commands(presets: argparse.ArgumentParser) -> None:
    actions = presets.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="names of the saved and shipped presets")
    for name, text in (
        ("show", "print a preset as YAML"),
        ("validate", "say whether a preset is right"),
        ("delete", "delete a saved preset"),
    ):
        _preset(actions.add_parser(name, help=text))
    new = actions.add_parser("new", help="save a preset of a list of nodes")
    new.add_argument("name", metavar="NAME")
    new.add_argument("--series", choices=[*Series], required=True, type=Series)
    new.add_argument("--precision", choices=[*Precision], required=True, type=Precision)
    new.add_argument("--recipe", default="guide", help="which version the scripts are for")
    new.add_argument("--nodes", action="append", metavar="LIST", help="as in 'root@node[01-02]'")
    new.add_argument("--nodes-file", metavar="FILE", help="a hosts file or a list, - for stdin")
    new.add_argument("--force", action="store_true", help="replace a saved preset of that name")
    load = actions.add_parser("import", help="save a YAML file as a preset")
    load.add_argument("file", metavar="FILE")
    load.add_argument("--name", help="another name than the file's own")
    load.add_argument("--force", action="store_true", help="replace a saved preset of that name")
    save = actions.add_parser("export", help="write a preset to a YAML file")
    _preset(save)
    save.add_argument("file", metavar="FILE")
    save.add_argument("--force", action="store_true", help="replace an existing file")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse arguments; when no command is named, ``wizard`` is put in front."""
    parser = build_parser()
    (subparsers,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    words = list(argv)
    named = bool(words) and words[0] in subparsers.choices
    asks = bool(words) and words[0] in ("-h", "--help", "--version")
    return parser.parse_args(words if named or asks else ["wizard", *words])


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (see EPILOG)."""
    _usable_streams()
    arguments = parse(sys.argv[1:] if argv is None else argv)
    try:
        if arguments.command in ("wizard", "demo"):
            return _open_screens(arguments)
        commands = import_module("wizard.commands")
        status: int = commands.run(arguments)
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has gone (`| head`); nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except WizardError as error:
        if arguments.debug:
            raise
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        if arguments.debug:
            raise
        about = f"{error.filename}: " if error.filename else ""
        print(f"{PROGRAM}: {about}{error.strerror or error}.", file=sys.stderr)
        return 2
    except Exception as error:
        if arguments.debug:
            raise
        what = f"{type(error).__name__}: {error}".partition("\n")[0]
        print(f"{PROGRAM}: a fault of ours: {what}. See where with --debug.", file=sys.stderr)
        return 1


def _usable_streams() -> None:
    """Make all three streams ones that can be used, however we were started.

    One that is closed (a daemon's child, ``<&-``) is None in Python, and the next file that is
    opened would get its number: a connection to a node, say. What stdout's encoding cannot hold
    (PYTHONIOENCODING=latin-1) is written as JSON escapes it, so that nothing is altered unseen. On
    stderr it becomes a question mark, which is as wide: the screens are drawn there.
    """
    codecs.register_error(_ESCAPED, _escaped)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:  # the lowest that is free
                os.dup2(descriptor, number)
                os.close(descriptor)
            stream = open(number, "r" if number == 0 else "w", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
        if number and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED if number == 1 else "replace")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    import json  # noqa: PLC0415 - keeps `v32-wizard --version` quick

    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _open_screens(arguments: argparse.Namespace) -> int:
    # textual draws on stderr: sent to a file, it would leave a blank terminal that takes keys
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        print(
            f"{PROGRAM}: the wizard needs a terminal; without one use the commands "
            f"({PROGRAM} --help).",
            file=sys.stderr,
        )
        return 2
    module = import_module("screens")
    if not hasattr(module, "OURS"):
        # The package's name is generic: another `screens` on the path would shadow ours.
        print(f"{PROGRAM}: another package named 'screens' is in the way: {module.__file__}")
        return 2
    door = import_module("screens.door")
    status: int = door.open_wizard(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main())
