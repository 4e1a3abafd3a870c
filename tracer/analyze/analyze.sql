-- What `snakefish-trace analyze` prints: temporary views over the tables that the analysis has filled.

-- Children of traced processes that have no log, by their pids: their parents say that they forked or reaped them, or the
-- kernel's view has them (then they are rows of `process`).
CREATE TEMP VIEW child_without_log AS
  SELECT DISTINCT pid, 0 AS kernel FROM (
      SELECT a AS pid FROM event WHERE kind = EVENT_FORK AND phase = 2 AND a > 0
        AND (object IS NULL OR object NOT IN (SELECT task FROM process WHERE task IS NOT NULL))
      UNION SELECT pid FROM reap
        WHERE reaper <> 0 AND pid NOT IN (SELECT a FROM event WHERE kind = EVENT_FORK AND phase = 2 AND a IS NOT NULL)) c
    WHERE NOT EXISTS(SELECT 1 FROM log WHERE log.pid = c.pid) AND NOT EXISTS(SELECT 1 FROM log WHERE log.host_pid = c.pid)
      AND NOT EXISTS(SELECT 1 FROM kernel_life k WHERE k.pid = c.pid)
  UNION SELECT p.pid, 1 FROM process p JOIN kernel_life k ON k.process = p.id
    WHERE EXISTS(SELECT 1 FROM log WHERE log.process = p.parent) AND NOT EXISTS(SELECT 1 FROM log WHERE log.process = p.id);

-- CPU time by the processes' own words, in ns (real numbers: a log may say anything). Of a process that has gone on in
-- another program it is not that of its whole life. Where a process has said it twice, the last one counts: they grow.
CREATE TEMP TABLE cpu_time(process INTEGER PRIMARY KEY, own REAL, children REAL);
INSERT OR IGNORE INTO cpu_time
  SELECT e.process, max(0.0, max(e.a)), max(0.0, max(e.b)) FROM event e
  WHERE e.kind = EVENT_USAGE AND (SELECT count(*) FROM log l WHERE l.process = e.process) <= 1
  GROUP BY e.process;

-- Who waits for a process: its parent, but for one that multiprocessing's fork server has forked for it.
CREATE TEMP VIEW waiter AS
  SELECT p.id AS process, coalesce((
    SELECT q.process FROM log l JOIN log q ON q.pid = l.parent_pid AND q.space = l.space AND q.start_tsc <= l.start_tsc
    WHERE l.process = p.id AND q.process <> p.id AND q.process <> p.parent
      AND NOT EXISTS(SELECT 1 FROM log o WHERE o.process = p.parent AND o.pid = l.parent_pid)
    ORDER BY q.start_tsc DESC LIMIT 1), p.parent) AS by
  FROM process p WHERE p.parent IS NOT NULL;

-- What children without a log have used: what a process's children have used, but for those with a log. If one of these
-- does not say what it used, it may be as much as its life on all CPUs. `little` is not worth a word: a child that starts an
-- interpreter of its own uses some time before it has a log, on a busy machine up to 0.1 s.
CREATE TEMP VIEW cpu_without_log AS
  SELECT c.process, c.children - coalesce(k.ns, 0) AS ns, 2e7 + 0.05 * c.children + 1e8 * coalesce(k.logs, 0) AS little
  FROM cpu_time c LEFT JOIN (
    SELECT w.by, total(coalesce(u.own + u.children, (p.end_ns - p.start_ns) * 1.0 * coalesce(m.value, 1))) AS ns,
           count(*) AS logs
    FROM waiter w JOIN process p ON p.id = w.process LEFT JOIN cpu_time u ON u.process = p.id
    LEFT JOIN meta m ON m.key = 'cpus' GROUP BY w.by) k ON k.by = c.process
  WHERE NOT EXISTS(SELECT 1 FROM kernel_life WHERE kernel_life.process = c.process);

CREATE TEMP VIEW shown_note AS
  SELECT printf('%d child%s had no log: what %s did is missing here, and so all figures are those of the others', count(*),
                iif(count(*) = 1, '', 'ren'), iif(count(*) = 1, 'it', 'they')) AS note
    FROM child_without_log WHERE NOT kernel HAVING count(*) > 0
  UNION ALL SELECT printf('%d child%s had no log: what %s did is known by the kernel''s view only', count(*),
                iif(count(*) = 1, '', 'ren'), iif(count(*) = 1, 'it', 'they'))
    FROM child_without_log WHERE kernel HAVING count(*) > 0
  UNION ALL SELECT printf('children without a log used %.3f s of CPU time: what they did is missing here, and so all figures '
                          || 'are those of the others', total(ns) / 1e9)
    FROM cpu_without_log WHERE ns > little HAVING count(*) > 0
  UNION ALL SELECT printf('of the running time %.3f s were on no CPU: the processes slept, waited where no event says so, or '
                          || 'had no CPU; record --kernel tells them apart', total(max(0.0, l.ns - c.own)) / 1e9)
    FROM ledger l JOIN cpu_time c USING(process)
    WHERE l.category = 'running' AND NOT EXISTS(SELECT 1 FROM kernel_life k WHERE k.process = l.process)
    HAVING total(max(0.0, l.ns - c.own)) > 2e7 + 0.05 * total(l.ns)
  UNION ALL SELECT printf('%d log%s lost: what %s did is missing here; snakefish-trace info says more', value,
                iif(value = 1, ' is', 's are'), iif(value = 1, 'its process', 'their processes'))
    FROM stats WHERE name = 'lost_logs' AND value > 0
  UNION ALL
  SELECT 'records were lost: what they said is missing here; see snakefish-trace info' FROM stats
    WHERE name = 'lost' AND severity = 'loss' GROUP BY 1
  UNION ALL SELECT 'without the kernel''s view (record --kernel) page faults and no cpu are 0: their time is in the others'
    WHERE NOT EXISTS(SELECT 1 FROM fault) AND NOT EXISTS(SELECT 1 FROM sched_slice)
  UNION ALL SELECT 'page faults are an estimate: counted, and charged at a calibrated cost'
    WHERE EXISTS(SELECT 1 FROM fault WHERE estimate)
  UNION ALL SELECT printf('tracing is an estimate: %d event%s at %.1f ns', (SELECT count(*) FROM event),
                iif((SELECT count(*) FROM event) = 1, '', 's'), value / 1000.0)
    FROM meta WHERE key = 'event_cost_ps';

CREATE TEMP VIEW shown_efficiency AS
  WITH line(n, name, label) AS (VALUES
    (1, 'duration_ns', 'duration'), (2, 'ideal_ns', 'ideal duration'), (3, 'useful_ns', 'useful time'), (4, 'at_once', 'at once'), (5, 'lanes', 'lanes'),
    (6, 'parallel_efficiency', 'parallel efficiency'), (7, 'load_balance', '  load balance'),
    (8, 'communication_efficiency', '  x communication'), (9, 'serialisation', '      serialisation'),
    (10, 'transfer', '      x transfer'))
  SELECT l.label AS '', CASE WHEN l.n <= 3 THEN printf('%9.6f s', e.value / 1e9) WHEN l.n <= 5 THEN printf('%9d', e.value)
                        ELSE printf('%9.1f %%', e.value * 100) END AS '', e.doc AS ''
  FROM line l JOIN efficiency e USING(name) WHERE e.value IS NOT NULL ORDER BY l.n;

CREATE TEMP VIEW shown_what_if AS
  SELECT what AS without, printf('%9.6f', duration_ns / 1e9) AS "s", printf('%9.6f', saved_ns / 1e9) AS "saved s",
         printf('%.2fx', speedup) AS faster, iif(bound IS NULL, '', bound || ': ') || coalesce(doc, '') AS ''
  FROM what_if WHERE measured ORDER BY saved_ns DESC, what;

CREATE TEMP VIEW shown_path AS
  SELECT activity, printf('%9.6f', ns / 1e9) AS "s", printf('%5.1f %%', share * 100) AS share,
         iif(imbalance_ns IS NULL, '-', printf('%9.6f', imbalance_ns / 1e9)) AS "imbalance s"
  FROM path_activity ORDER BY ns DESC, activity;

CREATE TEMP VIEW shown_ledger AS
  SELECT c.name AS category, printf('%9.6f', total(l.ns) / 1e9) AS "s",
         printf('%5.1f %%', total(l.ns) * 100.0 / nullif((SELECT total(ns) FROM ledger), 0)) AS share, c.doc AS ''
  FROM ledger l JOIN category c ON c.name = l.category GROUP BY c.id HAVING total(l.ns) > 0 ORDER BY c.id;

-- One row for each process and category. The command prints it as one row for each process, with a column for each
-- category that any process spent time on.
CREATE TEMP VIEW shown_process AS
  SELECT p.id AS process, substr(coalesce(p.name, '-'), 1, 20) AS name, printf('%.6f', (p.end_ns - p.start_ns) / 1e9) AS "life s",
         l.category, l.ns * 100.0 / nullif(p.end_ns - p.start_ns, 0) AS percent
  FROM process p JOIN ledger l ON l.process = p.id;

-- What threads beside the first did, whose time is not in the ledger: by the kernel's view on a CPU, runnable, and blocked;
-- by their own events pickling and copying, which is part of that. NULL: nothing says so.
CREATE TEMP VIEW other_thread AS
  WITH part(process, tid, cpu_ns, no_cpu_ns, blocked_ns, pickling_ns, copying_ns) AS (
    SELECT process, tid, end_ns - start_ns, max(0, start_ns - coalesce(wake_ns, start_ns)), 0, NULL, NULL FROM sched_slice
    UNION ALL SELECT process, tid, 0, 0, end_ns - start_ns, NULL, NULL FROM kernel_wait
    UNION ALL
    SELECT e.process, (SELECT t.tid FROM thread t WHERE t.process = e.process AND t.lane = e.lane AND t.since_tsc <= e.tsc
                       ORDER BY t.since_tsc DESC LIMIT 1), NULL, NULL, NULL,
           iif(e.kind = EVENT_PICKLED, max(0, e.tsc - e.b) * c.ns_per_tick, 0),
           iif(e.kind = EVENT_COPIED, max(0, e.tsc - e.b) * c.ns_per_tick, 0)
    FROM event e CROSS JOIN (SELECT ns_per_tick FROM clock_segment ORDER BY from_tsc LIMIT 1) c
    WHERE e.kind IN (EVENT_PICKLED, EVENT_COPIED) AND e.lane > 0)
  SELECT p.id AS process, p.name AS process_name, part.tid,
         (SELECT max(t.name) FROM thread t WHERE t.process = p.id AND t.tid = part.tid) AS name,
         iif(count(cpu_ns), CAST(total(cpu_ns) AS INTEGER), NULL) AS cpu_ns,
         iif(count(no_cpu_ns), CAST(total(no_cpu_ns) AS INTEGER), NULL) AS no_cpu_ns,
         iif(count(blocked_ns), CAST(total(blocked_ns) AS INTEGER), NULL) AS blocked_ns,
         iif(count(pickling_ns), CAST(total(pickling_ns) AS INTEGER), NULL) AS pickling_ns,
         iif(count(copying_ns), CAST(total(copying_ns) AS INTEGER), NULL) AS copying_ns
  FROM part CROSS JOIN process p ON p.id = part.process
  WHERE part.tid <> p.pid GROUP BY p.id, part.tid;

CREATE TEMP VIEW shown_thread AS
  SELECT process, substr(coalesce(process_name, '-'), 1, 20) AS name, coalesce(name, tid) AS thread,
         iif(cpu_ns IS NULL, '-', printf('%9.6f', cpu_ns / 1e9)) AS "on CPU s",
         iif(no_cpu_ns IS NULL, '-', printf('%9.6f', no_cpu_ns / 1e9)) AS "no cpu s",
         iif(blocked_ns IS NULL, '-', printf('%9.6f', blocked_ns / 1e9)) AS "blocked s",
         iif(pickling_ns IS NULL, '-', printf('%9.6f', pickling_ns / 1e9)) AS "pickling s",
         iif(copying_ns IS NULL, '-', printf('%9.6f', copying_ns / 1e9)) AS "copying s"
  FROM other_thread ORDER BY max(coalesce(cpu_ns, 0), coalesce(pickling_ns, 0) + coalesce(copying_ns, 0)) DESC, process, tid;

-- The first functions of each kind of task, by their own time.
CREATE TEMP VIEW first_function AS
  SELECT *, row_number() OVER (PARTITION BY task ORDER BY self_ns DESC, total_ns DESC, function, file) AS place,
         sum(self_ns) OVER (PARTITION BY task) AS task_ns
  FROM task_function_time WHERE self_ns > 0;

CREATE TEMP VIEW shown_function AS
  SELECT task, function, replace(file, rtrim(file, replace(file, '/', '')), '') || ':' || line AS line,
         printf('%9.3f', self_ns / 1e9) AS "s", printf('%5.1f %%', self_share * 100) AS self,
         printf('%5.1f %%', total_share * 100) AS "with callees", samples
  FROM first_function WHERE place <= 5 ORDER BY task_ns DESC, task, place;

-- The costliest variables first; what is no single variable's part stands last. Below 1 MB bytes do not matter.
CREATE TEMP VIEW shown_merge AS
  SELECT coalesce(variable, '-') AS variable, tasks, bytes, printf('%9.6f', extract_ns / 1e9) AS "extract s",
         printf('%9.6f', merge_ns / 1e9) AS "merge s", conflicts,
         CASE WHEN variable IS NULL THEN 'of no single variable: the search for changes, storing them'
           WHEN tasks = 0 AND extract_ns > 0 THEN 'compared, and no task has changed it: it need not be shared'
           WHEN bytes >= 1e6 AND bytes * 2 > (SELECT total(bytes) FROM merge_cost)
             THEN 'most of the bytes: share only what other tasks need'
           ELSE '' END AS ''
  FROM merge_cost ORDER BY variable IS NULL, extract_ns + merge_ns DESC, variable;

CREATE TEMP VIEW shown_channel AS
  SELECT coalesce(name, channel) AS channel, messages, received, bytes, senders AS "from", receivers AS "to", depth_max AS deepest,
         printf('%.0f', messages_per_s) AS "messages/s", printf('%.1f', bytes_per_s / 1e6) AS "MB/s",
         printf('%.1f', latency_mean_ns / 1e3) AS "latency us", printf('%.1f', queueing_mean_ns / 1e3) AS "queueing us"
  FROM channel_use ORDER BY channel_use.channel;
