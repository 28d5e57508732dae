"""Why a launch failed: signatures (data), a streaming scan of each node's log, and one verdict.

Pure: text in, a :class:`~wizard.diagnosis.verdict.Diagnosis` out. Nothing here reaches a node.
"""
