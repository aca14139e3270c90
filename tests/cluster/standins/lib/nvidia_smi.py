"""Stand-in for nvidia-smi: answers from the node's state what driver 550 prints on a DGX H100.

Layouts follow published output of that driver; the exit codes are those of nvidia-smi(1), "RETURN VALUE".
"""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gpu_state as gpus

INVALID_ARGUMENT, LOST = 2, 15

HELP = f"""nvidia-smi stand-in of the runbook test cluster, after driver {gpus.DRIVER}. There is no GPU.

    nvidia-smi                                       table
    nvidia-smi -L                                    list of GPUs
    nvidia-smi --query-gpu=F,... --format=csv[,noheader][,nounits]
    nvidia-smi --query-compute-apps=F,... --format=csv[,noheader][,nounits]
    nvidia-smi --query-remapped-rows=F,... --format=csv[,noheader][,nounits]
    nvidia-smi -q [-d ECC,ROW_REMAPPER,MEMORY]
    nvidia-smi -q -x                                 the same as XML
    -i INDEX|UUID|BUS_ID                             only these GPUs (comma separated)
"""


def yes(flag):
    return "Yes" if flag else "No"


class View:
    """One GPU as the tool sees it."""

    def __init__(self, node, name, state, index):
        self.index = index
        self.state = state["gpus"][index]
        self.uuid = gpus.gpu_uuid(name, index)
        self.serial = gpus.serial(name, index)
        self.bus_id = gpus.bus_id(index)
        self.processes = [p for p in node.processes() if p["gpu"] == index]
        used = sum(p["mib"] for p in self.processes) + self.state["unusable_mib"] + gpus.IDLE_MIB
        self.used = min(used, gpus.MEMORY_MIB - gpus.RESERVED_MIB)

    def answers_to(self, name):
        return name in (str(self.index), self.uuid, self.bus_id, self.bus_id.lower(), self.bus_id[4:], self.serial)


GPU_FIELDS = {
    "index": lambda g: str(g.index),
    "uuid": lambda g: g.uuid,
    "gpu_uuid": lambda g: g.uuid,
    "pci.bus_id": lambda g: g.bus_id,
    "gpu_bus_id": lambda g: g.bus_id,
    "serial": lambda g: g.serial,
    "gpu_serial": lambda g: g.serial,
    "name": lambda g: gpus.NAME,
    "gpu_name": lambda g: gpus.NAME,
    "count": lambda g: str(gpus.GPUS),
    "driver_version": lambda g: gpus.DRIVER,
    "memory.total": lambda g: (gpus.MEMORY_MIB, "MiB"),
    "memory.reserved": lambda g: (gpus.RESERVED_MIB, "MiB"),
    "memory.used": lambda g: (g.used, "MiB"),
    "memory.free": lambda g: (gpus.MEMORY_MIB - gpus.RESERVED_MIB - g.used, "MiB"),
    "utilization.gpu": lambda g: (100 if g.processes else 0, "%"),
    "temperature.gpu": lambda g: "61" if g.processes else "34",
    "compute_mode": lambda g: "Default",
    "ecc.mode.current": lambda g: "Enabled",
    "ecc.mode.pending": lambda g: "Enabled",
    "mig.mode.current": lambda g: "Disabled",
    "mig.mode.pending": lambda g: "Disabled",
    **{
        f"ecc.errors.uncorrected.{span}.{kind}": lambda g, span=span, kind=kind: str(g.state[span][kind])
        for span in ("volatile", "aggregate")
        for kind in ("sram", "dram")
    },
    **{
        f"ecc.errors.uncorrected.{span}.total": lambda g, span=span: str(sum(g.state[span].values()))
        for span in ("volatile", "aggregate")
    },
    **{
        f"ecc.errors.corrected.{span}.{kind}": lambda g: "0"
        for span in ("volatile", "aggregate")
        for kind in ("sram", "dram", "total")
    },
}
# Fields that carry a unit have it in the heading, too; [MiB] stays there even for a column without rows.
UNITS = {"memory.total": "MiB", "memory.reserved": "MiB", "memory.used": "MiB", "memory.free": "MiB"}
UNITS |= {"utilization.gpu": "%", "used_gpu_memory": "MiB"}

APP_FIELDS = {
    "pid": lambda g, p: str(p["pid"]),
    "process_name": lambda g, p: p["name"],
    "name": lambda g, p: p["name"],
    "used_gpu_memory": lambda g, p: (p["mib"], "MiB"),
    "gpu_uuid": lambda g, p: g.uuid,
    "gpu_bus_id": lambda g, p: g.bus_id,
    "gpu_serial": lambda g, p: g.serial,
    "gpu_name": lambda g, p: gpus.NAME,
}
# Whatever it was asked as, the heading says used_gpu_memory.
APP_ALIASES = {"used_memory": "used_gpu_memory", "name": "process_name"}

REMAP_FIELDS = {
    **{name: GPU_FIELDS[name] for name in ("gpu_uuid", "gpu_bus_id", "gpu_serial", "gpu_name")},
    "remapped_rows.correctable": lambda g: str(g.state["remapped"]["correctable"]),
    "remapped_rows.uncorrectable": lambda g: str(g.state["remapped"]["uncorrectable"]),
    "remapped_rows.pending": lambda g: yes(g.state["remapped"]["pending"]),
    "remapped_rows.failure": lambda g: yes(g.state["remapped"]["failure"]),
}


class Refused(Exception):
    """What the tool says when it does not do what it was asked, and the status that goes with it."""

    def __init__(self, text, status=INVALID_ARGUMENT):
        super().__init__(text)
        self.status = status


def query(fields, known, rows, options):
    """Prints rows of named fields as csv; `rows` are the arguments of each row's field functions."""
    for field in fields:
        if field not in known:
            raise Refused(f'Field "{field}" is not a valid field to query.\n')
    units = "nounits" not in options
    if "noheader" not in options:
        print(", ".join(f"{f} [{UNITS[f]}]" if f in UNITS and units else f for f in fields))
    for row in rows:
        cells = [known[field](*row) for field in fields]
        print(", ".join(show(cell, units) for cell in cells))


def show(cell, units):
    if isinstance(cell, str):
        return cell
    value, unit = cell
    return f"{value} {unit}" if units else str(value)


def line(depth, label, value=None):
    print(f"{'    ' * depth + label:<42}: {value}" if value is not None else "    " * depth + label)


def ecc_section(gpu):
    line(1, "ECC Mode")
    line(2, "Current", "Enabled")
    line(2, "Pending", "Enabled")
    line(1, "ECC Errors")
    for span in ("volatile", "aggregate"):
        line(2, span.capitalize())
        line(3, "SRAM Correctable", 0)
        line(3, "SRAM Uncorrectable Parity", 0)
        line(3, "SRAM Uncorrectable SEC-DED", gpu.state[span]["sram"])
        line(3, "DRAM Correctable", 0)
        line(3, "DRAM Uncorrectable", gpu.state[span]["dram"])
    line(3, "SRAM Threshold Exceeded", "No")
    line(2, "Aggregate Uncorrectable SRAM Sources")
    line(3, "SRAM L2", gpu.state["aggregate"]["sram"])
    for source in ("SM", "Microcontroller", "PCIE", "Other"):
        line(3, f"SRAM {source}", 0)


def remapper_section(gpu):
    rows = gpu.state["remapped"]
    spent = rows["uncorrectable"] + rows["correctable"]
    line(1, "Remapped Rows")
    line(2, "Correctable Error", rows["correctable"])
    line(2, "Uncorrectable Error", rows["uncorrectable"])
    line(2, "Pending", yes(rows["pending"]))
    line(2, "Remapping Failure Occurred", yes(rows["failure"]))
    line(2, "Bank Remap Availability Histogram")
    line(3, "Max", f"{2560 - spent} bank(s)")
    line(3, "High", f"{spent} bank(s)")
    for level in ("Partial", "Low", "None"):
        line(3, level, "0 bank(s)")


def memory_section(gpu):
    line(1, "FB Memory Usage")
    line(2, "Total", f"{gpus.MEMORY_MIB} MiB")
    line(2, "Reserved", f"{gpus.RESERVED_MIB} MiB")
    line(2, "Used", f"{gpu.used} MiB")
    line(2, "Free", f"{gpus.MEMORY_MIB - gpus.RESERVED_MIB - gpu.used} MiB")


# The order of the report is fixed, whatever the order asked for.
SECTIONS = {"MEMORY": memory_section, "ECC": ecc_section, "ROW_REMAPPER": remapper_section}


def report(views, wanted):
    for name in wanted:
        if name not in SECTIONS:
            raise Refused(f"Invalid argument -d {name}: not offered by this stand-in.\n")
    print("\n==============NVSMI LOG==============\n")
    line(0, "Timestamp", time.strftime("%a %b %e %H:%M:%S %Y"))
    line(0, "Driver Version", gpus.DRIVER)
    line(0, "CUDA Version", gpus.CUDA)
    print()
    line(0, "Attached GPUs", gpus.GPUS)
    for gpu in views:
        print(f"GPU {gpu.bus_id}")
        if not wanted:
            line(1, "Product Name", gpus.NAME)
            line(1, "Serial Number", gpu.serial)
            line(1, "GPU UUID", gpu.uuid)
        for name, section in SECTIONS.items():
            if not wanted or name in wanted:
                section(gpu)
        print()


EDGE = "+" + "-" * 89 + "+"
GRID = "-" * 41 + "+" + "-" * 24 + "+" + "-" * 22


def table(views):
    print(time.strftime("%a %b %e %H:%M:%S %Y"))
    print(EDGE)
    print(f"| NVIDIA-SMI {gpus.DRIVER:<22} Driver Version: {gpus.DRIVER:<14} CUDA Version: {gpus.CUDA:<9}|")
    print(f"|{GRID}+")
    print("| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |")
    print("| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |")
    print("|                                         |                        |               MIG M. |")
    print(f"|{GRID.replace('-', '=')}|")
    for gpu in views:
        uncorrected = sum(gpu.state["volatile"].values())
        memory = f"{gpu.used}MiB / {gpus.MEMORY_MIB:>6}MiB"
        busy, watts = ("100%", 512) if gpu.processes else ("0%", 97)
        print(f"| {gpu.index:>3}  {gpus.NAME:<31}On  |   {gpu.bus_id} Off | {uncorrected:>20} |")
        print(f"| N/A   34C    P0{f'{watts}W /  700W':>24} | {memory:>22} | {busy:>7}      Default |")
        print(f"|{'':41}|{'':24}|             Disabled |")
        print(f"+{GRID}+")
    print()
    print(EDGE)
    print("| Processes:                                                                              |")
    print("|  GPU   GI   CI        PID   Type   Process name                              GPU Memory |")
    print("|        ID   ID                                                               Usage      |")
    print("|=========================================================================================|")
    apps = [(gpu, process) for gpu in views for process in gpu.processes]
    for gpu, process in apps:
        memory = f"{process['mib']}MiB"
        print(f"|{gpu.index:>5}   N/A  N/A {process['pid']:>10}      C   {process['name']:<40}{memory:>12} |")
    if not apps:
        print("|  No running processes found                                                             |")
    print(EDGE)


QUERIES = ("--query-gpu", "--query-compute-apps", "--query-remapped-rows")


def parse(arguments):
    """{option: value} of the forms that are understood; anything else is refused the way nvidia-smi does."""
    short = {"-q": "--query", "-L": "--list-gpus", "-d": "--display", "-i": "--id", "-h": "--help", "-x": "--xml-format"}
    flags = ("--query", "--list-gpus", "--xml-format", "--help", "--version")
    valued = (*QUERIES, "--format", "--display", "--id")
    options, rest = {}, list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        name = short.get(name, name)
        if name in flags and not equals:
            options[name] = True
        elif name in valued and (equals or rest):
            options[name] = value if equals else rest.pop(0)
        else:
            raise Refused("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n")
    if sum(name in options for name in (*QUERIES, "--query", "--list-gpus")) > 1:
        raise Refused("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n")
    return options


def xml(views):
    """The elements that a health check reads, in the order of nvsmi_device_v12.dtd."""
    print('<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n<nvidia_smi_log>')
    print(f"\t<driver_version>{gpus.DRIVER}</driver_version>\n\t<attached_gpus>{len(views)}</attached_gpus>")
    for gpu in views:
        rows = gpu.state["remapped"]
        print(f'\t<gpu id="{gpu.bus_id}">\n\t\t<product_name>{gpus.NAME}</product_name>\n\t\t<uuid>{gpu.uuid}</uuid>')
        print(f"\t\t<pci><pci_bus_id>{gpu.bus_id}</pci_bus_id></pci>")
        print("\t\t<ecc_mode><current_ecc>Enabled</current_ecc><pending_ecc>Enabled</pending_ecc></ecc_mode>\n\t\t<ecc_errors>")
        for span in ("volatile", "aggregate"):
            counts = gpu.state[span]
            print(f"\t\t\t<{span}><sram_correctable>0</sram_correctable>")
            print("\t\t\t\t<sram_uncorrectable_parity>0</sram_uncorrectable_parity>")
            print(f"\t\t\t\t<sram_uncorrectable_secded>{counts['sram']}</sram_uncorrectable_secded>")
            print(f"\t\t\t\t<dram_correctable>0</dram_correctable><dram_uncorrectable>{counts['dram']}</dram_uncorrectable>")
            print("\t\t\t\t<sram_threshold_exceeded>No</sram_threshold_exceeded>" if span == "aggregate" else "", end="")
            print(f"</{span}>")
        print("\t\t</ecc_errors>\n\t\t<remapped_rows>")
        print(f"\t\t\t<remapped_row_pending>{yes(rows['pending'])}</remapped_row_pending>")
        print(f"\t\t\t<remapped_row_failure>{yes(rows['failure'])}</remapped_row_failure>\n\t\t</remapped_rows>\n\t</gpu>")
    print("</nvidia_smi_log>")


def chosen(views, options):
    if "--id" not in options:
        return views
    picked = []
    for name in options["--id"].split(","):
        matching = [view for view in views if view.answers_to(name)]
        if not matching:
            raise Refused("No devices were found", 6)
        picked += matching
    return picked


def answer(views, options):
    for name in QUERIES:
        if name not in options:
            continue
        fields = [field.strip() for field in options[name].split(",")]
        form = options.get("--format", "").split(",")
        if "csv" not in form:
            raise Refused(
                "\"--format=\" switch is missing or does not name csv. Please run 'nvidia-smi -h' for help.\n"
            )
        if name == "--query-compute-apps":
            fields = [APP_ALIASES.get(field, field) for field in fields]
            rows = [(gpu, process) for gpu in views for process in gpu.processes]
            return query(fields, APP_FIELDS, rows, form)
        known = GPU_FIELDS if name == "--query-gpu" else REMAP_FIELDS
        return query(fields, known, [(gpu,) for gpu in views], form)
    if "--list-gpus" in options:
        for gpu in views:
            print(f"GPU {gpu.index}: {gpus.NAME} (UUID: {gpu.uuid})")
    elif "--query" in options and "--xml-format" in options:
        xml(views)
    elif "--query" in options:
        report(views, [name for name in options.get("--display", "").split(",") if name])
    else:
        table(views)
    return None


def main():
    options = parse(sys.argv[1:])
    if "--help" in options:
        print(HELP, end="")
        return 0
    if "--version" in options:
        print(f"NVIDIA-SMI version  : {gpus.DRIVER} (stand-in)\nDRIVER version      : {gpus.DRIVER}")
        return 0
    node = gpus.Node()
    state = node.state()
    while state["hang"]:
        time.sleep(3600)
    name = os.uname().nodename
    views = chosen([View(node, name, state, index) for index in range(gpus.GPUS)], options)
    lost = [gpu for gpu in views if gpu.state["lost"]]
    answer([gpu for gpu in views if gpu not in lost], options)
    for gpu in lost:
        # One lost GPU does not silence the others.
        print(f"Unable to determine the device handle for GPU{gpu.bus_id[4:]}: Unknown Error")
    return LOST if lost else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Refused as refused:
        print(refused)
        sys.exit(refused.status)
