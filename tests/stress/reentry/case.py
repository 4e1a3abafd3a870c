"""A case: which objects there are, what the main program calls on them, and what is called at which places meanwhile. It
is plain data (JSON), follows from a seed and a number, and reads as a list of steps.

Each number stands for one method at one place, so that a long run makes every pair; the rest of a case is random."""
import functools
import json
import random

from .subjects import METHODS

ALL = ("thread", "generator", "channel", "imap", "library")
FORKING = ("thread", "generator", "imap", "library")
FOLDING = ("thread", "generator", "library")
# place -> the processes in which it is -> the kinds of main objects that come there
PLACES = {
    "handler": {"parent": ALL},
    "handler_in_wait": {"parent": ALL},
    "handler_in_child": {"child": FORKING},
    "python_thread": {"parent": ALL},
    "python_threads": {"parent": ALL},  # several at once, which repeat their calls
    "reduce": {"parent": ("channel", "imap"), "child": ALL},
    "setstate": {"parent": ALL, "child": ("channel", "imap")},
    "del": {"parent": ALL, "child": ALL},
    "weakref": {"parent": ALL, "child": ALL},
    "argument": {"parent": ("thread", "generator", "channel", "library")},
    "f": {"child": FORKING},
    "str": {"child": ("thread",)},
    "unraisable": {"parent": ("thread",)},
    "extract": {"child": FOLDING},
    "merge": {"parent": FOLDING},
    "progress": {"parent": ("library",)},
    "source": {"parent": ("imap", "library")},
    "before_fork": {"parent": FORKING},
    "after_fork_in_parent": {"parent": FORKING},
    "after_fork_in_child": {"child": FORKING},
    "flush": {"parent": FORKING, "child": FORKING},
    "warning": {"parent": FORKING},
    "profile": {"parent": ALL, "child": ALL},
    "collection": {"parent": ALL, "child": ALL},
}
RAISING = ("handler", "handler_in_wait", "setstate", "merge", "progress", "source", "f", "extract", "reduce")
THREADS = ("python_thread", "python_threads")
MERGING = ("extract", "merge")
CHILD_PLACES = ("reduce", "setstate", "del", "weakref", "profile", "collection")
LIBRARY_CALLS = [name for name in METHODS["library"] if name != "raise"]
PAIRS = [(place, kind, method) for place in PLACES for kind in METHODS for method in METHODS[kind]
         if method != "raise" or place in RAISING]


@functools.lru_cache(maxsize=4)
def order(seed):
    found = list(PAIRS)
    random.Random(f"pairs {seed}").shuffle(found)
    return found


def draw(seed, number):
    """The case of this number. The same pair of a place and a method comes again after len(PAIRS) cases."""
    chance = random.Random(f"case {seed} {number}")
    place, kind, method = order(seed)[number % len(PAIRS)]
    side, kinds = chance.choice(sorted(PLACES[place].items()))
    main = kind if kind in kinds and chance.random() < 0.7 else chance.choice(kinds)
    case = {"subjects": {"library": options(chance, "library", place)}, "before": [], "main": [], "plans": []}
    case["subjects"][main] = options(chance, main, place)
    case["main"] = steps(chance, main, place)
    calls = [target(chance, case, main, kind, method)]
    while chance.random() < 0.3:
        calls.append(any_call(chance, case, main))
    case["plans"].append({"place": place, "side": side, "visit": visit(chance, main, side, place), "calls": calls})
    if chance.random() < 0.25:
        second, side = chance.choice([(other, side) for other in PLACES for side in PLACES[other]
                                      if main in PLACES[other][side] and other != place])
        case["plans"].append({"place": second, "side": side, "visit": visit(chance, main, side, second),
                              "calls": [any_call(chance, case, main)]})
    for name, found in case["subjects"].items():
        if name.startswith("other "):
            case["before"] += [[name, step] for step in state(chance, found["kind"])]
    case["delay"] = chance.choice((0.0002, 0.002, 0.01)) * chance.random()
    return case


def visit(chance, main, side, place):
    """Which of the visits to a place is meant."""
    if place in ("profile", "collection"):
        return chance.randint(1, 60 if side == "parent" else 12)
    once = place in ("python_thread", "handler_in_child") or main in ("thread", "generator") and place in (
        "extract", "merge", "before_fork", "after_fork_in_parent", "after_fork_in_child", "flush", "warning")
    return 1 if once or main == "thread" and place in ("f", "reduce") else chance.randint(1, 2)


def options(chance, kind, place):
    found = {"kind": kind, "size": chance.choice((0, 0, 100, 70_000, 700_000))}
    if kind in ("thread", "generator"):
        found["merge"] = place in MERGING or chance.random() < 0.4
        found["shares"] = found["merge"] and place != "extract" and chance.random() < 0.5
        found["number"] = chance.randrange(100)
    if kind == "thread":
        found["raises"] = place in ("str", "unraisable") or chance.random() < 0.15
        found["seconds"] = chance.choice((0.02, 0.08) if place in ("handler", "handler_in_wait", *THREADS)
                                         else (0, 0, 0.02, 0.08))
    if kind == "generator":
        found["prefetch"] = chance.choice((0, 2))
        found["items"] = chance.choice((2, 5))
    if kind == "channel":
        found["size"] = chance.choice((0, 100, 700, 20_000))
        found["bytes"] = max(1100, chance.choice((1, 3)) * (found["size"] + 500))
        if chance.random() < 0.4:
            found["bytes"] = 1 << 20
        found["raw"] = place not in CHILD_PLACES and chance.random() < 0.2  # bytes, by send_bytes and receive_bytes
        found["loaded"] = chance.choice((0, 1, 3))
        found["helper"] = chance.choice(("feeds", "drains") if place in CHILD_PLACES else (None, "feeds", "feeds", "drains"))
        found["seconds"] = chance.choice((0, 0.02))
    if kind == "library":
        found["seconds"] = chance.choice((0, 0, 0.01))
    if kind == "imap":
        found["unordered"] = chance.random() < 0.3
        found["items"] = chance.choice((2, 6))
        found["chunksize"] = chance.choice((1, 2))
    return found


def steps(chance, kind, place):
    """What the main program calls."""
    if kind == "thread":
        middle = chance.sample(["is_alive", "join_timeout", "wait", "try_join", "fileno"], chance.choice((0, 0, 1, 2)))
        if place == "argument" and "join_timeout" not in middle:
            middle.append("join_timeout")
        found = ["start", *middle, "join", "get_exit_status", "get_result", "get_result"]
        if place in ("str", "unraisable"):
            found[-2:] = [chance.choice(("dispose", "forget"))]
    elif kind == "generator":
        found = ["start", *chance.choices(["next", "iterate", "next_timeout", "next_now"], k=chance.choice((2, 4)))]
        found += chance.choice(([], ["join", "get_exit_status"], ["wait"]))
    elif kind == "channel":
        found = chance.choices(["send", "send_now", "send_timeout", "receive_now", "receive_timeout", "receive_timeout"],
                               k=chance.choice((4, 8)))
    elif kind == "imap":
        found = ["next"] * chance.choice((2, 4)) + chance.choice(([], ["close"]))
    else:
        fits = {"merge": ["map_merge"], "extract": ["map_merge"], "progress": ["map_progress"],
                "argument": ["map"], "source": ["map", "starmap", "imap", "imap_unordered"]}
        found = [chance.choice(fits.get(place, ["map", "starmap", "map_progress", "map_merge", "imap", "imap_unordered",
                                                "thread"]))]
        if chance.random() < 0.2:
            found = ["trace_start", *found, "trace_stop"]
    return [[kind, method] for method in found]


def state(chance, kind):
    """What has happened to another object before."""
    if kind == "thread":
        return chance.choice(([], ["start"], ["start", "join"], ["start", "join", "get_result"], ["dispose"]))
    if kind == "generator":
        return chance.choice(([], ["start"], ["start", "next"], ["start", "next", "join"], ["dispose"]))
    if kind == "imap":
        return chance.choice(([], ["next"], ["next", "next"], ["close"]))
    return []


def target(chance, case, main, kind, method):
    """The call [name, method]: on the main object, where the kind is the same, or on another one, which is added."""
    if kind == "library":
        return ["library", method]
    if kind == main and chance.random() < 0.75:
        return [main, method]
    name = "other " + kind
    if name not in case["subjects"]:
        case["subjects"][name] = options(chance, kind, "")
    return [name, method]


def any_call(chance, case, main):
    kind = chance.choice([main, main, *METHODS])
    return target(chance, case, main, kind, chance.choice(LIBRARY_CALLS if kind == "library" else METHODS[kind]))


# ---- as text ----

def call_text(call):
    return f"{call[0]}.{call[1]}()"


def text(case):
    lines = []
    for name, found in case["subjects"].items():
        if name != "library" or any(call[0] == name for call in all_calls(case)):
            lines.append(f"{name}: " + ", ".join(f"{key} {value}" for key, value in found.items()))
    if case["before"]:
        lines.append("before: " + "; ".join(map(call_text, case["before"])))
    lines.append("main: " + "; ".join(map(call_text, case["main"])))
    for plan in case["plans"]:
        when = f", {1000 * case['delay']:.1f} ms after the begin" if plan["place"] in ("handler", *THREADS) else ""
        lines.append(f"at {plan['place']} in the {plan['side']}, visit {plan['visit']}{when}: "
                     + "; ".join(map(call_text, plan["calls"])))
    return "\n".join(lines)


def all_calls(case):
    return case["before"] + case["main"] + [call for plan in case["plans"] for call in plan["calls"]]


def dump(case):
    return json.dumps(case, separators=(",", ":"))


# ---- smaller ----

def smaller(case):
    """Cases with a part left out, the largest parts first."""
    for index in range(len(case["plans"])):
        if len(case["plans"]) > 1:
            yield dict(case, plans=case["plans"][:index] + case["plans"][index + 1:])
    for index, plan in enumerate(case["plans"]):
        for place in range(len(plan["calls"])):
            if len(plan["calls"]) > 1:
                less = dict(plan, calls=plan["calls"][:place] + plan["calls"][place + 1:])
                yield dict(case, plans=case["plans"][:index] + [less] + case["plans"][index + 1:])
    for part in ("before", "main"):
        for index in range(len(case[part])):
            yield dict(case, **{part: case[part][:index] + case[part][index + 1:]})
    used = {call[0] for call in all_calls(case)} | {"library"}
    if set(case["subjects"]) - used:
        yield dict(case, subjects={name: found for name, found in case["subjects"].items() if name in used})
