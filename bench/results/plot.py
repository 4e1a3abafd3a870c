"""Intervals as lines of characters, on a logarithmic axis about 1."""
import math

FEWEST_COLUMNS = 20  # of the axis: a shorter one shows nothing
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
UNICODE, ASCII = "─├┤●│", "-[]o|"  # a line, its ends, the value, and where both sides are as fast


def lines(rows, width, encoding="utf-8"):
    """rows: (label, low, value, high), low and high None without an interval; one without a logarithm is left out. width: columns
    of the whole. [] where it is too narrow."""
    rows = [row for row in rows if all(at is None or 0 < at < math.inf for at in row[1:])]
    label_width = max((len(label) for label, *_ in rows), default=0)
    columns = width - label_width - 2
    if not rows or columns < FEWEST_COLUMNS:
        return []
    line, left, right, value_mark, one = UNICODE if can_write(UNICODE, encoding) else ASCII
    ends = [at for _, low, value, high in rows for at in (low or value, high or value)]
    least, most = math.log(min(0.9, *ends)), math.log(max(1.1, *ends))

    def column(value):
        return round((math.log(value) - least) / (most - least) * (columns - 1))

    found = [" " * (label_width + 2) + axis(column, columns, least, most)]
    for label, low, value, high in rows:
        drawn = [" "] * columns
        drawn[column(1)] = one
        if low is not None:
            drawn[column(low):column(high) + 1] = line * (column(high) - column(low) + 1)
            drawn[column(low)], drawn[column(high)] = left, right
            if low <= 1 <= high:
                drawn[column(1)] = one
        drawn[column(value)] = value_mark
        found.append(f"{label:<{label_width}}  {''.join(drawn)}".rstrip())
    return found


def axis(column, columns, least, most):
    """The ticks' numbers, each in the middle above its place, as far as they have room."""
    drawn = [" "] * columns
    for tick in sorted(TICKS, key=lambda tick: tick != 1):
        text = f"{tick:g}"
        if least <= math.log(tick) <= most:
            begin = min(max(0, column(tick) - len(text) // 2), columns - len(text))
            if not "".join(drawn[max(0, begin - 1):begin + len(text) + 1]).strip():
                drawn[begin:begin + len(text)] = text
    return "".join(drawn).rstrip()


def can_write(text, encoding):
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
