-- What is computed when a trace is finished: starts and ends of the processes, and the statistics. All of it may be run
-- again, also by another collector, on a trace that is finished or half finished.

-- Parents that were not known when their children were found.
UPDATE process SET parent = coalesce(
    (SELECT q.process FROM log q
     WHERE q.pid = l.parent_pid AND q.process <> l.process
       AND (q.start_tsc = l.parent_tsc OR l.parent_tsc = 0 AND q.space = l.space AND q.start_tsc <= l.start_tsc)
     ORDER BY q.start_tsc DESC LIMIT 1),
    (SELECT nullif(t.creator, l.process) FROM task t WHERE t.id = process.task))
FROM log l WHERE l.process = process.id AND process.parent IS NULL;

-- A process of multiprocessing that was started by spawn or forkserver, or by loky, is a new interpreter, or a child of the
-- server. It has given its task a number of its own; FORK has the one that its starter gave, and its pid. It is the first
-- process of that pid from there on, if its task has that name. Both tasks become the starter's, who is its parent.
CREATE TEMP TABLE started(child INTEGER PRIMARY KEY, starter INTEGER, task INTEGER, own INTEGER);
INSERT OR IGNORE INTO started
  SELECT child, starter, task, (
    SELECT min(t.id) FROM task t JOIN task s ON s.id = task
    WHERE t.creator = child AND t.name = s.name AND t.kind = s.kind AND t.process IS NULL) AS own
  FROM (SELECT (SELECT l.process FROM log l JOIN log q ON q.process = f.process AND q.space = l.space
                WHERE l.pid = f.a AND l.start_tsc >= b.tsc ORDER BY l.start_tsc LIMIT 1) AS child,
               f.process AS starter, f.object AS task
        FROM (SELECT 1 FROM process WHERE task IS NULL LIMIT 1) CROSS JOIN event f CROSS JOIN event b ON b.rowid = f.begin
        WHERE f.kind = EVENT_FORK AND f.phase = 2 AND f.a > 0)
  WHERE own IS NOT NULL AND child <> starter AND (SELECT task FROM process WHERE id = child) IS NULL;
UPDATE event SET object = s.task FROM started s
WHERE s.child = event.process AND s.own = event.object
  AND event.kind IN (SELECT id FROM event_kind WHERE object = 'task');
UPDATE number SET id = s.task FROM started s WHERE number.type = 't' AND number.id = s.own;
UPDATE process SET task = s.task, parent = s.starter FROM started s WHERE s.child = process.id;
UPDATE task SET process = s.child FROM started s WHERE s.task = task.id;
DELETE FROM task WHERE id IN (SELECT own FROM started);
DROP TABLE started;

-- The recorded death (`reap`) of a log's process: the first one of its pid after the log's start. Only a process's parent
-- can reap it, so nobody else is believed. A parent has the pid of its own pid namespace: the child's too, or the
-- collector's.
CREATE TEMP VIEW IF NOT EXISTS parents_reap AS
  SELECT l.id AS log, r.tsc, r.status
  FROM log l JOIN reap r ON r.pid = l.pid AND r.tsc >= l.start_tsc
  WHERE r.reaper = (SELECT parent FROM process WHERE id = l.process)
    AND EXISTS (SELECT 1 FROM log p WHERE p.process = r.reaper AND p.pid = l.parent_pid AND p.space = l.space)
  UNION ALL
  SELECT l.id, r.tsc, r.status
  FROM log l JOIN reap r ON r.pid = l.host_pid AND r.tsc >= l.start_tsc
  WHERE r.reaper = 0 OR r.reaper = (SELECT parent FROM process WHERE id = l.process)
    AND EXISTS (SELECT 1 FROM log p WHERE p.process = r.reaper AND p.pid = l.parent_pid
                AND p.pid = p.host_pid AND p.start_tsc = l.parent_tsc);
CREATE TEMP VIEW IF NOT EXISTS death AS
  SELECT log, min(tsc) AS tsc, status FROM parents_reap GROUP BY log; -- SQLite takes status from the row of the minimum

-- When a process started and ended and with what status, by its logs: what is known most exactly comes first. A log
-- may name any time: none is later than the analysis can count (CLOCK_MAX_NS in base/clock.h).
CREATE TEMP VIEW IF NOT EXISTS lifetime AS
  SELECT l.process,
         min(min(l.start_tsc, coalesce(l.first_tsc, l.start_tsc))) AS start_tsc,
         max(max(coalesce(l.exit_tsc, d.tsc, l.seen_tsc, l.start_tsc), coalesce(l.last_tsc, 0), l.start_tsc))
           AS end_tsc,
         max(coalesce(d.status, iif(l.exit_tsc IS NULL, NULL, l.exit_status))) AS exit_status
  FROM log l LEFT JOIN death d ON d.log = l.id GROUP BY l.process;

UPDATE process SET
  start_ns = (SELECT min(2305843009213693951, c.ns + CAST((lifetime.start_tsc - c.tsc) * c.ns_per_tick AS INTEGER))
              FROM clock_segment c WHERE c.from_tsc <= lifetime.start_tsc ORDER BY c.from_tsc DESC LIMIT 1),
  end_ns = (SELECT min(2305843009213693951, c.ns + CAST((lifetime.end_tsc - c.tsc) * c.ns_per_tick AS INTEGER))
            FROM clock_segment c WHERE c.from_tsc <= lifetime.end_tsc ORDER BY c.from_tsc DESC LIMIT 1),
  exit_status = lifetime.exit_status
FROM lifetime WHERE lifetime.process = process.id;

-- The kernel's view has forks and exits themselves. If its collector was killed, a process ends with its last slice.
UPDATE kernel_life SET end_ns = coalesce(s.end_ns, kernel_life.start_ns, 0)
FROM (SELECT k.process, max(s.end_ns) AS end_ns FROM kernel_life k LEFT JOIN sched_slice s ON s.process = k.process
      WHERE k.end_ns IS NULL GROUP BY k.process) s
WHERE s.process = kernel_life.process;

-- Of a process that was there before the session, or goes on after it, a log knows better when it was traced: its start
-- and its stop of the trace take time themselves, which is not the program's.
UPDATE process SET
  start_ns = coalesce(min(process.start_ns, k.start_ns), process.start_ns, k.start_ns, 0),
  end_ns = iif(k.running IS 1, coalesce(process.end_ns, k.end_ns),
               max(k.end_ns, coalesce(iif(k.running IS 0, l.last_ns, process.end_ns), k.end_ns))),
  exit_status = coalesce(k.exit_status, process.exit_status)
FROM kernel_life k LEFT JOIN (
  SELECT l.process, (SELECT c.ns + CAST((l.last_tsc - c.tsc) * c.ns_per_tick AS INTEGER) FROM clock_segment c
                     WHERE c.from_tsc <= l.last_tsc ORDER BY c.from_tsc DESC LIMIT 1) AS last_ns
  FROM (SELECT process, max(last_tsc) AS last_tsc FROM log GROUP BY process) l) l ON l.process = k.process
WHERE k.process = process.id;

-- What the kernel has seen of them outside of that life goes.
CREATE TEMP TABLE cut_life(process INTEGER PRIMARY KEY, start_ns INTEGER, end_ns INTEGER);
INSERT INTO cut_life SELECT p.id, p.start_ns, p.end_ns FROM process p JOIN kernel_life k ON k.process = p.id
WHERE k.start_ns IS NULL OR k.running IS 1;
DELETE FROM sched_slice WHERE EXISTS (
  SELECT 1 FROM cut_life c WHERE c.process = sched_slice.process AND NOT (
    sched_slice.end_ns > c.start_ns AND sched_slice.start_ns < c.end_ns));
UPDATE sched_slice SET
  start_ns = max(sched_slice.start_ns, c.start_ns), wake_ns = max(sched_slice.wake_ns, c.start_ns),
  end_ns = min(sched_slice.end_ns, c.end_ns), state = iif(sched_slice.end_ns > c.end_ns, 'running', state)
FROM cut_life c WHERE c.process = sched_slice.process AND (
  min(sched_slice.start_ns, coalesce(wake_ns, sched_slice.start_ns)) < c.start_ns OR sched_slice.end_ns > c.end_ns);
DELETE FROM kernel_wait WHERE EXISTS (
  SELECT 1 FROM cut_life c WHERE c.process = kernel_wait.process AND NOT (
    kernel_wait.end_ns > c.start_ns AND kernel_wait.start_ns < c.end_ns));
UPDATE kernel_wait SET
  start_ns = max(kernel_wait.start_ns, c.start_ns), end_ns = min(kernel_wait.end_ns, c.end_ns)
FROM cut_life c WHERE c.process = kernel_wait.process AND (
  kernel_wait.start_ns < c.start_ns OR kernel_wait.end_ns > c.end_ns);
DELETE FROM fault WHERE EXISTS (
  SELECT 1 FROM cut_life c WHERE c.process = fault.process AND (
    fault.end_ns < c.start_ns OR fault.start_ns > c.end_ns));
UPDATE fault SET start_ns = max(fault.start_ns, c.start_ns), end_ns = min(fault.end_ns, c.end_ns)
FROM cut_life c WHERE c.process = fault.process AND (fault.start_ns < c.start_ns OR fault.end_ns > c.end_ns);
DROP TABLE cut_life;

-- Waits that the events have too are removed from the kernel's view. The LIMIT skips the pass if there is no such view.
CREATE TEMP TABLE user_wait(process, start_ns, end_ns, PRIMARY KEY(process, start_ns)) WITHOUT ROWID;
INSERT OR REPLACE INTO user_wait
  SELECT process, start_ns, end_ns FROM (SELECT 1 FROM kernel_wait LIMIT 1) CROSS JOIN span
  WHERE kind = 'wait' AND lane = 0;
DELETE FROM kernel_wait
WHERE tid = (SELECT pid FROM process WHERE id = kernel_wait.process)
  AND end_ns <= (SELECT u.end_ns FROM user_wait u
                 WHERE u.process = kernel_wait.process AND u.start_ns <= kernel_wait.start_ns
                 ORDER BY u.start_ns DESC LIMIT 1);
DROP TABLE user_wait;

-- With this index the view `message` finds the receive of a send.
CREATE INDEX IF NOT EXISTS event_message ON event(object, a) WHERE kind = EVENT_RECEIVE AND phase = 2;

-- Pairs that cannot be: a message of a pipe that was received before it was sent, or of other bytes. Somebody has used
-- that pipe without counting, so from there on (`wrong`) its messages lose their numbers. How many is kept in meta,
-- because a second run of this does not find them.
CREATE TEMP TABLE pipe(channel INTEGER PRIMARY KEY, kind TEXT, wrong INTEGER);
INSERT INTO pipe SELECT id, kind, NULL FROM channel WHERE kind IN ('pipe', 'other pipes');
UPDATE pipe SET wrong = pair.seq FROM (
  SELECT s.object AS channel, min(s.a) AS seq
  FROM event s CROSS JOIN event r ON r.object = s.object AND r.a = s.a
  WHERE EXISTS (SELECT 1 FROM pipe) AND s.kind = EVENT_SEND AND s.phase = 2 AND +s.a > 0
    AND s.object IN (SELECT channel FROM pipe) AND r.kind = EVENT_RECEIVE AND r.phase = 2
    AND (r.tsc < s.tsc OR r.b <> s.b) GROUP BY s.object) pair
WHERE pair.channel = pipe.channel;
INSERT INTO meta(key, value)
  SELECT 'mismatched_messages', count(*) FROM event e JOIN pipe p ON p.channel = e.object AND e.a >= p.wrong
  WHERE EXISTS (SELECT 1 FROM pipe WHERE wrong) AND e.kind = EVENT_SEND AND e.phase = 2 HAVING count(*) > 0
  ON CONFLICT(key) DO UPDATE SET value = value + excluded.value;
UPDATE event SET a = 0 FROM pipe
WHERE EXISTS (SELECT 1 FROM pipe WHERE wrong) AND event.kind IN (EVENT_SEND, EVENT_RECEIVE) AND event.phase = 2
  AND pipe.channel = event.object AND event.a >= pipe.wrong;

-- emitted: the records that the writer began; if its counts are damaged, those that are known.
CREATE TEMP VIEW IF NOT EXISTS account AS
  SELECT *, iif(damaged, collected + lost_all, begun) AS emitted, iif(damaged, 0, begun - taken - lost) AS torn
  FROM (SELECT *, lost + elsewhere + bad_kind + bad_phase + bad_time + unreadable AS lost_all FROM log);

DELETE FROM stats;
INSERT INTO stats(name, process, severity, value)
  SELECT name, process, iif(total(value), severity, 'info'), CAST(total(value) AS INTEGER)
  FROM (
    SELECT process, 'emitted' AS name, 'info' AS severity, emitted AS value, 1 AS always FROM account UNION ALL
    SELECT process, 'collected', 'info', collected, 1 FROM account UNION ALL
    SELECT process, 'lost', 'loss', lost_all, 1 FROM account UNION ALL
    SELECT process, 'torn', 'loss', torn, 1 FROM account UNION ALL
    SELECT process, 'damaged', 'error', bad_kind + bad_phase + bad_time + unreadable + damaged, 1 FROM account UNION ALL
    -- the parts of the losses, if there are any
    SELECT process, 'lost_no_room', 'loss', lost, 0 FROM account UNION ALL
    SELECT process, 'lost_elsewhere', 'loss', elsewhere, 0 FROM account UNION ALL
    SELECT process, 'damaged_kind', 'error', bad_kind, 0 FROM account UNION ALL
    SELECT process, 'damaged_phase', 'error', bad_phase, 0 FROM account UNION ALL
    SELECT process, 'damaged_time', 'error', bad_time, 0 FROM account UNION ALL
    SELECT process, 'damaged_unreadable', 'error', unreadable, 0 FROM account UNION ALL
    SELECT process, 'damaged_log', 'error', damaged, 0 FROM account UNION ALL
    SELECT process, 'clock_backwards', 'error', backwards, 0 FROM account UNION ALL
    -- ends of the user's spans that began before the log: before the process's fork, or before the session
    SELECT process, 'spans_begun_before', 'info', begun_before, 0 FROM account UNION ALL
    -- after a gap, some ends have no begin
    SELECT process, 'unmatched_spans', iif(gaps OR elsewhere OR damaged, 'loss', 'error'), unmatched, 0 FROM account)
  WHERE always OR value GROUP BY process, name, severity;

-- The balance (`books`): emitted = collected + lost + torn for every log, and at most one record of a log is torn.
INSERT INTO stats(name, process, severity, value)
  SELECT 'books', NULL, iif(count(*), 'error', 'info'), iif(count(*), 'violated', 'closed')
  FROM account WHERE emitted <> collected + lost_all + torn OR torn NOT IN (0, 1);

-- Messages of pipes that have no row in `message`: pairs that could not be; those of pipes that were too many to be told
-- apart; and those of pipes that others may use without counting, or may have. Of the last two kinds sends and receives
-- count; the third has those of the first, too.
INSERT INTO stats(name, process, severity, value)
  SELECT key, NULL, 'loss', value FROM meta WHERE key = 'mismatched_messages'
  UNION ALL
  SELECT iif(p.kind = 'other pipes', 'messages_of_other_pipes', 'messages_without_number'), e.process,
         iif(p.kind = 'other pipes', 'loss', 'info'), count(*)
  FROM event e LEFT JOIN pipe p ON p.channel = e.object
  WHERE EXISTS (SELECT 1 FROM pipe) AND e.kind IN (EVENT_SEND, EVENT_RECEIVE) AND e.phase = 2 AND e.a = 0 AND e.b > 0
  GROUP BY e.process, p.kind IS 'other pipes';

-- The kernel's view, if it was asked for: whether it is complete, and the records that found no room in its buffer.
INSERT INTO stats(name, process, severity, value)
  SELECT key, NULL, iif(value = 'complete', 'info', 'loss'), iif(value = 'running', 'ended with its collector', value)
  FROM meta WHERE key = 'kernel_view' AND value <> 'off'
  UNION ALL
  SELECT key, NULL, iif(value = 'none', 'loss', 'info'), value FROM meta WHERE key = 'kernel_faults'
  UNION ALL
  SELECT key, NULL, iif(value, 'loss', 'info'), value FROM meta WHERE key GLOB 'kernel_lost_*';

-- What remote workers have recorded (ext/core/log/relay.h): records that came, those that were lost on the way or there are
-- `lost`, and how wrong their times may be. The numbers of their pid namespaces are below those of this machine's.
CREATE TEMP TABLE remote(process INTEGER PRIMARY KEY);
INSERT OR IGNORE INTO remote SELECT process FROM log WHERE space BETWEEN 1 AND 2147483647 AND host_pid IS NULL;
INSERT INTO stats(name, process, severity, value)
  SELECT names.name, r.process, 'info', iif(names.name = 'remote_records', r.came, r.error_ns)
  FROM (SELECT process, CAST(total(a) AS INTEGER) AS came, max(b) AS error_ns FROM event
        WHERE EXISTS (SELECT 1 FROM remote) AND kind = EVENT_REMOTE GROUP BY process) r
  JOIN remote USING (process) CROSS JOIN (SELECT 'remote_records' AS name UNION ALL SELECT 'remote_clock_error_ns') names;

-- Processes of which nothing told the end, and that had ended before their logs were found: they end with what they
-- are known to have done last.
INSERT INTO stats(name, process, severity, value)
  SELECT 'unknown_ends', NULL, 'info', count(*) FROM (
    SELECT l.process FROM log l LEFT JOIN death d ON d.log = l.id LEFT JOIN kernel_life k ON k.process = l.process
    WHERE l.exit_tsc IS NULL AND d.tsc IS NULL AND l.seen_tsc IS NULL AND k.end_ns IS NULL AND NOT l.running
      AND l.process NOT IN (SELECT process FROM remote)
    GROUP BY l.process) HAVING count(*) > 0;

UPDATE thread SET start_ns = (
  SELECT c.ns + CAST((thread.first_tsc - c.tsc) * c.ns_per_tick AS INTEGER) FROM clock_segment c
  WHERE c.from_tsc <= thread.first_tsc ORDER BY c.from_tsc DESC LIMIT 1);

-- Threads that shared a lane, because all others were taken: library's spans of the same kind and object may be mixed up.
INSERT INTO stats(name, process, severity, value)
  SELECT 'threads_without_lane', process, 'loss', count(*) FROM thread WHERE lane = 16383 GROUP BY process;

DROP TABLE remote;
DROP TABLE pipe;
DROP VIEW account;
DROP VIEW lifetime;
DROP VIEW death;
DROP VIEW parents_reap;
