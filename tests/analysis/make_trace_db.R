# A trace database, written the way the collector writes it: from a list of records with their time. The clock ticks
# twice a nanosecond.

# The table of events; the tests read it from the source, so that they type no numbers.
read_event_kinds <- function() {
  lines <- readLines(file.path(repository, "ext/abi/events.def"))
  lines <- paste(lines, collapse = "\n")
  pattern <- 'X\\(([0-9]+), ([A-Z]+), ([A-Z]+), ([A-Z]+), "([^"]*)", "([^"]*)",\\s*"([^"]*)"\\)'
  found <- regmatches(lines, gregexpr(pattern, lines))[[1]]
  part <- function(i) sub(pattern, paste0("\\", i), found)
  data.frame(id = as.integer(part(1)), name = tolower(part(2)), doc = part(7), phase = tolower(part(3)),
             object = tolower(part(4)), a = part(5), b = part(6))
}

# The ledger's categories, likewise.
read_categories <- function() {
  lines <- paste(grep("^ +X[(]", readLines(file.path(repository, "tracer/store/category.h")), value = TRUE), collapse = "\n")
  pattern <- 'X\\(([A-Z_]+), "([^"]*)", "([^"]*)"\\)'
  found <- regmatches(lines, gregexpr(pattern, lines))[[1]]
  data.frame(id = seq_along(found) - 1, name = sub(pattern, "\\2", found), doc = sub(pattern, "\\3", found))
}

# Records of one span, as a list of two; `ns` NA for the end leaves it open.
span_records <- function(process, kind, start, end, object = 0, a = 0, b = 0, lane = 0) {
  rows <- data.frame(process = process, kind = kind, ns = c(start, end), object = object, a = c(0, a), b = c(0, b),
                     phase = 1:2, lane = lane)
  rows[is.finite(rows$ns), ]
}

instant_record <- function(process, kind, ns, object = 0, a = 0, b = 0) {
  data.frame(process = process, kind = kind, ns = ns, object = object, a = a, b = b, phase = 0, lane = 0)
}

# seq and the begin of each end, as the collector finds them.
number_records <- function(records, kinds) {
  records <- records[order(records$ns), ]
  records$id <- seq_len(nrow(records))
  records$begin <- NA
  records$kind <- kinds$id[match(records$kind, kinds$name)]
  open <- list()
  for (i in seq_len(nrow(records))) {
    thread <- paste(records$process[i], records$lane[i])
    stack <- open[[thread]]
    if (records$phase[i] == 1) stack <- c(stack, i)
    if (records$phase[i] == 2) {
      records$begin[i] <- stack[length(stack)]
      stack <- stack[-length(stack)]
    }
    open[[thread]] <- stack
  }
  records$seq <- stats::ave(records$id, records$process, FUN = seq_along)
  list(records = records, open = unlist(open, use.names = FALSE))
}

write_trace_db <- function(path, processes, records, tasks = NULL, texts = NULL, stats = NULL, state = "complete") {
  build <- Sys.getenv("SF_BUILD", file.path(repository, "build")) # where the schema has its events' ids
  db <- create_database(path, file.path(build, "gen/store/schema.sql"))
  kinds <- read_event_kinds()
  DBI::dbAppendTable(db, "event_kind", kinds)
  DBI::dbAppendTable(db, "category", read_categories())
  append_rows(db, "meta", key = c("state", "command", "machine", "event_cost_ps"),
              value = c(state, "python3 program.py", "x86_64", 10000))
  DBI::dbAppendTable(db, "process", processes)
  if (!is.null(tasks)) DBI::dbAppendTable(db, "task", tasks)
  if (!is.null(texts)) DBI::dbAppendTable(db, "text", texts)
  if (!is.null(stats)) DBI::dbAppendTable(db, "stats", stats)
  append_rows(db, "clock_segment", from_tsc = 1000, tsc = 1000, ns = 0, ns_per_tick = 0.5)
  if (nrow(records) > 0) {
    numbered <- number_records(records, kinds)
    rows <- numbered$records
    rows$tsc <- 1000 + 2 * rows$ns
    DBI::dbAppendTable(db, "event", rows[c("process", "seq", "tsc", "kind", "object", "a", "b", "phase", "lane", "begin")])
    if (length(numbered$open) > 0) append_rows(db, "open_span", event = numbered$open)
  }
  DBI::dbDisconnect(db)
  fill_ledger(path)
}

# The collector's own: the ledger is its work.
fill_ledger <- function(path) {
  build <- Sys.getenv("SF_BUILD", file.path(repository, "build"))
  status <- system2(file.path(build, "bin/snakefish-trace"), c("analyze", shQuote(path)), stdout = FALSE)
  if (status != 0) stop("snakefish-trace analyze failed: make tracer")
  invisible(path)
}

# A parent that starts two Threads, gets three messages from each and merges; with killed, the second dies of signal 9
# in the middle of its work.
make_trace_db <- function(path, killed = FALSE, state = "complete", stats = NULL) {
  ms <- 1e6
  processes <- data.frame(
    id = 1:3, pid = c(100, 101, 102), parent = c(NA, 1, 1), name = c("program.py", "left", "right"),
    exit_status = c(0, 0, if (killed) -9 else 0), start_ns = c(0, 5, 9) * ms,
    end_ns = c(100, 78, if (killed) 50 else 88) * ms, task = c(NA, 1, 2))
  tasks <- data.frame(id = 1:2, process = 2:3, kind = "thread", name = c("left", "right"), creator = 1)
  texts <- data.frame(id = 1, text = "set up the tables")
  records <- list(
    span_records(1, "span", 0.5 * ms, 4 * ms, object = 1),
    span_records(1, "fork", 4.5 * ms, 6 * ms, object = 1), span_records(1, "fork", 8 * ms, 10 * ms, object = 2))
  for (child in 2:3) {
    first <- processes$start_ns[child]
    stop <- processes$end_ns[child]
    dies <- killed && child == 3
    records <- c(records, list(
      instant_record(child, "start", first + 0.1 * ms, object = child - 1),
      span_records(child, "run", first + 0.3 * ms, if (dies) NA else stop - 6 * ms, object = child - 1)))
    for (i in seq_len(if (dies) 1 else 3)) {
      sent <- first + 18 * i * ms
      records <- c(records, list(span_records(child, "send", sent, sent + 0.4 * ms, object = 1, a = 3 * (child - 2) + i,
                                              b = 4096)))
      taken <- sent + (1 + i) * ms
      records <- c(records, list(span_records(1, "receive", taken - 0.5 * ms, taken, object = 1,
                                              a = 3 * (child - 2) + i, b = 4096)))
    }
    if (dies) records <- c(records, list(span_records(child, "send", first + 30 * ms, NA, object = 1)))
    if (!dies) records <- c(records, list(
      span_records(child, "extract", stop - 5.5 * ms, stop - 3 * ms, object = child - 1),
      span_records(child, "result", stop - 3 * ms, stop - 1 * ms, object = child - 1)))
  }
  records <- c(records, list(
    span_records(1, "join", 70 * ms, 84 * ms, object = 1), span_records(1, "wait", 70.5 * ms, 78 * ms, a = 3, b = 1),
    span_records(1, "merge", 79 * ms, 83 * ms, object = 1),
    span_records(1, "join", 84.5 * ms, 95 * ms, object = 2), span_records(1, "merge", 90 * ms, 94 * ms, object = 2)))
  write_trace_db(path, processes, bind(records), tasks, texts, stats, state)
}

# What the kernel's view adds to it: when its second process was on which CPU.
kernels_view <- "INSERT INTO sched_slice VALUES(2, 101, 0, 6000000, 40000000, 'preempted', NULL, 5500000),
                                               (2, 101, 1, 60000000, 78000000, 'exited', NULL, 40000000)"

# What `predict --store` adds to it: so many seconds on one CPU, of which `serial` cannot be shared out; measured with 2
# workers on a machine of `cpus`. Beyond 16 CPUs it gets slower.
predicted <- function(alone = 4, serial = 0.2, cpus = 2) {
  counts <- 2^(0:6)
  seconds <- serial + (alone - serial) / counts + 0.01 * pmax(0, counts - 16)
  limit <- ifelse(counts < 16, "the tasks", "from 14 CPUs on what program.py does itself, 0.2 s")
  c(sprintf("INSERT INTO prediction VALUES(%.0f, %.9f, %.9f, %.9f, %.9f, %.9f, '%s', %d, %s)", counts, seconds, 0.95 * seconds,
            1.1 * seconds, alone / seconds, alone / seconds / counts, limit, counts >= 16, ifelse(counts == 2, "2.2", "NULL")),
    sprintf("INSERT INTO meta VALUES('cpus', %s)", cpus))
}

# What shared variables add to it: both tasks have changed `table`, one of them `hits`; two changes did not agree. others:
# so many more variables.
shared_variables <- function(others = 0) {
  kinds <- read_event_kinds()
  names <- c("table", "hits", sprintf("variable_%d", seq_len(others)))
  row <- function(process, ms, kind, text, a, ns) {
    sprintf("INSERT INTO event VALUES(%d, 0, %.0f, %d, %s, %.0f, %.0f, 0, 0, NULL)", process, 1000 + 2e6 * ms,
            kinds$id[match(kind, kinds$name)], if (is.na(text)) "NULL" else text + 10, a, ns)
  }
  c(sprintf("INSERT INTO text VALUES(%d, '%s')", seq_along(names) + 10, names),
    row(2, 74, "extracted", 1, 3e6, 1.2e6), row(2, 74, "extracted", 2, 40, 1e5), row(2, 74, "extracted", NA, 0, 6e5),
    row(3, 84, "extracted", 1, 2e6, 1.1e6), row(3, 84, "extracted", NA, 0, 5e5), row(1, 82, "merged", 1, 0, 2e6),
    row(1, 82, "merged", 2, 0, 2e5), row(1, 82, "merged", NA, 0, 1e6), row(1, 93, "merged", 1, 2, 15e5),
    row(1, 93, "merged", NA, 0, 4e5), vapply(seq_len(others), function(i) row(2, 74, "extracted", 2 + i, 1, 1000 + i), ""))
}

# What samples of stacks add to it, as the collector has summed them up: the parent, and functions of its Threads. others: so
# many more functions.
sampled_functions <- function(others = 0) {
  frame <- function(id, name, line) sprintf("INSERT INTO frame VALUES(%d, '%s', '/home/program.py', %d)", id, name, line)
  time <- function(process, frame, self_ms, total_ms) {
    sprintf("INSERT INTO frame_time VALUES(%d, NULL, NULL, %d, %.0f, %.0f, %.0f)", process, frame, self_ms * 1e6, total_ms * 1e6,
            self_ms / 5)
  }
  c(frame(1, "main", 3), frame(2, "work", 12), frame(3, "work", 14), frame(4, "solve", 30), time(1, 1, 20, 20),
    time(2, 2, 5, 40), time(2, 3, 0, 10), time(2, 4, 45, 45), time(3, 4, 40, 40), time(3, 2, 0, 40),
    frame(10 + seq_len(others), sprintf("other_%d", seq_len(others)), seq_len(others)),
    vapply(seq_len(others), function(i) time(2, 10 + i, 1, 1), ""))
}

# Many short-lived workers and many messages: what must not become a smear.
make_large_trace_db <- function(path, rounds = 30, workers = 3, messages = 40) {
  ms <- 1e6
  n <- rounds * workers
  begin <- rep(seq_len(rounds) * 10 * ms, each = workers) + rep(seq_len(workers), rounds) * 0.5 * ms
  processes <- data.frame(id = seq_len(n + 1), pid = 100 + seq_len(n + 1), parent = c(NA, rep(1, n)),
                          name = c("program.py", paste0("worker-", seq_len(n))), exit_status = 0, start_ns = c(0, begin),
                          end_ns = c((rounds + 2) * 10 * ms, begin + 8 * ms), task = NA)
  seq_in_worker <- rep(seq_len(messages), n)
  worker <- rep(seq_len(n), each = messages)
  sent <- begin[worker] + 0.2 * ms + seq_in_worker * 7.5 * ms / messages
  both <- function(process, kind, from, to, a) {
    data.frame(process = process, kind = kind, ns = c(from, to), object = 1, a = c(0 * a, a), b = c(0 * a, 0 * a + 64),
               phase = rep(1:2, each = length(from)), lane = 0)
  }
  number <- seq_along(sent)
  taken <- sort(sent) + 50 * seq_along(sent) + 20e3
  taken <- cummax(taken) + seq_along(taken) * 100
  records <- rbind(
    both(seq_len(n) + 1, "run", begin + 0.1 * ms, begin + 7.9 * ms, rep(1, n)),
    both(worker + 1, "send", sent - 30e3, sent, number),
    both(1, "receive", taken - 45, taken, number[order(sent)]))
  write_trace_db(path, processes, records)
}
