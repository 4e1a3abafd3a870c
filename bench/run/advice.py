"""Warnings that a reader must know before a session's results, with what to do about them."""
from statistics import median

BUSY_LOAD = 0.5  # an idle machine has a load average below this
STOLEN = 0.01  # of the CPUs' time
FEWEST_BLOCKS = 6


def of_session(store):
    """The warnings on the store's session, as sentences."""
    facts = {row["key"]: row["value"] for row in store.of_session("machine")}
    samples = store.of_session("sample")
    return [sentence for sentence in (
        other_load(facts), quota(facts, samples), stolen(facts, samples), throttled(samples), hot(samples),
        governor(facts), uneven(samples)) if sentence]


def other_load(facts):
    load = facts.get("load1")
    if isinstance(load, float) and load > BUSY_LOAD:
        return f"The machine had other work when the session started (load {load:.2f}): run it again when it is idle."


def quota(facts, samples):
    limit = facts.get("cgroup_cpus")
    most = max((s["workers"] for s in samples), default=0)
    if isinstance(limit, (int, float)) and limit < most:
        return (f"The cgroup's quota is {limit:g} CPUs, fewer than the {most} workers: compare up to {int(limit)} "
                "workers, or raise the quota.")


def stolen(facts, samples):
    shares = [s["steal_ns"] / s["wall_ns"] / facts["cpus"] for s in samples
              if s["steal_ns"] is not None and s["wall_ns"]]
    share = sum(shares) / len(shares) if shares else 0
    if share > STOLEN:
        return (f"The hypervisor gave {share:.0%} of the CPUs' time to others: use a machine of its own, or more "
                "blocks.")


def throttled(samples):
    hit = sum(1 for s in samples if s["throttled_ns"])
    if hit:
        return (f"The cgroup's quota stopped {hit} of {len(samples)} samples for a while: raise the quota, or use fewer "
                "workers.")


def hot(samples):
    hit = sum(1 for s in samples if s["thermal_throttles"])
    if hit:
        return (f"A core was slowed down by its heat during {hit} of {len(samples)} samples: cool it, or switch turbo "
                "off.")


def governor(facts):
    if facts.get("turbo") == "on":
        return ("Turbo is on: the clock depends on how many cores are busy, which makes scaling look worse than it is; "
                "switch it off to compare worker counts.")
    if facts.get("governor") not in ("performance", "unknown", None):
        return f"The CPUs' governor is {facts['governor']}: set it to performance."


def uneven(samples):
    """Compares the first block with the others: a difference means that the machine was warming up."""
    times = {}
    for s in samples:
        if s["output_ok"] and s["region_ns"]:
            times.setdefault((s["workload"], s["size"], s["runtime"], s["workers"]), {})[s["block"]] = s["region_ns"]
    ratios = [by_block[0] / median(ns for block, ns in by_block.items() if block) for by_block in times.values()
              if 0 in by_block and len(by_block) >= FEWEST_BLOCKS]
    if ratios and abs(median(ratios) - 1) > 0.05:
        return (f"The first block took {median(ratios):.2f} times as long as the others: the machine was not in its "
                "steady state; run it again.")
