# Opens the databases read-only and returns plain data frames. What is wrong with a file is one sentence (a condition of
# class "report_error"), for a reader who knows the file and not this code.

application_ids <- c(bench = 0x534e4b42, trace = 0x534e4b46)
schema_versions <- c(bench = 5, trace = 12)

# The tables and columns that the report reads.
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
               "floor_ns", "output_ok"),
    computed = c("session", "samples", "level", "resamples", "fewest_blocks", "power", "practical_margin"),
    estimate = c("session", "workload", "size", "runtime", "workers", "blocks", "median_ns", "low_ns", "high_ns", "mean_ns",
                 "least_ns"),
    noise = c("session", "kind", "comparisons", "largest", "different", "margin"),
    comparison = c("session", "kind", "runtime", "base", "workload", "size", "workers", "blocks", "time_ns", "base_ns",
                   "times_as_fast", "low", "high", "p", "margin", "verdict", "family", "detectable", "more_blocks"),
    comparison_block = c("session", "runtime", "base", "workload", "size", "workers", "block", "times_as_fast"),
    overall = c("session", "runtime", "base", "workers", "comparisons", "times_as_fast", "low", "high"),
    speedup = c("session", "workload", "size", "runtime", "workers", "blocks", "base_ns", "time_ns", "speedup", "low", "high",
                "efficiency", "efficiency_low", "efficiency_high"),
    speedup_block = c("session", "runtime", "workload", "size", "workers", "block", "speedup"),
    weak_scaling = c("session", "workload", "runtime", "workers", "size", "blocks", "efficiency", "low", "high"),
    break_even = c("session", "workload", "runtime", "workers", "blocks", "smallest", "largest", "size", "low", "high"),
    target = c("session", "workload", "size", "base", "best_peer", "what", "is_floor", "times_as_fast", "low", "high", "target",
               "state")),
  trace = list(
    meta = c("key", "value"), process = c("id", "pid", "parent", "name", "exit_status", "start_ns", "end_ns", "task"),
    task = c("id", "process", "kind", "name"), text = c("id", "text"), event = c("process", "lane"),
    event_kind = c("id", "name", "phase", "object"), stats = c("name", "process", "severity", "value"),
    event_time = c("id", "process", "lane", "kind", "object", "phase", "begin", "ns"), open_span = "event",
    message = c("channel", "sender", "receiver", "bytes", "send_ns", "receive_ns", "latency_ns", "queueing_ns"),
    channel = c("id", "name"), channel_depth = c("channel", "ns", "messages"), category = c("id", "name", "doc"),
    ledger = c("process", "category", "ns"), sched_slice = c("process", "start_ns", "end_ns", "wake_ns"),
    critical_path = c("step", "process", "start_ns", "end_ns"), path_activity = c("activity", "ns", "share"),
    efficiency = c("name", "value"), what_if = c("what", "duration_ns", "saved_ns", "speedup", "measured", "bound", "doc"),
    advice = c("disease", "sentence", "gain"),
    prediction = c("cpus", "seconds", "low", "high", "speedup", "efficiency", "limit", "enough", "measured")))

stop_with <- function(...) {
  stop(structure(class = c("report_error", "error", "condition"), list(message = paste0(...), call = NULL)))
}

# A read-only connection to a database of snakefish.
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
              if (kind == "bench") ": `python3 -m bench report` converts versions 2 to 4; record an older one again."
              else ": record it again.")
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
  tryCatch(DBI::dbGetQuery(db, sql, params = params), error = function(e) stop_reading(path, conditionMessage(e)))
}

# Why a query failed. The databases are only read, so a full disk is the one with SQLite's temporary files.
stop_reading <- function(path, reason) {
  if (grepl("disk is full|unable to open database file|disk I/O error", reason)) {
    stop_with(path, " cannot be read: SQLite has no room for its temporary files in ", temporary_directory(),
              " (", reason, "). Set SQLITE_TMPDIR to a directory with more room.")
  }
  stop_with(path, " is damaged or cannot be read: ", reason, ".")
}

# Where SQLite makes them: the first of these that exists and can be written.
temporary_directory <- function() {
  places <- c(Sys.getenv(c("SQLITE_TMPDIR", "TMPDIR"), unset = NA, names = FALSE), "/var/tmp", "/usr/tmp", "/tmp", ".")
  places <- places[!is.na(places) & dir.exists(places)]
  places[file.access(places, 3) == 0][1]
}

# The newest session that has samples, ready for the figures. Statistics are read, never computed here: bench/results
# computes them.
load_bench <- function(path, seed) {
  db <- open_database(path, "bench")
  on.exit(DBI::dbDisconnect(db))
  session <- read(db, path, "SELECT id, started, finished, status, command, seed, blocks, samples FROM session
                             WHERE id = (SELECT max(session) FROM sample)")
  if (nrow(session) == 0) stop_with(path, " holds no samples: the benchmark ended before its first.")
  of_session <- function(...) read(db, path, paste(...), list(session$id))
  every <- load_samples(of_session)
  usable <- every[every$ok == 1 & is.finite(every$region_ns) & every$operations > 0, ]
  if (nrow(usable) == 0) stop_with(path, " holds no sample with a right output: ", failure_sentences(every)[1])
  method <- of_session("SELECT samples, level, resamples, fewest_blocks, power, practical_margin
                       FROM computed WHERE session = ?")
  if (nrow(method) == 0 || method$samples != nrow(every)) {
    stop_with(path, " has no results of its samples yet: `python3 -m bench show ", path, "` computes them.")
  }
  strong <- !every$series %in% c("weak", "sweep")
  names <- program_names(every[strong, ])
  samples <- with_program(every[strong, ], names)
  good <- samples[samples$ok == 1 & is.finite(samples$region_ns) & samples$operations > 0, ]
  good$time_ns <- good$region_ns / good$operations
  machine <- of_session("SELECT key, CAST(value AS TEXT) AS value FROM machine WHERE session = ? ORDER BY key")
  bench <- list(
    file = basename(path), is_default = endsWith(normalizePath(path), "/build/bench.db"),
    label = file_label(path), session = session, seed = seed, every_sample = every,
    all_samples = samples, right = nrow(usable), method = method, machine = machine, cpus = machine_cpus(machine),
    # the control shows the noise: no figure shows it as a runtime
    samples = with_floors(good[good$runtime != control_runtime, ]),
    sessions = read(db, path, "SELECT count(*) FROM session")[[1]],
    warnings = of_session("SELECT text FROM warning WHERE session = ?")$text,
    memory = of_session("SELECT workload AS program, runtime, workers, CAST(peak_pss_bytes AS REAL) AS bytes, processes
                         FROM memory JOIN cell USING(session, workload, size, runtime, workers)
                         WHERE session = ? AND peak_pss_bytes IS NOT NULL AND series IN ('strong', 'both')
                         ORDER BY 1, 2, 3"),
    runtimes = of_session("SELECT name, status, reason FROM runtime WHERE session = ? ORDER BY name"))
  bench$memory <- bench$memory[bench$memory$runtime != control_runtime, ]
  bench <- c(bench, load_results(of_session, names))
  bench$fits <- fit_scaling(bench$samples, bench$cpus, seed, method)
  bench
}

control_runtime <- "snakefish-again"

# Casts set the types: SQLite has none for a column, and R would take the first row's for all.
load_samples <- function(of_session) {
  of_session("
    SELECT s.block, s.workload, s.size, s.runtime, s.workers, s.status, s.error, w.kind, w.unit, w.operation,
           coalesce(s.output_ok, 0) = 1 AS ok, CAST(s.region_ns AS REAL) AS region_ns,
           CAST(s.operations AS REAL) AS operations, CAST(s.floor_ns AS REAL) AS floor_ns, c.series, c.work
    FROM sample s LEFT JOIN workload w ON w.session = s.session AND w.name = s.workload AND w.size = s.size
    LEFT JOIN cell c ON c.session = s.session AND c.workload = s.workload AND c.size = s.size
      AND c.runtime = s.runtime AND c.workers = s.workers
    WHERE s.session = ? ORDER BY s.block, s.workload, s.size, s.runtime, s.workers")
}

# What bench/run/schema.sql calls results. NULL stands for a table without a row.
load_results <- function(of_session, names) {
  of_programs <- function(table) none_is_null(with_program(of_session("SELECT * FROM", table, "WHERE session = ?"), names))
  times <- of_programs("estimate")
  compared <- with_blocks(of_programs("comparison"), with_program(of_session(
    "SELECT * FROM comparison_block WHERE session = ?"), names), c("program", "runtime", "base", "workers"), "times_as_fast")
  speedups <- with_blocks(of_programs("speedup"), with_program(of_session(
    "SELECT * FROM speedup_block WHERE session = ?"), names), c("program", "runtime", "workers"), "speedup")
  check_results(compared, speedups)
  judged <- none_is_null(compared[!is.na(compared$verdict), ])
  if (!is.null(compared)) compared$verdict[is.na(compared$verdict)] <- no_verdict
  pair <- function(runtime, base) none_is_null(compared[compared$runtime == runtime & compared$base == base, ])
  rivals <- sort(setdiff(compared$base[compared$runtime == "snakefish"], "multiprocessing"))
  list(times = none_is_null(times[times$runtime != control_runtime, ]), judged = judged,
       ratios = pair("snakefish", "multiprocessing"), tracing = pair("snakefish-traced", "snakefish"),
       rivals = lapply(stats::setNames(nm = rivals), function(base) pair("snakefish", base)),
       speedups = none_is_null(speedups[speedups$runtime != control_runtime, ]),
       noise = of_session("SELECT * FROM noise WHERE session = ? ORDER BY kind DESC"),
       overall = of_session("SELECT * FROM overall WHERE session = ?"),
       weak = none_is_null(of_session(
         "SELECT r.*, unit FROM weak_scaling r JOIN workload w ON w.session = r.session AND w.name = r.workload
          AND w.size = r.size WHERE r.session = ? ORDER BY r.workload, runtime, workers")),
       break_evens = none_is_null(of_session(
         "SELECT r.*, unit FROM break_even r JOIN workload w ON w.session = r.session AND w.name = r.workload
          AND w.size = r.largest WHERE r.session = ? ORDER BY r.workload, runtime, workers")),
       targets = none_is_null(of_session("SELECT * FROM target WHERE session = ?
                                          ORDER BY workload, best_peer DESC, base = 'floor', base")))
}

none_is_null <- function(rows) {
  if (NROW(rows) == 0) return(NULL)
  rownames(rows) <- NULL
  rows
}

# What stands where a comparison is shown without a verdict.
no_verdict <- "no verdict"

# Adds to each row its blocks' values, for the dots of a figure: by_block, a list.
with_blocks <- function(rows, blocks, columns, value) {
  if (is.null(rows)) return(NULL)
  key <- function(of) do.call(paste, c(unname(as.list(of[columns])), sep = "\r"))
  rows$by_block <- unname(split(blocks[[value]], factor(key(blocks), key(rows)))[key(rows)])
  rows
}

# Stops where the results are not what the figures assume.
check_results <- function(compared, speedups) {
  around <- function(value, low, high) is.na(low) == is.na(high) & (is.na(low) | (low <= value & value <= high))
  stopifnot(
    around(compared$times_as_fast, compared$low, compared$high), compared$times_as_fast > 0, compared$margin > 0,
    compared$verdict %in% c(names(verdict_shapes), NA), lengths(compared$by_block) == compared$blocks,
    around(speedups$speedup, speedups$low, speedups$high), speedups$speedup > 0, lengths(speedups$by_block) == speedups$blocks)
}

# A floor that was measured within the samples of snakefish is shown as a runtime of its own.
with_floors <- function(samples) {
  within <- samples[is.finite(samples$floor_ns) & samples$runtime == "snakefish", ]
  if (nrow(within) == 0) return(samples)
  rbind(samples, transform(within, runtime = "floor", time_ns = floor_ns / operations))
}

# A program goes by its name, and by its size too where it ran in several.
program_names <- function(samples) {
  names <- unique(samples[c("workload", "size", "unit", "kind")])
  several <- names$workload %in% names$workload[duplicated(names$workload)]
  names$program <- ifelse(several, sprintf("%s, %s %s", names$workload, format_count(names$size), names$unit), names$workload)
  names$micro <- names$kind %in% "micro"
  names
}

# The rows of those programs, with their names, in the order of program, runtime and workers.
with_program <- function(rows, names) {
  place <- match(paste(rows$workload, rows$size, sep = "\r"), paste(names$workload, names$size, sep = "\r"))
  rows <- cbind(rows, names[place, c("program", "micro")])[!is.na(place), ]
  rows <- rows[order(rows$program, rows$runtime, rows$workers), ]
  rownames(rows) <- NULL
  rows
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
  if (is.null(bad$program)) bad$program <- bad$workload
  vapply(split_by(bad, c("program", "runtime", "status")), function(cell) {
    errors <- unique(stats::na.omit(cell$error))
    sprintf("%s of %s under %s: %s%s.", counted(nrow(cell), "sample"), cell$program[1], cell$runtime[1],
            cell$status[1], if (length(errors) > 0) paste0(" (", errors[1], ")") else "")
  }, "", USE.NAMES = FALSE)
}

# The name of a file in figures and titles.
file_label <- function(path) sub("[.][^.]*$", "", basename(path))
