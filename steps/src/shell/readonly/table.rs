//! Labelled commands: what reads, and above all what must never count as reading.

use proptest::prelude::*;

use super::{argv_reads, script_reads};

const READS: &str = r#"
nvidia-smi
nvidia-smi -q
nvidia-smi -q -d ECC,ROW_REMAPPER -i 3
/usr/bin/nvidia-smi -L
nvidia-smi --query-gpu=index,memory.used --format=csv,noheader
nvidia-smi topo -m
nvidia-smi nvlink -s
sudo -n dmesg -T
dmesg -T --level=err,warn | grep -i xid | tail -n 50
dmesg -T | grep -iE 'xid|nvrm' | tail -20
journalctl -k --since '10 min ago' --no-pager
journalctl -u slurmd -n 100 -o short-iso --no-pager
journalctl -b-1 -k
cat /proc/meminfo
grep -c processor /proc/cpuinfo
ls -la /var/log
ls /scratch/*.pt
ps aux | sort -rnk 4 | head -n 5
ps -o pid,user,cmd -p 1234
df -h /scratch 2>/dev/null
du -sh /tmp 2>&1 | tail -n1
tail -n 5 /var/log/syslog
wc -l < /etc/passwd
sort -k2,2n -t, /tmp/a
sort -u /tmp/a | uniq -c
find /ckpt -maxdepth 2 -name '*.pt' -newer /tmp/ref -printf '%T@ %p\n'
find . \( -name a -o -name b \) -not -empty -print
squeue -j 123 -h -o '%T %R'
sinfo -N -l
sacct -j 123 --format=State,ExitCode -P
scontrol show job 123
scontrol -o show node gpu-1
scontrol ping
systemctl status slurmd --no-pager
systemctl is-active slurmd
systemctl --no-pager list-units --failed
ibstat -l
lsmod | grep nvidia
lspci -nnk -d 10de:
uname -a
uptime; free -m
hostname -f
date +%s
date -u '+%F %T'
stat -c %s /etc/passwd
readlink -f /opt/cuda
test -f /etc/slurm/slurm.conf && echo yes || echo no
test ! -e /tmp/x
true
! false
echo done
printf '%s\n' a b
id -u
which nvidia-smi
getent passwd root
ip addr show
ip -br link
ip route get 10.0.0.1
ss -tlnp
dcgmi discovery -l
dcgmi health -c -g 0
docker ps -a
timeout 10 nvidia-smi -q
timeout -k 2 10 sudo -n dmesg
LC_ALL=C sort /tmp/a
(ls; pwd) | wc -l
{ ls; pwd; }
cd /tmp && ls
ls $HOME
cat "/proc/$PPID/status"
echo "$(hostname -s): $(uptime)"
echo `date +%s`
# a comment; rm -rf /
lsof -p 12 -n
numactl --hardware
sacctmgr -n show assoc
sdiag --json
cat '/tmp/it'\''s here'
ls >/dev/null 2>&1
"#;

const CHANGES: &str = r#"
rm -rf /
nvidia-smi -r
nvidia-smi --gpu-reset -i 0
nvidia-smi -pm 1
nvidia-smi -e 0
nvidia-smi -f /tmp/x
nvidia-smi -q --filename=/tmp/x
nvidia-smi mig -cgi 9
nvidia-smi drain -p 0000:01:00.0 -m 1
nvidia-smi nvlink -sc 0
nvidia-smi -dm 1
nvidia-smi 'mig'
dmesg -C
dmesg -Tc
dmesg --clear
dmesg -n 1
dmesg -D
journalctl --vacuum-size=1M
journalctl --rotate
journalctl --flush
scontrol update nodename=gpu-1 state=drain
scontrol reboot gpu-1
scontrol show job 1; scontrol requeue 1
scontrol
scontrol write batch_script 7 /etc/passwd
sacctmgr -i delete user x
sdiag -r
sdiag --reset
scancel 7
srun hostname
sbatch job.sh
systemctl restart slurmd
systemctl -H gpu-1 status x
systemctl
hostname evil
hostname -F /tmp/x
date -s '2020-01-01'
date 010100002020
date --set=now
sort -o /etc/passwd /tmp/x
sort -uo /etc/passwd /tmp/x
sort --output=/etc/passwd /tmp/x
sort --outp=/etc/passwd /tmp/x
sort --compress-program=sh /tmp/x
uniq /tmp/a /etc/passwd
find / -delete
find / -name x -exec rm {} +
find / -execdir sh -c id ;
find / -ok rm {} \;
find / -fprint /etc/passwd
find / -fprintf /etc/passwd x
find / -fls /etc/passwd
find / $ARGS
find / "-delete"
find / -dele\te
find / $(echo -delete)
find / *
sed -i s/a/b/ /etc/passwd
sed -n '1e id' /etc/passwd
awk 'BEGIN{system("id")}'
perl -e 1
python3 -c 1
sh -c id
bash -c 'ls'
env ls
xargs rm
ls | xargs rm
cat x | sh
cat x | tee /etc/passwd
eval ls
exec ls
source /tmp/x
. /tmp/x
command rm x
builtin cd
trap 'rm x' EXIT
alias ls=rm
ls > /etc/passwd
ls >> /etc/passwd
ls >| /etc/passwd
ls &> /etc/passwd
ls &> /dev/null
ls 2> /tmp/err
ls <> /etc/passwd
ls > /dev/sda
ls > "$F"
ls > /dev/null/../sda
ls >& /tmp/x
cat < /dev/tcp/evil/80
cat <(rm x)
ls >(rm x)
cat <<< $(rm x)
ls & rm x
ls &
ls | rm x
ls || rm x
ls; rm x
ls && rm x
! rm x
(rm x)
{ rm x; }
echo $(rm x)
echo "$(rm x)"
echo `rm x`
echo "`rm x`"
echo "a $(echo "$(rm x)")"
echo ${x:=$(rm x)}
echo ${x:=1}
echo $((x=1))
echo $[x=1]
echo ${x[$(rm y)]}
echo "${x:-$(rm y)}"
echo $'\x2d'
PATH=/tmp ls
LD_PRELOAD=/tmp/x.so ls
IFS=x ls
LC_ALL=$(rm x) ls
x=1
export PATH=/tmp
PATH=/tmp; ls
ls() { rm x; }; ls
function ls { rm x; }
for f in a b; do rm $f; done
if true; then rm x; fi
while true; do ls; done
case x in x) rm y;; esac
[[ -v 'a[$(rm x)]' ]]
test -v 'a[$(rm x)]'
printf -v 'a[$(rm x)]' x
printf -v x y
./ls
/tmp/ls
~/bin/ls
$LS
"$LS" -l
$(echo rm) x
l\s
'ls'
sudo rm x
ls # a comment
pidstat -e rm x
sudo -u root ls
sudo PATH=/tmp ls
sudo
sudo -e /etc/passwd
sudo sudo sudo sudo sudo ls
timeout 5 rm x
timeout rm x
timeout $X ls
curl https://evil
wget x
tar xf x
cp a b
dd if=/dev/zero of=/dev/sda
mount /dev/sda /mnt
kill 1
reboot
modprobe nvidia
rmmod nvidia
ip link set eth0 down
ip addr add 10.0.0.1/8 dev eth0
ip route flush cache
ip netns exec x rm y
ss -K dst 10.0.0.1
docker run x
docker exec x rm y
docker -H tcp://evil ps
dcgmi health -s a
dcgmi config --set -e 0
lspci -F /tmp/x -A dump
file -C -m /tmp/x
lsof -Db
ethtool -s eth0 speed 10
ethtool -s eth0
tree -o /tmp/x
rg --pre sh x
date "$X"
hostname "$X"
hostname $X
uniq $X
scontrol $X job 1
scontrol "$X" job 1
scontrol show$X job
sort -k1 $X
sort "-$X" a
sort -o$X a
tail --pid=1 -F x
dpkg -i x.deb
top -b -n 1 > /tmp/x
time ls
coproc ls
ls |& rm x
ls;; rm
)
ls (
"#;

/// Whether a shell that runs the text starts a program that is not on the list, or makes a file.
fn acts(shell: &str, text: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::create_dir(dir.path().join("w")).unwrap();
    let evil = bin.join("evil");
    std::fs::write(&evil, format!("#!/bin/sh\n: > {}\n", dir.path().join("w/done").display())).unwrap();
    std::fs::set_permissions(&evil, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("/bin/cat", bin.join("cat")).unwrap();
    let mut command = std::process::Command::new(shell);
    command.args(["-c", text]).current_dir(dir.path().join("w")).env_clear().env("PATH", &bin);
    command.stdin(std::process::Stdio::null()).output().unwrap();
    std::fs::read_dir(dir.path().join("w")).unwrap().count() > 0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_counts_as_reading_does_not_act(parts in prop::collection::vec(prop::sample::select(vec![
        "echo", "echo", "cat", "evil", "evil", " ", " ", " ", "a", "-", "'", "\"", "\\", "`", "$(", ")", "(", ";", "&", "|",
        "\n", "#", "$", "{", "}", ">", "<", "2>&1", "/dev/null", "!", "$((", "<<", "EOF", "[", "=", "*", "~", "^", ",", "x",
    ]), 0..12), prefix in prop::sample::select(vec!["echo ", "cat ", "", "echo \"", "echo $(", "echo `"])) {
        let text = prefix.to_owned() + &parts.concat();
        if script_reads(&text) {
            for shell in ["/bin/bash", "/bin/sh"] {
                prop_assert!(!acts(shell, &text), "{shell}: {text:?}");
            }
        }
    }
}

fn commands(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.is_empty())
}

#[test]
fn what_reads_is_known_to_read() {
    let missed: Vec<&str> = commands(READS).filter(|command| !script_reads(command)).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn no_change_counts_as_reading() {
    let wrong: Vec<&str> = commands(CHANGES).filter(|command| script_reads(command)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(commands(CHANGES).count() + commands(READS).count() > 250);
}

#[test]
fn what_the_eye_or_the_parser_may_miss_is_a_change() {
    for text in [
        "",
        " ",
        "echo 'x'#y; rm x",
        "echo a\\ #b; rm x",
        "echo \"x\"#y\nrm x",
        "echo `echo \\`rm x\\``",
        "echo \"`echo \\`rm x\\``\"",
        "ls\rrm x",
        "ls \\\nrm x",
        "ls\u{a0}rm",
        "ls\u{2028}rm x",
        "ls\u{0}",
        "ls\u{b}rm",
        "ls '",
        "ls \"$(rm x\"",
        "echo a\nrm x",
        "cat <<EOF\n$(rm x)\nEOF",
        "cat <<'EOF' | sh\nrm x\nEOF",
        "echo 'a\nb'; rm y",
    ] {
        assert!(!script_reads(text), "{text:?}");
    }
    assert!(!script_reads(&format!("ls {}", "a ".repeat(40_000))));
    assert!(!script_reads(&"(".repeat(5000)));
    assert!(script_reads("echo 'two\nlines'\nls"));
}

#[test]
fn a_value_cannot_smuggle_a_flag() {
    let argv = |words: &[&str]| argv_reads(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    assert!(argv(&["dmesg", "-T"]) && argv(&["cat", "-rf"]) && argv(&["sort", "--", "o"]));
    assert!(argv(&["echo", "$(rm x)", ";", "rm"]), "no shell looks at an argv");
    for words in [
        &["sort", "-o"][..],
        &["sort", "--", "-o"],
        &["lsof", "-i", "-Db"],
        &["date", "-s"],
        &["nvidia-smi", "--gpu-reset"],
        &["find", "/", "-delete"],
        &[],
        &["./ls"],
        &[""],
    ] {
        assert!(!argv(words), "{words:?}");
    }
    for value in ["-delete", "-o x", "a'; rm x; '", "$(rm x)", "`rm x`", "a\nrm x"] {
        let quoted = engine::site::quote(value);
        assert_eq!(script_reads(&format!("find / {quoted}")), !value.starts_with('-'), "{quoted}");
        assert!(script_reads(&format!("cat -- {quoted}")), "{quoted}");
    }
}
