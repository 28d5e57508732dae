"""What a text from a preset must not hold: characters that no argument carries, and secrets."""

from __future__ import annotations

import re
import unicodedata

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SECRET_KEY = re.compile(
    r"(^|_)(password|passwd|passphrase|token|secret|secret_key|api_?key|access_key|private_key)$"
)
_SECRET_URL = re.compile(r"://[^/@\s:]*:[^/@\s]+@")


def check_text(text: str) -> str:
    """Return ``text``, which may stand in a script and reach a program byte for byte.

    Raises:
        ValueError: it holds NUL, a newline or another control character, half a surrogate pair,
            or a character that would turn the direction of the line in a preview.
    """
    for character in text:
        category = unicodedata.category(character)
        if category in {"Cc", "Cs", "Zl", "Zp"} or character in _BIDI:
            name = unicodedata.name(character, f"U+{ord(character):04X}")
            raise ValueError(f"holds the control character {name}, which no argument can carry")
    return text


def is_secret_name(name: str) -> bool:
    """Whether a key, argument or variable of that name holds a secret."""
    return bool(_SECRET_KEY.search(re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")))


def holds_credentials(text: str) -> bool:
    """Whether ``text`` is an address with a password in it (``http://user:password@host``)."""
    return bool(_SECRET_URL.search(text))
