-- What the report draws of a trace, as temporary tables of its connection. However large the trace is, R gets only as many
-- rows as a page can show. Two tables exist already: drawn(process), the processes that have a lane in the timeline; and
-- page_limits, one row of what load_trace.R says fits on a page.

-- The whole run, and the length of one column of the timeline: what is shorter cannot be seen on its own.
CREATE TEMP TABLE run AS
  SELECT first_ns, last_ns, max(1.0, (last_ns - first_ns) * 1.0 / timeline_columns) AS column_ns
  FROM page_limits CROSS JOIN (
    SELECT min(start_ns) AS first_ns,
           max(min(start_ns) + 1, coalesce(max(end_ns), 0), max(start_ns), coalesce((
             SELECT ns FROM event_time WHERE id = (SELECT rowid FROM event ORDER BY tsc DESC LIMIT 1)), 0)) AS last_ns
    FROM process);

-- Spans, by the rows of their begin and end. thread: of the process, from 0; the trace calls it its lane, which here is a
-- row of the timeline.
CREATE TEMP TABLE whole_span AS
  SELECT e.process, s.lane AS thread, e.kind, e.object, e.begin AS first, e.id AS last, s.ns AS start_ns, e.ns AS end_ns
  FROM event_time e CROSS JOIN event_time s ON s.id = e.begin
  WHERE e.phase = 2 AND e.process IN (SELECT process FROM drawn)
  UNION ALL
  SELECT s.process, s.lane, s.kind, s.object, s.id, NULL, s.ns, max(s.ns, coalesce(p.end_ns, last_ns))
  FROM open_span o CROSS JOIN event_time s ON s.id = o.event CROSS JOIN process p ON p.id = s.process CROSS JOIN run
  WHERE s.process IN (SELECT process FROM drawn);

-- depth: how many spans of its thread are open when it begins. Where all nest, it is free there.
CREATE TEMP TABLE nested_span AS
  SELECT process, thread, kind, object, start_ns, end_ns, closed, depth FROM (
    SELECT *, sum(step) OVER (PARTITION BY process, thread ORDER BY place ROWS UNBOUNDED PRECEDING) - 1 AS depth FROM (
      SELECT first AS place, 1 AS step, process, thread, kind, object, start_ns, end_ns, last IS NOT NULL AS closed
      FROM whole_span
      UNION ALL
      SELECT last, -1, process, thread, kind, object, start_ns, end_ns, 1 FROM whole_span WHERE last IS NOT NULL))
  WHERE step = 1;
DROP TABLE whole_span;

-- Long spans and open spans, one by one. text: what a bar says where it is not its kind alone: the name that the program has
-- given, behind the kind where it is that of a channel.
CREATE TEMP VIEW shown_span AS
  SELECT s.process, s.thread, s.depth, k.name AS kind, CAST(s.start_ns AS REAL) AS start_ns,
         CAST(s.end_ns AS REAL) AS end_ns, s.closed,
         CASE k.object WHEN 'text' THEN x.text WHEN 'channel' THEN k.name || ' ' || nullif(c.name, '') END AS text
  FROM nested_span s CROSS JOIN run JOIN event_kind k ON k.id = s.kind
  LEFT JOIN text x ON k.object = 'text' AND x.id = s.object
  LEFT JOIN channel c ON k.object = 'channel' AND c.id = s.object
  WHERE s.closed = 0 OR s.end_ns - s.start_ns >= column_ns
  ORDER BY s.process, s.thread, s.start_ns, s.depth;

-- All spans, for the interactive timeline, likewise; here a task has its name too.
CREATE TEMP VIEW every_span AS
  SELECT s.process, s.thread, s.depth, k.name AS kind, CAST(s.start_ns AS REAL) AS start_ns,
         CAST(s.end_ns AS REAL) AS end_ns, s.closed,
         CASE k.object WHEN 'text' THEN x.text ELSE k.name || ' ' || coalesce(nullif(c.name, ''), nullif(t.name, '')) END AS text
  FROM nested_span s JOIN event_kind k ON k.id = s.kind
  LEFT JOIN text x ON k.object = 'text' AND x.id = s.object
  LEFT JOIN channel c ON k.object = 'channel' AND c.id = s.object
  LEFT JOIN task t ON k.object = 'task' AND t.id = s.object;

-- Short spans, as the time that they took of each column.
CREATE TEMP VIEW shown_column AS
  SELECT s.process, s.thread, s.depth, s.slot, k.name AS kind, total(s.ns) AS ns FROM (
    SELECT process, thread, depth, kind, end_ns - start_ns AS ns,
           CAST(((start_ns + end_ns) / 2 - first_ns) / column_ns AS INTEGER) AS slot
    FROM nested_span CROSS JOIN run WHERE closed AND end_ns - start_ns < column_ns) s
  JOIN event_kind k ON k.id = s.kind
  GROUP BY s.process, s.thread, s.depth, s.slot, k.id ORDER BY 1, 2, 3, 4, 6 DESC, 5;

-- Times on a CPU and times without one, likewise. slot is NULL for the long ones.
CREATE TEMP VIEW shown_cpu AS
  WITH piece(process, state, start_ns, end_ns) AS (
    SELECT process, 'on', start_ns, end_ns FROM sched_slice
    UNION ALL SELECT process, 'waiting', wake_ns, start_ns FROM sched_slice WHERE wake_ns < start_ns)
  SELECT process, state, NULL AS slot, CAST(start_ns AS REAL) AS start_ns, CAST(end_ns AS REAL) AS end_ns
  FROM piece CROSS JOIN run WHERE end_ns - start_ns >= column_ns AND process IN (SELECT process FROM drawn)
  UNION ALL
  SELECT process, state, CAST(((start_ns + end_ns) / 2 - first_ns) / column_ns AS INTEGER), 0.0,
         total(end_ns - start_ns)
  FROM piece CROSS JOIN run WHERE end_ns - start_ns < column_ns AND process IN (SELECT process FROM drawn)
  GROUP BY 1, 2, 3;

-- Where the critical path is, a row for each stay in a process; of short stays, the longest in each column.
CREATE TEMP VIEW stay AS
  SELECT process, min(start_ns) AS start_ns, max(end_ns) AS end_ns FROM (
    SELECT *, step - row_number() OVER (PARTITION BY process ORDER BY step) AS island FROM critical_path)
  GROUP BY process, island;
CREATE TEMP VIEW shown_path AS
  SELECT process, CAST(start_ns AS REAL) AS start_ns, CAST(end_ns AS REAL) AS end_ns FROM (
    SELECT process, start_ns, end_ns FROM stay CROSS JOIN run WHERE end_ns - start_ns >= column_ns
    UNION ALL
    SELECT process, start_ns, end_ns FROM (
      SELECT process, start_ns, end_ns, max(end_ns - start_ns) FROM stay CROSS JOIN run
      WHERE end_ns - start_ns < column_ns GROUP BY CAST((start_ns - first_ns) / column_ns AS INTEGER)))
  ORDER BY start_ns, end_ns;

-- size: messages of up to 64 bytes, 1 KiB, 16 KiB ... are of size 0, 1, 2 ...
CREATE TEMP TABLE sent AS
  SELECT channel, sender, receiver, bytes, send_ns, receive_ns, latency_ns, queueing_ns,
         CASE WHEN bytes <= 64 THEN 0 WHEN bytes <= 1024 THEN 1 WHEN bytes <= 16384 THEN 2 WHEN bytes <= 262144 THEN 3
              WHEN bytes <= 4194304 THEN 4 ELSE 5 END AS size
  FROM message WHERE channel IS NOT NULL;

CREATE TEMP VIEW shown_pair AS
  SELECT sender, receiver, count(*) AS messages FROM sent GROUP BY 1, 2 ORDER BY 1, 2;

-- Of each sender and receiver the first message in each stretch of the run; all of them where they are few.
CREATE TEMP VIEW shown_arrow AS
  SELECT sender, receiver, CAST(send_ns AS REAL) AS send_ns, CAST(receive_ns AS REAL) AS receive_ns FROM (
    SELECT sender, receiver, send_ns, receive_ns, row_number() OVER (PARTITION BY sender, receiver,
        CAST((send_ns - first_ns) * 1.0 / (last_ns - first_ns) * arrow_stretches AS INTEGER) ORDER BY send_ns) AS place,
        count(*) OVER () AS messages, arrows
    FROM sent CROSS JOIN run CROSS JOIN page_limits
    WHERE receiver IN (SELECT process FROM drawn) AND sender IN (SELECT process FROM drawn))
  WHERE place = 1 OR messages <= arrows ORDER BY send_ns, receive_ns, sender, receiver;

-- Latencies by size, as points of their distribution: share of the messages that took at most latency_ns.
CREATE TEMP TABLE ranked AS
  SELECT size, latency_ns, row_number() OVER (PARTITION BY size ORDER BY latency_ns) AS place,
         count(*) OVER (PARTITION BY size) AS messages
  FROM sent WHERE latency_ns IS NOT NULL;

CREATE TEMP VIEW shown_latency AS
  SELECT size, CAST(latency_ns AS REAL) AS latency_ns, place * 1.0 / messages AS share, messages FROM ranked
  WHERE place = 1 OR place = messages OR place * 200 / messages <> (place - 1) * 200 / messages
    OR (place * 100 > 98 * messages AND place * 4000 / messages <> (place - 1) * 4000 / messages)
  ORDER BY size, place;

-- The smallest latency that so many per mille of the messages do not exceed.
CREATE TEMP VIEW shown_percentile AS
  WITH wanted(per_mille) AS (VALUES (500), (900), (990), (999))
  SELECT size, per_mille, CAST(latency_ns AS REAL) AS latency_ns, messages
  FROM ranked JOIN wanted ON place = (messages * per_mille + 999) / 1000 ORDER BY 1, 2;

-- The run in slots of equal length: the most messages that were in the channel in each, and how many at its end. Of a
-- damaged trace what is outside of the run is in the first or the last slot, what is of no channel is left out, and there
-- are never fewer than 0 messages.
CREATE TEMP TABLE depth AS
  SELECT channel, slot, max(highest) AS highest, max(iif(place = changes, messages, 0)) AS at_end FROM (
    SELECT channel, slot, messages, messages AS highest, row_number() OVER w AS place,
           count(*) OVER (PARTITION BY channel, slot) AS changes FROM (
      SELECT channel, ns, max(0, messages) AS messages, row_number() OVER () AS nth,
             max(0, min(channel_slots - 1, CAST((ns - first_ns) / (last_ns - first_ns + 1.0) * channel_slots AS INTEGER))) AS slot
      FROM channel_depth CROSS JOIN run CROSS JOIN page_limits WHERE channel IS NOT NULL)
    WINDOW w AS (PARTITION BY channel, slot ORDER BY ns, nth))
  GROUP BY channel, slot;

CREATE TEMP VIEW shown_channel AS
  SELECT channel, (SELECT CAST(nullif(c.name, '') AS TEXT) FROM channel c WHERE c.id = channel) AS name,
         count(*) AS messages, count(receive_ns) AS received, total(bytes) AS bytes,
         count(DISTINCT sender) AS senders, count(DISTINCT receiver) AS receivers,
         CAST(max(coalesce(receive_ns, send_ns)) - min(send_ns) AS REAL) AS ns, avg(latency_ns) AS latency_ns,
         avg(queueing_ns) AS queueing_ns, max(d.depth_max) AS depth_max
  FROM sent LEFT JOIN (SELECT channel, max(highest) AS depth_max FROM depth GROUP BY channel) d USING(channel)
  GROUP BY channel ORDER BY messages DESC, channel;

CREATE TEMP VIEW shown_depth AS SELECT channel, slot, highest, at_end FROM depth ORDER BY channel, slot;

-- In the same slots: what was received.
CREATE TEMP VIEW shown_flow AS
  SELECT channel, max(0, min(channel_slots - 1,
                             CAST((receive_ns - first_ns) / (last_ns - first_ns + 1.0) * channel_slots AS INTEGER))) AS slot,
         total(bytes) AS bytes, count(*) AS messages
  FROM sent CROSS JOIN run CROSS JOIN page_limits WHERE receive_ns IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2;

-- Shared variables, the costliest first, those that are too many together; what is of no single variable (named = 0) last.
CREATE TEMP VIEW shown_merges AS
  SELECT CASE WHEN NOT named THEN 'of no single variable' WHEN count(*) > 1 THEN printf('%d other variables', count(*))
           ELSE variable END AS variable, named, max(tasks) AS tasks, total(bytes) AS bytes,
         total(extract_ns) AS extract_ns, total(merge_ns) AS merge_ns, total(conflicts) AS conflicts
  FROM (SELECT *, variable IS NOT NULL AS named, row_number() OVER (
          PARTITION BY variable IS NOT NULL ORDER BY extract_ns + merge_ns DESC, variable) AS place FROM merge_cost)
  CROSS JOIN page_limits
  GROUP BY named, min(place, variables) ORDER BY named DESC, min(place, variables);

-- The first functions of each kind of task by their own CPU time. place: of the line's file only its name is shown.
CREATE TEMP VIEW shown_functions AS
  SELECT task, function, replace(file, rtrim(file, replace(file, '/', '')), '') || ':' || line AS place, file, line,
         CAST(self_ns AS REAL) AS self_ns, CAST(total_ns AS REAL) AS total_ns, samples, self_share, task_ns
  FROM (SELECT *, row_number() OVER (PARTITION BY task ORDER BY self_ns DESC, total_ns DESC, function, file) AS nth,
               CAST(sum(self_ns) OVER (PARTITION BY task) AS REAL) AS task_ns
        FROM task_function_time WHERE self_ns > 0) CROSS JOIN page_limits
  WHERE nth <= functions ORDER BY task_ns DESC, task, nth;

CREATE TEMP VIEW shown_events AS
  SELECT k.name AS kind, count(*) AS events FROM event e JOIN event_kind k ON k.id = e.kind
  GROUP BY k.id ORDER BY events DESC, k.id;
