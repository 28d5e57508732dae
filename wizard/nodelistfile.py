"""Reading a list of nodes from a file that the user names."""

from __future__ import annotations

from pathlib import Path

MAX_BYTES = 256 * 1024


def read_list(name: str) -> str:
    """Return the text of a file of nodes; ``~`` is the home of the user.

    Raises:
        ValueError: it cannot be read, is no text, or is larger than any such list.
    """
    path = Path(name).expanduser()
    try:
        if not path.is_file():
            what = "is no file" if path.exists() else "does not exist"
            raise ValueError(f"{path} {what}.")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    if len(raw) > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES // 1024} KiB; no list of nodes is.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file in UTF-8.") from None
