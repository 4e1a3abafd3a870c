# What a reader must know before the figures: losses, failures, and what is missing. Most serious first.

notice <- function(severity, text) data.frame(severity = rep(severity, length(text)), text = text)

notices <- function(benches, traces) {
  rows <- bind(c(list(notice("warning", character())), lapply(benches, bench_notices), lapply(traces, trace_notices)))
  if (length(benches) > 1) {
    # each notice begins with the label of its file
    whose <- rep(vapply(benches, `[[`, "", "label"), vapply(benches, function(b) max(0, nrow(bench_notices(b))), 1))
    rows$text[seq_along(whose)] <- sprintf("%s: %s", whose, rows$text[seq_along(whose)])
  }
  rows[order(match(rows$severity, c("error", "loss", "warning"))), ]
}

bench_notices <- function(bench) {
  session <- bench$session
  planned <- session$samples
  blocks <- length(unique(bench$samples$block))
  absent <- bench$runtimes[bench$runtimes$status %in% "absent", ]
  bind(list(
    notice("error", failure_sentences(bench$all_samples)),
    if (!session$status %in% "complete") notice("warning", sprintf(
      "The benchmark is not complete (%s): %s of %s samples were taken.", session$status,
      format_count(nrow(bench$every_sample)), format_count(planned))),
    notice("warning", sprintf("%s did not run: %s.", absent$name, sub("\\.$", "", absent$reason))),
    notice("warning", bench$warnings),
    if (blocks < bench$method$fewest_blocks) notice("warning", sprintf(
      "%s: fewer than %d carry no interval and no verdict, only points: run it with more blocks.",
      counted(blocks, "block"), bench$method$fewest_blocks))))
}

trace_notices <- function(trace) {
  state <- machine_value(trace$meta, "state")
  # a count of zero is no loss, whatever its severity
  bad <- trace$stats[!trace$stats$severity %in% "info" & !trace$stats$value %in% c("0", "0.0"), ]
  # values of single processes are summed, and the processes are named
  rows <- bind(lapply(split_by(bad, c("name", "severity")), function(cell) {
    amount <- suppressWarnings(as.numeric(cell$value))
    value <- if (anyNA(amount)) paste(unique(cell$value), collapse = ", ") else format_count(sum(amount))
    pids <- sort(cell$pid[is.finite(cell$pid)])
    where <- if (length(pids) == 0) ""
             else if (length(pids) > 4) paste(" in", counted(length(pids), "process", "processes"))
             else sprintf(" (process %s)", in_words(as.character(pids)))
    notice(cell$severity[1], sprintf("The trace: %s: %s%s.", gsub("_", " ", cell$name[1]), value, where))
  }))
  # without SIGTERM, by which a Pool ends its workers
  killed <- trace$processes[trace$processes$exit_status %in% -setdiff(1:64, 15), ]
  bind(list(rows,
    if (!state %in% "complete") notice("warning", sprintf(
      "The trace is not complete (%s): it may lack its end.", if (is.na(state)) "state unknown" else state)),
    if (nrow(killed) > 0) notice("warning", sprintf(
      "In the trace, %s by a signal: %s.",
      if (nrow(killed) == 1) "a process was ended" else paste(nrow(killed), "processes were ended"),
      in_words(sprintf("%s, signal %d", killed$label, -killed$exit_status))))))
}
