"""container.sh: what supervision needs in it, however it was edited."""

from __future__ import annotations

from itertools import pairwise

from wizard.lint import keptrules
from wizard.lint.model import Place
from wizard.lint.words import Command, commands
from wizard.presetmodel import Preset
from wizard.scriptlines import LABEL_LAUNCH, LABEL_PRESET, image

_NEEDED = {
    LABEL_PRESET: "finds what runs for this preset",
    LABEL_LAUNCH: "finds what this launch started",
}


def check(text: str, preset: Preset, place: Place) -> None:
    """Check one container.sh.

    Raises:
        Unreadable: the text cannot be split into words.
    """
    found = commands(text)
    words = [word for command in found for word in command.words]
    literal = [(word.literal, word.line) for word in words]
    if preset.makes("labels"):
        for label, why in _NEEDED.items():
            if not any(text.partition("=")[0] == label for text, _ in literal):
                said = f"The label {label} is missing: it {why}."
                place.error(
                    0, "label-missing", said, "Put it back, or stop and status see nothing."
                )
    _devices(found, preset, place)
    _image(found, preset, place)
    keptrules.check(found, preset, place)


def _devices(found: list[Command], preset: Preset, place: Place) -> None:
    lines: dict[str, int] = {}
    for command in found:
        words = command.words
        for option, after in pairwise(words):
            if option.literal == "--device":
                lines[after.literal] = after.line
    numbered = {d: n for d, n in lines.items() if d.removeprefix("/dev/davinci").isdigit()}
    wanted = {f"/dev/davinci{i}" for i in range(preset.series.devices)}
    if missing := sorted(wanted - numbered.keys(), key=lambda d: (len(d), d)):
        line = max(lines.values(), default=0)
        text = f"The container does not get {', '.join(missing)}."
        right = f"Give it all {preset.series.devices} NPUs of the node."
        place.error(line, "devices", text, right)
    for device in sorted(numbered.keys() - wanted):
        text = f"{preset.series.value} has no {device}."
        place.error(numbered[device], "devices", text, "Leave the line out.")


def _image(found: list[Command], preset: Preset, place: Place) -> None:
    for command in found:
        word = command.words[0] if command.words else None
        if word is None or word.assigns not in {"image", "IMAGE"} or len(command.words) > 1:
            continue
        said = word.literal.partition("=")[2]
        told = all(part.kind == "text" for part in word.parts)
        if said and told and said != image(preset):
            text = f"The image is {said}, but the launch looks for {image(preset)}."
            right = "Set container.image in the preset instead."
            place.error(word.line, "preset-disagrees", text, right)
