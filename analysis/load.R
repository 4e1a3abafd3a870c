# Opens the databases read-only and hands out plain data frames. What is wrong with a file is said in one sentence
# (a condition of class "report_error"): the reader of the message has a file to look for, not R code.

application_ids <- c(bench = 0x534e4b42, trace = 0x534e4b46)
schema_versions <- c(bench = 2, trace = 4)

# What the report reads; other tables and columns may come and go.
required_columns <- list(
  bench = list(
    session = c("id", "started", "status", "command", "seed", "blocks", "samples"),
    machine = c("session", "key", "value"),
    workload = c("session", "name", "size", "kind", "unit", "operation"),
    runtime = c("session", "name", "status", "reason"),
    cell = c("session", "workload", "size", "runtime", "workers", "series", "work"),
    memory = c("session", "workload", "size", "runtime", "workers", "peak_pss_bytes"),
    warning = c("session", "text"),
    sample = c("session", "block", "workload", "size", "runtime", "workers", "status", "error", "region_ns", "operations",
               "floor_ns", "output_ok")),
  trace = list(
    meta = c("key", "value"), process = c("id", "pid", "parent", "name", "exit_status", "start_ns", "end_ns", "task"),
    task = c("id", "process", "kind", "name"), text = c("id", "text"), event = c("process", "lane"),
    event_kind = c("id", "name", "phase", "object"), stats = c("name", "process", "severity", "value"),
    event_time = c("id", "process", "lane", "kind", "object", "phase", "begin", "ns"), open_span = "event",
    message = c("channel", "sender", "receiver", "bytes", "send_ns", "receive_ns", "latency_ns", "queueing_ns"),
    channel_depth = c("channel", "ns", "messages"), category = c("id", "name", "doc"),
    ledger = c("process", "category", "ns"), sched_slice = c("process", "start_ns", "end_ns", "wake_ns"),
    critical_path = c("step", "process", "start_ns", "end_ns"), path_activity = c("activity", "ns", "share"),
    efficiency = c("name", "value"), what_if = c("what", "duration_ns", "saved_ns", "speedup", "measured")))

stop_with <- function(...) {
  stop(structure(class = c("report_error", "error", "condition"), list(message = paste0(...), call = NULL)))
}

# A read-only connection to a database of ours.
open_database <- function(path, kind) {
  if (dir.exists(path)) stop_with(path, " is a directory, not a ", kind, " database.")
  if (!file.exists(path)) stop_with(path, " does not exist.")
  if (file.access(path, 4) != 0) stop_with(path, " cannot be read: permission denied.")
  if (file.size(path) == 0) stop_with(path, " is empty: no ", kind, " was ever written to it.")
  header <- readBin(path, "raw", 16)
  if (!identical(header, c(charToRaw("SQLite format 3"), as.raw(0)))) stop_with(path, " is not an SQLite database.")
  db <- tryCatch(
    # synchronous is left alone, because setting it would be a write
    DBI::dbConnect(RSQLite::SQLite(), normalizePath(path), flags = RSQLite::SQLITE_RO, synchronous = NULL,
                   bigint = "numeric"),
    error = function(e) stop_with(path, " cannot be opened: ", conditionMessage(e), "."))
  tryCatch(check_database(db, path, kind), error = function(e) {
    DBI::dbDisconnect(db)
    stop(e)
  })
  db
}

check_database <- function(db, path, kind) {
  id <- read(db, path, "PRAGMA application_id")[[1]]
  version <- read(db, path, "PRAGMA user_version")[[1]]
  other <- setdiff(names(application_ids), kind)
  if (id == application_ids[[other]]) {
    stop_with(path, " is a ", other, " database: give it with --", other, ", not with --", kind, ".")
  }
  if (id != application_ids[[kind]]) stop_with(path, " is not a ", kind, " database of snakefish.")
  if (version < schema_versions[[kind]]) {
    stop_with(path, " has the old schema version ", version, ", this report reads version ", schema_versions[[kind]],
              ": record it again.")
  }
  if (version > schema_versions[[kind]]) {
    stop_with(path, " has schema version ", version, ", this report reads version ", schema_versions[[kind]],
              ": use the report of the snakefish that wrote it.")
  }
  for (table in names(required_columns[[kind]])) {
    there <- read(db, path, sprintf("SELECT name FROM pragma_table_info('%s')", table))$name
    if (length(there) == 0) stop_with(path, " is incomplete: it has no table ", table, ".")
    lacking <- setdiff(required_columns[[kind]][[table]], there)
    if (length(lacking) > 0) stop_with(path, " is incomplete: its table ", table, " has no column ", lacking[1], ".")
  }
}

read <- function(db, path, sql, params = NULL) {
  tryCatch(DBI::dbGetQuery(db, sql, params = params), error = function(e) {
    stop_with(path, " is damaged or cannot be read: ", conditionMessage(e), ".")
  })
}

# The newest session that has samples, ready for the figures; notices are what a reader must know before the figures.
load_bench <- function(path, seed) {
  db <- open_database(path, "bench")
  on.exit(DBI::dbDisconnect(db))
  session <- read(db, path, "SELECT id, started, finished, status, command, seed, blocks, samples FROM session
                             WHERE id = (SELECT max(session) FROM sample)")
  if (nrow(session) == 0) stop_with(path, " holds no samples: the benchmark ended before its first.")
  # Types are made certain here: SQLite has none, and R would take the first row's for all.
  samples <- read(db, path, "
    SELECT s.block, s.workload, s.size, s.runtime, s.workers, s.status, s.error, w.kind, w.unit, w.operation,
           coalesce(s.output_ok, 0) = 1 AS ok, CAST(s.region_ns AS REAL) AS region_ns,
           CAST(s.operations AS REAL) AS operations, CAST(s.floor_ns AS REAL) AS floor_ns, c.series, c.work
    FROM sample s LEFT JOIN workload w ON w.session = s.session AND w.name = s.workload AND w.size = s.size
    LEFT JOIN cell c ON c.session = s.session AND c.workload = s.workload AND c.size = s.size
      AND c.runtime = s.runtime AND c.workers = s.workers
    WHERE s.session = ? ORDER BY s.block, s.workload, s.size, s.runtime, s.workers", list(session$id))
  every <- samples
  grown <- samples[samples$series %in% c("weak", "both"), ]
  sweep <- samples[samples$series %in% "sweep", ]
  samples <- name_programs(samples[!samples$series %in% c("weak", "sweep"), ])
  good <- samples[samples$ok == 1 & is.finite(samples$region_ns) & samples$operations > 0, ]
  bench <- list(
    file = basename(path), label = file_label(path), session = session, seed = seed, every_sample = every,
    all_samples = samples, samples = good,
    sessions = read(db, path, "SELECT count(*) FROM session")[[1]],
    machine = read(db, path, "SELECT key, CAST(value AS TEXT) AS value FROM machine WHERE session = ? ORDER BY key",
                   list(session$id)),
    warnings = read(db, path, "SELECT text FROM warning WHERE session = ?", list(session$id))$text,
    memory = read(db, path, "SELECT workload AS program, runtime, workers, CAST(peak_pss_bytes AS REAL) AS bytes,
                             processes FROM memory JOIN cell USING(session, workload, size, runtime, workers)
                             WHERE session = ? AND peak_pss_bytes IS NOT NULL AND series IN ('strong', 'both')
                               AND runtime <> ? ORDER BY 1, 2, 3", list(session$id, control_runtime)),
    runtimes = read(db, path, "SELECT name, status, reason FROM runtime WHERE session = ? ORDER BY name",
                    list(session$id)))
  bench$cpus <- machine_cpus(bench$machine)
  if (nrow(good) == 0) stop_with(path, " holds no sample with a right output: ", failure_sentences(samples)[1])
  good$time_ns <- good$region_ns / good$operations
  bench$right <- nrow(good)
  bench$control <- control_ratios(good, seed)
  # the control has told what it is there for: no figure shows it as if it were one runtime more
  good <- with_floors(good[good$runtime != control_runtime, ])
  bench$samples <- good
  bench$times <- summarise_times(good, seed)
  bench$speedups <- speedups(good, seed)
  bench$ratios <- decide(compare_runtimes(good, "snakefish", "multiprocessing", seed), bench$control)
  bench$rivals <- lapply(stats::setNames(nm = rivals(good)), function(rival) {
    decide(compare_runtimes(good[!good$micro, ], "snakefish", rival, seed), bench$control)
  })
  bench$tracing <- decide(compare_runtimes(good, "snakefish-traced", "snakefish", seed), bench$control)
  bench$fits <- fit_scaling(good, bench$cpus, seed)
  bench$weak <- weak_efficiency(usable(grown), seed)
  bench$crossovers <- crossovers(usable(sweep), seed)
  bench
}

usable <- function(samples) {
  samples <- samples[samples$ok == 1 & is.finite(samples$region_ns) & samples$operations > 0, ]
  transform(samples, time_ns = region_ns / operations, program = workload, micro = kind %in% "micro")
}

# A floor that was measured within another runtime's samples is shown as a runtime of its own, by its snakefish samples.
with_floors <- function(samples) {
  within <- samples[is.finite(samples$floor_ns) & samples$runtime == "snakefish", ]
  if (nrow(within) == 0) return(samples)
  rbind(samples, transform(within, runtime = "floor", time_ns = floor_ns / operations))
}

# A program goes by its name, and by its size too where it ran in several.
name_programs <- function(samples) {
  sizes <- tapply(samples$size, samples$workload, function(size) length(unique(size)))
  several <- as.vector(sizes[samples$workload]) > 1
  samples$program <- ifelse(several, sprintf("%s, %s %s", samples$workload, format_count(samples$size), samples$unit),
                            samples$workload)
  samples$micro <- samples$kind %in% "micro"
  samples
}

machine_value <- function(machine, key) {
  value <- machine$value[machine$key == key]
  if (length(value) == 0 || is.na(value) || value == "unknown") NA else value
}

# The CPUs that the benchmark could use at the same time; NA where that is not known.
machine_cpus <- function(machine) suppressWarnings(as.numeric(machine_value(machine, "effective_cpus")))

# One sentence for each way in which samples of one program under one runtime failed.
failure_sentences <- function(samples) {
  bad <- samples[samples$ok != 1, ]
  if (nrow(bad) == 0) return(character())
  vapply(split_by(bad, c("program", "runtime", "status")), function(cell) {
    errors <- unique(stats::na.omit(cell$error))
    sprintf("%s of %s under %s: %s%s.", counted(nrow(cell), "sample"), cell$program[1], cell$runtime[1],
            cell$status[1], if (length(errors) > 0) paste0(" (", errors[1], ")") else "")
  }, "", USE.NAMES = FALSE)
}

# What figures of several files call one of them.
file_label <- function(path) sub("[.][^.]*$", "", basename(path))
