# shellcheck shell=bash
# The Debian packages that the cluster is made of. Sourced by `up`.

PACKAGES=(
  slurmctld slurmd slurmdbd slurm-client
  slurm-wlm-basic-plugins slurm-wlm-mysql-plugin # JSON output; accounting storage
  munge
  mariadb-server-core mariadb-client-core # the programs alone: no user, no service, no /var/lib/mysql
  openssh-server openssh-client
  iproute2 python3 util-linux
)

missing_packages() {
  local package
  for package in "${PACKAGES[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
  done
}

install_packages() {
  local missing policy=/usr/sbin/policy-rc.d status=0 ours=
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  say "installing ${missing[*]}"
  # 101 is "action forbidden by policy": the packages' scripts must not start their daemons on this machine.
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    ours=yes
  fi
  {
    apt_install "${missing[@]}" || { apt-get update && apt_install "${missing[@]}"; } || status=1
  } &>>"$CLUSTER_LOG/packages.log"
  [[ -z $ours ]] || rm -f "$policy"
  return "$status"
}

apt_install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; }
