# shellcheck shell=bash
# ``timeout`` of a simulated node: with its way to node 0's RPC port blocked, no connection that is
# tried comes to anything; else the real one.
# shellcheck disable=SC2154  # real stands above
case "$V32_SIM_RPC: $*" in
  "blocked: "*/dev/tcp/*) exit 124 ;;
esac
__sim_run "$real" "$@"
