"""Stands in for torch_npu and its like in the environment of ``make test-vllm`` (real_parts).

Python imports this by itself when the folder is on PYTHONPATH. Only what cannot be installed
without an accelerator is replaced: vLLM's parser and vLLM-Ascend's configuration checks are real.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from typing import Any
from unittest.mock import MagicMock

STAND_INS = ("torch_npu", "torchair", "acl", "mooncake", "vllm_ascend.vllm_ascend_C")


class _Module(types.ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__version__ = "2.7.1"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = MagicMock(name=f"{self.__name__}.{name}")
        setattr(self, name, value)
        return value


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if any(name == known or name.startswith(known + ".") for known in STAND_INS):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        if module.__name__ == "torch_npu":  # importing it is what gives torch its device "npu"
            import torch
            import torch.distributed

            torch.utils.rename_privateuse1_backend("npu")
            torch.distributed.is_hccl_available = lambda: False
            torch.npu = sys.modules["torch.npu"] = _Module("torch.npu")


sys.meta_path.insert(0, _Finder())
