# Hosts: namespaces with an init, a disk (a directory) and a libvirtd.
# shellcheck shell=bash

# hosts: the names of this bench's hosts.
hosts() { (cd "$DIR" && for host in h[0-9]*; do [[ -d $host ]] && echo "$host"; done | sort -V) || true; }

need_host() {
  [[ -n $1 ]] || usage_error "which host?"
  [[ -e $DIR/.roost-bench ]] || no_bench
  [[ $1 == h[0-9]* && -d $DIR/$1 ]] || die "no host '$1' in $DIR" "its hosts: $(hosts | tr '\n' ' ')"
}

# init_of HOST: sets REPLY to the pid of the host's init. What is recorded is `unshare`, its parent, at
# whose death the kernel kills the init too, and with it all that runs on the host.
init_of() {
  recorded_pid "$DIR/$1/host.pid" || return 1
  { read -r REPLY _ <"/proc/$REPLY/task/$REPLY/children"; } 2>/dev/null
  [[ -n $REPLY ]]
}

host_on() { init_of "$1"; }

need_power() { init_of "$1" || die "$1 is off" "switch it on: $BENCH_NAME power $1 on"; }

# on_host HOST CMD…: runs CMD inside all of the host's namespaces.
on_host() {
  need_power "$1"
  shift
  # shellcheck disable=SC2016 # expanded inside
  nsenter --target "$REPLY" --mount --uts --ipc --net --pid -- \
    /bin/sh -c 'cd "$1" 2>/dev/null || cd /; shift; exec "$@"' bench "$PWD" "$@"
}

# process_on HOST PIDFILE: sets REPLY to the pid, as seen from outside, of a daemon that `spawn` started on the host.
process_on() {
  local pid start init child line
  { read -r pid start <"$DIR/$1/run/bench/$2.pid"; } 2>/dev/null || return 1
  init_of "$1" || return 1
  init=$REPLY
  # shellcheck disable=SC2013 # words, not lines
  for child in $(<"/proc/$init/task/$init/children"); do
    while read -r line; do
      if [[ $line != NSpid:* ]]; then continue; fi
      if [[ ${line##*[[:space:]]} == "$pid" ]] && start_time "$child" && [[ $REPLY == "$start" ]]; then
        REPLY=$child
        return 0
      fi
      break
    done 2>/dev/null <"/proc/$child/status"
  done
  return 1
}

# make_host HOST: the host's disk, as it is before its first boot.
make_host() {
  local host=$1 dir=$DIR/$1 uuid peer
  uuid=$(</proc/sys/kernel/random/uuid)
  mkdir -p "$dir"/{run,etc,lib,cache,log,agent,pool}
  echo "${uuid//-/}" >"$dir/machine-id"
  {
    echo "127.0.0.1 localhost $host"
    echo "$SERVER_ADDRESS server"
    for peer in $(hosts); do host_address "$peer" && echo "$REPLY $peer"; done
  } >"$dir/hosts"
  cat >"$dir/etc/libvirtd.conf" <<CONF
host_uuid = "$uuid"
auth_unix_rw = "none"
unix_sock_group = "root"
log_outputs = "3:stderr"
CONF
  # QEMU runs as root with no confinement, so that its files may lie anywhere; without the private
  # /dev of each domain, a start is quicker and leaves no mounts behind.
  cat >"$dir/etc/qemu.conf" <<CONF
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
stdio_handler = "file"
CONF
  mkdir -p "$dir/cache/qemu"
  if [[ -d $ROOST_CACHE_DIR/capabilities ]]; then
    cp --archive "$ROOST_CACHE_DIR/capabilities" "$dir/cache/qemu/"
  fi
}

# power_on HOST: a new boot, up to and with libvirtd.
power_on() {
  local host=$1 dir=$DIR/$1
  rm -rf --one-file-system "$dir/run"
  mkdir -p "$dir/run/bench" "$dir/run/lock"
  cat /proc/sys/kernel/random/uuid >"$dir/boot-id"
  "$BENCH_HOME/spawn" "$dir/host.pid" "$dir/host.log" \
    unshare --net --mount --uts --ipc --pid --fork --kill-child=SIGKILL \
    "$BENCH_HOME/host-init" "$host" "$dir" 9>&-
  within 10 test -e "$dir/run/bench/ready" || die "$host did not boot: $(tail -n 3 "$dir/host.log")"
  need_power "$host"
  plug "$host" "$REPLY"
  libvirtd_start "$host"
}

# power_off HOST: SIGKILL to the init, and everything on the host dies at once. `unshare` then follows; where it was
# killed before, or the init was not there yet, it is ended instead.
power_off() {
  if init_of "$1"; then kill -KILL "$REPLY" 2>/dev/null || true; fi
  within 10 gone "$DIR/$1/host.pid" || end_recorded "$DIR/$1/host.pid"
}

cmd_power() {
  need_host "${1:-}"
  case ${2:-} in
    off) power_off "$1" ;;
    on)
      lock shared
      if host_on "$1"; then die "$1 is on already"; fi
      power_on "$1"
      ;;
    *) usage_error "power HOST on|off" ;;
  esac
}

cmd_exec() {
  local host=${1:-}
  shift || true
  if [[ $# -eq 0 ]]; then usage_error "exec HOST CMD…"; fi
  if [[ $host == server ]]; then in_wire "$@"; else need_host "$host" && on_host "$host" "$@"; fi
}

cmd_virsh() {
  need_host "${1:-}"
  local host=$1
  shift
  on_host "$host" virsh --connect qemu:///system "$@"
}

libvirt_answers() { on_host "$1" virsh --connect qemu:///system list >/dev/null 2>&1; }

libvirtd_start() {
  local host=$1 dir=$DIR/$1
  if process_on "$host" libvirtd; then return 0; fi
  on_host "$host" "$BENCH_HOME/spawn" /run/bench/libvirtd.pid "$dir/libvirtd.log" libvirtd 9>&-
  within 60 libvirt_answers "$host" || die "libvirtd of $host does not answer: $(tail -n 3 "$dir/libvirtd.log")"
}

cmd_libvirtd() {
  need_host "${1:-}"
  case ${2:-} in
    start)
      lock shared
      libvirtd_start "$1"
      ;;
    status) if process_on "$1" libvirtd; then echo "running (pid $REPLY)"; else echo stopped; fi ;;
    stop | kill | freeze | thaw) if process_on "$1" libvirtd; then signal_process "libvirtd of $1" "$REPLY" "$2"; fi ;;
    *) usage_error "libvirtd HOST start|stop|kill|freeze|thaw|status" ;;
  esac
}

# qemu_of HOST DOMAIN: sets REPLY to the pid of a domain's QEMU, by the domain's UUID or name. It asks no libvirtd, which may be down.
qemu_of() {
  local init child args
  init_of "$1" || return 1
  init=$REPLY
  # shellcheck disable=SC2013
  for child in $(<"/proc/$init/task/$init/children"); do
    mapfile -d '' -t args 2>/dev/null <"/proc/$child/cmdline" || continue
    if [[ ${args[0]:-} != *qemu-system-* ]]; then continue; fi
    if [[ " ${args[*]} " == *" -uuid $2 "* || " ${args[*]}," == *" guest=$2,"* ]]; then
      REPLY=$child
      return 0
    fi
  done
  return 1
}

cmd_qemu() {
  need_host "${1:-}"
  local domain=${2:-}
  [[ -n $domain ]] || usage_error "qemu HOST DOMAIN pid|kill"
  qemu_of "$1" "$domain" || die "no QEMU of '$domain' runs on $1" "its domains: $BENCH_NAME virsh $1 list"
  case ${3:-} in
    pid) echo "$REPLY" ;;
    kill) signal_process "QEMU of $domain" "$REPLY" kill ;;
    *) usage_error "qemu HOST DOMAIN pid|kill" ;;
  esac
}
