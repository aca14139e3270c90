//! Whether the kernel's lock of a file that can be had here tells anything of another host.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{major, minor};

/// Whether a lock that a process of any host has on this file is seen here. What is not known to do that does not: a lock that
/// could be had then proves nothing.
pub(super) fn locks_reach_all_hosts(file: &File) -> io::Result<bool> {
    let device = file.metadata()?.dev();
    Ok(reaches(&fs::read_to_string("/proc/self/mountinfo")?, &format!("{}:{}", major(device), minor(device))))
}

/// What the mount of this device says, in the form of `/proc/PID/mountinfo` (proc(5)).
fn reaches(mounts: &str, device: &str) -> bool {
    let about = mounts.lines().find_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        let mut head = head.split(' ').skip(2);
        let mut tail = tail.split(' ');
        let (kind, _source, options) = (tail.next()?, tail.next(), tail.next().unwrap_or_default());
        (head.next()? == device).then_some((kind, options, head.nth(2).unwrap_or_default()))
    });
    let Some((kind, options, own)) = about else { return false };
    let has = |option: &str| options.split(',').chain(own.split(',')).any(|one| one == option);
    match kind {
        "nfs" => has("local_lock=none") && !has("nolock"),
        "nfs4" => has("local_lock=none"),
        "lustre" => has("flock"),
        "ceph" | "gpfs" => true,
        // Of one machine: a host of another name is a container or a namespace of this one.
        "ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "zfs" | "f2fs" | "bcachefs" | "tmpfs" | "overlay" => {
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 22 0:51 / /home rw,relatime shared:9 - nfs4 filer:/home rw,vers=4.2,hard,proto=tcp,sec=sys,local_lock=none,addr=10.0.0.1
32 22 0:52 / /old rw,relatime - nfs filer:/old rw,vers=3,hard,nolock,local_lock=all
33 22 0:53 / /own rw,relatime - nfs filer:/own rw,vers=3,hard,local_lock=flock
34 22 0:54 / /lustre rw,flock - lustre mds@tcp:/fs rw,flock,lazystatfs
35 22 0:55 / /scratch rw - lustre mds@tcp:/fs rw,localflock
36 22 0:56 / /mnt rw - fuse.sshfs a:/b rw
37 22 0:57 / /bee rw - beegfs beegfs_nodev rw
";

    #[test]
    fn only_what_is_known_to_reach_other_hosts_does() {
        let of = |device: &str| reaches(MOUNTS, device);
        assert!(of("254:0") && of("0:51") && of("0:54"));
        for device in ["0:52", "0:53", "0:55", "0:56", "0:57", "9:9"] {
            assert!(!of(device), "{device}");
        }
        assert!(!reaches("", "254:0") && !reaches("torn line\n22 1 254:0 - ", "254:0"));
    }
}
