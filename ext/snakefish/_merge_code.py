"""Which globals a function changes, read from its code. Internal; for _merge_explain.py.

The code is not run. Its instructions are looked at once from the first to the last, with a stack that holds for each value
the global that it came from, if any: total, table["a"], table.rows. A store into such a value, or a call of a method
that changes lists, dicts or sets, is a change of that global. Where two branches meet, the stack of the first one counts.
"""

import dis
import types

METHODS = frozenset("""add append appendleft clear difference_update discard extend extendleft fill insert intersection_update
move_to_end pop popitem popleft put remove resize reverse rotate setdefault sort subtract symmetric_difference_update
update""".split())

_CHANGES_NOTHING = frozenset(("NOP", "RESUME", "CACHE", "PRECALL", "KW_NAMES", "EXTENDED_ARG", "SETUP_LOOP", "POP_BLOCK",
                              "SETUP_FINALLY", "NOT_TAKEN"))
_JUMPS = {*dis.hasjrel, *dis.hasjabs}
_LEAVES = frozenset(("JUMP_FORWARD", "JUMP_ABSOLUTE", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "RETURN_VALUE",
                     "RETURN_CONST", "RAISE_VARARGS", "RERAISE"))  # what stands behind these does not follow them
_POPS = ("STORE_", "POP_", "DELETE_", "RETURN_", "JUMP")  # these put nothing in the place of what they take


def changes_of(function, namespace):
    """{name: ["total = ... in line 3", ...]} of the globals in `namespace` that the function changes, or one that it calls."""
    found, seen, todo = {}, set(), [function.__code__]
    for code in todo:
        if code in seen:
            continue
        seen.add(code)
        for name, how, line in _changes_in(code):
            found.setdefault(name, []).append(f"{how} in line {line}")
        todo += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        for name in code.co_names:
            called = namespace.get(name)
            if isinstance(called, types.FunctionType) and called.__globals__ is namespace:
                todo.append(called.__code__)
    return {name: list(dict.fromkeys(how)) for name, how in found.items()}


def _changes_in(code):
    """(name, how, line) of each change."""
    line, stack, falls_through = code.co_firstlineno, [], True
    stacks = {}  # at the targets of jumps

    def pop():
        return stack.pop() if stack else None

    for instruction in dis.get_instructions(code):
        name, argument, value = instruction.opname, instruction.arg, instruction.argval
        if not falls_through:
            stack[:] = stacks.get(instruction.offset, ())
        falls_through = name not in _LEAVES
        if instruction.opcode in _JUMPS:
            there = list(stack)
            _push(there, instruction, jump=not name.startswith("POP_JUMP"))  # these pop either way, which PyPy does not say
            stacks.setdefault(value, there)
        starts = instruction.starts_line
        if starts:
            line = getattr(instruction, "line_number", starts) or line
        if name in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            yield value, f"{value} = ..." if name == "STORE_GLOBAL" else f"del {value}", line
            if name == "STORE_GLOBAL":
                pop()
        elif name == "LOAD_GLOBAL":
            _push(stack, instruction)
            if dis.stack_effect(instruction.opcode, argument) == 1:  # else it is called, and stands beside a NULL
                stack[-1] = (value, value)
        elif name in ("LOAD_ATTR", "LOAD_METHOD"):
            root = pop()
            if root and value in METHODS:
                yield root[0], f"{root[1]}.{value}()", line
            wide = name == "LOAD_METHOD" or dis.stack_effect(instruction.opcode, argument) == 1
            stack += [(root[0], f"{root[1]}.{value}") if root else None] + [None] * wide
        elif name == "BINARY_SUBSCR" or (name == "BINARY_OP" and instruction.argrepr == "[]"):
            pop()
            root = pop()
            stack.append((root[0], f"{root[1]}[...]") if root else None)
        elif name in ("STORE_SUBSCR", "DELETE_SUBSCR"):
            pop()
            root = pop()
            if name == "STORE_SUBSCR":
                pop()
            if root:
                yield root[0], f"{root[1]}[...] = ..." if name == "STORE_SUBSCR" else f"del {root[1]}[...]", line
        elif name in ("STORE_ATTR", "DELETE_ATTR"):
            root = pop()
            if name == "STORE_ATTR":
                pop()
            if root:
                yield root[0], f"{root[1]}.{value} = ..." if name == "STORE_ATTR" else f"del {root[1]}.{value}", line
        elif name in ("COPY", "DUP_TOP"):
            depth = argument if name == "COPY" else 1
            stack.append(stack[-depth] if len(stack) >= depth else None)
        elif name == "DUP_TOP_TWO":
            stack += stack[-2:] if len(stack) >= 2 else [None, None]
        elif name == "SWAP":
            if len(stack) >= argument:
                stack[-1], stack[-argument] = stack[-argument], stack[-1]
        elif name in ("ROT_TWO", "ROT_THREE", "ROT_FOUR", "ROT_N"):
            count = {"ROT_TWO": 2, "ROT_THREE": 3, "ROT_FOUR": 4}.get(name, argument)
            if len(stack) >= count:
                stack.insert(len(stack) - count, stack.pop())
        elif name not in _CHANGES_NOTHING:
            _push(stack, instruction)


def _push(stack, instruction, jump=False):
    """An instruction that is not known: its values come from no global."""
    argument = instruction.arg if instruction.opcode >= dis.HAVE_ARGUMENT else None
    try:
        effect = dis.stack_effect(instruction.opcode, argument, jump=jump)
    except ValueError:
        effect = 0
    if effect > 0:
        stack += [None] * effect
    elif effect < 0:
        del stack[effect:]
    if stack and effect <= 0 and not instruction.opname.startswith(_POPS):
        stack[-1] = None
