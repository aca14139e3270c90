"""Stand-in for dmesg: the node's pretended kernel messages in the layouts of dmesg(1)."""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gpu_state
import kernel_log


def stamp(moment, layout):
    if layout == "ctime":
        return time.strftime("[%a %b %e %H:%M:%S %Y]", time.localtime(moment))
    if layout == "iso":
        zone = time.strftime("%z", time.localtime(moment))
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(moment))
        return f"{seconds},{int(moment % 1 * 1e6):06d}{zone[:3]}:{zone[3:]}"
    return f"[{moment - kernel_log.boot_time():12.6f}]"


def main():
    parser = argparse.ArgumentParser(prog="dmesg", description="stand-in for dmesg; reads a pretended kernel log")
    parser.add_argument("-T", "--ctime", dest="layout", action="store_const", const="ctime", help="human time")
    parser.add_argument("--time-format", dest="layout", choices=("raw", "ctime", "iso"))
    parser.add_argument("-V", "--version", action="version", version="dmesg stand-in, after util-linux 2.38.1")
    options = parser.parse_args()
    state = gpu_state.Node().state()
    if state["deny_dmesg"]:
        print("dmesg: read kernel buffer failed: Operation not permitted", file=sys.stderr)
        return 1
    for moment, text in kernel_log.messages(state):
        print(stamp(moment, options.layout), text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
