"""What serve.sh passes to vLLM: model, environment and arguments, each with its provenance.

Pure: a preset and its recipe in, options out. A value of the preset is always literal; only the
recipe's own may be one of the placeholders that are filled in per node.
"""

from __future__ import annotations

import shlex

from wizard import recipes
from wizard.cluster import Node
from wizard.presetmodel import Preset
from wizard.recipes.model import PLACEHOLDERS, PORT, RPC_PORT, Note, Provenance, as_text
from wizard.scriptlines import Option, changed, ours


def _word(text: str) -> str:
    return f'"{text}"' if text in PLACEHOLDERS else shlex.quote(text)


def _argument(name: str, value: object) -> str:
    return name if value is True else f"{name} {_word(as_text(value))}"


def model(preset: Preset) -> Option:
    """Return what ``vllm serve`` is given as the model."""
    scenario = preset.scenario
    documented = shlex.quote(scenario.model)
    if preset.serve.model:
        text = shlex.quote(preset.serve.model)
        return Option(text, documented, "serve.model of the preset", Provenance.YOURS)
    if scenario.local_model and preset.makes("local_model"):
        why = "a repository id makes every node download about 700 GB"
        return ours(shlex.quote(scenario.local_model), documented, why)
    note = recipes.load(preset.recipe).note(scenario, "model")
    return Option(documented, documented, provenance=note.provenance)


def environment(preset: Preset) -> list[Option]:
    """Return the ``export`` lines, the recipe's first, then those that the preset adds."""
    scenario = preset.scenario
    recipe, env = recipes.load(preset.recipe), preset.serve.env
    found = []
    for name, documented in scenario.env.items():
        line = _export(name, documented)
        if name in env:
            text = _export(name, env[name], literal=True)
            found.append(changed(text, line, "serve.env of the preset"))
        else:
            found.append(_noted(line, recipe.note(scenario, name), name))
    for name, value in env.items():
        if name not in scenario.env and value is not None:
            text = _export(name, value, literal=True)
            found.append(changed(text, "", "serve.env of the preset"))
    for name, note in recipe.all_notes(scenario).items():
        if name not in {*scenario.env, *env} and not name.startswith("--"):
            found.append(_noted("", note, name))
    return [option for option in found if option.text or option.guide]


def _export(name: str, value: str | None, *, literal: bool = False) -> str:
    if value is None:
        return ""
    return f"export {name}={shlex.quote(value) if literal else _word(value)}"


def _noted(line: str, note: Note, name: str) -> Option:
    """A value of the recipe; where it is not the guide's, with the reason that the recipe gives."""
    if note.guide is None:
        return Option(line, line, provenance=note.provenance)
    return Option(line, _export(name, note.guide), note.reason, note.provenance)


def arguments(preset: Preset, rank: int) -> list[Option]:
    """Return the arguments after ``vllm serve MODEL`` on one node."""
    recipe, scenario, serve = recipes.load(preset.recipe), preset.scenario, preset.serve
    documented = recipe.arguments(scenario, rank)
    changes: dict[str, object] = {**serve.args}
    reasons = dict.fromkeys(changes, "serve.args of the preset")
    for flag, key, port in (
        (PORT, "port", serve.port),
        (RPC_PORT, "rpc_port", serve.rpc_port if scenario.rpc_port else None),
    ):
        if port is not None:
            changes[flag], reasons[flag] = port, f"serve.{key} of the preset"
    corrections = {n: c for n, c in recipe.corrections.items() if preset.makes(c.switch)}
    found = []
    for name, value in documented.items():
        line = _argument(name, value)
        if name in changes:
            found.append(changed(_literal(name, changes[name]), line, reasons[name]))
        elif name in corrections:
            ours_line = _literal(name, corrections[name].value)
            found.append(ours(ours_line, line, corrections[name].reason))
        else:
            found.append(Option(line, line, provenance=recipe.note(scenario, name).provenance))
    found += [
        ours(_literal(name, correction.value), "", correction.reason)
        for name, correction in corrections.items()
        if name not in {*documented, *changes} and correction.value is not None
    ]
    added = (name for name in changes if name not in documented)
    found += [changed(_literal(name, changes[name]), "", reasons[name]) for name in added]
    return [option for option in found if option.text or option.guide]


def _literal(name: str, value: object) -> str:
    """An argument of the preset: never a placeholder, nothing when it is dropped."""
    if value is None:
        return ""
    return name if value is True else f"{name} {shlex.quote(as_text(value))}"


def facts(node: Node, head: Node, used: str) -> list[str]:
    """Return the lines that set the node's own values, only those that ``used`` mentions."""
    values = {
        "nic_name": (node.nic, "interface that holds local_ip"),
        "local_ip": (node.local_ip, "address that the other nodes reach this one by"),
        "node0_ip": (head.local_ip, "local_ip of node 0, the same on every node"),
    }
    return [
        f"{name}={shlex.quote(value or '')}  # {what}"
        for name, (value, what) in values.items()
        if f'"${name}"' in used
    ]
