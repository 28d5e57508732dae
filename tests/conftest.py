"""Property tests try the same examples on every run, so that main is not red by luck.

``make search`` (or ``pytest --hypothesis-profile search``) tries new ones, many more; what it finds
becomes an ``@example``.
"""

from __future__ import annotations

import gc

from hypothesis import settings

settings.register_profile("steady", derandomize=True, database=None, deadline=None)
settings.register_profile("search", max_examples=3000, database=None, deadline=None)
settings.load_profile("steady")


def pytest_collection_finish() -> None:
    """Five thousand tests live to the end: sweeping them again and again is a tenth of the time."""
    gc.collect()
    gc.freeze()
