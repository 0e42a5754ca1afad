# Words shared by the bench and the scripts: errors, waiting, and processes known by pid and start time.
# The caller names itself in PROGRAM.
# shellcheck shell=bash

# die MESSAGE [HINT]
die() {
  echo "$PROGRAM: $1" >&2
  if [[ -n ${2:-} ]]; then echo "hint: $2" >&2; fi
  exit 1
}

# usage_error MESSAGE
usage_error() {
  echo "$PROGRAM: $1" >&2
  echo "hint: run '$BENCH_NAME help'" >&2
  exit 2
}

# within SECONDS CMD…: runs CMD until it succeeds; fails when the time is up.
within() {
  local limit=$1 deadline
  shift
  deadline=$((${EPOCHREALTIME/./} + limit * 1000000))
  until "$@"; do
    if ((${EPOCHREALTIME/./} > deadline)); then return 1; fi
    sleep 0.02
  done
}

# start_time PID: sets REPLY to the process's start time; fails if it is gone or a zombie.
# With the start time a pid names one process for ever: a recycled number is never mistaken for it.
start_time() {
  local stat fields
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} != [ZX] ]] || return 1
  REPLY=${fields[19]}
}

# recorded_pid FILE: sets REPLY to the pid in FILE if that very process is alive.
recorded_pid() {
  local pid start
  { read -r pid start <"$1"; } 2>/dev/null || return 1
  start_time "$pid" && [[ $REPLY == "$start" ]] || return 1
  REPLY=$pid
}

running() { recorded_pid "$1"; }
gone() { ! recorded_pid "$1"; }

# end_recorded FILE [GROUP]: SIGKILL to the recorded process (and its group), then waits until it is gone.
end_recorded() {
  recorded_pid "$1" || return 0
  if [[ ${2:-} == group ]]; then kill -KILL -- "-$REPLY" 2>/dev/null || true; fi
  kill -KILL "$REPLY" 2>/dev/null || true
  within 10 gone "$1" || die "process $REPLY ($1) does not end"
}

# signal_process NAME ROOT-PID ACTION: what stop, kill, freeze and thaw mean, for every daemon of the bench.
signal_process() {
  local name=$1 pid=$2 action=$3 start
  start_time "$pid" || return 0
  start=$REPLY
  ended() { ! { start_time "$pid" && [[ $REPLY == "$start" ]]; }; }
  case $action in
    stop)
      kill -TERM "$pid"
      within "${ROOST_BENCH_STOP_LIMIT:-30}" ended || die "$name (pid $pid) did not stop when asked" "kill it: $BENCH_NAME … kill"
      ;;
    kill)
      kill -KILL "$pid"
      within 10 ended || die "$name (pid $pid) does not end"
      ;;
    freeze) kill -STOP "$pid" ;;
    thaw) kill -CONT "$pid" ;;
  esac
}

# executable NAME: sets REPLY to the path of one of Roost's own programs.
executable() {
  REPLY=$ROOST_BIN/$1
  [[ -x $REPLY ]] || die "no executable $REPLY" "build it (swift build), or set ROOST_BIN"
}

# says JSON FIELD VALUE: whether a JSON text has that field with that string.
says() { [[ $1 =~ \"$2\"[[:space:]]*:[[:space:]]*\"$3\" ]]; }

# string_in JSON FIELD: sets REPLY to the first string of that name in a JSON text.
string_in() { [[ $1 =~ \"$2\"[[:space:]]*:[[:space:]]*\"([^\"]*)\" ]] && REPLY=${BASH_REMATCH[1]}; }
