"""v32-wizard: puts DeepSeek-V3.2-Exp into service on Huawei Ascend servers.

This package is the engine. It knows nothing of the terminal interface (``screens``); both faces,
the screens and the command line, read its state and send it commands.
"""

__version__ = "0.1.0"
