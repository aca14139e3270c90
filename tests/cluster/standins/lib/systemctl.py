"""Stand-in for systemctl is-active: there is no systemd on a node, and one unit is pretended, the fabric manager."""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gpu_state

UNIT = "nvidia-fabricmanager"
NOT_ACTIVE, NO_SUCH_UNIT = 3, 4


def main():
    parser = argparse.ArgumentParser(prog="systemctl", description="stand-in for systemctl is-active")
    parser.add_argument("verb", choices=["is-active"])
    parser.add_argument("unit")
    parser.add_argument("--version", action="version", version="systemctl stand-in, after systemd 252")
    options = parser.parse_args()
    known = options.unit.removesuffix(".service") == UNIT
    word = gpu_state.Node().state()["manager"] if known else "inactive"
    print(word)
    return 0 if word == "active" else NOT_ACTIVE if known else NO_SUCH_UNIT


if __name__ == "__main__":
    sys.exit(main())
