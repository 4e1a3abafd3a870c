"""Reads Chrome trace JSON as the viewers do, and refuses what they would show wrong or drop.

The format ("Trace Event Format"): complete events X nest within a thread, an outer one before an inner one of the same times;
a flow is one s and one f of the same id, category and name; each end binds to the innermost slice that holds its time in its
thread (f with "bp":"e"; without, to the next one that begins). What does not nest is an async event: one b and one e of the
same id, category, name and process. A counter C has one value for each of its series."""
import collections
import json

KEYS = {"X": {"ph", "pid", "tid", "cat", "name", "ts", "dur", "args"},
        "i": {"ph", "pid", "tid", "cat", "name", "ts", "s", "args"},
        "M": {"ph", "pid", "tid", "name", "args"}, "s": {"ph", "pid", "tid", "cat", "name", "ts", "id"},
        "b": {"ph", "pid", "tid", "cat", "name", "ts", "id", "args"}, "e": {"ph", "pid", "tid", "cat", "name", "ts", "id"},
        "C": {"ph", "pid", "tid", "cat", "name", "ts", "args"}, "f": {"ph", "pid", "tid", "cat", "name", "ts", "id", "bp"}}
METADATA = {"process_name", "process_sort_index", "thread_name"}


def ns(us):
    return round(us * 1000)


class Slice:
    def __init__(self, event):
        self.start, self.end = ns(event["ts"]), ns(event["ts"]) + ns(event["dur"])
        self.event, self.parent, self.children = event, None, []

    def holds(self, at):
        return self.start <= at < self.end or self.start == at == self.end

    def chain(self):
        """The categories from here outwards."""
        return [self.event["cat"]] + (self.parent.chain() if self.parent else [])


class Reader:
    def __init__(self, text):
        document = json.loads(text, parse_constant=lambda name: 1 / 0)  # NaN is no JSON
        self.events = document["traceEvents"]
        self.roots = collections.defaultdict(list)  # (pid, tid) -> outermost slices
        self.arrows = []                            # (name, slice it leaves, slice it comes to)
        for event in self.events:
            assert set(event) == KEYS[event["ph"]], event
            assert all(isinstance(event[key], int) and event[key] >= 0 for key in ("pid", "tid")), event
            assert all(event[key] >= 0 for key in ("ts", "dur") if key in event), event
            assert event["ph"] != "M" or event["name"] in METADATA, event
            assert event["ph"] != "C" or all(isinstance(value, int) for value in event["args"].values()), event
        self.nest()
        self.bind()
        self.pairs = self.pair()                    # [(b, e)] of async events
        self.samples = self.read_samples(document)  # [((pid, tid), ns, [names from the outermost], weight)]

    @staticmethod
    def read_samples(document):
        """Samples by their stack frames, whose ids are strings (the samples' "sf" may be a number)."""
        frames, samples = document.get("stackFrames", {}), []
        assert ("samples" in document) == ("stackFrames" in document)

        def names(sf):
            frame = frames[str(sf)]
            return (names(frame["parent"]) if "parent" in frame else []) + [frame["name"]]
        for sample in document.get("samples", ()):
            assert set(sample) == {"cpu", "pid", "tid", "name", "ts", "sf", "weight"}, sample
            samples.append(((sample["pid"], sample["tid"]), ns(sample["ts"]), names(sample["sf"]), sample["weight"]))
        return samples

    def nest(self):
        lanes = collections.defaultdict(list)
        for event in self.events:
            if event["ph"] == "X":
                lanes[event["pid"], event["tid"]].append(Slice(event))
        for lane, slices in lanes.items():
            open_ = []
            for s in sorted(slices, key=lambda s: (s.start, -s.end)):  # a stable sort: equal ones as they come in the file
                while open_ and (open_[-1].end < s.start or open_[-1].end == s.start < s.end):
                    open_.pop()
                assert not open_ or s.end <= open_[-1].end, (lane, s.event, open_[-1].event)
                s.parent = open_[-1] if open_ else None
                (s.parent.children if s.parent else self.roots[lane]).append(s)
                open_.append(s)

    def frames(self):
        """How many slices there are, opened and closed as speedscope does: it adds ts and dur as floats, sorts opens and closes
        by their times, and can tell the order of two equal times of two opens only, where the longer one is first."""
        lanes = collections.defaultdict(list)
        for event in self.events:
            if event["ph"] == "X":
                lanes[event["pid"], event["tid"]].append(event)
        for lane, slices in lanes.items():
            opens = sorted(slices, key=lambda e: (e["ts"], -e["dur"]))
            assert len({(e["ts"], e["dur"]) for e in opens}) == len(opens), lane
            edges = [(e["ts"], 1, e) for e in opens]
            edges += [(e["ts"] + e["dur"], 0, e) for e in slices]
            edges.sort(key=lambda edge: edge[0])  # stable: opens of one time stay in their order
            stack, before = [], (float("-inf"), 1)
            for at, is_open, event in edges:
                assert at > before[0] or (at == before[0] and is_open and before[1]), (lane, event)
                before = at, is_open
                if is_open:
                    stack.append(event)
                else:
                    assert stack.pop() is event, (lane, event)
            assert not stack
        return sum(map(len, lanes.values()))

    def innermost(self, event):
        """The slice that an arrow's end binds to."""
        found, level = None, self.roots[event["pid"], event["tid"]]
        while level:
            inner = [s for s in level if s.holds(ns(event["ts"]))]
            found, level = (inner[-1], inner[-1].children) if inner else (found, ())
        assert found, ("an arrow's end lies in no slice", event)
        return found

    def bind(self):
        ends = collections.defaultdict(list)
        for event in self.events:
            if event["ph"] in "sf":
                ends[event["id"]].append(event)
        for flow in ends.values():
            assert [event["ph"] for event in flow] == ["s", "f"], flow
            start, finish = flow
            assert (start["cat"], start["name"]) == (finish["cat"], finish["name"]) and finish["bp"] == "e", flow
            assert start["ts"] <= finish["ts"], flow
            self.arrows.append((start["name"], self.innermost(start), self.innermost(finish)))

    def pair(self):
        pairs = collections.defaultdict(list)
        for event in self.events:
            if event["ph"] in "be":
                pairs[event["id"]].append(event)
        for pair in pairs.values():
            assert [event["ph"] for event in pair] == ["b", "e"] and pair[0]["ts"] <= pair[1]["ts"], pair
            assert all(pair[0][key] == pair[1][key] for key in ("cat", "name", "pid")), pair
        return list(pairs.values())

    def thread_names(self):
        """(pid, tid) -> the name of that row."""
        names = {}
        for event in self.events:
            if event["ph"] == "M" and event["name"] == "thread_name":
                assert names.setdefault((event["pid"], event["tid"]), event["args"]["name"]) is event["args"]["name"], event
        return names

    def count(self):
        """How many arrows there are of each name. Checks that both ends of each lie where they should."""
        about = {"message": ("send", "receive"), "fork": ("fork", "process"), "join": ("process", "join"),
                 "submit": ("process", "chunk")}
        for name, leaves, comes in self.arrows:
            assert about[name][0] in leaves.chain() and about[name][1] in comes.chain(), (name, leaves.event, comes.event)
        return collections.Counter(name for name, _, _ in self.arrows)

    def strips(self):
        """The slices of each (pid, tid) whose slices are of a thread's times on CPUs, in order; none lies in another."""
        strips = {lane: slices for lane, slices in self.roots.items() if slices[0].event["cat"] in ("cpu", "no cpu", "blocked")}
        for slices in strips.values():
            assert not any(s.children for s in slices)
        return {lane: [s.event for s in slices] for lane, slices in strips.items()}

    def counters(self):
        """(pid, name) -> the values in the order of their times, each a dict by series. A process always has the same series."""
        found = collections.defaultdict(list)
        for event in sorted((e for e in self.events if e["ph"] == "C"), key=lambda e: e["ts"]):
            found[event["pid"], event["name"]].append(event["args"])
        assert all(len({tuple(value) for value in values}) == 1 for values in found.values())
        return found
