-- The trace database, schema version 12 (PRAGMA user_version). snakefish-trace writes it; any program may read it.
--
-- Names ending in _ns are nanoseconds since the session started, in _bytes bytes; tsc is the raw timestamp counter.
-- EVENT_SEND is the id of SEND in ext/abi/events.def: the Makefile replaces it, and keeps build/gen/store/schema.sql.
-- `meta` says where the trace comes from, `stats` what is missing in it.

PRAGMA application_id = 0x534e4b46; -- "SNKF": snakefish-trace replaces only files that have it
PRAGMA user_version = 12;

-- state: running | complete | recovered; clock, machine, command, start of the session: see `snakefish-trace info`
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- One row per traced process: each that has a log, and with the kernel's view each process of the program's tree. It
-- stays the same process when it execs another program. name: of the log, or else of the last program it ran. parent:
-- the process that forked or started it, also where it has ended since, or where an untraced program (a shell) was in
-- between; NULL: not traced, or not known (of a program that ended soon behind a shell). exit_status: as waitpid returns
-- it, -N for signal N; NULL: not known. task: what it was forked for. pid: as the process's own pid namespace numbers it,
-- so two processes may have the same one; with the kernel's view as the machine does.
CREATE TABLE process(
  id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, parent INTEGER REFERENCES process(id), name TEXT,
  exit_status INTEGER, start_ns INTEGER, end_ns INTEGER, task INTEGER REFERENCES task(id));

-- One row per Thread, Generator, map call, worker of map or of an Executor, and instrumented Process of multiprocessing.
-- process: the one that runs it (a map call: its caller); creator: the one that started it. kind: thread | generator |
-- map | map-worker | executor-worker | process.
CREATE TABLE task(
  id INTEGER PRIMARY KEY, process INTEGER REFERENCES process(id), kind TEXT, name TEXT,
  creator INTEGER REFERENCES process(id));

-- One row per Channel, and per direction of an instrumented pipe. capacity_bytes: NULL if its creation was not traced.
-- kind: channel | pipe | other pipes (all instrumented pipes above the 65,535 that can be told apart; their messages have
-- no numbers); NULL as capacity_bytes. name: as the program has given it, not necessarily unique; NULL: it has none.
CREATE TABLE channel(
  id INTEGER PRIMARY KEY, capacity_bytes INTEGER, creator INTEGER REFERENCES process(id), kind TEXT, name TEXT);

-- Names of marks and spans, each once.
CREATE TABLE text(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

-- Stacks of Python, empty without --sample. A frame is a line of a function, a stack a frame and the stack that has called
-- it (parent; NULL: the outermost). function: with its class from Python 3.11 on. A frame "(lost text)" stands for records
-- that were lost, "(outer frames left out)" for the outer frames of a stack of more than 128.
CREATE TABLE frame(
  id INTEGER PRIMARY KEY, function TEXT NOT NULL, file TEXT, line INTEGER NOT NULL, UNIQUE(function, file, line));
CREATE TABLE stack(
  id INTEGER PRIMARY KEY, parent INTEGER REFERENCES stack(id), frame INTEGER NOT NULL REFERENCES frame(id),
  UNIQUE(parent, frame));

-- The kinds of events, from ext/abi/events.def. phase: span | instant. object: task | channel | text | none; a, b: what
-- these columns of `event` mean.
CREATE TABLE event_kind(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, doc TEXT, phase TEXT, object TEXT, a TEXT, b TEXT);

-- Every record of every log, in the order of arrival (rowid). seq is the order of writing within a process; seq and tsc
-- do not decrease within a lane. object: id in task, channel or text, as event_kind.object says; NULL for none. Where a
-- or b is the number of a task, channel or text, it too is that row's id here. phase: 0 instant, 1 begin, 2 end. lane:
-- the thread of the process, by a number from 0 on that another thread has after its end; see `thread`. begin: for an
-- end, the rowid of its begin. The user's spans may overlap, and end in another lane than they began in.
CREATE TABLE event(
  process INTEGER NOT NULL, seq INTEGER NOT NULL, tsc INTEGER NOT NULL, kind INTEGER NOT NULL, object INTEGER,
  a INTEGER, b INTEGER, phase INTEGER NOT NULL, lane INTEGER NOT NULL, begin INTEGER);

-- The threads of a process that have written events, each from seq first_seq (start_ns) of its process on until the
-- next row of its lane, or the process's end. name: of Python's thread, the last one that it had (the `thread` events
-- have the earlier ones); NULL: Python does not know it. Lane 0 is the process's first thread. Lane 16383 is shared by
-- those that found no lane of their own, because so many live at once; stats.threads_without_lane counts them. tid: its
-- number in the process's own pid namespace. since_tsc identifies it in the events.
CREATE TABLE thread(
  process INTEGER NOT NULL REFERENCES process(id), since_tsc INTEGER NOT NULL, lane INTEGER NOT NULL,
  first_tsc INTEGER NOT NULL, first_seq INTEGER NOT NULL, start_ns INTEGER, tid INTEGER, name TEXT,
  PRIMARY KEY(process, since_tsc)) WITHOUT ROWID;

-- Spans that never ended, by the rowid of their begin: what a process was doing when it was killed.
CREATE TABLE open_span(event INTEGER PRIMARY KEY);

-- Pairs of clock readings, the narrowest of many brackets tsc - clock - tsc; error_ns: half that bracket.
CREATE TABLE clock_snapshot(tsc INTEGER PRIMARY KEY, monotonic_ns INTEGER, realtime_ns INTEGER, error_ns INTEGER);

-- Piecewise linear interpolation between them: from from_tsc on, ns + (x - tsc) * ns_per_tick. The first starts at 0.
CREATE TABLE clock_segment(from_tsc INTEGER PRIMARY KEY, tsc INTEGER, ns INTEGER, ns_per_tick REAL);

-- The kernel's view: empty without --kernel. meta.kernel_view says whether it was asked for, and why it is missing. Its
-- clock is CLOCK_MONOTONIC, so its times match those of the events within clock_error_ns (see stats).

-- One row per slice: a time of a thread on a CPU. state, how it ended: preempted (it stayed runnable), blocked (asleep;
-- a signal would wake it), uninterruptible (asleep; no signal would), stopped (by a signal or a debugger), exited,
-- running (it has not ended; end_ns is the end of its process or the session's). wake_ns: when it became runnable
-- before this slice: its fork, its wake-up, or, if it was preempted, the end of the slice before; NULL: not known. So
-- it was blocked from the end of the slice before to wake_ns, and runnable without a CPU from wake_ns to start_ns.
-- waker: the process that woke or forked it; NULL: there was no wake-up, or it came from an interrupt (a timer, a
-- device) or an untraced process.
CREATE TABLE sched_slice(
  process INTEGER NOT NULL, tid INTEGER, cpu INTEGER, start_ns INTEGER, end_ns INTEGER, state TEXT,
  waker INTEGER REFERENCES process(id), wake_ns INTEGER);

-- Page faults of a thread within one slice and about 2 ms (at most one tick of the timer more). kind: copy-on-write (a
-- write to a page that is present, as after a fork), first-write and first-read (of a page that is not), file-write and
-- file-read (the same of a page of a file or of shared memory), huge-first-write (of a huge page). Where all faults are
-- measured, the last three are not told from the others; elsewhere huge-first-write alone is measured. mode: user code
-- or kernel. start_ns: the first fault of that time, of any kind. end_ns: a time after the last one and before the next
-- one, or the slice's end. estimate 0: cost_ns was measured; then a row of count 0 has the cost of a fault that began in
-- an earlier slice. estimate 1: cost_ns is count times what a fault of that kind costs, the median of faults that the
-- collector caused at the start (meta.kernel_*_ns; the same for both modes).
CREATE TABLE fault(
  process INTEGER NOT NULL, tid INTEGER, kind TEXT, mode TEXT, start_ns INTEGER, end_ns INTEGER, count INTEGER,
  cost_ns INTEGER, estimate INTEGER);

-- Times in which a thread was blocked, from leaving its CPU to the wake-up. what, by the system call it was in: pipe
-- and socket (reading, accepting or connecting), full pipe and full socket (writing), poll (also select and epoll),
-- futex (a lock, a semaphore, a condition, a thread's end), file lock (flock, fcntl), child (wait4, waitid), sleep,
-- fault (no system call: it waited for a page), other. Waits of a process's first thread that lie within one of its
-- `wait` spans are left out, because the events have them.
CREATE TABLE kernel_wait(process INTEGER NOT NULL, tid INTEGER, what TEXT, start_ns INTEGER, end_ns INTEGER);

-- How complete the trace is. severity: info | loss | error. process: NULL for the session. For each process emitted =
-- collected + lost + torn; `books` says whether that holds: closed | violated.
CREATE TABLE stats(name TEXT NOT NULL, process INTEGER REFERENCES process(id), severity TEXT NOT NULL, value);

-- The collector's own tables: with them another collector can continue when this one was killed. log: one row for each
-- log, with its counts; a process has one log, and one more for each exec of a traced program. The records of a log
-- have seq from first_seq on. pid and parent_pid: in the process's own pid namespace, which is `space`, and in its
-- parent's; host_pid: in the collector's, NULL: not known; parent_tsc: start_tsc of the log of the parent, 0: not known,
-- NULL: it had none.
-- number: the rows of task, channel ('t', 'c'; scope: the family), text, frame and stack ('x', 'f', 's'; scope: the
-- log) by the numbers that the processes use. reap: deaths of children, as their parents saw them; reaper: the
-- process that says so, 0 the collector. kernel_life: starts
-- and ends of processes by the kernel's view; start_ns NULL: it was there before the session.
CREATE TABLE log(
  id INTEGER PRIMARY KEY, process INTEGER NOT NULL, first_seq INTEGER NOT NULL, file TEXT NOT NULL, pid INTEGER,
  parent_pid INTEGER, family INTEGER, start_tsc INTEGER, first_tsc INTEGER, last_tsc INTEGER, exit_tsc INTEGER,
  exit_status INTEGER, seen_tsc INTEGER,
  taken INTEGER, collected INTEGER, begun INTEGER, lost INTEGER, elsewhere INTEGER, bad_kind INTEGER,
  bad_phase INTEGER, bad_time INTEGER, unreadable INTEGER, damaged INTEGER, unmatched INTEGER, begun_before INTEGER,
  backwards INTEGER, gaps INTEGER, running INTEGER, space INTEGER, host_pid INTEGER, parent_tsc INTEGER);
CREATE TABLE kernel_life(
  process INTEGER PRIMARY KEY, pid INTEGER, start_ns INTEGER, end_ns INTEGER, exit_status INTEGER, running INTEGER);
CREATE INDEX kernel_life_pid ON kernel_life(pid, start_ns);
CREATE INDEX log_pid ON log(pid, start_tsc);
CREATE INDEX log_host_pid ON log(host_pid, start_tsc);
CREATE INDEX log_process ON log(process, start_tsc);
CREATE TABLE number(
  type TEXT, scope INTEGER, number INTEGER, id INTEGER, PRIMARY KEY(type, scope, number)) WITHOUT ROWID;
CREATE TABLE reap(
  pid INTEGER, tsc INTEGER, reaper INTEGER, status INTEGER, PRIMARY KEY(pid, tsc, reaper)) WITHOUT ROWID;

-- Events with their time. A subquery and no join, so that SQLite can still choose how to run a query over this view.
CREATE VIEW event_time AS
  SELECT e.rowid AS id, e.process, e.seq, e.kind, e.object, e.a, e.b, e.phase, e.lane, e.begin,
         (SELECT c.ns + CAST((e.tsc - c.tsc) * c.ns_per_tick AS INTEGER) FROM clock_segment c
          WHERE c.from_tsc <= e.tsc ORDER BY c.from_tsc DESC LIMIT 1) AS ns
  FROM event e;

-- Samples of Python's stacks, about meta.sample_hz in each second of a thread's CPU time. cpu_ns: the CPU time since the
-- sample before; ns: when the stack was taken. stack NULL: none was taken before the thread ended.
CREATE VIEW sample AS
  SELECT e.process, e.lane,
         (SELECT c.ns + CAST((e.b - c.tsc) * c.ns_per_tick AS INTEGER) FROM clock_segment c
          WHERE c.from_tsc <= e.b ORDER BY c.from_tsc DESC LIMIT 1) AS ns,
         e.object AS stack, e.a AS cpu_ns
  FROM event e WHERE e.kind = EVENT_SAMPLE;

-- CPU time by the lines that samples have found: filled when the trace is finished, and again by `snakefish-trace analyze`.
-- span NULL: of all of the process; else span | run | chunk: of what its thread did inside of such spans, of which object is
-- the text or task; a sample counts for each that was open around it. self_ns: in the line itself, and in C code that
-- it has called; samples: how many have found it so. total_ns: in what it has called, too; where a function calls itself,
-- only its innermost line has it, so that the sum over the lines of a function is its time.
CREATE TABLE frame_time(
  process INTEGER NOT NULL REFERENCES process(id), span TEXT, object INTEGER, frame INTEGER NOT NULL REFERENCES frame(id),
  self_ns INTEGER, total_ns INTEGER, samples INTEGER);

-- CPU time by function, of each process. task_kind: what the process was forked for; NULL: not by snakefish. self_ns: in the
-- function itself, and in C code that it has called; total_ns: in what it has called, too, once where it calls itself.
CREATE VIEW function_time AS
  SELECT n.process, t.kind AS task_kind, f.function, f.file, sum(n.self_ns) AS self_ns, sum(n.total_ns) AS total_ns
  FROM frame_time n JOIN frame f ON f.id = n.frame JOIN process p ON p.id = n.process LEFT JOIN task t ON t.id = p.task
  WHERE n.span IS NULL GROUP BY n.process, f.function, f.file;

-- The same of each span by name, in all processes: the user's spans, and `run` and `chunk` of tasks. name: of the span,
-- or of the task's kind.
CREATE VIEW span_function_time AS
  SELECT n.span AS kind, iif(n.span = 'span', x.text, t.kind) AS name, f.function, f.file,
         sum(n.self_ns) AS self_ns, sum(n.total_ns) AS total_ns
  FROM frame_time n JOIN frame f ON f.id = n.frame LEFT JOIN text x ON n.span = 'span' AND x.id = n.object
  LEFT JOIN task t ON n.span <> 'span' AND t.id = n.object
  WHERE n.span NOT NULL GROUP BY 1, 2, f.function, f.file;

-- The same for each kind of task, in all processes. task: a task's kind; parent: of processes that were not forked for one.
-- line: the one that most of the function's own time is in, or, if it has none, most of its total time. share: of the kind.
CREATE VIEW task_function_time AS
  WITH line AS (
    SELECT coalesce(t.kind, 'parent') AS task, f.function, f.file, f.line, sum(n.self_ns) AS self_ns,
           sum(n.total_ns) AS total_ns, sum(n.samples) AS samples
    FROM frame_time n JOIN frame f ON f.id = n.frame JOIN process p ON p.id = n.process LEFT JOIN task t ON t.id = p.task
    WHERE n.span IS NULL GROUP BY 1, f.function, f.file, f.line),
  ranked AS (
    SELECT *, row_number() OVER (PARTITION BY task, function, file ORDER BY self_ns DESC, total_ns DESC, line) AS place
    FROM line)
  SELECT task, function, file, max(iif(place = 1, line, NULL)) AS line, sum(self_ns) AS self_ns, sum(total_ns) AS total_ns,
         sum(samples) AS samples, sum(self_ns) * 1.0 / nullif(sum(sum(self_ns)) OVER (PARTITION BY task), 0) AS self_share,
         sum(total_ns) * 1.0 / nullif(sum(sum(self_ns)) OVER (PARTITION BY task), 0) AS total_share
  FROM ranked GROUP BY task, function, file;

-- Begin and end in one row; a and b are those of the end, the lane is that of the begin. closed = 0: it never ended, and
-- end_ns is the process's end.
CREATE VIEW span AS
  SELECT process, kind, object, start_ns, end_ns, end_ns - start_ns AS duration_ns, lane, a, b, closed FROM (
    SELECT e.process, k.name AS kind, e.object, s.ns AS start_ns, e.ns AS end_ns, s.lane, e.a, e.b, 1 AS closed
    FROM event_time e CROSS JOIN event_time s ON s.id = e.begin CROSS JOIN event_kind k ON k.id = e.kind
    WHERE e.phase = 2
    UNION ALL
    SELECT s.process, k.name, s.object, s.ns, max(coalesce(p.end_ns, s.ns), s.ns), s.lane, s.a, s.b, 0
    FROM open_span o CROSS JOIN event_time s ON s.id = o.event CROSS JOIN event_kind k ON k.id = s.kind
    CROSS JOIN process p ON p.id = s.process);

-- One row per message that was sent through a Channel or an instrumented pipe. If it was not received, receiver and the
-- columns that need it are NULL. A damaged trace may have several receives of one message: the first counts, so there are
-- as many rows as sends, and never the product. latency_ns: from the end of the send to the end of the receive.
-- queueing_ns: the part of it before the receive began. late_sender_ns (Scalasca's definition): how long the receiver
-- waited before the send began, that is max(0, min(begin of send, end of receive) - begin of receive). The collector makes
-- an index for this view at the end, event_message.
CREATE VIEW message AS
  SELECT channel, seq, sender, receiver, bytes, send_ns, receive_ns, receive_ns - send_ns AS latency_ns,
         max(0, receive_begin_ns - send_ns) AS queueing_ns,
         max(0, min(send_begin_ns, receive_ns) - receive_begin_ns) AS late_sender_ns FROM (
    SELECT s.object AS channel, s.a AS seq, s.process AS sender, r.process AS receiver, s.b AS bytes,
           s.ns AS send_ns, r.ns AS receive_ns,
           (SELECT b.ns FROM event_time b WHERE b.id = s.begin) AS send_begin_ns,
           (SELECT b.ns FROM event_time b WHERE b.id = r.begin) AS receive_begin_ns
    FROM event_time s
    LEFT JOIN event_time r ON r.id = (
      SELECT m.rowid FROM event m WHERE m.object = s.object AND m.a = s.a AND m.kind = EVENT_RECEIVE AND m.phase = 2
      ORDER BY m.rowid LIMIT 1)
    WHERE s.kind = EVENT_SEND AND s.phase = 2 AND +s.a > 0);

-- One row per time that the arguments or the result of a task of an instrumented executor were pickled or unpickled. owner and
-- number: as in `submission`. what: arguments | result. process: where, the owner or the worker. lane: its thread.
CREATE VIEW carriage AS
  SELECT iif(c.b IN (1, 4), c.process, (SELECT w.parent FROM process w WHERE w.id = c.process)) AS owner, c.a AS number,
         iif(c.b IN (1, 2), 'arguments', 'result') AS what, c.process, c.lane, p.a AS bytes, p.start_ns,
         p.end_ns - p.start_ns AS duration_ns
  FROM event c JOIN (
    SELECT e.process, e.seq, e.a, e.ns AS end_ns,
           (SELECT s.ns + CAST((e.b - s.tsc) * s.ns_per_tick AS INTEGER) FROM clock_segment s
            WHERE s.from_tsc <= e.b ORDER BY s.from_tsc DESC LIMIT 1) AS start_ns
    FROM event_time e WHERE e.kind = EVENT_PICKLED) p ON p.process = c.process AND p.seq = c.seq - 1
  WHERE c.kind = EVENT_CARRIED;

-- One row per task that was handed to an executor, snakefish's or an instrumented one: a call of submit, or a chunk of its
-- map, or a batch of joblib's. number: unique within owner, the process that submitted it. waiting: the tasks that waited
-- before it. worker: the process that ran it, for a task of threads the owner itself. queueing_ns: until a worker began with
-- it; the columns of a task that none began with are NULL. One that was sent again, because its worker died before it began,
-- has the worker that ran it. run_ns: f, and of a worker of snakefish.Executor sending its result; until the worker's end
-- where it died. calls: of f in it. argument_bytes, result_bytes, pickling_ns (both, there and back): of instrumented
-- executors only.
CREATE VIEW submission AS
  SELECT s.process AS owner, s.a AS number, s.b AS waiting, s.ns AS submit_ns, w.process AS worker,
         w.start_ns - s.ns AS queueing_ns, w.start_ns AS run_begin_ns, w.duration_ns AS run_ns, w.calls,
         c.argument_bytes, c.result_bytes, c.pickling_ns
  FROM event_time s
  LEFT JOIN (SELECT c.process, iif(c.object IS NULL, c.process, p.parent) AS owner, c.a, c.start_ns, c.duration_ns, c.b AS calls
             FROM span c JOIN process p ON p.id = c.process LEFT JOIN task t ON t.id = c.object
             WHERE c.kind = 'chunk' AND (t.kind = 'executor-worker' OR c.object IS NULL)) w ON w.owner = s.process AND w.a = s.a
  LEFT JOIN (SELECT owner, number, max(iif(what = 'arguments', bytes, NULL)) AS argument_bytes,
                    max(iif(what = 'result', bytes, NULL)) AS result_bytes, sum(duration_ns) AS pickling_ns
             FROM carriage GROUP BY 1, 2) c ON c.owner = s.process AND c.number = s.a
  WHERE s.kind = EVENT_SUBMIT;

-- What sharing variables between tasks has cost (snakefish.merge, share=): one row per variable, and one whose variable is
-- NULL for what is no single variable's part: the search for what has changed, storing it. tasks: that have
-- changed it; NULL's: that have looked. bytes: of their changes. A container that several variables lead to counts for the
-- first of them. conflicts: also those that on_conflict has settled. All of it lies within the `extract` spans of the tasks
-- and the `merge` spans of those that join them.
CREATE VIEW merge_cost AS
  SELECT (SELECT t.text FROM text t WHERE t.id = e.object) AS variable,
         sum(e.kind = EVENT_EXTRACTED AND (e.a > 0 OR e.object IS NULL)) AS tasks,
         CAST(total(iif(e.kind = EVENT_EXTRACTED, e.a, 0)) AS INTEGER) AS bytes,
         CAST(total(iif(e.kind = EVENT_EXTRACTED, e.b, 0)) AS INTEGER) AS extract_ns,
         CAST(total(iif(e.kind = EVENT_MERGED, e.b, 0)) AS INTEGER) AS merge_ns,
         CAST(total(iif(e.kind = EVENT_MERGED, e.a, 0)) AS INTEGER) AS conflicts
  FROM event e WHERE e.kind IN (EVENT_EXTRACTED, EVENT_MERGED) GROUP BY e.object;

-- How many messages and bytes were in each Channel after each send and receive.
CREATE VIEW channel_depth AS
  SELECT channel, ns, sum(step) OVER w AS messages, CAST(total(step * bytes) OVER w AS INTEGER) AS bytes FROM (
    SELECT object AS channel, ns, iif(kind = EVENT_SEND, 1, -1) AS step, b AS bytes, id
    FROM event_time WHERE kind IN (EVENT_SEND, EVENT_RECEIVE) AND phase = 2 AND +a > 0)
  WINDOW w AS (PARTITION BY channel ORDER BY ns, step DESC, id);

-- The messages of each Channel, from the first send to the last receive (or send). Rates are sums divided by that time.
CREATE VIEW channel_use AS
  WITH m AS (
    SELECT channel, count(*) AS messages, CAST(total(bytes) AS INTEGER) AS bytes, count(receive_ns) AS received,
           count(DISTINCT sender) AS senders, count(DISTINCT receiver) AS receivers, min(send_ns) AS first_ns,
           max(coalesce(receive_ns, send_ns)) AS last_ns, avg(latency_ns) AS latency_mean_ns,
           max(latency_ns) AS latency_max_ns, avg(queueing_ns) AS queueing_mean_ns
    FROM message GROUP BY channel)
  SELECT m.channel, c.name, c.capacity_bytes, m.messages, m.received, m.bytes, m.senders, m.receivers, m.first_ns, m.last_ns,
         m.messages * 1e9 / nullif(m.last_ns - m.first_ns, 0) AS messages_per_s,
         m.bytes * 1e9 / nullif(m.last_ns - m.first_ns, 0) AS bytes_per_s,
         m.latency_mean_ns, m.latency_max_ns, m.queueing_mean_ns, d.depth_max
  FROM m JOIN channel c ON c.id = m.channel
  LEFT JOIN (SELECT channel, max(messages) AS depth_max FROM channel_depth GROUP BY channel) d ON d.channel = m.channel;

-- The categories of the ledger, from tracer/store/category.h.
CREATE TABLE category(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, doc TEXT);

-- What the time of a process was spent on, by its first thread: one row for each category (category.name). The rows of
-- a process sum to end_ns - start_ns. Filled when the trace is finished, and again by `snakefish-trace analyze`. A
-- moment belongs to the first of these categories that applies:
--   no cpu             it was runnable without a CPU (sched_slice: wake_ns to start_ns)
--   pickling, copying  a `pickled` or `copied` event covers it: from its b to its time
--   a `wait` span      by its reason: message, item, request: late sender; room: late receiver; child: late child; thread: lock;
--                      work: waiting for work
--                      (Scalasca's wait states; message.late_sender_ns is the part before the send began)
--   the innermost span around it: extract, merge, fork by their names; run, chunk, item: running; send, receive,
--                      result, write: copying; join, map, next: other. The user's own spans do not count here
--   kernel_wait        pipe, socket, poll: late sender; full pipe, full socket: late receiver; child: late child;
--                      futex, file lock: lock; sleep: sleeping
--   starting, ending   outside of all spans, if the process was forked for a task: before the span of f, after it
--   running            outside of all spans, if it was not; after lost records: other
-- Then two categories are subtracted from these: page faults (fault.cost_ns, in proportion from what the process did on
-- a CPU in that slot) and tracing (the number of events times meta.event_cost_ps, measured when the trace was
-- finished). Without the kernel's view page faults and no cpu are 0, and their time is in the other categories.
CREATE TABLE ledger(
  process INTEGER NOT NULL REFERENCES process(id), category TEXT NOT NULL, ns INTEGER NOT NULL,
  PRIMARY KEY(process, category)) WITHOUT ROWID;

-- `snakefish-trace analyze` fills the tables from here on. They come from the graph of the run: the activities of each
-- process in a row, and links between processes: from the begin of a fork to the child's start, from a send to its
-- receive, from a receive to a send that waited for room, from an item or result to the process that waits for it, from
-- the end of a process to the process that waits for it.

-- The critical path, found backwards from the end of the last process: at a wait it continues in the process that ended
-- the wait, at the moment when it did so (Scalasca; Boehme et al. 2010). Its pieces cover the time from the first start
-- to the last end. activity: a category; or handover: from that moment until the wait was over; or outside: no traced
-- process is known to have started this one, so the time before its start is unknown, back to the end of the process that
-- had ended last (as where a script runs one program after another), or else to the first start of all.
CREATE TABLE critical_path(
  step INTEGER PRIMARY KEY, process INTEGER REFERENCES process(id), activity TEXT, start_ns INTEGER, end_ns INTEGER);

-- The activities on the critical path. share: of the path. mean_ns: the mean of the activity, by the ledger, over the
-- processes that have any of it. imbalance_ns: max(0, ns - mean_ns).
CREATE TABLE path_activity(activity TEXT PRIMARY KEY, ns INTEGER, share REAL, mean_ns INTEGER, imbalance_ns INTEGER);

-- The POP tree (pop-coe.eu): parallel efficiency = load balance x serialisation x transfer.
--   useful         the time in `running`; where more processes ran at once than there are CPUs (as they do without the
--                  kernel's view, which knows when they had none), their share of these
--   at once        the smallest number of processes at once that has room for 99 % of the useful time, counting those too
--                  that lost their CPU in the middle of it
--   lanes          p: as many, and at most as many as the machine has CPUs. POP has a fixed number of processes; here
--                  they come and go. So each goes into the emptiest lane, the longest first, whenever it was started
--   load balance   the mean useful time of a lane / the largest
--   ideal ns       the longest path through the graph if only running, sleeping, and waits of unknown cause take time
--   serialisation  the largest useful time of a lane / ideal; over 1 if the graph allows more at once than p
--   transfer       ideal / duration
CREATE TABLE efficiency(name TEXT PRIMARY KEY, value REAL, doc TEXT);

-- What if something cost nothing: the graph is replayed without it. Everything else takes the time that it took, and no
-- process does another one's work. what: fork | processes (fork, begin and end of a child, the wait for its end) |
-- merge (and extract) | transfer (pickling, copying, handing over messages and results) |
-- copy-on-write | no cpu | imbalance (children of one process that ran at the same time: each runs for the mean of
-- their times). measured: 0 if the trace has no data about it (copy-on-write and no cpu without the kernel's view).
-- bound: "at least" where such a change takes away more than the one cost, which the replay keeps, so that it gains as much
-- or more; NULL: an estimate. doc: what stays, or what is assumed, in words.
CREATE TABLE what_if(
  what TEXT PRIMARY KEY, duration_ns INTEGER, saved_ns INTEGER, speedup REAL, measured INTEGER, bound TEXT, doc TEXT);

-- What to change, the most important first: at most three. disease: a word, as listed in tracer/README.md; none, if
-- nothing stands out. sentence: the disease, its cure, the gain. gain: at least how many times as fast the program is
-- without it, as the sentence says; NULL: no number can be promised. It is what a replay without the disease saves, less
-- a part that the cure may cost, and no more than the CPUs can give.
CREATE TABLE advice(rank INTEGER PRIMARY KEY, disease TEXT, sentence TEXT, gain REAL);

-- What `snakefish-trace predict --store` and `report` have stored: how long the run would take on so many CPUs. Empty
-- until then. low, high: the middle 95 % when the tasks' times are drawn anew. speedup: against one CPU. limit: what most
-- of the longest path goes into, in words. enough: 1 where more CPUs than these do not help. measured: how long the run
-- took, in seconds, in the row of as many CPUs as its maps had workers, or, if it called no map, as the machine has; else
-- NULL.
CREATE TABLE prediction(
  cpus INTEGER PRIMARY KEY, seconds REAL, low REAL, high REAL, speedup REAL, efficiency REAL, "limit" TEXT,
  enough INTEGER, measured REAL);
