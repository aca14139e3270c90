# shellcheck shell=bash
# Writes every configuration file of the cluster below the state directory. Sourced by `up`.

write_config() { # COUNT
  mkdir -p "$CLUSTER_DIR"/{etc/slurm,etc/ssh,ctl/state,ctl/db,munge,proc,hosts,share}
  chown slurm: "$CLUSTER_DIR"/ctl "$CLUSTER_DIR"/ctl/{state,db}
  touch "$CLUSTER_LOG"/{slurmctld,slurmdbd,mariadb}.log
  chown slurm: "$CLUSTER_LOG"/{slurmctld,slurmdbd,mariadb}.log
  write_munge_key
  write_slurm "$1"
  write_ssh "$1"
  write_hosts "$1" >"$CLUSTER_DIR/etc/hosts"
}

write_munge_key() {
  local key=$CLUSTER_DIR/munge/munge.key
  [[ -e $key ]] || (umask 077 && dd if=/dev/urandom of="$key" bs=128 count=1 status=none)
  chown -R munge: "$CLUSTER_DIR/munge"
  chmod 700 "$CLUSTER_DIR/munge"
  chmod 400 "$key"
}

# Comments name the man page that a line leans on: slurm.conf(5), cgroup.conf(5), gres.conf(5), slurmdbd.conf(5).
write_slurm() { # COUNT
  local etc=$CLUSTER_DIR/etc/slurm node proctrack=proctrack/linuxproc task=task/none
  if cgroup_v1; then
    proctrack=proctrack/cgroup task=task/cgroup
  fi
  cat >"$etc/slurm.conf" <<CONF
ClusterName=$CLUSTER_NAME
SlurmctldHost=$CTL_HOST($CTL_ADDR)
SlurmUser=slurm
AuthType=auth/munge
MpiDefault=none
StateSaveLocation=$CLUSTER_DIR/ctl/state
SlurmdSpoolDir=$CLUSTER_DIR/hosts/%n/spool
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmctldLogFile=$CLUSTER_LOG/slurmctld.log
SlurmdLogFile=$CLUSTER_LOG/%n.slurmd.log
ProctrackType=$proctrack
TaskPlugin=$task
# The nodes claim more processors and memory than the machine has.
SlurmdParameters=config_overrides
# Limits of the submitting shell may be above what a task may set.
PropagateResourceLimits=NONE
ReturnToService=1
SlurmdTimeout=30
KillWait=10
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=$CTL_ADDR
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment,job_env,job_script
CONF
  for node in $(node_names "$1"); do
    echo "NodeName=$node NodeAddr=$(node_addr "$node") CPUs=64 Boards=1 SocketsPerBoard=2 CoresPerSocket=32" \
      "ThreadsPerCore=1 RealMemory=1000000 Gres=gpu:8"
  done >>"$etc/slurm.conf"
  echo "PartitionName=train Nodes=ALL Default=YES MaxTime=INFINITE State=UP" >>"$etc/slurm.conf"

  # With File= a job gets its CUDA_VISIBLE_DEVICES without NVML.
  cat >"$etc/gres.conf" <<CONF
AutoDetect=off
NodeName=gpu-[$FIRST_NODE-$((FIRST_NODE + $1 - 1))] Name=gpu File=/dev/nvidia[0-7]
CONF

  # The memory controller is left alone: it may belong to whatever supervises this machine.
  cat >"$etc/cgroup.conf" <<CONF
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
ConstrainDevices=yes
ConstrainCores=no
ConstrainRAMSpace=no
CONF

  # slurmdbd refuses to start when others may read its file. StorageHost=localhost means MariaDB's standard socket.
  cat >"$etc/slurmdbd.conf" <<CONF
DbdHost=$CTL_HOST
DbdAddr=$CTL_ADDR
SlurmUser=slurm
AuthType=auth/munge
LogFile=$CLUSTER_LOG/slurmdbd.log
PidFile=/run/slurm/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StorageLoc=slurm_acct_db
CONF
  chown slurm: "$etc/slurmdbd.conf"
  chmod 600 "$etc/slurmdbd.conf"
}

write_ssh() { # COUNT
  local ssh=$CLUSTER_DIR/etc/ssh node
  [[ -e $ssh/id_ed25519 ]] || ssh-keygen -q -t ed25519 -N '' -C runbook-cluster -f "$ssh/id_ed25519"
  : >"$ssh/known_hosts"
  : >"$ssh/config"
  for node in $(node_names "$1"); do
    write_sshd "$node" "$CLUSTER_DIR/hosts/$node/etc/ssh"
    cat >>"$ssh/config" <<CONF
Host $node
  HostName $(node_addr "$node")
  HostKeyAlias $node
  IdentityFile $ssh/id_ed25519
  IdentitiesOnly yes
  UserKnownHostsFile $ssh/known_hosts
  StrictHostKeyChecking yes
CONF
    echo "$node $(cut -d' ' -f1,2 "$CLUSTER_DIR/hosts/$node/etc/ssh/ssh_host_ed25519_key.pub")" >>"$ssh/known_hosts"
  done
}

write_sshd() { # HOST DIRECTORY: what the host sees as /etc/ssh
  mkdir -p "$2"
  [[ -e $2/ssh_host_ed25519_key ]] || ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$2/ssh_host_ed25519_key"
  cp "$CLUSTER_DIR/etc/ssh/id_ed25519.pub" "$2/authorized_keys"
  # Debian's bash reads ~/.bashrc under sshd while SHLVL is below 2; whatever root keeps there has no place in a test.
  cat >"$2/sshd_config" <<CONF
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PrintMotd no
PrintLastLog no
UseDNS no
MaxStartups 200
MaxSessions 200
SetEnv SHLVL=1
PidFile /run/sshd.pid
Subsystem sftp internal-sftp
CONF
}

write_hosts() { # COUNT
  local node
  echo "127.0.0.1 localhost"
  echo "$LOGIN_ADDR login"
  echo "$CTL_ADDR $CTL_HOST"
  for node in $(node_names "$1"); do echo "$(node_addr "$node") $node"; done
}
