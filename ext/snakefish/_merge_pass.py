"""One look at the instructions of a function, from the first to the last. Internal; for _merge_code.py.

The stack and the local variables hold what each value may be, see _merge_things.py. A store into a part of a global, or a
call of what changes lists, dicts or sets, is a change of that global. Where two branches meet, a value may be what it was in
either. A loop is looked at once.
"""

import dis
import sys
import types

from snakefish._merge_things import METHODS, Thing, either, holding, is_function, new_container, parts

_NOTHING = frozenset(("NOP", "RESUME", "CACHE", "PRECALL", "EXTENDED_ARG", "SETUP_LOOP", "POP_BLOCK", "SETUP_FINALLY",
                      "NOT_TAKEN", "GET_ITER", "GET_YIELD_FROM_ITER", "LIST_TO_TUPLE", "COPY_FREE_VARS", "MAKE_CELL"))
_JUMPS = {*dis.hasjrel, *dis.hasjabs}
_LEAVES = frozenset(("JUMP_FORWARD", "JUMP_ABSOLUTE", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "RETURN_VALUE",
                     "RETURN_CONST", "RAISE_VARARGS", "RERAISE"))  # what stands behind these does not follow them
_POPS = ("STORE_", "POP_", "DELETE_", "RETURN_", "JUMP")  # these put nothing in the place of what they take
_NULL = (Thing(None, "NULL"),)  # stands beside a function that is called


class Made:
    """A function that is made by the code that is looked at. free: {variable of the functions around it: things}"""

    def __init__(self, code, namespace, free):
        self.code, self.namespace, self.free = code, namespace, free


class Pass:
    """reader: the Reader, which follows calls and is told of changes. given: {variable: things}"""

    def __init__(self, reader, code, namespace, given):
        self.reader, self.code, self.namespace = reader, code, namespace
        self.stack, self.variables = [], dict(given)
        self.ever = dict(given)  # {variable: all that it has been}
        self.returned = ()
        self.line = code.co_firstlineno
        self._keywords = ()
        self._there = {}  # {offset of a target of jumps: (stack, variables)}
        self._named = []  # functions of the module

    def run(self):
        """What the function returns."""
        falls_through = True
        for instruction in dis.get_instructions(self.code):
            self._arrive(instruction.offset, falls_through)
            falls_through = instruction.opname not in _LEAVES
            starts = instruction.starts_line
            if starts:
                self.line = getattr(instruction, "line_number", starts) or self.line
            if instruction.opcode in _JUMPS:
                self._jump(instruction)
            step = _STEPS.get(instruction.opname)
            if step:
                step(self, instruction)
            elif instruction.opname not in _NOTHING:
                self._other(instruction)
        for code in (constant for constant in self.code.co_consts if isinstance(constant, types.CodeType)):
            self.reader.code(code, self.namespace, _free(code, self.ever))
        for thing in self._named:
            self.reader.call(thing, [], {}, self.line)  # whoever calls it
        return self.returned

    def _arrive(self, offset, falls_through):
        there = self._there.get(offset)
        if falls_through:
            if there:
                _meet(self.stack, self.variables, there)
        elif there:
            self.stack, self.variables = list(there[0]), dict(there[1])
        else:  # a handler of exceptions: nobody has noted what it begins with
            self.stack, self.variables = [], dict(self.ever)

    def _jump(self, instruction):
        stack, variables = list(self.stack), dict(self.variables)
        # those that pop do so either way, which PyPy does not say
        _apply(stack, instruction, jump=not instruction.opname.startswith("POP_JUMP"))
        if instruction.argval in self._there:
            _meet(stack, variables, self._there[instruction.argval])
        self._there[instruction.argval] = stack, variables

    def _pop(self):
        return self.stack.pop() if self.stack else ()

    def _take(self, count):
        """The topmost values, the uppermost last."""
        return [self._pop() for _ in range(count)][::-1]

    def _other(self, instruction):
        """An instruction that is not known: its values come from no global."""
        _apply(self.stack, instruction)

    # ---- variables ----

    def _load(self, instruction):
        for name in _names(instruction):
            self.stack.append(self.variables.get(name, ()))

    def _load_name(self, instruction):
        name = instruction.argval
        self.stack.append(self.variables[name] if name in self.variables else self._global(name))

    def _store(self, instruction):
        for name in _names(instruction):
            self._set(name, self._pop())

    def _store_load(self, instruction):
        stored, loaded = _names(instruction)
        self._set(stored, self._pop())
        self.stack.append(self.variables.get(loaded, ()))

    def _set(self, name, things):
        self.variables[name] = things
        self.ever[name] = either(self.ever.get(name, ()), things)

    def _load_global(self, instruction):
        things = self._global(instruction.argval)
        if dis.stack_effect(instruction.opcode, instruction.arg) == 2:
            self.stack += [things, _NULL] if sys.version_info >= (3, 13) else [_NULL, things]
        else:
            self.stack.append(things)

    def _global(self, name):
        things = self.reader.load_global(name, self.namespace)
        self._named += (thing for thing in things if self._is_ours(thing.value))
        return things

    def _store_global(self, instruction):
        name = instruction.argval
        how = f"del {name}"
        if instruction.opname == "STORE_GLOBAL":
            how = f"{name} = ..."
            self._pop()
        if self.namespace is self.reader.namespace:
            self.reader.change((Thing(name, name),), how, self.line)

    def _push_null(self, instruction):
        self.stack.append(_NULL)

    def _load_const(self, instruction):
        value = instruction.argval
        self.stack.append((Thing(None, "", 0, value),) if isinstance(value, (str, tuple, types.CodeType)) else ())

    def _import(self, instruction):
        _, names = self._take(2)
        path = instruction.argval if names else instruction.argval.partition(".")[0]
        module = sys.modules.get(path)
        self.stack.append((Thing(None, path, 0, module),) if module else ())

    def _import_from(self, instruction):
        module = self.stack[-1] if self.stack else ()
        self.stack.append(tuple(thing.attribute(instruction.argval) for thing in module))

    # ---- parts of values ----

    def _load_attribute(self, instruction):
        name, owner = instruction.argval, self._pop()
        self.stack.append(tuple(thing.attribute(name) for thing in owner))
        self._called(name, owner)
        if instruction.opname in ("LOAD_METHOD", "LOOKUP_METHOD") or dis.stack_effect(instruction.opcode, instruction.arg) == 1:
            self.stack.append(_NULL)

    def _called(self, name, owner):
        """A method that changes what it is called on. Whether it is called at all nobody looks at."""
        if name in METHODS:
            for thing in owner:
                if not isinstance(thing.value, (types.ModuleType, type)) and not self._is_ours(thing.attribute(name).value):
                    self.reader.change((thing,), f"{{}}.{name}()", self.line)

    def _is_ours(self, function):
        """Whether it is a function of the module, so that it can be looked at."""
        return is_function(function) and function.__globals__ is self.reader.namespace

    def _store_attribute(self, instruction):
        name, owner = instruction.argval, self._pop()
        how = f"del {{}}.{name}"
        if instruction.opname == "STORE_ATTR":
            how = f"{{}}.{name} = ..."
            self._pop()
        for thing in owner:
            if isinstance(thing.value, types.ModuleType):
                thing = Thing(f"{thing.value.__name__}:{name}", thing.text)
            self.reader.change((thing,), how, self.line)

    def _subscript(self, instruction):
        whole, key = self._take(2)
        if self._is_namespace(whole):
            names = [thing.value for thing in key if isinstance(thing.value, str)]
            self.stack.append(self.reader.load_global(names[0], self.namespace) if names else ())
            return
        is_slice = any(thing.value is slice for thing in key)
        self.stack.append(new_container(whole) if is_slice and not _is_array(whole) else parts(whole, "[...]"))

    def _build_slice(self, instruction):
        self._take(instruction.arg)
        self.stack.append((Thing(None, "", 0, slice),))

    def _slice(self, instruction):
        whole, _, _ = self._take(3)
        self.stack.append(whole if _is_array(whole) else new_container(whole))

    def _store_subscript(self, instruction):
        whole = self._take({"STORE_SLICE": 4, "STORE_SUBSCR": 3}.get(instruction.opname, 2))
        at, how = (0, "del {}[...]") if instruction.opname == "DELETE_SUBSCR" else (1, "{}[...] = ...")
        self.reader.change(whole[at], how, self.line)
        if self._is_namespace(whole[at]):
            self.reader.change([Thing(thing.value, "globals()") for thing in whole[-1] if isinstance(thing.value, str)],
                               how, self.line)

    def _is_namespace(self, things):
        return any(thing.value is self.reader.namespace for thing in things)

    def _iterate(self, instruction):
        self.stack.append(parts(self.stack[-1] if self.stack else (), "[...]"))

    def _unpack(self, instruction):
        count = instruction.arg
        if instruction.opname == "UNPACK_EX":  # a, *b, c = ...
            count = (count & 255) + (count >> 8) + 1
        self.stack += [parts(self._pop(), "[...]")] * count

    # ---- new values ----

    def _build(self, instruction):
        count = instruction.arg * (2 if instruction.opname == "BUILD_MAP" else 1)
        if instruction.opname == "BUILD_CONST_KEY_MAP":
            count += 1
        self.stack.append(holding(*self._take(count)))

    def _build_below(self, instruction):
        self.stack.insert(len(self.stack) - 1, ())

    def _extend(self, instruction):
        things = self._pop()
        added = new_container(things) if instruction.opname.endswith(("EXTEND", "UPDATE", "MERGE")) else holding(things)
        if len(self.stack) >= instruction.arg:
            self.stack[-instruction.arg] = either(self.stack[-instruction.arg], added)

    def _binary(self, instruction):
        name = instruction.argrepr if instruction.opname == "BINARY_OP" else instruction.opname
        if name == "[]":
            self._subscript(instruction)
            return
        left, right = self._take(2)
        in_place = name.startswith("INPLACE_") or name.endswith("=")
        if in_place:
            self.reader.change([thing for thing in left if thing.changes_in_place()], "{} is changed in place", self.line)
        self.stack.append(left if in_place else new_container(either(left, right)))

    def _make_function(self, instruction):
        if sys.version_info < (3, 11):
            self._pop()  # its name
        codes = [thing.value for thing in self._pop() if isinstance(thing.value, types.CodeType)]
        self._take(bin(instruction.arg or 0).count("1"))  # defaults, annotations, the variables around it
        self.stack.append(tuple(Thing(None, "function", 0, Made(code, self.namespace, _free(code, self.variables)))
                                for code in codes))

    def _set_function_attribute(self, instruction):
        made, _ = self._pop(), self._pop()
        self.stack.append(made)

    # ---- calls ----

    def _kw_names(self, instruction):
        self._keywords = self.code.co_consts[instruction.arg]

    def _call(self, instruction):
        name, count = instruction.opname, instruction.arg
        names, self._keywords = self._keywords, ()
        if name.endswith("_KW"):
            names = next((thing.value for thing in self._pop() if isinstance(thing.value, tuple)), ())
        head = self._take(count + (1 if name.startswith("CALL_FUNCTION") else 2))
        called, *arguments = [things for things in head if things is not _NULL] or [()]
        positional = len(arguments) - len(names)
        self._result(called, arguments[:positional], dict(zip(names, arguments[positional:])))

    def _call_ex(self, instruction):
        given = self._take(1 + (instruction.arg & 1))
        called = self._pop()
        if called is _NULL:
            called = self._pop()
        elif sys.version_info[:2] in ((3, 11), (3, 12)):
            self._pop()
        more = parts(given[0])
        self._result(called, [more] * 8, {"*": parts(given[1])} if len(given) > 1 and given[1] else {})

    def _result(self, called, arguments, keywords):
        result = ()
        for thing in called:
            result = either(result, self.reader.call(thing, arguments, keywords, self.line))
        self.stack.append(result)

    def _return(self, instruction):
        self.returned = either(self.returned, self._pop())

    # ---- the stack ----

    def _copy(self, instruction):
        depth = instruction.arg if instruction.opname == "COPY" else 1
        self.stack.append(self.stack[-depth] if len(self.stack) >= depth else ())

    def _copy_two(self, instruction):
        self.stack += self.stack[-2:] if len(self.stack) >= 2 else [(), ()]

    def _swap(self, instruction):
        depth = instruction.arg
        if len(self.stack) >= depth:
            self.stack[-1], self.stack[-depth] = self.stack[-depth], self.stack[-1]

    def _rotate(self, instruction):
        count = {"ROT_TWO": 2, "ROT_THREE": 3, "ROT_FOUR": 4}.get(instruction.opname, instruction.arg)
        if len(self.stack) >= count:
            self.stack.insert(len(self.stack) - count, self.stack.pop())


_STEPS = {name: step for step, names in {
    Pass._load: """LOAD_FAST LOAD_FAST_CHECK LOAD_FAST_AND_CLEAR LOAD_FAST_LOAD_FAST LOAD_CLOSURE LOAD_DEREF LOAD_CLASSDEREF
                   LOAD_FROM_DICT_OR_DEREF""",
    Pass._load_name: "LOAD_NAME",
    Pass._store: "STORE_FAST STORE_FAST_STORE_FAST STORE_DEREF STORE_NAME",
    Pass._store_load: "STORE_FAST_LOAD_FAST",
    Pass._load_global: "LOAD_GLOBAL",
    Pass._store_global: "STORE_GLOBAL DELETE_GLOBAL",
    Pass._push_null: "PUSH_NULL",
    Pass._load_const: "LOAD_CONST",
    Pass._import: "IMPORT_NAME",
    Pass._import_from: "IMPORT_FROM",
    Pass._load_attribute: "LOAD_ATTR LOAD_METHOD LOOKUP_METHOD",
    Pass._store_attribute: "STORE_ATTR DELETE_ATTR",
    Pass._subscript: "BINARY_SUBSCR",
    Pass._build_slice: "BUILD_SLICE",
    Pass._slice: "BINARY_SLICE",
    Pass._store_subscript: "STORE_SUBSCR STORE_SLICE DELETE_SUBSCR",
    Pass._iterate: "FOR_ITER",
    Pass._unpack: "UNPACK_SEQUENCE UNPACK_EX",
    Pass._build: "BUILD_LIST BUILD_TUPLE BUILD_SET BUILD_MAP BUILD_CONST_KEY_MAP",
    Pass._build_below: "BUILD_LIST_FROM_ARG",
    Pass._extend: "LIST_EXTEND LIST_APPEND SET_UPDATE SET_ADD DICT_UPDATE DICT_MERGE",
    Pass._binary: "BINARY_OP " + " ".join(name for name in dis.opmap if name.startswith(("BINARY_", "INPLACE_")) and name not in
                                          ("BINARY_OP", "BINARY_SUBSCR", "BINARY_SLICE")),
    Pass._make_function: "MAKE_FUNCTION",
    Pass._set_function_attribute: "SET_FUNCTION_ATTRIBUTE",
    Pass._kw_names: "KW_NAMES",
    Pass._call: "CALL CALL_KW CALL_FUNCTION CALL_FUNCTION_KW CALL_METHOD CALL_METHOD_KW",
    Pass._call_ex: "CALL_FUNCTION_EX",
    Pass._return: "RETURN_VALUE",
    Pass._copy: "COPY DUP_TOP",
    Pass._copy_two: "DUP_TOP_TWO",
    Pass._swap: "SWAP",
    Pass._rotate: "ROT_TWO ROT_THREE ROT_FOUR ROT_N",
}.items() for name in names.split()}


def _meet(stack, variables, there):
    """Two ways meet: a value may be what it is on either."""
    for depth in range(1, min(len(stack), len(there[0])) + 1):
        stack[-depth] = either(stack[-depth], there[0][-depth])
    for name, things in there[1].items():
        variables[name] = either(variables.get(name, ()), things)


def _names(instruction):
    value = instruction.argval
    return value if isinstance(value, tuple) else (value,)


def _free(code, variables):
    return {name: variables[name] for name in code.co_freevars if name in variables}


def _is_array(things):
    return any(hasattr(type(thing.value), "__array__") for thing in things)


def _apply(stack, instruction, jump=False):
    argument = instruction.arg if instruction.opcode >= dis.HAVE_ARGUMENT else None
    try:
        effect = dis.stack_effect(instruction.opcode, argument, jump=jump)
    except ValueError:
        effect = 0
    if effect > 0:
        stack += [()] * effect
    elif effect < 0:
        del stack[effect:]
    if stack and effect <= 0 and not instruction.opname.startswith(_POPS) and instruction.opname not in _KEEPS:
        stack[-1] = ()


_KEEPS = frozenset(("JUMP_IF_TRUE_OR_POP", "JUMP_IF_FALSE_OR_POP", "FOR_ITER"))
