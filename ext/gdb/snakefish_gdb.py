"""Commands for gdb that print what a live process (or a core file) has of snakefish.

    gdb -p PID -x ext/gdb/snakefish_gdb.py
    (gdb) snakefish ring          each ring of the process: its memory, positions, messages in flight, who may sleep
    (gdb) snakefish holders       the processes that each ring counts as its holders
    (gdb) snakefish log [N]       this process's log of events: its counts and its last N records (20)

They read memory only, by the names in the extension's debug information (make builds with -g), and call nothing in the
process. What they print may be half-way through a change: the process is stopped wherever it was, others still run.
"""

import os

import gdb

FRAMES_SHOWN = 10
FRAMES_WALKED = 100000
FRAME_STATES = ["free", "writing", "ready", "reading", "returning"]  # enum frame_kind, in ring_frame.h
SLOT_STATES = ["empty", "taken", "forking", "live"]  # enum slot_state, in holders.c
PHASES = ["", "begin", "end"]  # enum sf_phase
MASK_32 = 0xFFFFFFFF


def variable(name):
    """The value of a variable of the extension."""
    symbol = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
    if symbol is None:
        raise gdb.GdbError(f"no variable {name} here: does this process use snakefish, and was it built with -g?")
    return symbol.value()


def word(value):
    """A number, also when a later version has put it into a struct of its own."""
    kind = value.type.strip_typedefs()
    return word(value[kind.fields()[0]]) if kind.code == gdb.TYPE_CODE_STRUCT else int(value)


def rings():
    ring = variable("rings")
    while ring:
        yield ring.dereference()
        ring = ring["following"]


def slot_count(holders):
    return holders["slot"].type.range()[1] + 1


def process_of(tag, holders):
    """Who is behind a tag, in words."""
    index = tag & (slot_count(holders) - 1)
    return "pid {}".format(int(holders["slot"][index]["word"]) >> 32) if index < int(holders["used"]) else "nobody known"


def name_of(pid):
    """What the process is called; nothing where there is no /proc for it, as with a core file."""
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "dead" if os.path.isdir("/proc/self") else ""


def place_of(ring, position):
    """Where in the ring's memory a position stands: sf_ring_layout_place in ring_layout.h."""
    layout = ring["shared"]["layout"]
    offset = position - int(ring["shared"]["base"])
    soft, splice, usable = int(layout["soft"]), int(layout["splice"]), int(layout["usable"])
    if splice == 2**64 - 1:
        return offset if offset < soft else offset - soft
    if offset >= usable:
        offset -= usable
    if offset < splice:
        return offset
    return soft + offset - splice if offset < splice + usable - soft else offset - (usable - soft)


def frames(ring, head, tail):
    """(state, tag, bytes, seq) of each frame from the head to the tail."""
    words = ring["data"].cast(gdb.lookup_type("unsigned long").pointer())
    for _ in range(FRAMES_WALKED):
        if head >= tail:
            return
        state, span, size, seq = (int(words[place_of(ring, head + 8 * i) // 8]) for i in range(4))
        if span < 32 or span % 8 or state >> 32 >= len(FRAME_STATES):
            print(f"  position {head}: no frame stands here (state {state:#x}, span {span})")
            return
        yield FRAME_STATES[state >> 32], state & MASK_32, size, seq
        head += span


def print_ring(ring):
    shared = ring["shared"].dereference()
    head, following, tail = (int(shared[name]) for name in ("head", "next", "tail"))
    counting = int(ring["limit"]) != 2**64 - 1
    print("ring {}: {} bytes for messages{}; {} bytes of memory at {}".format(
        int(shared["number"]), int(ring["capacity"]), "" if counting else " and their frames", int(ring["mapped"]),
        ring["shared"]))
    lock = int(shared["lock"]["word"])
    owner = f"held by {process_of(lock & ~(1 << 31), shared['holders'])}" if lock else "free"
    print(f"  lock       {owner}{', somebody may sleep on it' if lock >> 31 else ''}")
    print(f"  positions  head {head}, next {following}, tail {tail}: {tail - head} bytes in flight, "
          f"{int(shared['counted'])} of them counted")
    print(f"  messages   {int(shared['seq'])} numbers given so far")
    for name, event, meaning in (("message_event", "published", "for a message"), ("room_event", "released", "for room")):
        count = word(shared[name])
        sleepers = "somebody may sleep" if count & 1 else "nobody sleeps"
        print(f"  waiters    {sleepers} {meaning}; {count >> 1} events of a message {event}")
    found = list(frames(ring, head, tail))
    counts = [f"{sum(one[0] == state for one in found)} {state}" for state in FRAME_STATES]
    print(f"  frames     {len(found)} in flight: {', '.join(counts)}")
    for state, tag, size, seq in found[:FRAMES_SHOWN]:
        print(f"    message {seq}: {size} bytes, {state}, by {process_of(tag, shared['holders'])}")
    if len(found) > FRAMES_SHOWN:
        print(f"    and {len(found) - FRAMES_SHOWN} more")


def print_holders(ring):
    holders = ring["shared"]["holders"]
    used = int(holders["used"])
    print("ring {}: {} of {} slots were ever taken{}".format(
        int(ring["shared"]["number"]), used, slot_count(holders),
        "; some process found no slot and counts as alive for ever" if int(holders["unknown"]) else ""))
    for index in range(used):
        value = int(holders["slot"][index]["word"])
        if value & 3:
            pid = value >> 32
            own = "  this process" if index == int(ring["tag"]) & (slot_count(holders) - 1) else ""
            print(f"  slot {index}: {SLOT_STATES[value & 3]}, pid {pid} {name_of(pid)}, life {(value & MASK_32) >> 2}{own}")


def print_log(wanted):
    log = variable("sf_log_self")
    if not log["header"]:
        print("no log: this process is not traced")
        return
    header = log["header"].dereference()
    head, begun, lost, tail = (int(header[name]) for name in ("head", "begun", "lost", "tail"))
    print("log of {} (pid {}): room for {} records".format(
        header["name"].string(), int(header["pid"]), int(header["capacity"])))
    print(f"  written {head}, begun {begun}, lost {lost}, taken by the collector {tail}: {head - tail} wait for it")
    kinds = {field.enumval: field.name for field in gdb.lookup_type("enum sf_event_kind").fields()}
    for number in range(max(0, head - min(wanted, int(header["capacity"]))), head):
        record = log["records"][number & int(log["mask"])]
        flags = int(record["flags"])
        kind = kinds.get(int(record["kind"]), str(int(record["kind"]))).replace("SF_EVENT_", "").lower()
        print("  {:8} tsc {} lane {} {:14} {:6} object {} a {} b {}".format(
            number, int(record["tsc"]), flags >> 2, kind, PHASES[flags & 3] if flags & 3 < len(PHASES) else "?",
            int(record["object"]), int(record["a"]), int(record["b"])))


class Snakefish(gdb.Command):
    """snakefish ring | holders | log [N]: what this process has of snakefish."""

    def __init__(self):
        super().__init__("snakefish", gdb.COMMAND_DATA, prefix=True)


class Ring(gdb.Command):
    """Each ring (Channel, or what a child's results go through): memory, positions, messages, who may sleep."""

    def __init__(self):
        super().__init__("snakefish ring", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        count = 0
        for count, ring in enumerate(rings(), 1):
            print_ring(ring)
        print(f"{count} rings")


class Holders(gdb.Command):
    """The processes that each ring counts as its holders: a wait ends when the last other one is dead."""

    def __init__(self):
        super().__init__("snakefish holders", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        for ring in rings():
            print_holders(ring)


class Log(gdb.Command):
    """snakefish log [N]: the counts of this process's log of events, and its last N records (20)."""

    def __init__(self):
        super().__init__("snakefish log", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        print_log(int(argument) if argument.strip() else 20)


for command in (Snakefish, Ring, Holders, Log):
    command()
