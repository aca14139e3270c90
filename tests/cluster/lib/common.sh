# shellcheck shell=bash
# shellcheck disable=SC2034 # the names are for the scripts that source this
# Paths, messages and process records shared by the commands of the test cluster. Sourced.

CLUSTER_DIR=${RUNBOOK_CLUSTER_DIR:-/var/tmp/runbook-cluster}
CLUSTER_MARK=$CLUSTER_DIR/.runbook-cluster
CLUSTER_LOG=$CLUSTER_DIR/log
CLUSTER_SHARE=$CLUSTER_DIR/share

CLUSTER_NAME=testcluster
CLUSTER_NET=10.77.0
LOGIN_ADDR=$CLUSTER_NET.1
CTL_HOST=slurm-ctl
CTL_ADDR=$CLUSTER_NET.2
LOGIN_LINK=runbook0
FIRST_NODE=20

SSH_INCLUDE=/etc/ssh/ssh_config.d/00-runbook-cluster.conf
SLURM_CONF_LINK=/etc/slurm/slurm.conf

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$@"; exit 1; }

# 77 is "not run" for automake-style test drivers: the machine lacks something, nothing is broken.
cannot() { say "not run: $*"; exit 77; }

node_names() { # COUNT
  local i
  for ((i = 0; i < $1; i++)); do echo "gpu-$((FIRST_NODE + i))"; done
}

node_addr() { echo "$CLUSTER_NET.${1#gpu-}"; }

node_count() { cat "$CLUSTER_DIR/nodes"; }

# One `up` or `down` at a time. The lock is on the parent directory, so that it leaves no file behind.
take_lock() {
  mkdir -p "$(dirname "$CLUSTER_DIR")"
  exec 9<"$(dirname "$CLUSTER_DIR")"
  flock 9
}

# The state directory is removed whole by `down`: it must be ours, and a name that cannot hurt.
check_state_dir() {
  case $CLUSTER_DIR/ in
    /tmp/* | /run/* | /dev/* | /proc/* | /sys/*)
      die "RUNBOOK_CLUSTER_DIR=$CLUSTER_DIR: every node has its own /tmp, /run and /dev; choose a place outside" ;;
    /*/*) ;;
    *) die "RUNBOOK_CLUSTER_DIR=$CLUSTER_DIR must be an absolute path" ;;
  esac
  if [[ -e $CLUSTER_DIR && ! -e $CLUSTER_MARK && -n $(ls -A "$CLUSTER_DIR") ]]; then
    die "$CLUSTER_DIR is not empty and was not made by tests/cluster/up"
  fi
}

# --- processes -------------------------------------------------------------------------------------------------
# A record holds pid and start time (proc(5), /proc/PID/stat field 22): a pid that was reused is never killed.

proc_start() { # PID; fails if there is none, or only a zombie
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -ra stat <<<"${stat##*) }"
  [[ ${stat[0]} != Z ]] || return 1
  echo "${stat[19]}"
}

record_process() { # NAME PID
  local start
  start=$(proc_start "$2") || return 1
  echo "$2 $start" >"$CLUSTER_DIR/proc/$1"
}

process_of() { # NAME: prints the pid if that very process is alive
  local pid start
  read -r pid start 2>/dev/null <"$CLUSTER_DIR/proc/$1" || return 1
  [[ $(proc_start "$pid") == "$start" ]] || return 1
  echo "$pid"
}

stop_process() { # NAME
  local pid
  if pid=$(process_of "$1"); then
    kill -KILL "$pid" 2>/dev/null || true
    wait_for 10 "$1 to end" process_gone "$1"
  fi
  rm -f "$CLUSTER_DIR/proc/$1"
}

process_gone() { ! process_of "$1" >/dev/null; }

# --- waiting ---------------------------------------------------------------------------------------------------

wait_for() { # SECONDS WHAT COMMAND...
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < deadline)) || { say "gave up waiting for $what"; return 1; }
    sleep 0.05
  done
}

port_open() { # ADDRESS PORT
  (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}
