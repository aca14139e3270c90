# shellcheck shell=bash
# Starts and stops the hosts (controller and nodes), the network between them and the login side. Sourced.

# Slurm 22.05 asks for the v1 hierarchies freezer (process tracking) and devices (GPU confinement). Where a machine does
# not mount them, or RUNBOOK_CLUSTER_CGROUPS=no says so, the cluster runs without both.
cgroup_v1() {
  [[ ${RUNBOOK_CLUSTER_CGROUPS:-yes} == yes ]] &&
    [[ -d /sys/fs/cgroup/freezer && -d /sys/fs/cgroup/devices && -d /sys/fs/cgroup/cpuset ]]
}

# --- network ---------------------------------------------------------------------------------------------------
# The bridge lives in a network namespace of its own, so this machine gains one interface and no routes but one.
# `ip netns` is avoided: it leaves mounts behind, and `ip netns exec` remounts /sys, which hides the cgroups.

start_bridge() {
  local pid
  setsid unshare --net -- sleep infinity </dev/null &>/dev/null 9<&- &
  pid=$!
  wait_for 5 "the bridge's namespace" own_netns "$pid"
  record_process bridge "$pid"
  nsenter -t "$pid" -n ip link add br0 type bridge
  nsenter -t "$pid" -n ip link set br0 up
  plug_in login "$$" "$LOGIN_LINK"
  ip addr add "$LOGIN_ADDR/24" dev "$LOGIN_LINK"
  ip link set "$LOGIN_LINK" up
}

own_netns() { # PID
  local ns
  ns=$(readlink "/proc/$1/ns/net") && [[ $ns != "$(readlink /proc/self/ns/net)" ]]
}

plug_in() { # PORT PID INTERFACE: a cable from the bridge into the network namespace of PID
  local bridge
  bridge=$(process_of bridge)
  nsenter -t "$bridge" -n ip link add "$1" type veth peer name "$3" netns "$2"
  nsenter -t "$bridge" -n ip link set "$1" master br0 up
}

# --- hosts -----------------------------------------------------------------------------------------------------

start_host() { # NAME ADDRESS ROLE
  local pid adapter
  mkdir -p "$CLUSTER_DIR/hosts/$1"/{stage/tmp,stage/run,stage/dev,spool,etc/ssh,standins/procs,standins/lib}
  for adapter in mlx5_0 mlx5_1; do
    mkdir -p "$CLUSTER_DIR/hosts/$1/standins/class/infiniband/$adapter/ports/1"
    echo '4: ACTIVE' >"$CLUSTER_DIR/hosts/$1/standins/class/infiniband/$adapter/ports/1/state"
  done
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    RUNBOOK_CLUSTER_DIR="$CLUSTER_DIR" RUNBOOK_CLUSTER_CGROUPS="${RUNBOOK_CLUSTER_CGROUPS:-yes}" \
    setsid unshare --net --mount --uts --ipc --pid --fork --kill-child=SIGKILL -- "$CLUSTER_LIB/host-init" "$@" \
    </dev/null &>"$CLUSTER_LOG/$1.init.log" 9<&- &
  pid=$!
  wait_for 5 "the namespaces of $1" own_netns "$pid"
  record_process "$1" "$pid"
  plug_in "$1" "$pid" eth0
}

start_controller() { start_host "$CTL_HOST" "$CTL_ADDR" controller; }
start_node() { start_host "$1" "$(node_addr "$1")" node; }

controller_up() {
  process_of "$CTL_HOST" >/dev/null && port_open "$CTL_ADDR" 6817 && port_open "$CTL_ADDR" 6819
}

node_up() { process_of "$1" >/dev/null && port_open "$(node_addr "$1")" 6818 && port_open "$(node_addr "$1")" 22; }

stop_all() {
  local record
  [[ -d $CLUSTER_DIR/proc ]] || return 0
  for record in "$CLUSTER_DIR"/proc/*; do
    [[ ! -e $record ]] || stop_process "${record##*/}"
  done
  # The namespace takes its cables along; the login end goes a moment later by itself.
  ip link del "$LOGIN_LINK" 2>/dev/null || true
  wait_for 10 "the hosts' control groups to empty" remove_cgroups_of "*"
}

remove_cgroups_of() { # HOST, or * for all
  local dir
  # shellcheck disable=SC2231 # the argument may be a pattern
  for dir in /sys/fs/cgroup/{freezer,devices,cpuset}/"$CLUSTER_NAME"-$1; do
    [[ -d $dir ]] || continue
    find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || return 1
  done
}

# --- the login side --------------------------------------------------------------------------------------------

link_login() {
  mkdir -p "$(dirname "$SLURM_CONF_LINK")" "$(dirname "$SSH_INCLUDE")"
  ln -sfn "$CLUSTER_DIR/etc/slurm/slurm.conf" "$SLURM_CONF_LINK"
  ln -sfn "$CLUSTER_DIR/etc/ssh/config" "$SSH_INCLUDE"
  process_of munged >/dev/null || start_login_munge
}

start_login_munge() {
  start_munge "$CLUSTER_LOG/login.munged.log" 9<&-
  record_process munged "$(cat /run/munge/munged.pid)"
}

unlink_login() {
  local link
  for link in "$SLURM_CONF_LINK" "$SSH_INCLUDE"; do
    [[ $(readlink "$link") != "$CLUSTER_DIR"/* ]] || rm -f "$link"
  done
  rmdir "$(dirname "$SLURM_CONF_LINK")" 2>/dev/null || true
  rm -rf /run/munge
}

# Every host of a cluster needs a munged with the same key on the standard socket (munged(8)). --force: the state
# directory may lie below a directory that others can write to, such as /var/tmp.
start_munge() { # LOG
  install -d -o munge -g munge -m 755 /run/munge
  install -o munge -g munge -m 640 /dev/null "$1"
  setpriv --reuid munge --regid munge --clear-groups munged --force --key-file="$CLUSTER_DIR/munge/munge.key" \
    --seed-file=/run/munge/munged.seed --pid-file=/run/munge/munged.pid --log-file="$1"
}
