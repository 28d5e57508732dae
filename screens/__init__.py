"""The Textual face of v32-wizard: one module per step, its ``.tcss`` beside it."""

OURS = "v32-wizard"  # tells this package from another of the same generic name
