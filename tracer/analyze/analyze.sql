-- What `snakefish-trace analyze` prints: temporary views over the tables that the analysis has filled.

CREATE TEMP VIEW shown_note AS
  SELECT 'records were lost: what they said is missing here; see snakefish-trace info' AS note FROM stats
    WHERE name = 'lost' AND severity = 'loss' GROUP BY 1
  UNION ALL SELECT 'without the kernel''s view (record --kernel) page faults and no cpu are 0: their time is in the others'
    WHERE NOT EXISTS(SELECT 1 FROM fault) AND NOT EXISTS(SELECT 1 FROM sched_slice)
  UNION ALL SELECT 'page faults are an estimate: counted, and charged at a calibrated cost'
    WHERE EXISTS(SELECT 1 FROM fault WHERE estimate)
  UNION ALL SELECT printf('tracing is an estimate: %d events at %.1f ns', (SELECT count(*) FROM event), value / 1000.0)
    FROM meta WHERE key = 'event_cost_ps';

CREATE TEMP VIEW shown_efficiency AS
  WITH line(n, name, label) AS (VALUES
    (1, 'duration_ns', 'duration'), (2, 'ideal_ns', 'ideal duration'), (3, 'useful_ns', 'useful time'), (4, 'lanes', 'lanes'),
    (5, 'parallel_efficiency', 'parallel efficiency'), (6, 'load_balance', '  load balance'),
    (7, 'communication_efficiency', '  x communication'), (8, 'serialisation', '      serialisation'),
    (9, 'transfer', '      x transfer'))
  SELECT l.label AS '', CASE WHEN l.n <= 3 THEN printf('%9.6f s', e.value / 1e9) WHEN l.n = 4 THEN printf('%9d', e.value)
                        ELSE printf('%9.1f %%', e.value * 100) END AS '', e.doc AS ''
  FROM line l JOIN efficiency e USING(name) WHERE e.value IS NOT NULL ORDER BY l.n;

CREATE TEMP VIEW shown_what_if AS
  SELECT what AS without, printf('%9.6f', duration_ns / 1e9) AS "s", printf('%9.6f', saved_ns / 1e9) AS "saved s",
         printf('%.2fx', speedup) AS faster
  FROM what_if WHERE measured ORDER BY saved_ns DESC, what;

CREATE TEMP VIEW shown_path AS
  SELECT activity, printf('%9.6f', ns / 1e9) AS "s", printf('%5.1f %%', share * 100) AS share,
         coalesce(printf('%9.6f', imbalance_ns / 1e9), '-') AS "imbalance s"
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

CREATE TEMP VIEW shown_channel AS
  SELECT channel, messages, received, bytes, senders AS "from", receivers AS "to", depth_max AS deepest,
         printf('%.0f', messages_per_s) AS "messages/s", printf('%.1f', bytes_per_s / 1e6) AS "MB/s",
         printf('%.1f', latency_mean_ns / 1e3) AS "latency us", printf('%.1f', queueing_mean_ns / 1e3) AS "queueing us"
  FROM channel_use ORDER BY channel;
