"""YAML as we ship it (recipes, runbook, signatures, scenarios), read quickly.

What users write is read by :mod:`wizard.presets`, which is stricter and tells the line.
"""

from __future__ import annotations

from typing import Any

import yaml

# ten times quicker where libyaml is there, and just as safe
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_data(text: str) -> Any:
    """Return what one YAML document holds.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - both loaders are safe ones
