"""trace.instrument: connections, through which everything is sent, and queues. Internal.

A replacement of a method gets the method first, then the method's arguments. Most are functions of
ext/py/trace/instrument_message.c. ext/core/log/pipe_numbers.h says how messages are numbered.
"""

from multiprocessing import connection, process, queues, reduction, synchronize

from snakefish import _snakefish
from snakefish._snakefish import (
    _WAIT_CHILD as FOR_CHILD,
    _WAIT_MESSAGE as FOR_MESSAGE,
    _WAIT_ROOM as FOR_ROOM,
    _instrument_get as get,
    _instrument_pickle as pickle,
    _instrument_read as read,
    _instrument_read_part as read_part,
    _instrument_receive as receive,
    _instrument_send as send,
    _instrument_unpickle as unpickle,
    _instrument_wait as wait,
    _instrument_write as write,
)
from snakefish._instrument_waits import wait_for_message


def _pipe(original, duplex=True):
    ends = original(duplex)
    reader, writer = reversed(ends) if duplex else ends
    if isinstance(reader, connection.Connection) and isinstance(writer, connection.Connection):
        _snakefish._instrument_declare(reader._handle, writer._handle, bool(duplex))
    return ends


def _are_sentinels(objects):
    sentinels = {getattr(child._popen, "sentinel", None) for child in list(process._children)}
    return all(type(one) is int and one in sentinels for one in objects)


def _wait(original, object_list, timeout=None):
    if timeout is None or (isinstance(timeout, (int, float)) and timeout > 0):
        object_list = list(object_list)
        if object_list and isinstance(object_list[0], connection.Connection):
            return wait(original, FOR_MESSAGE, object_list[0], object_list, timeout)
        if object_list and _are_sentinels(object_list):
            return wait(original, FOR_CHILD, None, object_list, timeout)
    return original(object_list, timeout)


# A wait for a message begins before the reader waits for the queue's lock.


def _simple_get(original, self):
    return get(original, self._reader, True, self)


def _get(original, self, block=True, timeout=None):
    return get(original, self._reader, block, self, block, timeout)


def _put(original, self, obj, block=True, timeout=None):
    if block and self._sem._semlock._is_zero():
        return wait(original, FOR_ROOM, self._writer, self, obj, block, timeout)
    return original(self, obj, block, timeout)


def _accept(original, self):
    return wait(original, FOR_MESSAGE, None, self)


_Base = connection.Connection.__mro__[1]

METHODS = [
    (_Base, "send", send),
    (_Base, "send_bytes", send),
    (_Base, "recv", receive),
    (_Base, "recv_bytes", receive),
    (_Base, "recv_bytes_into", receive),
    (connection.Connection, "_send_bytes", write),
    (connection.Connection, "_recv_bytes", read),
    (connection.Connection, "_recv", read_part),
    (connection, "Pipe", _pipe),
    (connection, "wait", _wait),
    (queues.SimpleQueue, "get", _simple_get),
    (queues.Queue, "get", _get),
    (queues.Queue, "put", _put),
    (queues.JoinableQueue, "put", _put),
    (synchronize.Condition, "wait", wait_for_message),
    (connection.Listener, "accept", _accept),
]
CLASS_METHODS = [
    (reduction.ForkingPickler, "dumps", pickle),
    (reduction.ForkingPickler, "loads", unpickle),
]
