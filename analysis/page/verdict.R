# What the traces say, and the machine in a line.

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
