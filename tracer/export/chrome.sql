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

CREATE TEMP TABLE fork_end(task INTEGER PRIMARY KEY, id);
INSERT OR REPLACE INTO fork_end
  SELECT object, rowid FROM event WHERE kind = EVENT_FORK AND phase = 2 AND begin IS NOT NULL AND object IS NOT NULL;

CREATE TEMP TABLE process_of(task INTEGER PRIMARY KEY, id);
INSERT OR REPLACE INTO process_of SELECT task, id FROM process WHERE task IS NOT NULL;

CREATE TEMP VIEW chrome_process AS
  SELECT pid, name, id, start_ns, end_ns, exit_status FROM shown ORDER BY id;

-- Rows for the threads' times on CPUs have tids above all lanes, so that they are shown below them.
CREATE TEMP VIEW chrome_thread AS
  SELECT pid, tid, name FROM (
    SELECT e.process, s.pid, e.lane AS tid, 'lane ' || e.lane AS name
    FROM (SELECT DISTINCT process, lane FROM event) e JOIN shown s ON s.id = e.process
    UNION ALL
    SELECT k.process, s.pid, 4194304 + k.tid, iif(k.tid = s.first_tid, 'CPU', 'CPU, thread ' || k.tid)
    FROM (SELECT process, tid FROM sched_slice UNION SELECT process, tid FROM kernel_wait) k
    JOIN shown s ON s.id = k.process)
  ORDER BY process, tid;

-- Spans, those that never ended (closed = 0), and instants, outer spans first. TEXT events are left out: their text is
-- shown with the events that refer to it.
CREATE TEMP VIEW chrome_event AS
  SELECT p.pid, e.lane AS tid, k.name AS kind, k.object,
         CASE k.object WHEN 'text' THEN (SELECT text FROM text WHERE id = e.object)
           WHEN 'task' THEN (SELECT coalesce(name, kind || ' ' || id, 'task ' || id) FROM task WHERE id = e.object)
           WHEN 'channel' THEN 'channel ' || e.object END AS label,
         k.a AS a_name, e.a, k.b AS b_name, e.b, s.ns AS start_ns, iif(w.closed, e.ns, max(p.end_ns, e.ns)) AS end_ns,
         w.closed, e.phase = 0 AS instant
  FROM (SELECT rowid AS id, begin, 1 AS closed FROM event WHERE phase = 2 AND begin IS NOT NULL
        UNION ALL SELECT event, event, 0 FROM open_span
        UNION ALL SELECT rowid, rowid, 1 FROM event WHERE phase = 0) w
  CROSS JOIN event_time e ON e.id = w.id CROSS JOIN event_time s ON s.id = w.begin
  CROSS JOIN event_kind k ON k.id = e.kind CROSS JOIN shown p ON p.id = e.process
  WHERE k.name <> 'text'
  ORDER BY e.process, e.lane, s.id;

-- The kernel's view of each thread: on which CPU it was, and between those times, why it was on none.
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
  ORDER BY k.process, k.tid, k.start_ns, k.end_ns;

-- How many page faults each process has had up to a time, by kind; none at its start.
CREATE TEMP VIEW chrome_faults AS
  SELECT p.pid, f.ns, total(f.copied) OVER w AS "copy-on-write", total(f.written) OVER w AS "first-write",
         total(f.read) OVER w AS "first-read"
  FROM (SELECT process, end_ns AS ns, total(iif(kind = 'copy-on-write', count, 0)) AS copied,
               total(iif(kind = 'first-write', count, 0)) AS written, total(iif(kind = 'first-read', count, 0)) AS read
        FROM fault GROUP BY process, end_ns
        UNION ALL SELECT id, start_ns, 0, 0, 0 FROM process WHERE id IN (SELECT process FROM fault)) f
  CROSS JOIN shown p ON p.id = f.process
  WINDOW w AS (PARTITION BY f.process ORDER BY f.ns)
  ORDER BY f.process, f.ns;

-- Arrows. Columns: name; where it begins: pid, tid, earliest and latest time; where it ends: the same.
CREATE TEMP VIEW chrome_message AS
  SELECT 'message', p.pid, s.lane, sb.ns, s.ns, q.pid, r.lane, rb.ns, r.ns
  FROM event_time s
  CROSS JOIN event_time r ON r.id = (
    SELECT m.rowid FROM event m WHERE m.object = s.object AND m.a = s.a AND m.kind = EVENT_RECEIVE AND m.phase = 2
    ORDER BY m.rowid LIMIT 1)
  CROSS JOIN event_time sb ON sb.id = s.begin CROSS JOIN event_time rb ON rb.id = r.begin
  CROSS JOIN shown p ON p.id = s.process CROSS JOIN shown q ON q.id = r.process
  WHERE s.kind = EVENT_SEND AND s.phase = 2 AND s.a > 0;

CREATE TEMP VIEW chrome_fork AS
  SELECT 'fork', p.pid, e.lane, b.ns, e.ns, q.pid, 0, max(t.ns, q.start_ns), max(t.ns, q.start_ns)
  FROM (SELECT process, object, min(ns) AS ns FROM event_time WHERE kind = EVENT_START AND lane = 0 GROUP BY 1, 2) t
  CROSS JOIN fork_end f ON f.task = t.object CROSS JOIN event_time e ON e.id = f.id
  CROSS JOIN event_time b ON b.id = e.begin
  CROSS JOIN shown p ON p.id = e.process CROSS JOIN shown q ON q.id = t.process;

CREATE TEMP VIEW chrome_join AS
  SELECT 'join', q.pid, 0, q.start_ns, q.end_ns, p.pid, e.lane, b.ns, e.ns
  FROM (SELECT object AS task, max(rowid) AS id FROM event WHERE kind = EVENT_JOIN AND phase = 2 AND begin IS NOT NULL
        GROUP BY object) j
  CROSS JOIN process_of c ON c.task = j.task CROSS JOIN event_time e ON e.id = j.id
  CROSS JOIN event_time b ON b.id = e.begin
  CROSS JOIN shown q ON q.id = c.id CROSS JOIN shown p ON p.id = e.process WHERE q.id <> p.id;
