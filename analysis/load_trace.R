# Reads what the figures show of a trace. All of it is aggregated in SQL (trace.sql): a trace of millions of events
# brings no more rows into R than one of thousands.

# What fits on a page. timeline_columns: of the timeline, each as wide as the shortest span that can be seen.
# channel_slots: of the figure of channels. arrows: of the timeline; arrow_stretches: parts of the run in each of which a
# sender and a receiver have one arrow, where there are more messages than that. variables: of the figure of merges. functions: of
# each kind of task in the figure of functions.
page_limits <- data.frame(timeline_columns = 700, channel_slots = 300, arrows = 60, arrow_stretches = 512, variables = 15,
                          functions = 6)

load_trace <- function(path) {
  db <- open_database(path, "trace")
  on.exit(DBI::dbDisconnect(db))
  processes <- read(db, path, "
    SELECT p.id, p.pid, p.parent, p.exit_status, CAST(p.start_ns AS REAL) AS start_ns, CAST(p.end_ns AS REAL) AS end_ns,
           coalesce(nullif(p.name, ''), nullif(t.name, ''), t.kind, 'process') AS name
    FROM process p LEFT JOIN task t ON t.id = p.task
    WHERE p.start_ns IS NOT NULL ORDER BY p.start_ns, p.id")
  if (nrow(processes) == 0) stop_with(path, " holds no process: nothing was traced, or its log is lost.")
  processes$label <- sprintf("%s (%d)", shorten(processes$name, 24), processes$pid)
  processes$lane <- assign_lanes(processes)
  prepare_trace(db, path, processes$id[!is.na(processes$lane)])
  run <- read(db, path, "SELECT CAST(first_ns AS REAL) AS begin_ns, CAST(last_ns AS REAL) AS end_ns, column_ns FROM run")
  # a process whose end was not traced is shown until the end of the run
  processes$end_ns[is.na(processes$end_ns)] <- run$end_ns
  shown <- function(what) read(db, path, paste0("SELECT * FROM shown_", what))
  meta <- read(db, path, "SELECT key, CAST(value AS TEXT) AS value FROM meta ORDER BY key")
  list(
    file = basename(path), label = file_label(path), run = run, processes = processes, meta = meta,
    instrumented = read(db, path, "SELECT count(*) FROM task WHERE kind = 'process'")[[1]] > 0,
    spans = assign_depths(shown("span")), columns = shown("column"), cpu = shown("cpu"), path = shown("path"),
    every_span = longest(db, path, "every_span", live_limits$spans, "process, thread, start_ns, depth"),
    spans_in_all = read(db, path, "SELECT count(*) FROM nested_span")[[1]],
    every_stay = longest(db, path, "stay", live_limits$stays, "start_ns, end_ns"),
    stays_in_all = read(db, path, "SELECT count(*) FROM stay")[[1]],
    open_spans = read(db, path, "SELECT count(*) FROM open_span")[[1]],
    pairs = shown("pair"), arrows = shown("arrow"), latencies = shown("latency"), percentiles = shown("percentile"),
    channels = shown("channel"), depths = shown("depth"), flows = shown("flow"), merges = shown("merges"),
    functions = shown("functions"),
    events_by_kind = shown("events"),
    kinds = read(db, path, "SELECT name FROM event_kind WHERE phase = 'span' ORDER BY id")$name,
    categories = read(db, path, "SELECT name, doc FROM category ORDER BY id"),
    events = read(db, path, "SELECT count(*) FROM event")[[1]],
    ledger = read(db, path, "SELECT process, category, CAST(ns AS REAL) AS ns FROM ledger ORDER BY process, category"),
    kernel_view = read(db, path, "SELECT EXISTS(SELECT 1 FROM sched_slice)")[[1]] == 1,
    faults_estimated = read(db, path, "SELECT EXISTS(SELECT 1 FROM fault WHERE estimate)")[[1]] == 1,
    activities = read(db, path, "SELECT activity, CAST(ns AS REAL) AS ns, share FROM path_activity
                                 ORDER BY ns DESC, activity"),
    advice = read(db, path, "SELECT disease, sentence, gain FROM advice ORDER BY rank"),
    efficiency = read(db, path, "SELECT name, value, doc FROM efficiency ORDER BY name"),
    what_if = read(db, path, "SELECT what, CAST(duration_ns AS REAL) AS duration_ns, CAST(saved_ns AS REAL) AS saved_ns,
                                     speedup, coalesce(CAST(bound AS TEXT), '') AS bound,
                                     coalesce(CAST(doc AS TEXT), '') AS doc
                              FROM what_if WHERE measured ORDER BY saved_ns DESC, what"),
    prediction = read_prediction(db, path),
    stats = read(db, path, "SELECT s.name, p.pid, s.severity, CAST(s.value AS TEXT) AS value
                            FROM stats s LEFT JOIN process p ON p.id = s.process ORDER BY s.rowid"))
}

# Of what is too much for the page, the longest.
longest <- function(db, path, what, limit, order) {
  read(db, path, sprintf(
    "SELECT * FROM (SELECT * FROM %s ORDER BY end_ns - start_ns DESC, start_ns, process LIMIT %d) ORDER BY %s",
    what, limit, order))
}

# What can be drawn on log scales: a trace may say anything.
read_prediction <- function(db, path) {
  rows <- read(db, path, "
    SELECT CAST(cpus AS REAL) AS cpus, seconds, low, high, speedup, efficiency, CAST(\"limit\" AS TEXT) AS \"limit\",
           enough IS 1 AS enough, CASE WHEN measured BETWEEN 1e-9 AND 1e9 THEN measured END AS measured
    FROM prediction
    WHERE cpus BETWEEN 1 AND 4096 AND low BETWEEN 1e-9 AND seconds AND seconds <= high AND high <= 1e9
      AND speedup BETWEEN 0 AND 1e6 AND efficiency BETWEEN 0 AND 1e6 AND \"limit\" IS NOT NULL
    ORDER BY cpus LIMIT 64")
  rows$measured <- as.numeric(rows$measured)
  rows
}

# The trace's file is not changed: what trace.sql makes is in temporary files while the connection is open.
prepare_trace <- function(db, path, drawn) {
  DBI::dbExecute(db, "PRAGMA temp_store = FILE")
  DBI::dbExecute(db, "CREATE TEMP TABLE drawn(process INTEGER PRIMARY KEY)")
  DBI::dbExecute(db, "INSERT INTO drawn VALUES(?)", list(drawn))
  DBI::dbWriteTable(db, "page_limits", page_limits, temporary = TRUE)
  lines <- sub("--.*$", "", readLines(file.path(parts_directory, "trace.sql")))
  for (statement in strsplit(paste(lines, collapse = "\n"), ";")[[1]]) {
    if (nzchar(trimws(statement))) {
      tryCatch(DBI::dbExecute(db, statement), error = function(e) stop_reading(path, conditionMessage(e)))
    }
  }
}

shorten <- function(text, width) ifelse(nchar(text) > width, paste0(substr(text, 1, width - 1), "\u2026"), text)
