"""Where a wrong output differs from the right one, in one line for its reader."""
MOST_BYTES = 1 << 20  # of an output that are looked at
SHOWN = 60  # characters of a line


def first(right, wrong):
    """Where the bytes of two outputs differ for the first time. right: None where it is not known."""
    if right is None:
        return f"it begins with {shown(lines(wrong)[0])}"
    ours, theirs = lines(right), lines(wrong)
    for number, (expected, got) in enumerate(zip(ours, theirs), 1):
        if expected != got:
            return f"line {number}: expected {shown(expected, got)}, got {shown(got, expected)}"
    if len(ours) != len(theirs):
        number = min(len(ours), len(theirs))
        expected, got = (shown(of[number]) if len(of) > number else "the end" for of in (ours, theirs))
        return f"line {number + 1}: expected {expected}, got {got}"
    return f"not in its first {min(len(right), len(wrong))} bytes"


def lines(output):
    return output[:MOST_BYTES].split(b"\n")


def shown(line, other=None):
    """A line as Python writes it; of a long one the part around the first byte that the other line does not have."""
    at = 0
    if other is not None:
        at = next((k for k, (a, b) in enumerate(zip(line, other)) if a != b), min(len(line), len(other)))
    begin = max(0, at - SHOWN // 2) if len(line) > SHOWN else 0
    part = line[begin:begin + SHOWN]
    return ("..." if begin else "") + repr(part)[1:] + ("..." if begin + SHOWN < len(line) else "")
