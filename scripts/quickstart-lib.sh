# What `quickstart` and `quickstart-down` share: where things are, and how they are started and ended.
# shellcheck shell=bash

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BIN=$TOP/.build/debug
ROOST=$TOP/.roost
# Pids, ports and what else must be known to end it all: present from the first step to the last.
STATE=$ROOST/quickstart
# shellcheck source=../Bench/lib/common.sh
source "$TOP/Bench/lib/common.sh"

step() { echo "==> $*"; }

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

libvirt_answers() { as_root virsh --connect qemu:///system uri >/dev/null 2>&1; }

# client ARGS…: the client, as administrator of the quickstart's server.
client() {
  ROOST_SERVER=http://127.0.0.1:$(<"$STATE/api-port") ROOST_TOKEN=$(<"$ROOST/server/admin.token") "$BIN/roost" "$@"
}

# end NAME: asks one of the quickstart's processes to stop, and makes it after 30 s.
end() {
  local pidfile=$STATE/$1.pid
  recorded_pid "$pidfile" || return 0
  as_root kill -TERM "$REPLY" 2>/dev/null || true
  if ! within 30 gone "$pidfile"; then
    echo "$PROGRAM: $1 (pid $REPLY) does not stop, killing it" >&2
    as_root kill -KILL "$REPLY" 2>/dev/null || true
    within 10 gone "$pidfile" || die "$1 does not end"
  fi
}
