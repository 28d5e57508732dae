"""The answers of the preview: parameters as typed, and edits of the scripts, in a draft."""

from __future__ import annotations

from wizard import patchkeys
from wizard.draft import Draft
from wizard.errors import PresetError
from wizard.parameters import BY_ID, PARAMETERS, Parameter, text_of, with_text


def text(draft: Draft, parameter: Parameter) -> str:
    """Return what was typed in a parameter's field, right or wrong."""
    typed = draft.typed.get(parameter.id)
    return text_of(draft.extra, parameter) if typed is None else typed


def put(draft: Draft, parameter: Parameter, typed: str) -> bool:
    """Take what was typed in a parameter's field; return whether it is another answer."""
    if typed == text(draft, parameter):
        return False
    before = draft.typed.pop(parameter.id, None)
    try:
        extra = with_text(draft.extra, parameter, typed)
    except ValueError:
        draft.typed[parameter.id] = typed
        return True
    changed = before is not None or extra != draft.extra
    draft.extra = extra
    return changed


def problems(draft: Draft) -> dict[str, str]:
    """Return what is wrong with texts that are no values, by the parameter's id."""
    found = {}
    for name, typed in draft.typed.items():
        try:
            with_text(draft.extra, BY_ID[name], typed)
        except ValueError as error:
            found[name] = str(error)
        except KeyError:
            continue  # of an autosave that another version wrote
    return found


def refuse_problems(draft: Draft) -> None:
    """Refuse a draft in which a field holds no value.

    Raises:
        PresetError: with the path of the key that the first such field stands for.
    """
    found = problems(draft)
    for parameter in PARAMETERS:
        if parameter.id in found:
            raise PresetError(found[parameter.id], path=parameter.key)


def patches(draft: Draft) -> dict[str, str]:
    """Return the edits of the scripts."""
    return dict(draft.extra.get("patches") or {})


def set_patches(draft: Draft, new: dict[str, str]) -> None:
    """Take other edits of the scripts."""
    rest = {k: v for k, v in draft.extra.items() if k != "patches"}
    draft.extra = rest | ({"patches": new} if new else {})


def drop_edits(draft: Draft, rank: int, name: str) -> bool:
    """Drop a script's edits; return whether there were any."""
    found = patches(draft)
    had = found.pop(patchkeys.key(rank, name), None) is not None
    set_patches(draft, found)
    return had
