# shellcheck shell=bash
# Read by every bash that runs on a simulated node (BASH_ENV). Paths that stand for the node's own
# files are led to its file tree; redirections and [[ ]] cannot be led and see this machine.
case $PATH in "$V32_SIM_BIN":*) ;; *) export PATH=$V32_SIM_BIN:$PATH ;; esac

__sim_map() { # path -> REPLY
  case $1 in
    /etc/hccn.conf* | /etc/ascend* | /dev/davinci* | /dev/devmm_svm | /dev/hisi_hdc | \
      /usr/local/Ascend* | /usr/local/dcmi* | /usr/local/bin/npu-smi | /root | /root/* | \
      /data | /data/* | /v32-wizard* | /etc/os-release | /etc/machine-id | \
      /proc/sys/kernel/random/boot_id) REPLY=$V32_SIM_ROOT$1 ;;
    *) REPLY=$1 ;;
  esac
}

__sim_args() { # arguments -> __mapped, __changed
  local arg rest
  __mapped=() __changed=
  for arg in "$@"; do
    # /root of the machine that plays the node may be the head of the node's own tree
    case $arg in "$V32_SIM_ROOT"*) __mapped+=("$arg"); continue ;; esac
    __sim_map "$arg"
    if builtin test "$REPLY" = "$arg"; then
      __mapped+=("$arg")
      continue
    fi
    __changed=1
    case $REPLY in
      *[*?[]*) # a pattern that matched nothing on this machine may match on the node
        rest=$(compgen -G "$REPLY") || rest=$REPLY
        while IFS= read -r arg; do __mapped+=("$arg"); done <<<"$rest" ;;
      *) __mapped+=("$REPLY") ;;
    esac
  done
}

__sim_run() { # the real tool, its arguments; what it prints names the node's paths again
  local real=$1 err code
  shift
  __sim_args "$@"
  if builtin test -z "$__changed"; then exec "$real" "$@"; fi
  case $real in
    */timeout | */env | */nohup | */setsid) exec "$real" "${__mapped[@]}" ;;
    */cat | */head | */tail | */sed | */awk | */tar | */gzip)
      exec 3>&1
      err=$(exec -a "${real##*/}" "$real" "${__mapped[@]}" 2>&1 >&3 3>&-) ;;
    *)
      exec 3>&1
      err=$({
        (exec -a "${real##*/}" "$real" "${__mapped[@]}" 3>&-) | sed -u "s|$V32_SIM_ROOT||g" >&3
        exit "${PIPESTATUS[0]}"
      } 2>&1) ;;
  esac
  code=$?
  if builtin test -n "$err"; then printf '%s\n' "${err//"$V32_SIM_ROOT"/}" >&2; fi
  exit "$code"
}

test() { __sim_args "$@"; builtin test "${__mapped[@]}"; }
function [ { __sim_args "$@"; builtin [ "${__mapped[@]}"; }
source() { __sim_map "$1"; builtin source "$REPLY" "${@:2}"; }
function /usr/local/Ascend/driver/tools/hccn_tool { hccn_tool "$@"; }
function /usr/local/bin/npu-smi { npu-smi "$@"; }
