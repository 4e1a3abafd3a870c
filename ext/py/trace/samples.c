/* Stacks of Python, for trace.start(sample_hz=): when a sample is due (core/log/sampler.h), the interpreter calls
 * `take` at its next safe point, as it calls the handlers of signals. The stack is walked there by public calls and
 * written as SAMPLE, after the FRAME and STACK records that the log does not have yet.
 *
 * What runs between two safe points is charged to the line of the second one: a long call of C code to the line that
 * has called it; a function without a loop or a call to its caller.
 *
 * Numbers. A frame is known by its code and instruction, or by its code and line; a stack by its frame and the stack
 * that called it; a text by its address. All these are in one table, told apart by the low bits of the key's second
 * word. A number is written into each log once: a table's entry knows the era of the log that has it. Where a program
 * makes up ever new code, the table is emptied; what comes again then gets a second number, and the collector knows
 * both as the same.
 *
 * The table owns a reference to the code of each frame in it, so that no other code or text gets its address.
 *
 * Forked children. To write to an object, be it only its reference count, copies its page in a child: that costs more
 * than all the rest of a sample. So the first sample in a child touches as few objects as can be: it walks no further
 * than the child's own frames, and it looks at names without taking references. */
#include "py/trace/samples.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "core/log/log.h"
#include "core/log/numbers.h"
#include "core/log/sampler.h"
#include "core/os/tsc.h"
#include "py/trace/texts.h"
#include "py/trace/thread_names.h"

PyFrameObject *sf_samples_fork_frame;

#ifdef PYPY_VERSION

static void sample_threads(bool sample)
{
    (void)sample;
}

static PyObject *begin(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyUnicode_FromString(
        sf_log_enabled() && sf_log_self.session->sample_hz ? "PyPy does not show its stacks to C code" : "");
}

#else

enum {
    DEPTH_MAX = 128,      /* frames of a stack that are written: the innermost */
    NUMBERS_MAX = 1 << 16 /* entries of the table */
};
enum { BY_INSTRUCTION, BY_LINE, STACK, TEXT, KINDS };

static struct sf_numbers numbers;
static uint32_t last_number;

static void forget_numbers(void)
{
    for (uint32_t i = 0; i < numbers.slots; i++)
        if (numbers.entries[i].number && numbers.entries[i].b % KINDS == BY_INSTRUCTION)
            Py_DECREF((PyObject *)(uintptr_t)numbers.entries[i].a);
    sf_numbers_clear(&numbers);
}

/* The number of what has that key; *is_new: this log does not have it yet, and whoever asks writes it. 0: no memory. */
static uint32_t number_of(uint64_t a, uint64_t b, bool *is_new)
{
    const struct sf_numbers_entry *known = sf_numbers_find(&numbers, a, b);
    uint32_t number = known ? known->number : last_number + 1;
    *is_new = !known || known->era != sf_log_texts_era();
    if (*is_new && sf_numbers_set(&numbers, a, b, number, sf_log_texts_era()))
        return 0;
    last_number = known ? last_number : number;
    return number;
}

/* Writes a text that need not be UTF-8, because a file's name is bytes. Its number in the log; 0: it has none. */
static uint32_t write_text(PyObject *text)
{
    uint32_t number = 0;
    if (PyUnicode_IS_COMPACT_ASCII(text))
        return sf_log_text(PyUnicode_DATA(text), (uint64_t)PyUnicode_GET_LENGTH(text));
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    if (bytes)
        number = sf_log_text(PyBytes_AS_STRING(bytes), (uint64_t)PyBytes_GET_SIZE(bytes));
    PyErr_Clear();
    Py_XDECREF(bytes);
    return number;
}

/* The log's number of a text that belongs to a code in the table. 0: it has none. */
static uint32_t text_number(PyObject *text)
{
    uint64_t key = (uint64_t)(uintptr_t)text;
    const struct sf_numbers_entry *known = text ? sf_numbers_find(&numbers, key, TEXT) : NULL;
    if (known && known->era == sf_log_texts_era())
        return known->number;
    uint32_t number = text && PyUnicode_Check(text) ? write_text(text) : 0;
    if (number)
        sf_numbers_set(&numbers, key, TEXT, number, sf_log_texts_era());
    return number;
}

/* Writes a FRAME under `number`. */
static void write_frame(uint32_t number, const PyCodeObject *code, uint32_t line)
{
    uint32_t function = text_number(sf_code_qualname(code));
    uint64_t file = text_number(code->co_filename);
    sf_log_write(SF_EVENT_FRAME, SF_PHASE_INSTANT, number, function, file | (uint64_t)line << 32);
}

static uint32_t new_frame_number(PyFrameObject *frame, PyCodeObject *code, uint64_t key, uint64_t instruction)
{
    bool is_new = false, is_first = !sf_numbers_find(&numbers, key, instruction);
    uint32_t line = (uint32_t)PyFrame_GetLineNumber(frame);
    uint32_t number = number_of(key, (uint64_t)line * KINDS + BY_LINE, &is_new);
    if (!number || sf_numbers_set(&numbers, key, instruction, number, sf_log_texts_era()))
        return 0;
    if (is_first)
        Py_INCREF(code);
    if (is_new)
        write_frame(number, code, line);
    return number;
}

static uint32_t frame_number(PyFrameObject *frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame);
    uint64_t key = (uint64_t)(uintptr_t)code,
             instruction = (uint64_t)sf_frame_instruction(frame) * KINDS + BY_INSTRUCTION;
    const struct sf_numbers_entry *known = sf_numbers_find(&numbers, key, instruction);
    uint32_t number =
        known && known->era == sf_log_texts_era() ? known->number : new_frame_number(frame, code, key, instruction);
    Py_DECREF(code);
    return number;
}

static uint32_t stack_number(uint32_t caller, uint32_t frame)
{
    bool is_new = false;
    uint32_t number = frame ? number_of(caller, (uint64_t)frame * KINDS + STACK, &is_new) : 0;
    if (number && is_new)
        sf_log_write(SF_EVENT_STACK, SF_PHASE_INSTANT, number, caller, frame);
    return number;
}

/* What stands for the outer frames of a stack that is deeper than DEPTH_MAX. */
static uint32_t cut_number(void)
{
    static const char text[] = "(outer frames left out)";
    bool is_new = false;
    uint32_t number = number_of(0, BY_LINE, &is_new);
    if (number && is_new)
        sf_log_write(SF_EVENT_FRAME, SF_PHASE_INSTANT, number, sf_log_text(text, sizeof text - 1), 0);
    return stack_number(0, number);
}

/* The number of the stack whose innermost frame that is; 0: it has none. In a child it ends before the frame that has
 * started the child, which is there only if it is the innermost: while the child begins and ends. */
static uint32_t number_of_stack(PyFrameObject *innermost)
{
    PyFrameObject *frames[DEPTH_MAX], *frame = innermost;
    int depth = 0;
    if (numbers.used > NUMBERS_MAX)
        forget_numbers();
    Py_XINCREF(frame);
    while (frame && depth < DEPTH_MAX) {
        frames[depth++] = frame;
        frame = frame == sf_samples_fork_frame ? NULL : PyFrame_GetBack(frame);
    }
    if (depth > 1 && frames[depth - 1] == sf_samples_fork_frame)
        Py_DECREF(frames[--depth]);
    uint32_t stack = frame ? cut_number() : 0;
    Py_XDECREF(frame);
    while (depth--) {
        stack = stack_number(stack, frame_number(frames[depth]));
        Py_DECREF(frames[depth]);
    }
    return stack;
}

/* The stack of another thread, as it was when it gave the interpreter lock away; 0: it has none any more. */
static uint32_t stack_of_thread(uint64_t thread)
{
    uint32_t stack = 0;
    for (PyThreadState *state = PyInterpreterState_ThreadHead(PyInterpreterState_Get()); state;
         state = PyThreadState_Next(state)) {
        PyFrameObject *frame = state->thread_id == thread ? PyThreadState_GetFrame(state) : NULL;
        if (frame) {
            stack = number_of_stack(frame);
            Py_DECREF(frame);
            break;
        }
    }
    return stack;
}

/* The handler of the signal, which the interpreter calls: (signal's number, frame). Raises nothing. */
static PyObject *take(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (!sf_log_enabled())
        sf_sampler_end();
    for (unsigned thread = 0; sf_sampler_is_on() && thread < SF_SAMPLER_THREADS; thread++) {
        uint64_t which, cpu_ns = sf_sampler_take(thread, &which), tsc = cpu_ns ? sf_tsc_read() : 0;
        uint32_t stack = 0;
        if (!cpu_ns)
            continue;
        if (thread)
            stack = stack_of_thread(which);
        else if (count == 2 && PyFrame_Check(args[1]))
            stack = number_of_stack((PyFrameObject *)args[1]);
        sf_log_write_for(which, SF_EVENT_SAMPLE, stack, cpu_ns, tsc);
    }
    PyErr_Clear();
    Py_RETURN_NONE;
}

static PyMethodDef take_definition = {"take_sample", (PyCFunction)(void (*)(void))take, METH_FASTCALL, NULL};

/* A real-time signal below `below` that nobody handles: from above, because programs and valgrind count from below. 0:
 * there is none. */
static int free_signal(int below)
{
    struct sigaction action;
    for (int signal = below - 1; signal >= SIGRTMIN; signal--)
        if (sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
            return signal;
    return 0;
}

static int signals[2]; /* see sf_sampler_begin; 0: not chosen yet. The same for ever */

/* Lets Python call `take` when the first one comes. 0, or -1 with an exception. */
static int handle_signal(void)
{
    if (signals[0])
        return 0;
    int found = free_signal(SIGRTMAX - 1), second = found ? free_signal(found) : 0;
    PyObject *module = second ? PyImport_ImportModule("_signal") : NULL;
    PyObject *handler = module ? PyCFunction_New(&take_definition, NULL) : NULL;
    PyObject *set = handler ? PyObject_CallMethod(module, "signal", "iO", found, handler) : NULL;
    if (!second)
        PyErr_SetString(PyExc_RuntimeError, "the program uses all real-time signals");
    if (set) {
        signals[0] = found;
        signals[1] = second;
    }
    Py_XDECREF(set);
    Py_XDECREF(handler);
    Py_XDECREF(module);
    return set ? 0 : -1;
}

/* ---- threads ---- */

/* What starts a thread, by its name in _thread and in threading, and the function that has taken its place. */
static struct starter {
    const char *name, *in_threading;
    PyObject *original, *ours; /* NULL: this Python has none, or it was not replaced */
} starters[] = {{"start_new_thread", "_start_new_thread", NULL, NULL},
                {"start_joinable_thread", "_start_joinable_thread", NULL, NULL}}; /* from 3.13 on */

/* A thread's function, with samples of the thread. It is in its own lane from the beginning, so that a sample that the
 * main thread writes for it has one. */
static PyObject *run_sampled(PyObject *function, PyObject *args, PyObject *kwargs)
{
    if (sf_sampler_is_on() && sf_log_enabled()) {
        if (sf_lanes_own > SF_LANE_MAX)
            sf_log_enter_lane();
        if (PyMethod_Check(function)) /* Thread._bootstrap */
            sf_thread_names_tell(PyMethod_GET_SELF(function));
        sf_sampler_enter();
    }
    PyObject *result = PyObject_Call(function, args, kwargs);
    sf_sampler_leave();
    return result;
}

static PyMethodDef run_definition = {"run_sampled", (PyCFunction)(void (*)(void))run_sampled,
                                     METH_VARARGS | METH_KEYWORDS, NULL};

/* The original, called with a function that runs the thread's, sampled. */
static PyObject *start_sampled(PyObject *original, PyObject *args, PyObject *kwargs)
{
    PyObject *function = PyTuple_GET_SIZE(args) ? PyTuple_GET_ITEM(args, 0) : NULL;
    if (!function || !PyCallable_Check(function)) /* it is the original's to complain */
        return PyObject_Call(original, args, kwargs);
    PyObject *sampled = PyCFunction_New(&run_definition, function), *result = NULL;
    PyObject *rest = sampled ? PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args)) : NULL;
    PyObject *first = rest ? PyTuple_Pack(1, sampled) : NULL, *all = first ? PySequence_Concat(first, rest) : NULL;
    if (all)
        result = PyObject_Call(original, all, kwargs);
    Py_XDECREF(all);
    Py_XDECREF(first);
    Py_XDECREF(rest);
    Py_XDECREF(sampled);
    return result;
}

static PyMethodDef start_definition = {"start_new_thread", (PyCFunction)(void (*)(void))start_sampled,
                                       METH_VARARGS | METH_KEYWORDS, NULL};

/* Puts `after` in the place of `before`. What else is there stays. */
static void replace(PyObject *module, const char *name, PyObject *before, PyObject *after)
{
    PyObject *found = module ? PyObject_GetAttrString(module, name) : NULL;
    if (found && found == before)
        PyObject_SetAttrString(module, name, after);
    Py_XDECREF(found);
    PyErr_Clear();
}

/* Threads that are started from now on are sampled too, or no more. threading is not imported for that; if it is later,
 * it takes what _thread has. Raises nothing. */
static void sample_threads(bool sample)
{
    PyObject *modules = PyImport_GetModuleDict(), *module = PyDict_GetItemString(modules, "_thread");
    PyObject *threading = PyDict_GetItemString(modules, "threading");
    for (size_t i = 0; i < sizeof starters / sizeof *starters; i++) {
        struct starter *starter = &starters[i];
        if (!starter->original && module)
            starter->original = PyObject_GetAttrString(module, starter->name);
        if (!starter->ours && starter->original)
            starter->ours = PyCFunction_New(&start_definition, starter->original);
        PyErr_Clear();
        if (!starter->ours)
            continue;
        PyObject *before = sample ? starter->original : starter->ours,
                 *after = sample ? starter->ours : starter->original;
        replace(module, starter->name, before, after);
        replace(threading, starter->in_threading, before, after);
    }
    PyErr_Clear();
}

static PyObject *begin(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    if (!sf_log_enabled() || !sf_log_self.session->sample_hz)
        return PyUnicode_FromString("");
    int error = handle_signal();
    if (error && PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();
        return PyUnicode_FromString("they can be begun in the main thread only");
    }
    if (error)
        return NULL;
    error = sf_sampler_begin(signals[0], signals[1]);
    sample_threads(sf_sampler_is_on());
    return PyUnicode_FromString(error ? strerror(-error) : "");
}

#endif

/* At the end of the session, and before that of the interpreter, which gives every signal the disposition by which it
 * kills. */
static PyObject *end(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    sf_sampler_end();
    sample_threads(false);
    Py_RETURN_NONE;
}

PyMethodDef sf_samples_functions[] = {
    {"_trace_sample", begin, METH_NOARGS,
     "Begins to take samples, if the session wants them. Why there are none, '' if there are or none are wanted."},
    {"_trace_sample_end", end, METH_NOARGS, "Takes no more samples in this process."},
    {NULL, NULL, 0, NULL},
};
