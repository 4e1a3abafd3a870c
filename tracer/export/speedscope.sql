-- What speedscope.c writes, beside the views of chrome.sql.

-- The names of slices, each once. number: from 0 on.
CREATE TEMP VIEW named_slice AS
  SELECT d.first AS slice, coalesce(iif(k.object = 'text', (SELECT text FROM text WHERE id = e.object), NULL), k.name) AS name
  FROM drawn_span d CROSS JOIN event e ON e.rowid = d.first CROSS JOIN event_kind k ON k.id = e.kind
  UNION ALL SELECT -id, name FROM shown;
CREATE TEMP TABLE slice_name(name TEXT PRIMARY KEY, number INTEGER);
INSERT INTO slice_name SELECT name, row_number() OVER (ORDER BY name) - 1 FROM (SELECT DISTINCT name FROM named_slice);
CREATE TEMP TABLE slice(slice INTEGER PRIMARY KEY, number INTEGER);
INSERT OR IGNORE INTO slice SELECT s.slice, n.number FROM named_slice s CROSS JOIN slice_name n ON n.name = s.name;

-- The rows of both kinds of profiles: process, tid, name of the thread; then what speedscope.c calls FIRST, SECOND, THIRD.
CREATE TEMP VIEW speedscope_row AS
  SELECT p.id AS process, r.tid, p.name || iif(r.tid, ': ' || r.name, '') AS name
  FROM shown p CROSS JOIN row r ON r.process = p.id;
CREATE TEMP VIEW speedscope_sample AS
  SELECT s.process, s.tid, (SELECT r.name FROM speedscope_row r WHERE r.process = s.process AND r.tid = s.tid), s.stack, s.cpu_ns
  FROM shown_sample s ORDER BY s.process, s.tid, s.seq;
CREATE TEMP VIEW speedscope_edge AS
  SELECT d.process, d.tid, (SELECT r.name FROM speedscope_row r WHERE r.process = d.process AND r.tid = d.tid), d.is_end,
         coalesce(iif(d.is_end, f.end_ns, f.start_ns), d.ns), s.number
  FROM drawn_edge d CROSS JOIN slice s ON s.slice = d.slice LEFT JOIN fitted f ON f.slice = d.slice
  ORDER BY d.process, d.tid, d.place, d.slice DESC;
