"""torch.cuda.memory_summary() of the model, in the layout of torch/cuda/memory.py (2.0 and later)."""

RULE, DOUBLE = "|" + "-" * 75 + "|", "|" + "=" * 75 + "|"


def cell(value, reference, units, step, limit, width):
    """All rows of a metric share the unit that suits the total of its column; values are rounded down."""
    for unit in units:
        if reference < limit or unit == units[-1]:
            return f"{value:{width}d} {unit}"
        value //= step
        reference //= step


def size_cell(value, reference):
    return cell(value, reference, ("B  ", "KiB", "MiB", "GiB", "TiB"), 1024, 768 * 1024, 6)


def count_cell(value, reference):
    return cell(value, reference, ("  ", "K ", "M "), 1000, 750 * 1000, 7)


def memory_summary(stats, device):
    lines = [
        DOUBLE,
        f"|{'':18}PyTorch CUDA memory summary, device ID {device:<18}|",
        RULE,
        f"|{'':12}CUDA OOMs: {stats.ooms:<13}|{'':8}cudaMalloc retries: {stats.retries:<10}|",
        DOUBLE,
        "|        Metric         | Cur Usage  | Peak Usage | Tot Alloc  | Tot Freed  |",
    ]
    sizes = (
        ("Allocated memory", stats.allocated),
        ("Active memory", stats.allocated),
        ("Requested memory", stats.requested),
        ("GPU reserved memory", stats.reserved),
        ("Non-releasable memory", stats.inactive_split),
    )
    counts = (
        ("Allocations", stats.allocations),
        ("Active allocs", stats.allocations),
        ("GPU reserved segments", stats.segments),
        ("Non-releasable allocs", stats.inactive_splits),
    )
    for metrics, show in ((sizes, size_cell), (counts, count_cell)):
        for name, stat in metrics:
            lines.append(RULE)
            for label, row in (
                (name, stat.all),
                ("      from large pool", stat.large),
                ("      from small pool", stat.small),
            ):
                lines.append(
                    f"| {label:<21} |" + "|".join(f" {show(v, r)} " for v, r in zip(row, stat.all, strict=True)) + "|"
                )
    for name in ("Oversize allocations", "Oversize GPU segments"):
        lines += [RULE, f"| {name:<21} |" + "|".join(f" {count_cell(0, 0)} " for _ in range(4)) + "|"]
    lines.append(DOUBLE)
    return "\n".join(lines) + "\n"
