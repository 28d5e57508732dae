"""container.sh: what the launch knows from the preset, and the text must not say otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from wizard.lint.model import Place
from wizard.lint.words import Command, Word
from wizard.presetmodel import Preset


def check(found: Sequence[Command], preset: Preset, place: Place) -> None:
    """Compare runtime and container name; the image is compared beside the devices."""
    container = preset.container
    for command in found:
        words = command.words
        for word in words[:1]:
            if word.assigns == "runtime":
                _compare(word, word.literal.partition("=")[2], container.runtime, "runtime", place)
            elif word.assigns == "name":
                _compare(word, word.literal.partition("=")[2], container.name, "name", place)
        for option, after in pairwise(words):
            if option.literal == "--name":
                _compare(after, after.literal, container.name, "name", place)
        for word in words:
            if word.literal.startswith("--name="):
                _compare(word, word.literal.partition("=")[2], container.name, "name", place)


def _compare(word: Word, said: str, known: str, key: str, place: Place) -> None:
    told = all(part.kind == "text" for part in word.parts)
    if told and said != known:
        text = f"The container's {key} is {said}, but launch, status and stop use {known}."
        place.error(
            word.line, "preset-disagrees", text, f"Set container.{key} in the preset instead."
        )
