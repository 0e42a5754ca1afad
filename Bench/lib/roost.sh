# Roost's own programs on the bench: the server on the wire, an agent on each host, the client.
# shellcheck shell=bash

# after_dashes ARGS…: sets EXTRA to what follows `--`.
after_dashes() {
  EXTRA=()
  while (($#)); do
    if [[ $1 == -- ]]; then
      shift
      EXTRA=("$@")
      return 0
    fi
    shift
  done
}

# server_name NUMBER: sets REPLY to what the directory and the files of that server are called.
server_name() { if (($1 == 1)); then REPLY=server; else REPLY=server$1; fi; }

# all_servers: sets REPLY to the addresses that agents dial, as many as the bench says.
all_servers() {
  local number count=1 addresses=()
  if [[ -r $DIR/servers ]]; then read -r count <"$DIR/servers"; fi
  for ((number = 1; number <= count; number++)); do addresses+=("$SERVER_ADDRESS:$((AGENT_PORT + number - 1))"); done
  REPLY=$(IFS=, && echo "${addresses[*]}")
}

agent_run() {
  local host=$1 pool servers
  shift
  all_servers
  servers=$REPLY
  lock shared
  pool=$(<"$DIR/pool")
  if [[ $pool == own ]]; then pool=$DIR/$host/pool; else pool=$DIR/shared-pool; fi
  if process_on "$host" agent; then die "the agent of $host runs already"; fi
  executable roost-agent
  on_host "$host" "$BENCH_HOME/spawn" /run/bench/agent.pid "$DIR/$host/agent.log" \
    "$REPLY" --server "$servers" --data-dir "$DIR/$host/agent" --pool "$pool" "$@" 9>&-
}

cmd_agent() {
  need_host "${1:-}"
  local host=$1 action=${2:-} token=${3:-}
  after_dashes "$@"
  case $action in
    start) agent_run "$host" ${EXTRA[@]+"${EXTRA[@]}"} ;;
    join)
      [[ -n $token && $token != -- ]] || usage_error "agent HOST join TOKEN"
      agent_run "$host" --join "$token" ${EXTRA[@]+"${EXTRA[@]}"}
      ;;
    status) if process_on "$host" agent; then echo "running (pid $REPLY)"; else echo stopped; fi ;;
    stop | kill | freeze | thaw) if process_on "$host" agent; then signal_process "agent of $host" "$REPLY" "$action"; fi ;;
    *) usage_error "agent HOST start|join TOKEN|stop|kill|freeze|thaw|status [-- ARGS]" ;;
  esac
}

# server_api NUMBER: sets REPLY to the address of that server's API.
server_api() { REPLY=$API_HOST:$((API_PORT + $1 - 1)); }

server_ready() {
  server_api "$1"
  [[ $(in_wire curl --silent --max-time 2 --output /dev/null --write-out '%{http_code}' "http://$REPLY/readyz") == 200 ]]
}

server_ready_or_dead() { gone "$2" || server_ready "$1"; }

# faketime_library: prints the path of the library that gives a program another clock.
faketime_library() {
  local found
  found=$(find /usr/lib -path '*/faketime/libfaketimeMT.so.1' -print -quit)
  [[ -n $found ]] || die "libfaketime is not installed" "run scripts/setup"
  echo "$found"
}

# forget_clocks: removes what that library left of each server that had one.
forget_clocks() {
  local pid
  if [[ ! -r $DIR/clocks ]]; then return 0; fi
  while read -r pid; do rm -f "/dev/shm/faketime_shm_$pid" "/dev/shm/sem.faketime_sem_$pid"; done <"$DIR/clocks"
}

server_start() {
  local number=$1 name program pid library clock=()
  shift
  server_name "$number"
  name=$REPLY
  pid=$DIR/$name.pid
  lock shared
  if running "$pid"; then die "the $name runs already (pid $REPLY)"; fi
  executable roostd
  program=$REPLY
  recorded_pid "$DIR/wire.pid" || no_bench
  local wire=$REPLY
  mkdir -p "$DIR/$name"
  server_api "$number"
  # Only the wall clock is set: what is measured on the monotonic one goes on as ever. The first program with the library
  # adds a variable to its environment, and a Swift program that does so loses sight of its arguments: a shell goes first.
  if [[ -n ${ROOST_BENCH_CLOCK:-} ]]; then
    library=$(faketime_library)
    # shellcheck disable=SC2016 # expanded by the child
    clock=(env "LD_PRELOAD=$library" "FAKETIME=$ROOST_BENCH_CLOCK" FAKETIME_DONT_FAKE_MONOTONIC=1 bash -c 'exec "$@"' clock)
  fi
  # Servers of one database share the first one's keys and images.
  "$BENCH_HOME/spawn" "$pid" "$DIR/$name.log" \
    nsenter --target "$wire" --net -- ${clock[@]+"${clock[@]}"} "$program" \
    --data-dir "$DIR/$name" --shared-dir "$DIR/server" --node "$name" --listen "$REPLY" --agent-listen "$SERVER_ADDRESS:$((AGENT_PORT + number - 1))" "$@" 9>&-
  if ((${#clock[@]} > 0)); then cut -d ' ' -f 1 "$pid" >>"$DIR/clocks"; fi
  if within 60 server_ready_or_dead "$number" "$pid" && running "$pid"; then return 0; fi
  tail -n 20 "$DIR/$name.log" >&2
  if running "$pid"; then die "the $name is not ready after 60 s"; fi
  die "the $name ended at its start" "its log: $DIR/$name.log"
}

cmd_server() {
  local number=1 action pid
  if [[ ${1:-} =~ ^[1-9]$ ]]; then
    number=$1
    shift
  fi
  action=${1:-}
  after_dashes "$@"
  server_name "$number"
  pid=$DIR/$REPLY.pid
  case $action in
    start) server_start "$number" ${EXTRA[@]+"${EXTRA[@]}"} ;;
    status) if running "$pid"; then echo "running (pid $REPLY)"; else echo stopped; fi ;;
    stop | kill | freeze | thaw) if running "$pid"; then signal_process "the server" "$REPLY" "$action"; fi ;;
    *) usage_error "server [NUMBER] start|stop|kill|freeze|thaw|status [-- ARGS]" ;;
  esac
}

# admin_token: sets REPLY to the token that the server made at its first start; empty before.
admin_token() {
  REPLY=
  if [[ -r $DIR/server/admin.token ]]; then read -r REPLY <"$DIR/server/admin.token" || true; fi
}

cmd_roost() {
  local program
  executable roost
  program=$REPLY
  admin_token
  ROOST_SERVER=${ROOST_SERVER:-http://$API_HOST:$API_PORT} ROOST_TOKEN=${ROOST_TOKEN:-$REPLY} in_wire "$program" "$@"
}

cmd_curl() {
  admin_token
  in_wire curl --silent --show-error --header "Authorization: Bearer ${ROOST_TOKEN:-$REPLY}" "$@"
}

host_connected() { says "$(cmd_roost host show "$1" --output json 2>/dev/null)" connection connected; }

host_connected_or_dead() { ! process_on "$1" agent || host_connected "$2"; }

cmd_host_up() {
  need_host "${1:-}"
  local host=$1 name=${2:-$1} answer
  answer=$(cmd_roost host add "$name" --output json)
  string_in "$answer" joinToken || die "'roost host add $name' gave no join token"
  agent_run "$host" --join "$REPLY"
  if within 60 host_connected_or_dead "$host" "$name" && process_on "$host" agent; then return 0; fi
  tail -n 20 "$DIR/$host/agent.log" >&2
  die "host $name did not connect" "its agent's log: $DIR/$host/agent.log"
}

cmd_log() {
  case ${1:-} in
    server | server[2-9]) cat "$DIR/$1.log" ;;
    *) need_host "${1:-}" && cat "$DIR/$1/${2:-agent}.log" ;;
  esac
}
