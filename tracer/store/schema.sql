-- The trace database, schema version 4 (PRAGMA user_version). Written by snakefish-trace; read by anybody.
--
-- Numbers ending in _ns are nanoseconds since the session started, _bytes bytes, tsc raw timestamp-counter ticks.
-- EVENT_SEND is the id of SEND in ext/abi/events.def; the Makefile puts it in, and leaves build/gen/store/schema.sql.
-- The database says of itself in `meta` where it comes from, and in `stats` what it lacks.

PRAGMA application_id = 0x534e4b46; -- "SNKF": only such a file is ever replaced
PRAGMA user_version = 4;

-- state: running | complete | recovered; clock, machine, command, start of the session: see `snakefish-trace info`
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- One row per traced process, also when it execs a traced program: with a log, and with the kernel's view all others of the program's tree too; then name is
-- that of the last program it ran. parent: the row of the process that forked or started it, NULL when that one is not
-- traced. exit_status: as waitpid tells it, -N for signal N, NULL where nobody saw it. task: what it was forked for.
CREATE TABLE process(
  id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, parent INTEGER REFERENCES process(id), name TEXT,
  exit_status INTEGER, start_ns INTEGER, end_ns INTEGER, task INTEGER REFERENCES task(id));

-- One row per Thread, Generator, map call, map worker, and instrumented Process of multiprocessing. process: the one
-- that runs it (a map call: its caller); creator: the one that started it. kind: thread | generator | map | map-worker | process.
CREATE TABLE task(
  id INTEGER PRIMARY KEY, process INTEGER REFERENCES process(id), kind TEXT, name TEXT,
  creator INTEGER REFERENCES process(id));

-- One row per Channel seen, and for each direction of an instrumented pipe. capacity_bytes is NULL where its creation was not traced.
CREATE TABLE channel(id INTEGER PRIMARY KEY, capacity_bytes INTEGER, creator INTEGER REFERENCES process(id));

-- Texts of marks and spans, each once.
CREATE TABLE text(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

-- The kinds of events, from ext/abi/events.def. phase: span | instant. object: task | channel | text | none; a, b: what
-- these columns of `event` mean.
CREATE TABLE event_kind(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, doc TEXT, phase TEXT, object TEXT, a TEXT, b TEXT);

-- Every record of every log, in the order of its arrival (rowid); within a process seq is the order of writing, and
-- seq and tsc do not decrease within a lane. object: id in task, channel or text, as event_kind.object says; NULL for
-- none. Where a or b is the number of a task, channel or text, it too is that row's id here.
-- phase: 0 instant, 1 begin, 2 end. lane: thread of the process, from 0. begin: rowid of the begin that an end ends.
CREATE TABLE event(
  process INTEGER NOT NULL, seq INTEGER NOT NULL, tsc INTEGER NOT NULL, kind INTEGER NOT NULL, object INTEGER,
  a INTEGER, b INTEGER, phase INTEGER NOT NULL, lane INTEGER NOT NULL, begin INTEGER);

-- Spans that never ended, by rowid of their begin: what a process that was killed was doing.
CREATE TABLE open_span(event INTEGER PRIMARY KEY);

-- Pairs of clock readings, the narrowest of many brackets tsc - clock - tsc; error_ns: half that bracket.
CREATE TABLE clock_snapshot(tsc INTEGER PRIMARY KEY, monotonic_ns INTEGER, realtime_ns INTEGER, error_ns INTEGER);

-- Piecewise linear interpolation between them: from from_tsc on, ns + (x - tsc) * ns_per_tick. The first starts at 0.
CREATE TABLE clock_segment(from_tsc INTEGER PRIMARY KEY, tsc INTEGER, ns INTEGER, ns_per_tick REAL);

-- The kernel's view: empty without --kernel; meta.kernel_view says whether it was asked for, and why there is none. Its
-- clock is CLOCK_MONOTONIC, so it stands on the events' time within clock_error_ns (see stats).

-- One row per time of a thread on a CPU. state, how it ended: preempted (still runnable: another one's turn), blocked
-- (asleep, a signal would wake it), uninterruptible (asleep, no signal would), stopped (by a signal or a debugger), exited,
-- running (it has not ended: end_ns is the session's end). wake_ns: since when it was runnable before start_ns: its fork,
-- the wake-up, or the end of the slice before; NULL: unknown. waker: the process that woke or forked it; NULL: none that
-- is traced, an interrupt (a timer, a device), or nobody had to.
-- So from wake_ns to start_ns it was runnable without a CPU, from the end of the slice before to wake_ns it was blocked.
CREATE TABLE sched_slice(
  process INTEGER NOT NULL, tid INTEGER, cpu INTEGER, start_ns INTEGER, end_ns INTEGER, state TEXT,
  waker INTEGER REFERENCES process(id), wake_ns INTEGER);

-- Page faults of a thread within one slice and some 2 ms (up to a tick of the timer more), by kind: copy-on-write (a write to a page that is
-- there, as after a fork), first-write, first-read (of a page that is not); mode: taken in user code or by the kernel.
-- start_ns: when the first of that time was, of any kind; end_ns: a time between the last and the next, or the slice's end.
-- estimate: 0: cost_ns was measured (count 0: a fault of an earlier slice ended here); 1: it is count times the median of
-- real faults that the collector made at the start (meta.kernel_*_ns; one median for both modes).
CREATE TABLE fault(
  process INTEGER NOT NULL, tid INTEGER, kind TEXT, mode TEXT, start_ns INTEGER, end_ns INTEGER, count INTEGER,
  cost_ns INTEGER, estimate INTEGER);

-- Times in which a thread was blocked, from leaving its CPU to the wake-up, by the system call that it was in: pipe and
-- socket (reading, accepting or connecting), full pipe and full socket (writing), poll (select, epoll; for whatever it was),
-- futex (a lock, a semaphore, a condition, a thread's end), file lock (flock, fcntl), child (wait4, waitid), sleep, fault
-- (none: a page had to come), other. Waits of a process's first thread that lie within one of its `wait` spans are left
-- out: the events say them.
CREATE TABLE kernel_wait(process INTEGER NOT NULL, tid INTEGER, what TEXT, start_ns INTEGER, end_ns INTEGER);

-- What is to be known of the trace's completeness. severity: info | loss | error. process: NULL for the session.
-- For each process: emitted = collected + lost + torn.
CREATE TABLE stats(name TEXT NOT NULL, process INTEGER REFERENCES process(id), severity TEXT NOT NULL, value);

-- The collector's own notes, with which another one goes on where it was killed; nobody else needs them. log: one row
-- for each log, with its books: one for a process and one more for each exec of a traced program; the seq of its records
-- go on from first_seq. number: rows of task, channel ('t', 'c': scope is the family) and text ('x': scope is the log) by
-- the numbers that the processes use. reap: deaths that were told. kernel_life: lives as
-- the kernel's view saw them.
CREATE TABLE log(
  id INTEGER PRIMARY KEY, process INTEGER NOT NULL, first_seq INTEGER NOT NULL, file TEXT NOT NULL, pid INTEGER, parent_pid INTEGER, family INTEGER,
  start_tsc INTEGER, first_tsc INTEGER, last_tsc INTEGER, exit_tsc INTEGER, exit_status INTEGER, seen_tsc INTEGER,
  taken INTEGER, collected INTEGER, begun INTEGER, lost INTEGER, elsewhere INTEGER, bad_kind INTEGER,
  bad_phase INTEGER, bad_time INTEGER, unreadable INTEGER, damaged INTEGER, unmatched INTEGER, backwards INTEGER,
  gaps INTEGER, running INTEGER);
CREATE TABLE kernel_life(
  process INTEGER PRIMARY KEY, pid INTEGER, start_ns INTEGER, end_ns INTEGER, exit_status INTEGER, running INTEGER);
CREATE INDEX kernel_life_pid ON kernel_life(pid, start_ns);
CREATE INDEX log_pid ON log(pid, start_tsc);
CREATE INDEX log_process ON log(process, start_tsc);
CREATE TABLE number(type TEXT, scope INTEGER, number INTEGER, id INTEGER, PRIMARY KEY(type, scope, number)) WITHOUT ROWID;
CREATE TABLE reap(pid INTEGER, tsc INTEGER, status INTEGER, PRIMARY KEY(pid, tsc)) WITHOUT ROWID;

-- Events with their time. No join, so that a query over this view keeps its freedom.
CREATE VIEW event_time AS
  SELECT e.rowid AS id, e.process, e.seq, e.kind, e.object, e.a, e.b, e.phase, e.lane, e.begin,
         (SELECT c.ns + CAST((e.tsc - c.tsc) * c.ns_per_tick AS INTEGER) FROM clock_segment c
          WHERE c.from_tsc <= e.tsc ORDER BY c.from_tsc DESC LIMIT 1) AS ns
  FROM event e;

-- Begin and end in one row; a and b are those of the end. closed = 0: never ended, end_ns is the process's end.
CREATE VIEW span AS
  SELECT process, kind, object, start_ns, end_ns, end_ns - start_ns AS duration_ns, lane, a, b, closed FROM (
    SELECT e.process, k.name AS kind, e.object, s.ns AS start_ns, e.ns AS end_ns, e.lane, e.a, e.b, 1 AS closed
    FROM event_time e CROSS JOIN event_time s ON s.id = e.begin CROSS JOIN event_kind k ON k.id = e.kind
    WHERE e.phase = 2
    UNION ALL
    SELECT s.process, k.name, s.object, s.ns, max(coalesce(p.end_ns, s.ns), s.ns), s.lane, s.a, s.b, 0
    FROM open_span o CROSS JOIN event_time s ON s.id = o.event CROSS JOIN event_kind k ON k.id = s.kind
    CROSS JOIN process p ON p.id = s.process);

-- One row per Channel send that got through; receiver and what follows from it are NULL while nobody took it.
-- latency_ns: from the send's end to the receive's; of it queueing_ns lay in the channel before the receiver came for
-- it. late_sender_ns (Scalasca's definition): what the receiver was there before the sender, that is
-- max(0, min(begin of send, end of receive) - begin of receive).
-- The index event_message, which the collector makes at the end, serves this view.
CREATE VIEW message AS
  SELECT channel, seq, sender, receiver, bytes, send_ns, receive_ns, receive_ns - send_ns AS latency_ns,
         max(0, receive_begin_ns - send_ns) AS queueing_ns,
         max(0, min(send_begin_ns, receive_ns) - receive_begin_ns) AS late_sender_ns FROM (
    SELECT s.object AS channel, s.a AS seq, s.process AS sender, r.process AS receiver, s.b AS bytes,
           s.ns AS send_ns, r.ns AS receive_ns,
           (SELECT b.ns FROM event_time b WHERE b.id = s.begin) AS send_begin_ns,
           (SELECT b.ns FROM event_time b WHERE b.id = r.begin) AS receive_begin_ns
    FROM event_time s LEFT JOIN event_time r ON r.object = s.object AND r.a = s.a AND r.kind = EVENT_RECEIVE AND r.phase = 2
    WHERE s.kind = EVENT_SEND AND s.phase = 2 AND +s.a > 0);

-- How many messages and bytes were in each Channel, from each send and receive on.
CREATE VIEW channel_depth AS
  SELECT channel, ns, sum(step) OVER w AS messages, sum(step * bytes) OVER w AS bytes FROM (
    SELECT object AS channel, ns, iif(kind = EVENT_SEND, 1, -1) AS step, b AS bytes, id
    FROM event_time WHERE kind IN (EVENT_SEND, EVENT_RECEIVE) AND phase = 2 AND +a > 0)
  WINDOW w AS (PARTITION BY channel ORDER BY ns, step DESC, id);

-- What went through each Channel, from the first send to the last receive (or send). Rates are the sum over that time.
CREATE VIEW channel_use AS
  WITH m AS (
    SELECT channel, count(*) AS messages, sum(bytes) AS bytes, count(receive_ns) AS received,
           count(DISTINCT sender) AS senders, count(DISTINCT receiver) AS receivers, min(send_ns) AS first_ns,
           max(coalesce(receive_ns, send_ns)) AS last_ns, avg(latency_ns) AS latency_mean_ns,
           max(latency_ns) AS latency_max_ns, avg(queueing_ns) AS queueing_mean_ns
    FROM message GROUP BY channel)
  SELECT m.channel, c.capacity_bytes, m.messages, m.received, m.bytes, m.senders, m.receivers, m.first_ns, m.last_ns,
         m.messages * 1e9 / nullif(m.last_ns - m.first_ns, 0) AS messages_per_s,
         m.bytes * 1e9 / nullif(m.last_ns - m.first_ns, 0) AS bytes_per_s,
         m.latency_mean_ns, m.latency_max_ns, m.queueing_mean_ns,
         (SELECT max(d.messages) FROM channel_depth d WHERE d.channel = m.channel) AS depth_max
  FROM m JOIN channel c ON c.id = m.channel;

-- What a process can be doing; from tracer/store/category.h.
CREATE TABLE category(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, doc TEXT);

-- Where every ns of a process's life went, by its first thread: one row for each category (category.name); a
-- process's rows sum to end_ns - start_ns. Filled when the trace is finished, and anew by `snakefish-trace analyze`.
-- A moment belongs to the first of these that holds:
--   no cpu         it was runnable and had none (sched_slice: wake_ns to start_ns)
--   pickling, copying   a pickled or copied event says that this was going on since its b
--   the wait       that it was in, by its reason: message, item, request: late sender; room: late receiver; child: late
--                  child (Scalasca's wait states; message.late_sender_ns has what of it lay before the send began)
--   the innermost span around it: extract, merge, fork by their name; run, chunk, item: running; send, receive, result,
--                  write: copying; join, map, next: other; the user's own spans are looked through
--   a wait         in kernel_wait: pipe, socket, poll: late sender; full pipe, full socket: late receiver; child: late
--                  child; futex, file lock: lock
--   running        where the process was not forked for a task, else other; other, too, after lost records
-- Taken from these: page faults (fault.cost_ns, from what the process did on a CPU in that slot of time, in
-- proportion) and tracing (the number of events times meta.event_cost_ps, calibrated when the trace was finished).
-- Without the kernel's view, page faults and no cpu are 0, and their time is in the other categories.
CREATE TABLE ledger(
  process INTEGER NOT NULL REFERENCES process(id), category TEXT NOT NULL, ns INTEGER NOT NULL,
  PRIMARY KEY(process, category)) WITHOUT ROWID;

-- The tables from here on are filled by `snakefish-trace analyze`. They come from the graph of forks, messages, merges
-- and joins: what each process did is a chain; links lead from a fork's begin to the child's start, from a send to its
-- receive, from a receive to the send that had waited for its room, from an item or result to who waits for it, from a
-- process's end to who waits for that.

-- The critical path: walked back from the end of the last process; at a wait it jumps to who ended it, there to the
-- moment at which it did (Scalasca; Boehme et al. 2010). Its pieces cover the time from the first start to the last
-- end. activity: a category, or handover: from that moment until the wait was over.
CREATE TABLE critical_path(
  step INTEGER PRIMARY KEY, process INTEGER REFERENCES process(id), activity TEXT, start_ns INTEGER, end_ns INTEGER);

-- Its activities. share: of the path. mean_ns: the activity's mean over the processes that have any of it (by the
-- ledger); imbalance_ns: max(0, on the path - mean).
CREATE TABLE path_activity(activity TEXT PRIMARY KEY, ns INTEGER, share REAL, mean_ns INTEGER, imbalance_ns INTEGER);

-- The POP tree (pop-coe.eu): parallel efficiency = load balance x serialisation x transfer.
--   useful         time in `running`
--   lanes          p, in place of POP's fixed processes, as ours come and go: the fewest lanes on which 99 % of the useful
--                  time finds room; a process keeps its lane while it can, also while it waits for a CPU
--   load balance   mean of useful over the lanes / the largest of them
--   ideal ns       the longest path through the graph when all but useful time and waits of unknown cause take no time
--   serialisation  largest useful of a lane / ideal; over 1 where the graph allows more at once than there were lanes
--   transfer       ideal / duration
CREATE TABLE efficiency(name TEXT PRIMARY KEY, value REAL, doc TEXT);

-- What if something cost nothing: the graph is run again without it, everything else taking the time it took, and
-- nobody doing another's work. what: fork | merge (and extract) | transfer (pickling, copying, handing over) |
-- copy-on-write | no cpu | imbalance (of children of one process that lived at the same time, each runs for their mean).
-- measured: 0 where the trace has nothing of it to take away (copy-on-write and no cpu without the kernel's view).
CREATE TABLE what_if(what TEXT PRIMARY KEY, duration_ns INTEGER, saved_ns INTEGER, speedup REAL, measured INTEGER);
