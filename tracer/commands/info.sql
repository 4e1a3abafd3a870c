-- What `snakefish-trace info` prints, as temporary views. The Makefile replaces EVENT_SEND by the id of SEND in
-- ext/abi/events.def, and so on.

CREATE TEMP VIEW info_loss AS
  SELECT s.severity, s.name AS what, s.value,
         coalesce('process ' || p.id || ' (' || p.name || ', pid ' || p.pid || ')', 'the session') AS "where"
  FROM stats s LEFT JOIN process p ON p.id = s.process WHERE s.severity <> 'info'
  ORDER BY s.severity <> 'error', s.process, s.name;

CREATE TEMP VIEW info_fact AS
  SELECT key AS '', value AS '' FROM (
    SELECT 1 AS n, 'command' AS key, value FROM meta WHERE key = 'command'
    UNION ALL SELECT 2, 'state', value FROM meta WHERE key = 'state'
    UNION ALL SELECT 3, 'started', value FROM meta WHERE key = 'started'
    UNION ALL SELECT 4, 'duration', printf('%.6f s', value / 1e9) FROM meta WHERE key = 'duration_ns'
    UNION ALL SELECT 5, 'clock', printf('%.6f GHz, error at most %d ns', m.value / 1e9,
      (SELECT max(error_ns) FROM clock_snapshot)) FROM meta m WHERE m.key = 'tsc_hz'
    UNION ALL SELECT 6, 'remote clocks', printf('%d processes, error of their times at most %.6f s', count(*), max(value) / 1e9)
      FROM stats WHERE name = 'remote_clock_error_ns' HAVING count(*)
    UNION ALL SELECT 7, 'machine', m.value || ', ' || (SELECT value FROM meta WHERE key = 'cpus') || ' CPUs, '
      || (SELECT value FROM meta WHERE key = 'kernel') FROM meta m WHERE m.key = 'cpu_model'
    UNION ALL SELECT 8, 'events', (SELECT count(*) FROM event)
    UNION ALL SELECT 9, 'books', value FROM stats WHERE name = 'books'
    UNION ALL SELECT 10, 'kernel''s view', printf('%s; %d times on a CPU, %d page faults %s', m.value,
      (SELECT count(*) FROM sched_slice), (SELECT total(count) FROM fault), f.value)
      FROM meta m JOIN meta f ON f.key = 'kernel_faults' WHERE m.key = 'kernel_view') ORDER BY n;

CREATE TEMP VIEW info_process AS
  SELECT p.id, p.pid, p.parent, p.name, t.name AS task, p.exit_status AS status,
         printf('%.6f', p.start_ns / 1e9) AS "start s", printf('%.6f', (p.end_ns - p.start_ns) / 1e9) AS "life s",
         s.value AS events
  FROM process p LEFT JOIN task t ON t.id = p.task
  LEFT JOIN (SELECT process, value FROM stats WHERE name = 'collected') s ON s.process = p.id ORDER BY p.id;

CREATE TEMP VIEW info_task AS
  SELECT t.id, t.kind, t.name, t.process, t.creator AS "started by", CASE
           WHEN p.exit_status < 0 THEN 'killed by signal ' || -p.exit_status
           WHEN r.outcome = 2 THEN 'raised'
           WHEN r.outcome = 1 AND coalesce(p.exit_status, 0) = 0 THEN 'returned'
           WHEN r.outcome = 1 THEN 'returned, exit status ' || p.exit_status
           ELSE 'exit status ' || p.exit_status END AS fate -- NULL: not known, or still running
  FROM task t LEFT JOIN process p ON p.id = t.process
  LEFT JOIN (SELECT object, max(a) AS outcome FROM event WHERE kind = EVENT_RUN AND phase = 2 GROUP BY object) r
    ON r.object = t.id ORDER BY t.id;

CREATE TEMP VIEW info_channel AS
  SELECT c.id, c.capacity_bytes AS "capacity bytes", c.creator AS "made by", coalesce(m.sent, 0) AS sent,
         coalesce(m.received, 0) AS received, coalesce(m.bytes, 0) AS bytes, c.name
  FROM channel c LEFT JOIN (
    SELECT object, sum(kind = EVENT_SEND) AS sent, sum(kind = EVENT_RECEIVE) AS received,
           CAST(total(iif(kind = EVENT_SEND, b, 0)) AS INTEGER) AS bytes
    FROM event WHERE kind IN (EVENT_SEND, EVENT_RECEIVE) AND phase = 2 AND a > 0 GROUP BY object) m ON m.object = c.id
  ORDER BY c.id;

CREATE TEMP VIEW info_kind AS
  SELECT k.name AS kind, count(*) AS events, sum(e.phase = 2) AS spans FROM event e
  JOIN event_kind k ON k.id = e.kind GROUP BY e.kind ORDER BY e.kind;
