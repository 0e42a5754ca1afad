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

agent_run() {
  local host=$1 pool
  shift
  lock shared
  pool=$(<"$DIR/pool")
  if [[ $pool == own ]]; then pool=$DIR/$host/pool; else pool=$DIR/shared-pool; fi
  if process_on "$host" agent; then die "the agent of $host runs already"; fi
  executable roost-agent
  on_host "$host" "$BENCH_HOME/spawn" /run/bench/agent.pid "$DIR/$host/agent.log" \
    "$REPLY" --server "$SERVER_ADDRESS:$AGENT_PORT" --data-dir "$DIR/$host/agent" --pool "$pool" "$@" 9>&-
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

server_ready() {
  [[ $(in_wire curl --silent --max-time 2 --output /dev/null --write-out '%{http_code}' "$API_URL/readyz") == 200 ]]
}

server_ready_or_dead() { gone "$DIR/server.pid" || server_ready; }

server_start() {
  lock shared
  if running "$DIR/server.pid"; then die "the server runs already (pid $REPLY)"; fi
  executable roostd
  local program=$REPLY
  recorded_pid "$DIR/wire.pid" || no_bench
  "$BENCH_HOME/spawn" "$DIR/server.pid" "$DIR/server.log" \
    nsenter --target "$REPLY" --net -- "$program" --data-dir "$DIR/server" \
    --listen "${API_URL#http://}" --agent-listen "$SERVER_ADDRESS:$AGENT_PORT" "$@" 9>&-
  if within 60 server_ready_or_dead && running "$DIR/server.pid"; then return 0; fi
  tail -n 20 "$DIR/server.log" >&2
  if running "$DIR/server.pid"; then die "the server is not ready after 60 s"; fi
  die "the server ended at its start" "its log: $DIR/server.log"
}

cmd_server() {
  local action=${1:-}
  after_dashes "$@"
  case $action in
    start) server_start ${EXTRA[@]+"${EXTRA[@]}"} ;;
    status) if running "$DIR/server.pid"; then echo "running (pid $REPLY)"; else echo stopped; fi ;;
    stop | kill | freeze | thaw) if running "$DIR/server.pid"; then signal_process "the server" "$REPLY" "$action"; fi ;;
    *) usage_error "server start|stop|kill|freeze|thaw|status [-- ARGS]" ;;
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
  ROOST_SERVER=${ROOST_SERVER:-$API_URL} ROOST_TOKEN=${ROOST_TOKEN:-$REPLY} in_wire "$program" "$@"
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
    server) cat "$DIR/server.log" ;;
    *) need_host "${1:-}" && cat "$DIR/$1/${2:-agent}.log" ;;
  esac
}
