"""The same plan for Kubernetes: a LeaderWorkerSet manifest of a preset. Pure: text out.

Sources: the LeaderWorkerSet API (kubernetes-sigs/lws, ``leaderworkerset.x-k8s.io/v1``), and how
vLLM-Ascend's own multi-node tests use it. No cluster is asked.
"""

from wizard.lws.manifest import NPU_RESOURCE, manifest

__all__ = ["NPU_RESOURCE", "manifest"]
