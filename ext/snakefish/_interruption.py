"""Whether a signal handler raised an exception. Internal; see ext/py/base/interruption.h. Imported when it is needed."""


def is_from_signal_handler(exception):
    traceback = exception.__traceback__
    while traceback is not None:
        if _is_signal_handler(traceback.tb_frame):
            return True
        traceback = traceback.tb_next
    return False


def _is_signal_handler(frame):
    """Handlers get the frame that they interrupt, which is their caller's. No other function gets its own caller's."""
    code, caller = frame.f_code, frame.f_back
    if caller is None:
        return False
    has_list, has_dict = bool(code.co_flags & 4), bool(code.co_flags & 8)  # *args and **kwargs
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + has_list + has_dict]
    values = [frame.f_locals.get(name) for name in arguments]
    return any(value is caller or (type(value) is tuple and any(item is caller for item in value)) for value in values)
