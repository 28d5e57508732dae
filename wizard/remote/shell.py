r"""The shell text that carries our commands: pure, so that it can be read and tested by itself.

Every exec channel runs the same constant command, a bash without start-up files that reads our
script from stdin: nothing to quote for a login shell that may not be bash, nothing in ``ps``.
What the account's own ``.bashrc`` printed before is told apart by a nonce (ssh.md, "Framing").

Terminate, kill and close do not stop a process for root logins (ssh.md), so a watchdog in the
script waits for the end of stdin and ends what we started. ``timeout`` makes a process group of
its own and hands a TERM on to it, with KILL a second later.

bash 4.3 is what a node may have: no EPOCHREALTIME, no ``wait -f``, no ``${x@Q}``.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from wizard.remote.api import Job

ENTRY = "exec bash --norc --noprofile -s"
KILL_AFTER_S = 1
CHUNK = 3000  # bytes of output in a frame
JOB_LIMIT = 1 << 18  # bytes kept of each stream of a job, cut on the node


# Ends a command whose ``timeout`` is $pid, and its process group. coreutils' timeout (before 9.6)
# that gets a TERM while it forks dies without handing it on, and a bash that is about to exec loses
# one (2 in 100 of commands that were ended at their start, when measured): so a group whose timeout
# is gone is told itself, and what stays is killed. Who hands the TERM on is not disturbed, because
# its command may be tidying up. The script's own end does not stop this half way.
_PUT_DOWN = (
    "trap '' TERM; kill -TERM $pid; n=0; "
    "while kill -0 -- -$pid && [ $n -lt 10 ]; do sleep 0.1; n=$((n + 1)); "
    "[ $n != 1 ] || kill -0 $pid || kill -TERM -- -$pid; done; "
    "[ $n -lt 10 ] || kill -KILL -- -$pid;"
)


def sudo_entry(nonce: str, *, password: bool) -> str:
    """Return what the exec channel runs in place of ``ENTRY``, to be root.

    The script is read by root's own bash, with the login's HOME, so that paths mean the same.

    Args:
        nonce: the line after which the script begins on stdin, when ``password``.
        password: sudo reads the first line of stdin as its password. Where it does not ask after
            all, that line must never be taken for the script, so all up to the nonce is skipped.
            Never what sudo remembers (-k), or it would read a line only sometimes.
    """
    run = 'export HOME="$1"; exec bash --norc --noprofile -s'
    flags = "-n"
    if password:
        flags = "-k -S -p ''"
        run = f'while IFS= read -r l; do case "$l" in {nonce}) {run};; esac; done; exit 1'
    return f"exec sudo {flags} -- bash --norc --noprofile -c '{run}' bash \"$HOME\""


def marker(nonce: str) -> bytes:
    """Return the line that divides a login shell's own noise from a command's output."""
    return f"\x1e{nonce}\n".encode()


def supervised(
    command: str, *, nonce: str, timeout_s: float, stdin_size: int, merge: bool = False
) -> bytes:
    """Return the script that runs one command, to be followed on stdin by its own input.

    Args:
        command: shell text.
        nonce: of :func:`marker`, printed on both streams before the command starts.
        timeout_s: time limit on the node; 0 is none.
        stdin_size: how many bytes of stdin after the script are the command's.
        merge: both streams into stdout, in order.

    The end of stdin after those bytes ends the command.
    """
    quoted = shlex.quote(command)
    run = f"timeout -k {KILL_AFTER_S} {timeout_s:g} bash --norc --noprofile -c {quoted}"
    mark = rf"printf '\036%s\n' {nonce}"
    if stdin_size:
        # /proc/self/fd re-opens the pipe of `<(:)` for one direction only, so that it can end.
        pipe = "exec 9<> <(:); exec 7</proc/self/fd/9 6>/proc/self/fd/9 9>&-"
        start = f"{run} <&7 6>&- 7<&- 8<&- & pid=$!"
        # dd holds all of it in memory: a command that never reads does not keep the watchdog
        hold = f"dd bs={stdin_size} count=1 iflag=fullblock >&6 6>&- 8<&-"
        feed = f"exec 7<&- >/dev/null 2>&1; head -c {stdin_size} > >({hold}); exec 6>&-"
        close = "exec 6>&- 7<&-"
    else:
        pipe = close = ":"
        start = f"{run} </dev/null 8<&- & pid=$!"
        feed = "exec >/dev/null 2>&1"
    return f"""{{
exec 8<&0 </dev/null
{"exec 2>&1" if merge else ":"}
{mark}
{":" if merge else mark + " >&2"}
{pipe}
{start}
{{ {feed}; IFS= read -r -d '' _; {_PUT_DOWN} }} <&8 &
dog=$!
{close}
exec 8<&- >/dev/null 2>&1
wait $pid; rc=$?
kill $dog
exit $rc
}}
""".encode()


def batch(jobs: Sequence[Job], *, nonce: str, width: int) -> bytes:
    """Return the script that runs ``jobs`` and prints a frame for each piece of their answers.

    Lanes run side by side up to ``width``, the jobs of a lane in order. A job costs four forks
    beside the command's own. Frames are as :mod:`wizard.remote.frames` reads them. What a job
    leaves running in its process group when it ends is ended with it.
    """
    lanes: dict[str, list[str]] = {}
    for number, job in enumerate(jobs):
        line = f"job {number} {job.timeout_s:g} {shlex.quote(job.command)}"
        lanes.setdefault(job.lane, []).append(line)
    functions = "\n".join(
        f"lane_{number}() {{\n" + "\n".join(lines) + "\n}"
        for number, lines in enumerate(lanes.values())
    )
    head = f"nonce={nonce} limit={JOB_LIMIT} chunk={CHUNK} width={width} lanes={len(lanes)}"
    return "\n".join(["{", head + f" count={len(jobs)}", functions, _BATCH, "}", ""]).encode()


def refused(job: Job, reason: str) -> Job:
    """Return a job that says why it may not run, when it must be root; any other as it is."""
    if job.root != "must":
        return job
    words = shlex.quote(f"permission denied: {reason}")
    return replace(job, command=f"echo {words} >&2; exit 126")


def desk(*, nonce: str) -> bytes:
    """Return the script that runs each job as soon as it is asked for on stdin (:func:`asked`).

    Frames are as for :func:`batch`, without a trailer. The end of stdin ends it and every job.
    """
    head = f"nonce={nonce} limit={JOB_LIMIT} chunk={CHUNK}"
    return "\n".join(["{", head, _DESK, "}", ""]).encode()


def asked(number: int, job: Job) -> bytes:
    """Return what asks a :func:`desk` for a job: its fields, each ended by a NUL."""
    fields = (str(number), f"{job.timeout_s:g}", job.command)
    return "".join(f"{field}\0" for field in fields).encode()


# Descriptors: 3 our stdout, 4 and 7 read ends and 5 and 6 write ends of a job's streams,
# 8 the channel's stdin for the watchdog and later the tokens of lanes that ended, 9 the token of
# who may write a frame: bash writes a line at a time, so frames of two lanes would mix.
_JOB = rf"""
exec 8<&0 3>&1 </dev/null >/dev/null 2>&1
frame() {{
  read -r -u 9 _
  printf '\036%s %s %s %s %s\n%s\n' "$nonce" "$1" "$2" "$3" "${{#4}}" "$4" >&3
  echo >&9
}}
emit() {{
  local left=$limit n st=0 buf='' zero=0 more
  LC_ALL=C
  while [ "$left" -gt 0 ] && [ "$st" -eq 0 ]; do
    n=$chunk; [ "$left" -lt "$n" ] && n=$left
    more=''
    IFS= read -r -d '' -n "$n" -t "$3" more; st=$?
    if [ -n "$more" ]; then
      [ "$buf$zero" = 0 ] || frame "$1" "$2" "$zero" "$buf"
      buf=$more zero=0
    fi
    left=$((left - ${{#more}}))
    [ "$st" -eq 0 ] && [ "${{#more}}" -lt "$n" ] && zero=$((zero + 1)) left=$((left - 1))
  done
  [ "$buf$zero" = 0 ] || frame "$1" "$2" "$zero" "$buf"
  [ "$st" -gt 1 ] && return 1
  [ "$st" -eq 1 ] || timeout "$3" cat
}}
pipes() {{
  exec 5<> <(:); exec 4</proc/self/fd/5 5>&-
  exec 5<> <(:); exec 7</proc/self/fd/5 5>&-
}}
job() {{
  local out err rc began ended patience=$((${{2%.*}} + 4))
  exec 5>/proc/self/fd/4 6>/proc/self/fd/7
  emit o "$1" "$patience" <&4 5>&- 6>&- & out=$!
  emit e "$1" "$patience" <&7 5>&- 6>&- & err=$!
  read -r began _ </proc/uptime
  timeout -k {KILL_AFTER_S} "$2" bash --norc --noprofile -c "$3" \
    </dev/null >&5 2>&6 3>&- 4<&- 5>&- 6>&- 7<&- 8>&- 9>&- &
  pid=$!
  exec 5>&- 6>&-
  wait $pid; rc=$?
  read -r ended _ </proc/uptime
  kill -TERM -- -$pid
  wait $out || renew=1
  wait $err || renew=1
  [ -n "$renew" ] && {{ pipes; renew=''; }}
  frame x "$1" "$rc" "$began $ended"
}}
"""

_BATCH = (
    _JOB
    + r"""lane() {
  pid='' renew=''
  trap 'trap "" TERM; kill -TERM -- ${pid:+$pid -$pid} $(jobs -p); exit 143' TERM
  pipes
  "lane_$1"
  echo >&8
}
body() {
  local i=0 free=$width
  set +m
  exec 8<&-; exec 8<> <(:) 9<> <(:)
  echo >&9
  frame H "$count" 0 ''
  while [ "$i" -lt "$lanes" ]; do
    if [ "$free" -gt 0 ]; then free=$((free - 1)); else read -r -u 8 _; fi
    lane "$i" &
    i=$((i + 1))
  done
  wait
  frame T "$count" 0 ''
}
set -m
body & body=$!
set +m
{ IFS= read -r -d '' _; kill -TERM -- -$body; } <&8 3>&- & dog=$!
exec 3>&- 8<&-
wait $body
kill -TERM -- -$body  # lanes that outlive a body that was killed
kill $dog
exit 0
"""
)

# As a lane of one job each; the reader of stdin is the watchdog itself.
_DESK = (
    _JOB
    + r"""
one() {
  pid='' renew=''
  trap 'trap "" TERM; kill -TERM -- ${pid:+$pid -$pid} $(jobs -p); exit 143' TERM
  pipes
  job "$@"
}
desk() {
  local number seconds command
  set +m
  exec 9<> <(:)
  echo >&9
  frame H 0 0 ''
  while IFS= read -r -d '' number && IFS= read -r -d '' seconds && IFS= read -r -d '' command; do
    one "$number" "$seconds" "$command" </dev/null 8<&- &
  done <&8
  trap '' TERM
  kill -TERM 0
  wait
}
set -m
desk & desk=$!
set +m
exec 3>&- 8<&-
wait $desk
kill -TERM -- -$desk
exit 0
"""
)
