# The wire: one network namespace with a bridge, where the server runs and every host is plugged in.
# shellcheck shell=bash

readonly SERVER_ADDRESS=10.0.0.1
readonly AGENT_PORT=7443
# The first server's; each further one has the next ports.
readonly API_HOST=127.0.0.1 API_PORT=7080

host_address() { REPLY=10.0.0.$((10 + ${1#h})); }
host_mac() { printf -v REPLY '02:00:00:00:00:%02x' $((10 + ${1#h})); }

wire_up() {
  "$BENCH_HOME/spawn" "$DIR/wire.pid" "$DIR/wire.log" \
    unshare --net "$BENCH_HOME/wire-init" "$DIR/wire.ready" 9>&-
  within 10 test -e "$DIR/wire.ready" || die "the wire did not come up: $(tail -n 3 "$DIR/wire.log")"
}

# in_wire CMD…: becomes CMD in the wire's network namespace.
in_wire() {
  recorded_pid "$DIR/wire.pid" || no_bench
  nsenter --target "$REPLY" --net -- "$@"
}

# neighbours NAME DEVICE: `ip` lines that pin every other machine's address to its MAC. A cut host is then met
# by silence, as behind a router, not by the quick "no route to host" of an unanswered ARP.
neighbours() {
  local host address
  if [[ $1 != server ]]; then echo "neigh replace $SERVER_ADDRESS lladdr 02:00:00:00:00:01 dev $2 nud permanent"; fi
  for host in $(hosts); do
    if [[ $host == "$1" ]]; then continue; fi
    host_address "$host"
    address=$REPLY
    host_mac "$host"
    echo "neigh replace $address lladdr $REPLY dev $2 nud permanent"
  done
}

# plug HOST INIT-PID: gives a booted host its network card. Its end on the wire has the host's name.
plug() {
  local host=$1 init=$2 mac address master=(master br0)
  host_mac "$host"
  mac=$REPLY
  host_address "$host"
  address=$REPLY
  if [[ -e $DIR/$host/cut ]]; then master=(nomaster); fi
  # The card of the boot before goes with its namespace, a moment after the last process in it.
  unplugged() { ! in_wire ip link show "$host" >/dev/null 2>&1; }
  within 10 unplugged || in_wire ip link delete "$host"
  {
    echo "link add $host type veth peer name eth0 address $mac netns $init"
    echo "link set $host ${master[*]}"
    echo "link set $host up"
  } | in_wire ip -batch -
  {
    echo "addr add $address/24 dev eth0"
    echo "link set eth0 up"
    neighbours "$host" eth0
  } | nsenter --target "$init" --net -- ip -batch -
}

cmd_cut() {
  need_host "${1:-}"
  touch "$DIR/$1/cut"
  in_wire ip link set "$1" nomaster 2>/dev/null || ! host_on "$1" || die "cannot cut $1"
}

cmd_heal() {
  need_host "${1:-}"
  rm -f "$DIR/$1/cut"
  in_wire ip link set "$1" master br0 2>/dev/null || ! host_on "$1" || die "cannot heal $1"
}
