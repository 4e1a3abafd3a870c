-- What chrome.c writes, as temporary views: one for each kind of event, in the order of writing.
-- pid: 4194304 is the highest that Linux gives. The Makefile replaces EVENT_SEND by the id of SEND in
-- ext/abi/events.def, and so on.
-- CROSS JOIN everywhere: SQLite must read the tables in this order, whatever it estimates about their sizes.

PRAGMA temp_store = FILE;

CREATE TEMP TABLE shown AS
  SELECT p.id, iif(count(*) OVER (PARTITION BY p.pid) > 1, 4194304 + p.id, p.pid) AS pid,
         coalesce(nullif(p.name, ''), 'process ' || p.pid) AS name, p.start_ns,
         coalesce(p.end_ns, t.last_ns, p.start_ns) AS end_ns, p.exit_status, p.pid AS first_tid
  FROM process p LEFT JOIN (
    SELECT process, max(ns) AS last_ns FROM event_time
    WHERE process IN (SELECT id FROM process WHERE end_ns IS NULL) GROUP BY process) t ON t.process = p.id;
CREATE UNIQUE INDEX temp.shown_id ON shown(id);

-- The viewer's row for each thread. Its tid is the lane, if the thread is the first one that had it; other threads of that
-- lane have tids above all lanes. Of lane 0 only the name changes: by an exec, or by the program. The last lane (16383)
-- may be shared. (Without the types SQLite could not use the keys.)
CREATE TEMP TABLE row(
  process INTEGER, lane INTEGER, first_seq INTEGER, tid INTEGER, name TEXT,
  PRIMARY KEY(process, lane, first_seq)) WITHOUT ROWID;
INSERT INTO row
  SELECT process, lane, iif(n = 1, 0, first_seq),
         iif(n = 1, lane, 16384 + row_number() OVER (PARTITION BY process, n = 1 ORDER BY first_seq)), name
  FROM (SELECT process, lane, first_seq, coalesce(name, 'thread ' || tid) AS name,
               row_number() OVER (PARTITION BY process, lane ORDER BY first_seq) AS n
        FROM thread WHERE lane BETWEEN 1 AND 16382);
INSERT INTO row SELECT process, 0, 0, 0, name FROM (
  SELECT process, name, max(first_seq) FROM thread WHERE lane = 0 GROUP BY process);
INSERT OR IGNORE INTO row
  SELECT DISTINCT process, lane, 0, lane, iif(lane = 16383, 'threads without a lane', 'lane ' || lane) FROM event;

-- Slices with other times than the trace's, so that they nest strictly (nesting.c fills it). slice: the row of a span's
-- begin, or -process. NULL: that time stays.
CREATE TEMP TABLE fitted(slice INTEGER PRIMARY KEY, start_ns INTEGER, end_ns INTEGER);

-- A line of a function as it is shown.
CREATE TEMP VIEW frame_name AS
  SELECT id, function || iif(file IS NULL OR file = '', '', ' (' || file || ':' || line || ')') AS name FROM frame;

CREATE TEMP VIEW shown_event AS
  SELECT id, process, seq, kind, object, a, b, phase, lane, begin,
         coalesce(CASE phase WHEN 1 THEN (SELECT f.start_ns FROM fitted f WHERE f.slice = t.id)
                             WHEN 2 THEN (SELECT f.end_ns FROM fitted f WHERE f.slice = t.begin) END, t.ns) AS ns,
         coalesce((SELECT r.tid FROM row r WHERE r.process = t.process AND r.lane = t.lane AND r.first_seq <= t.seq
                   ORDER BY r.first_seq DESC LIMIT 1), t.lane) AS tid,
         CASE WHEN kind IN (EVENT_CHANNEL, EVENT_SEND, EVENT_RECEIVE, EVENT_WRITE) THEN object
              WHEN kind = EVENT_WAIT AND a IN (1, 2) THEN nullif(b, 0) END AS channel
  FROM event_time t; -- a damaged trace may have events before all threads

-- Spans by the rows of their begin and end (NULL: it never ended), with the viewer's row in which they began. moved: they
-- ended in another one. For overlaps.c, which fills `overlapping` with the begins of those that do not nest in their row.
CREATE TEMP TABLE drawn_span(
  first INTEGER PRIMARY KEY, last INTEGER, process INTEGER, tid INTEGER, of_user INTEGER, moved INTEGER,
  start_ns INTEGER, end_ns INTEGER);
INSERT OR IGNORE INTO drawn_span
  SELECT w.begin, w.id, s.process, s.tid, s.kind = EVENT_SPAN,
         w.id IS NOT NULL AND s.tid <> (SELECT e.tid FROM shown_event e WHERE e.id = w.id), s.ns,
         coalesce((SELECT e.ns FROM event_time e WHERE e.id = w.id),
                  max((SELECT p.end_ns FROM shown p WHERE p.id = s.process), s.ns))
  FROM (SELECT rowid AS id, begin FROM event WHERE phase = 2 AND begin IS NOT NULL
        UNION ALL SELECT NULL, event FROM open_span) w
  CROSS JOIN shown_event s ON s.id = w.begin;
CREATE TEMP TABLE overlapping(event INTEGER PRIMARY KEY);
CREATE TEMP VIEW span_end AS
  SELECT process, tid, first AS place, first, of_user, moved FROM drawn_span
  UNION ALL SELECT process, tid, last, first, of_user, moved FROM drawn_span WHERE last IS NOT NULL
  ORDER BY process, tid, place;

-- Begins and ends of all that is drawn as a slice in a row of spans, from the last to the first; for nesting.c. The row of
-- the process's first thread has the process around its spans. What never ended ends last, the outermost at the very end.
CREATE TEMP VIEW drawn_edge AS
  SELECT process, tid, slice, ns, is_end, place FROM (
    SELECT process, tid, first AS place, first AS slice, start_ns AS ns, 0 AS is_end FROM drawn_span
    WHERE first NOT IN (SELECT event FROM overlapping)
    UNION ALL
    SELECT process, tid, coalesce(last, 9223372036854775807), first, end_ns, 1 FROM drawn_span
    WHERE first NOT IN (SELECT event FROM overlapping)
    UNION ALL SELECT id, 0, -1, -id, start_ns, 0 FROM shown WHERE start_ns IS NOT NULL
    UNION ALL SELECT id, 0, 9223372036854775807, -id, end_ns, 1 FROM shown WHERE start_ns IS NOT NULL)
  ORDER BY process, tid, place DESC, slice;

CREATE TEMP TABLE fork_end(task INTEGER PRIMARY KEY, id);
INSERT OR REPLACE INTO fork_end
  SELECT object, rowid FROM event WHERE kind = EVENT_FORK AND phase = 2 AND begin IS NOT NULL AND object IS NOT NULL;

CREATE TEMP TABLE process_of(task INTEGER PRIMARY KEY, id);
INSERT OR REPLACE INTO process_of SELECT task, id FROM process WHERE task IS NOT NULL;

CREATE TEMP VIEW chrome_process AS
  SELECT s.pid, s.name, s.id, coalesce(f.start_ns, s.start_ns), coalesce(f.end_ns, s.end_ns), s.exit_status
  FROM shown s LEFT JOIN fitted f ON f.slice = -s.id ORDER BY s.id;

-- Rows for the threads' times on CPUs have tids above all lanes, so that they are shown below them.
CREATE TEMP VIEW chrome_thread AS
  SELECT pid, tid, name FROM (
    SELECT r.process, s.pid, r.tid, r.name FROM row r JOIN shown s ON s.id = r.process
    UNION ALL
    SELECT k.process, s.pid, 4194304 + k.tid,
           iif(k.tid = s.first_tid, 'CPU', 'CPU, ' || coalesce(t.name, 'thread ' || k.tid))
    FROM (SELECT process, tid FROM sched_slice UNION SELECT process, tid FROM kernel_wait) k
    JOIN shown s ON s.id = k.process
    -- In another pid namespace a thread has another number for itself than for the machine.
    LEFT JOIN (SELECT process, tid, name, max(first_seq) FROM thread
               WHERE process NOT IN (SELECT process FROM log WHERE host_pid <> pid) GROUP BY process, tid) t
      ON t.process = k.process AND t.tid = k.tid)
  ORDER BY process, tid;

-- Spans, those that never ended (closed = 0), and instants, outer spans first. TEXT events are left out: their text is
-- shown with the events that refer to it; THREAD and CHANNEL_NAME events too: their names are shown elsewhere. id: of
-- spans that do not nest. A wait for a message or for room (1 and 2 of enum sf_wait) has its channel as its object. A sample
-- is called as its innermost frame; what it stands for is in the samples of the file, too.
CREATE TEMP VIEW chrome_event AS
  SELECT p.pid, s.tid, k.name AS kind, iif(e.channel IS NULL, k.object, 'channel') AS object,
         CASE WHEN e.channel IS NOT NULL THEN coalesce((SELECT name FROM channel WHERE id = e.channel), 'channel ' || e.channel)
           WHEN k.object = 'text' THEN (SELECT text FROM text WHERE id = e.object)
           WHEN k.object = 'stack' THEN (SELECT name FROM frame_name WHERE id = (SELECT frame FROM stack WHERE id = e.object))
           WHEN k.object = 'task' THEN (
             SELECT coalesce(name, kind || ' ' || id, 'task ' || id) FROM task WHERE id = e.object) END AS label,
         k.a AS a_name, e.a, iif(e.kind = EVENT_WAIT AND e.channel IS NOT NULL OR e.kind = EVENT_SAMPLE, NULL, k.b) AS b_name, e.b,
         s.ns AS start_ns, iif(w.closed, e.ns, coalesce(
           (SELECT f.end_ns FROM fitted f WHERE f.slice = w.begin), max(p.end_ns, e.ns))) AS end_ns,
         w.closed, e.phase = 0 AS instant, (SELECT o.event FROM overlapping o WHERE o.event = w.begin) AS id,
         e.tid AS end_tid
  FROM (SELECT rowid AS id, begin, 1 AS closed FROM event WHERE phase = 2 AND begin IS NOT NULL
        UNION ALL SELECT event, event, 0 FROM open_span
        UNION ALL SELECT rowid, rowid, 1 FROM event WHERE phase = 0) w
  CROSS JOIN shown_event e ON e.id = w.id CROSS JOIN shown_event s ON s.id = w.begin
  CROSS JOIN event_kind k ON k.id = e.kind CROSS JOIN shown p ON p.id = e.process
  WHERE e.kind NOT IN (EVENT_TEXT, EVENT_THREAD, EVENT_CHANNEL_NAME, EVENT_FRAME, EVENT_STACK)
  ORDER BY s.process, s.tid, s.id;

-- Stacks, by their innermost frame and the stack that has called it; and samples, in the order of each thread.
CREATE TEMP VIEW chrome_stack AS
  SELECT k.id, (SELECT p.id FROM stack p JOIN frame g ON g.id = p.frame WHERE p.id = k.parent AND p.id < k.id), n.name, f.file
  FROM stack k CROSS JOIN frame f ON f.id = k.frame CROSS JOIN frame_name n ON n.id = f.id ORDER BY k.id;
CREATE TEMP VIEW shown_sample AS
  SELECT e.process, e.tid, e.seq, e.ns, e.object AS stack, max(e.a, 0) AS cpu_ns
  FROM shown_event e CROSS JOIN stack k ON k.id = e.object CROSS JOIN frame f ON f.id = k.frame WHERE e.kind = EVENT_SAMPLE;
CREATE TEMP VIEW chrome_sample AS
  SELECT p.pid, s.tid, s.ns, s.stack, s.cpu_ns FROM shown_sample s CROSS JOIN shown p ON p.id = s.process
  ORDER BY s.process, s.tid, s.seq;

-- The kernel's view of each thread: on which CPU it was, and between those times, why it was on none. From the last to
-- the first, as nesting.h wants it.
CREATE TEMP VIEW chrome_cpu AS
  SELECT p.pid, 4194304 + k.tid AS tid, k.category, k.name, k.start_ns, k.end_ns, k.state, k.waker
  FROM (SELECT process, tid, 'cpu' AS category, 'on CPU ' || cpu AS name, start_ns, end_ns, state, waker
        FROM sched_slice
        UNION ALL
        SELECT process, tid, 'no cpu', 'runnable', wake_ns, start_ns, NULL, NULL FROM sched_slice
        WHERE wake_ns < start_ns
        UNION ALL
        SELECT process, tid, 'blocked', 'blocked: ' || what, start_ns, end_ns, NULL, NULL FROM kernel_wait
        WHERE start_ns < end_ns) k
  CROSS JOIN shown p ON p.id = k.process
  ORDER BY k.process, k.tid, k.start_ns DESC, k.end_ns DESC;

-- How many page faults each process has had up to a time, by kind; none at its start.
CREATE TEMP VIEW chrome_faults AS
  SELECT p.pid, f.ns, total(f.copied) OVER w AS "copy-on-write", total(f.written) OVER w AS "first-write",
         total(f.read) OVER w AS "first-read"
  FROM (SELECT process, end_ns AS ns, total(iif(kind = 'copy-on-write', count, 0)) AS copied,
               total(iif(kind IN ('first-write', 'file-write'), count, 0)) AS written,
               total(iif(kind IN ('first-read', 'file-read'), count, 0)) AS read
        FROM fault GROUP BY process, end_ns
        UNION ALL SELECT id, start_ns, 0, 0, 0 FROM process WHERE id IN (SELECT process FROM fault)) f
  CROSS JOIN shown p ON p.id = f.process
  WINDOW w AS (PARTITION BY f.process ORDER BY f.ns)
  ORDER BY f.process, f.ns;

-- Arrows. Columns: name; where it begins: pid, tid, earliest and latest time; where it ends: the same.
CREATE TEMP VIEW chrome_message AS
  SELECT 'message', p.pid, s.tid, sb.ns, s.ns, q.pid, r.tid, rb.ns, r.ns
  FROM shown_event s
  CROSS JOIN shown_event r ON r.id = (
    SELECT m.rowid FROM event m WHERE m.object = s.object AND m.a = s.a AND m.kind = EVENT_RECEIVE AND m.phase = 2
    ORDER BY m.rowid LIMIT 1)
  CROSS JOIN shown_event sb ON sb.id = s.begin CROSS JOIN shown_event rb ON rb.id = r.begin
  CROSS JOIN shown p ON p.id = s.process CROSS JOIN shown q ON q.id = r.process
  WHERE s.kind = EVENT_SEND AND s.phase = 2 AND s.a > 0;

CREATE TEMP VIEW chrome_fork AS
  SELECT 'fork', p.pid, e.tid, b.ns, e.ns, q.pid, 0, max(t.ns, q.start_ns), max(t.ns, q.start_ns)
  FROM (SELECT process, object, min(ns) AS ns FROM event_time WHERE kind = EVENT_START AND lane = 0 GROUP BY 1, 2) t
  CROSS JOIN fork_end f ON f.task = t.object CROSS JOIN shown_event e ON e.id = f.id
  CROSS JOIN shown_event b ON b.id = e.begin
  CROSS JOIN shown p ON p.id = e.process CROSS JOIN shown q ON q.id = t.process;

CREATE TEMP VIEW chrome_join AS
  SELECT 'join', q.pid, 0, q.start_ns,
         coalesce((SELECT f.end_ns FROM fitted f WHERE f.slice = -q.id), q.end_ns), p.pid, e.tid, b.ns, e.ns
  FROM (SELECT object AS task, max(rowid) AS id FROM event WHERE kind = EVENT_JOIN AND phase = 2 AND begin IS NOT NULL
        GROUP BY object) j
  CROSS JOIN process_of c ON c.task = j.task CROSS JOIN shown_event e ON e.id = j.id
  CROSS JOIN shown_event b ON b.id = e.begin
  CROSS JOIN shown q ON q.id = c.id CROSS JOIN shown p ON p.id = e.process WHERE q.id <> p.id;

-- The chunks that were submitted to workers of other programs: those that have no task.
CREATE TEMP TABLE submitted(submitter INTEGER, number INTEGER, chunk INTEGER, PRIMARY KEY(submitter, number)) WITHOUT ROWID;
INSERT OR IGNORE INTO submitted
  SELECT p.parent, e.a, e.rowid FROM event e CROSS JOIN process p ON p.id = e.process
  WHERE e.kind = EVENT_CHUNK AND e.phase = 1 AND p.task IS NULL AND p.parent IS NOT NULL AND e.a IS NOT NULL;
CREATE TEMP VIEW chrome_submit AS
  SELECT 'submit', p.pid, s.tid, s.ns, s.ns, q.pid, c.tid, c.ns, c.ns
  FROM shown_event s CROSS JOIN submitted t ON t.submitter = s.process AND t.number = s.a
  CROSS JOIN shown_event c ON c.id = t.chunk
  CROSS JOIN shown p ON p.id = s.process CROSS JOIN shown q ON q.id = c.process
  WHERE s.kind = EVENT_SUBMIT;
