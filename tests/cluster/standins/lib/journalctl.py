"""Stand-in for journalctl -k: the node's pretended kernel messages in two layouts of journalctl(1)."""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gpu_state
import kernel_log

HINT = (
    "Hint: You are currently not seeing messages from other users and the system.\n"
    "      Users in groups 'adm', 'systemd-journal' can see all messages.\n"
    "      Pass -q to turn off this notice."
)
LAYOUTS = {"short": "%b %d %H:%M:%S", "short-iso": "%Y-%m-%dT%H:%M:%S%z"}


def moment(text):
    """@SECONDS or "YYYY-MM-DD HH:MM:SS"; the words of systemd.time(7) are not understood."""
    if text.startswith("@"):
        return float(text[1:])
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


def main():
    parser = argparse.ArgumentParser(prog="journalctl", description="stand-in for journalctl -k")
    parser.add_argument("-k", "--dmesg", action="store_true", required=True)
    parser.add_argument("-o", "--output", choices=LAYOUTS, default="short")
    parser.add_argument("-S", "--since", type=moment, default=0.0)
    parser.add_argument("--no-pager", action="store_true")
    parser.add_argument("--version", action="version", version="journalctl stand-in, after systemd 252")
    options = parser.parse_args()
    state = gpu_state.Node().state()
    if state["deny_dmesg"]:
        # Without the right to read the system's journal it shows nothing, says why, and returns 0.
        print(HINT, file=sys.stderr)
        print("-- No entries --")
        return 0
    entries = [e for e in kernel_log.messages(state) if e[0] >= options.since]
    for when, text in entries:
        print(time.strftime(LAYOUTS[options.output], time.localtime(when)), os.uname().nodename, f"kernel: {text}")
    if not entries:
        print("-- No entries --")
    return 0


if __name__ == "__main__":
    sys.exit(main())
