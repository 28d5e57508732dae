"""Names of everything that can be wrong with a cell: the link from an answer to the runbook.

Parsers, verdicts and the engine put one of these into ``value["problem"]`` of every result that is
not a pass; ``wizard/troubleshooting/runbook.yaml`` says under the same name what to do about it.
"""

from __future__ import annotations

from enum import StrEnum


class Problem(StrEnum):
    """What is wrong, by the id that findings and reports show."""

    # the question could not be asked, or the answer could not be understood
    UNREACHABLE = "unreachable"
    AUTH_FAILED = "auth-failed"
    HOST_KEY = "host-key"
    CONNECTION_LOST = "connection-lost"
    CANCELLED = "cancelled"
    TOOL_MISSING = "tool-missing"
    TOOL_BROKEN = "tool-broken"
    PERMISSION = "permission-denied"
    BUSY = "busy"
    NOT_RESPONDING = "npu-not-responding"
    NO_DEVICE = "no-such-device"
    UNSUPPORTED = "unsupported"
    CONTROL_LINK = "control-link"
    TOOL_FAILED = "tool-failed"
    NOT_UNDERSTOOD = "not-understood"
    COMMAND_MISSING = "command-missing"
    COMMAND_HUNG = "command-hung"
    # a node as a whole
    ARCH_WRONG = "arch-wrong"
    NPU_UNHEALTHY = "npu-unhealthy"
    NPU_OCCUPIED = "npu-occupied"
    NPU_MISSING = "npu-missing"
    DEVICE_FILE_MISSING = "device-file-missing"
    DRIVER_MISSING = "driver-missing"
    DRIVER_MIXED = "driver-mixed"
    RUNTIME_MISSING = "runtime-missing"
    RUNTIME_DOWN = "runtime-down"
    IMAGE_MISSING = "image-missing"
    IMAGE_ARCH = "image-arch"
    WEIGHTS_MISSING = "weights-missing"
    WEIGHTS_INCOMPLETE = "weights-incomplete"
    WEIGHTS_DIFFER = "weights-differ"
    WEIGHTS_PRECISION = "weights-precision"
    WEIGHTS_NOT_MOUNTED = "weights-not-mounted"
    MOUNT_MISSING = "mount-missing"
    MOUNT_IS_DIRECTORY = "mount-is-directory"
    NIC_WRONG = "nic-wrong"
    PORT_TAKEN = "port-taken"
    DISK_FULL = "disk-full"
    CLOCK_SKEW = "clock-skew"
    # the answer is bad
    LLDP_SILENT = "lldp-silent"
    LINK_DOWN = "link-down"
    NET_HEALTH_INIT = "net-health-init"
    NET_HEALTH_PENDING = "net-health-pending"
    NET_HEALTH_UNREACHABLE = "net-health-unreachable"
    NET_HEALTH_TIMEOUT = "net-health-timeout"
    NET_HEALTH_FAULT = "net-health-fault"
    NET_HEALTH_SOCKET = "net-health-socket"
    NET_HEALTH_THREAD = "net-health-thread"
    NET_HEALTH_UNKNOWN = "net-health-unknown"
    NETDETECT_UNSET = "netdetect-unset"
    NETDETECT_SELF = "netdetect-self"
    GATEWAY_MISSING = "gateway-missing"
    GATEWAY_OUTSIDE = "gateway-outside"
    NO_IP = "no-ip"
    IP_DUPLICATE = "ip-duplicate"
    LINK_FLAPPING = "link-flapping"
    OPTIC_MISSING = "optic-missing"
    OPTIC_NO_LIGHT = "optic-no-light"
    OPTIC_POWER = "optic-power"
    OPTIC_WEAK = "optic-weak"
    TLS_MIXED = "tls-mixed"
    VNIC_DOWN = "vnic-down"
    CONF_MISSING = "hccn-conf-missing"
    CONF_NO_ADDRESS = "hccn-conf-no-address"
    CONF_BAD_ADDRESS = "hccn-conf-bad-address"
    CONF_DUPLICATE = "hccn-conf-duplicate"
    CONF_GATEWAY = "hccn-conf-gateway"
    CONF_STALE = "hccn-conf-stale"
    OWN_LAUNCH = "own-launch"  # no fault: what uses the node is ours
    PING_LOSS = "ping-loss"
    PING_PARTIAL = "ping-partial"
    PING_HOST_UNREACHABLE = "ping-host-unreachable"
    PING_MTU = "ping-mtu"
    PING_NO_ADDRESS = "ping-no-address"
    HCCS_LOSS = "hccs-ping-loss"
    HCCS_PLANE = "hccs-ping-plane"
    # read from the whole ping matrix
    PING_ONE_WAY = "ping-one-way"
    PING_DEVICE = "ping-device"
    PING_NODE = "ping-node"
    PING_BLOCK = "ping-block"


# no answer because the node was not reached, or not any more: the same for all that it was asked
CONNECTION = frozenset(
    {Problem.UNREACHABLE, Problem.AUTH_FAILED, Problem.HOST_KEY, Problem.CONNECTION_LOST}
)
