-- What collapsed.c writes: how many samples of each kind of task have each stack.
CREATE TEMP VIEW collapsed AS
  SELECT coalesce(t.kind, 'parent') AS task, e.object AS stack, count(*) AS samples
  FROM event e JOIN process p ON p.id = e.process LEFT JOIN task t ON t.id = p.task
  WHERE e.kind = EVENT_SAMPLE AND e.object IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2;
