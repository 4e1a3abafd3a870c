# The sentence at the top of the page, and the machine in a line.

# The number of workers at which runtimes are compared: each worker has a CPU, and all CPUs are used if possible.
verdict_workers <- function(bench) {
  rows <- bench$ratios[!bench$ratios$micro, ]
  if (is.null(rows) || nrow(rows) == 0) return(NA)
  full_workers(rows$workers, bench$cpus)
}

# The mean over all programs at so many workers; NULL where no block holds all of them.
overall_at <- function(bench, workers) {
  none_is_null(bench$overall[bench$overall$runtime == "snakefish" & bench$overall$base == "multiprocessing" &
                               bench$overall$workers %in% workers, ])
}

bench_verdict <- function(bench) {
  if (is.null(bench$ratios)) return(no_ratio(bench))
  workers <- verdict_workers(bench)
  if (is.na(workers)) return("No verdict on programs: the session has only micro-benchmarks.")
  rows <- bench$ratios[!bench$ratios$micro & bench$ratios$workers == workers, ]
  overall <- overall_at(bench, workers)
  programs <- if (nrow(rows) == 1) paste("the program", rows$program) else sprintf("these %d programs", nrow(rows))
  if (is.null(overall)) {
    return(sprintf("No ratio over %s: no block holds all of them under snakefish and multiprocessing at %s.", programs,
                   counted(workers, "worker")))
  }
  sentence <- sprintf("snakefish runs %s %s times as fast as multiprocessing at %s", programs,
                      ratio_text(overall$times_as_fast, overall$low, overall$high), counted(workers, "worker"))
  paste0(sentence, verdict_words(rows), ".")
}

# What follows "snakefish runs these programs x times as fast": the verdicts, or why there are none.
verdict_words <- function(rows) {
  verdicts <- verdict_counts(rows$verdict)
  if (all(is.na(rows$low))) {
    return(sprintf(", but %s %s too few for a verdict", counted(max(rows$blocks), "block"),
                   if (max(rows$blocks) == 1) "is" else "are"))
  }
  if (length(verdicts) == 0) return("")
  paste0(": ", if (nrow(rows) == 1) rows$verdict else in_words(verdicts))
}

trace_verdict <- function(trace) {
  value <- function(name) trace$efficiency$value[match(name, trace$efficiency$name)]
  messages <- sum(trace$pairs$messages)
  paste0(sprintf("The traced run took %s in %s%s", format_duration(trace$run$end_ns - trace$run$begin_ns),
                 counted(nrow(trace$processes), "process", "processes"),
                 if (messages > 0) paste(" and sent", counted(messages, "message")) else ""),
         if (is.finite(value("parallel_efficiency"))) sprintf(": %s of the time of the %s that ran at once was useful",
           format_percent(value("parallel_efficiency")), counted(value("lanes"), "process", "processes")), ".")
}

# What the trace says of the run, and then what `snakefish-trace analyze` says first: what to change.
trace_verdicts <- function(trace) {
  sentences <- trace$advice$sentence
  c(trace_verdict(trace), if (length(sentences) > 0) paste0(toupper(substr(sentences, 1, 1)), substring(sentences, 2), "."))
}

# The A/A control, as one line.
noise_line <- function(bench) paste("Noise (A/A):", control_text(bench))

trace_machines <- function(traces) {
  vapply(traces, function(trace) {
    fact <- function(key) machine_value(trace$meta, key)
    parts <- c(fact("cpu_model"), if (!is.na(fact("cpus"))) counted(as.numeric(fact("cpus")), "CPU"), fact("kernel"))
    parts <- parts[!is.na(parts)]
    if (length(parts) == 0) "The trace does not describe the machine." else paste0(paste(parts, collapse = ", "), ".")
  }, "")
}

machine_line <- function(bench) {
  fact <- function(key) machine_value(bench$machine, key)
  memory <- suppressWarnings(as.numeric(fact("memory_bytes")))
  commit <- fact("commit")
  parts <- c(fact("cpu_model"),
             if (is.finite(bench$cpus)) paste0(counted(bench$cpus, "CPU"),
                                               if (fact("hypervisor") %in% "yes") " of a virtual machine"),
             if (is.finite(memory)) paste(format_bytes(memory), "of memory"), fact("kernel"), fact("python"),
             if (!is.na(commit)) paste0("commit ", substr(commit, 1, 10), if (fact("dirty") %in% "1") " with changes"))
  parts <- parts[!is.na(parts)]
  if (length(parts) == 0) return("The benchmark's database does not describe the machine.")
  paste0(paste(parts, collapse = ", "), ".")
}
