-- What `snakefish-trace analyze A --against B` says of functions, if both traces have samples: temporary tables and views.
-- against and here: see against.c. against_function is filled with here_function's rows of the other trace.

CREATE TEMP TABLE against_function(
  function TEXT, file TEXT, line INTEGER, self_ns REAL, total_ns REAL, samples REAL, most REAL, PRIMARY KEY(function, file));
-- line: of the kind of task that has most of its own time
CREATE TEMP VIEW here_function AS
  SELECT function, file, line, total(self_ns) AS self_ns, total(total_ns) AS total_ns, total(samples) AS samples,
         max(self_ns) AS most
  FROM task_function_time GROUP BY function, file;

-- What the runs are divided by, so that they can be compared: by their arguments if both know these, or by their tasks (but
-- workers are not counted: they are what differs), or not at all.
CREATE TEMP VIEW unit AS
  SELECT name, here, against FROM (
    SELECT h.name, h.value AS here, o.value AS against, h.name = 'tasks' AS place FROM here h JOIN against o USING(kind, name)
    WHERE h.kind = 'tasks' AND h.name IN ('arguments', 'tasks') AND h.value > 0 AND o.value > 0
    UNION ALL SELECT 'run', 1, 1, 2)
  ORDER BY place LIMIT 1;

-- slower: it needs more time than samples differ by chance (three standard errors), and a tenth more.
CREATE TEMP VIEW function_difference AS
  SELECT *, ns - against_ns AS more_ns, ns / nullif(against_ns, 0) AS times,
         abs(ns - against_ns) > 3 * sqrt(ns * ns / max(samples, 1) + against_ns * against_ns / max(against_samples, 1))
         AND max(ns, against_ns) > 1.1 * min(ns, against_ns) AS differs
  FROM (
    SELECT rtrim(u.name, 's') AS per, f.function, f.file, coalesce(h.line, o.line) AS line,
           coalesce(h.self_ns, 0) / u.here AS ns, coalesce(o.self_ns, 0) / u.against AS against_ns,
           coalesce(h.total_ns, 0) / u.here AS total_ns, coalesce(o.total_ns, 0) / u.against AS against_total_ns,
           CAST(coalesce(h.samples, 0) AS INTEGER) AS samples, CAST(coalesce(o.samples, 0) AS INTEGER) AS against_samples,
           f.function || ' (' || replace(f.file, rtrim(f.file, replace(f.file, '/', '')), '') || ':' || coalesce(h.line, o.line)
           || ')' AS name
    FROM (SELECT function, file FROM here_function UNION SELECT function, file FROM against_function) f
    CROSS JOIN unit u
    LEFT JOIN here_function h ON h.function = f.function AND h.file = f.file
    LEFT JOIN against_function o ON o.function = f.function AND o.file = f.file
    WHERE EXISTS(SELECT 1 FROM here_function) AND EXISTS(SELECT 1 FROM against_function))
  WHERE ns > 0 OR against_ns > 0;

-- The function that has most of the difference.
CREATE TEMP VIEW function_sentence AS
  SELECT printf('%s needs %.2fx the CPU time: %.6g ms per %s against %.6g ms', name, times, round(ns / 1e6, 3), per,
                round(against_ns / 1e6, 3)) AS sentence
  FROM function_difference WHERE differs AND times IS NOT NULL AND ns > 0 ORDER BY abs(more_ns) DESC LIMIT 1;

CREATE TEMP VIEW shown_function_difference AS
  SELECT name AS function, printf('%.3f', ns / 1e6) AS "ms", printf('%.3f', against_ns / 1e6) AS "against ms",
         printf('%+.3f', more_ns / 1e6) AS "more ms", iif(times > 0, printf('%.2fx', times), '-') AS times, samples,
         against_samples AS "against", iif(differs, '', 'within the samples'' chance') AS ''
  FROM function_difference ORDER BY abs(more_ns) DESC, name LIMIT 10;
