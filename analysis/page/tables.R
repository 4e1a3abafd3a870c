# The tables of the page, and the sentences on how it was measured.

# A column is right-aligned where all its cells begin with a digit.
html_table <- function(rows) {
  numbers <- vapply(rows, function(column) all(grepl("^[0-9]", column)), TRUE)
  class <- ifelse(numbers & !names(rows) %in% "value", "number", "text")
  cells <- do.call(cbind, Map(function(column, class) {
    sprintf('<td class="%s">%s</td>', class, escape_html(as.character(column)))
  }, rows, class))
  if (nrow(rows) == 1) cells <- matrix(cells, 1)
  paste0('<div class="table"><table>\n<thead><tr>',
         paste(sprintf('<th scope="col" class="%s">%s</th>', class, escape_html(names(rows))), collapse = ""),
         "</tr></thead>\n<tbody>\n",
         paste(sprintf("<tr>%s</tr>", apply(cells, 1, paste, collapse = "")), collapse = "\n"),
         "\n</tbody></table></div>")
}

# The verdicts, and a table for each pair of runtimes; where nothing can be compared, a table of the times.
ratio_tables <- function(bench) {
  verdicts <- if (!is.null(bench$judged)) list(list(title = "The verdicts", rows = verdict_table(bench$judged)))
  pairs <- list(list(title = "snakefish against multiprocessing", rows = bench$ratios),
                list(title = "What tracing costs: snakefish traced against snakefish", rows = bench$tracing))
  pairs <- c(pairs, lapply(names(bench$rivals), function(rival) {
    list(title = paste("snakefish against", rival), rows = bench$rivals[[rival]])
  }))
  pairs <- Filter(function(pair) !is.null(pair$rows), pairs)
  if (length(pairs) == 0) return(list(list(title = "Nothing to compare: the times alone", rows = time_table(bench))))
  c(verdicts, lapply(pairs, function(pair) list(title = pair$title, rows = ratio_table(pair$rows))))
}

# Of each verdict what was compared, and what would have been found.
verdict_table <- function(rows) {
  rows <- rows[order(rows$micro, rows$program, rows$workers), ]
  more <- ifelse(is.na(rows$more_blocks), "", sprintf(": %s would decide it", counted(rows$more_blocks, "more block")))
  data.frame(check.names = FALSE, program = rows$program, workers = rows$workers, runtime = rows$runtime,
             "fastest of the others" = rows$base,
             "times as fast [interval]" = ratio_text(rows$times_as_fast, rows$low, rows$high),
             "would have been found" = ifelse(is.na(rows$detectable), "", format_percent(rows$detectable)),
             blocks = rows$blocks, verdict = paste0(rows$verdict, more))
}

ratio_table <- function(rows) {
  rows <- rows[order(rows$micro, rows$program, rows$workers), ]
  table <- data.frame(check.names = FALSE, program = rows$program, workers = rows$workers,
                      time = format_duration(rows$time_ns), base = format_duration(rows$base_ns),
                      "times as fast [interval]" = ratio_text(rows$times_as_fast, rows$low, rows$high), blocks = rows$blocks,
                      verdict = rows$verdict)
  names(table)[3:4] <- c(rows$runtime[1], rows$base[1])
  table
}

time_table <- function(bench) {
  rows <- bench$times
  data.frame(check.names = FALSE, program = rows$program, runtime = rows$runtime, workers = rows$workers,
             median = format_duration(rows$median_ns), mean = format_duration(rows$mean_ns), blocks = rows$blocks)
}

# Of each program, runtime and number of workers what the figure of speedups shows, and what follows from it.
scaling_table <- function(bench) {
  rows <- none_is_null(bench$times[!bench$times$micro, ])
  if (is.null(rows)) return(NULL)
  key <- function(of) paste(of$program, of$runtime, of$workers, sep = "\r")
  found <- function(of, columns, format) {
    place <- match(key(rows), if (is.null(of)) character() else key(of))
    cells <- rep("", nrow(rows))
    there <- !is.na(place)
    cells[there] <- format(of[place[there], columns])
    cells
  }
  with_interval <- function(of) ratio_text(of[[1]], of[[2]], of[[3]])
  in_percent <- function(of) {
    ifelse(is.finite(of[[2]]), sprintf("%s [%s, %s]", format_percent(of[[1]]), format_percent(of[[2]]), format_percent(of[[3]])),
           format_percent(of[[1]]))
  }
  serial <- if (!is.null(bench$speedups)) karp_flatt(bench$speedups, bench$cpus)
  table <- data.frame(
    check.names = FALSE, program = rows$program, runtime = rows$runtime, workers = rows$workers, blocks = rows$blocks,
    median = format_duration(rows$median_ns),
    "speedup [interval]" = found(bench$speedups, c("speedup", "low", "high"), with_interval),
    "efficiency [interval]" = found(bench$speedups, c("efficiency", "efficiency_low", "efficiency_high"), in_percent),
    "serial fraction [interval]" = found(serial, c("serial", "low", "high"), in_percent))
  table[vapply(table, function(column) any(column != ""), TRUE)]
}

ratio_table_caption <- function(bench) {
  paste0(
    "Times are geometric means over the blocks that hold both; of a micro-benchmark, of one operation. Above 1 the first ",
    "runtime is faster. A verdict is on the fastest of the other libraries, at one worker and at all CPUs: no practical ",
    "difference when the whole interval is within ", format_percent(bench$method$practical_margin), " of 1; faster or ",
    "slower when that is significant at ", format_percent(bench$method$level), " among all verdicts of its kind (Holm); ",
    "inconclusive otherwise, and with fewer than ", bench$method$fewest_blocks, " blocks. ",
    "Would have been found: such a difference, with a probability of ",
    format_percent(bench$method$power), ". A/A control: ", control_text(bench))
}

# What the A/A control says.
control_text <- function(bench) {
  noise <- bench$noise[bench$noise$comparisons > 0, ]
  if (nrow(noise) == 0) return("the session has none.")
  kinds <- c(program = "of programs", micro = "of micro-benchmarks")
  paste0("snakefish differs from itself by up to ", in_words(sprintf("%s in %s %s, of which %d would be called a difference",
    format_percent(noise$largest, 1), counted(noise$comparisons, "comparison"), kinds[noise$kind], noise$different)), ".")
}

weak_table <- function(rows) {
  if (is.null(rows)) return(NULL)
  data.frame(check.names = FALSE, program = rows$workload, runtime = rows$runtime, workers = rows$workers,
             size = sprintf("%s %s", format_count(rows$size), rows$unit),
             "efficiency [interval]" = ratio_text(rows$efficiency, rows$low, rows$high), blocks = rows$blocks)
}

break_even_table <- function(rows) {
  if (is.null(rows)) return(NULL)
  text <- function(size) {
    ifelse(size %in% Inf, paste("more than", format_count(rows$largest)),
    ifelse(size %in% 0, paste("less than", format_count(rows$smallest)), format_count(round(size))))
  }
  bounds <- ifelse(is.na(rows$low), "", sprintf(" [%s, %s]", text(rows$low), text(rows$high)))
  data.frame(check.names = FALSE, sweep = rows$workload, runtime = rows$runtime, workers = rows$workers,
             "faster than sequential from [interval]" = paste0(text(rows$size), " ", rows$unit, bounds),
             blocks = rows$blocks)
}

# Micro-benchmarks against the best peer, their floor or reference, and what their targets name.
target_table <- function(rows) {
  if (is.null(rows)) return(NULL)
  base <- ifelse(rows$base == "floor" & !is.na(rows$what), paste(ifelse(rows$is_floor %in% 0, "reference:", "floor:"), rows$what),
                 paste0(rows$base, ifelse(rows$best_peer == 1, " (best peer)", "")))
  data.frame(check.names = FALSE, "micro-benchmark" = rows$workload, against = base,
             "times as fast [interval]" = ifelse(is.na(rows$times_as_fast), "",
                                                 ratio_text(rows$times_as_fast, rows$low, rows$high)),
             "target: at least" = ifelse(is.na(rows$target), "", format_digits(rows$target)),
             state = ifelse(is.na(rows$state), "", rows$state))
}

memory_table <- function(rows) {
  if (nrow(rows) == 0) return(NULL)
  data.frame(check.names = FALSE, program = rows$program, runtime = rows$runtime, workers = rows$workers,
             "peak PSS of the tree" = format_bytes(rows$bytes), processes = rows$processes)
}

# A list of parts: a text, and optionally a table that opens on a click, and a file to download.
measured <- function(report) {
  c(unlist(lapply(report$benches, bench_measured), recursive = FALSE),
    unlist(lapply(report$traces, trace_measured), recursive = FALSE),
    list(list(text = "This page is made by", code = report$command),
         list(text = "In the same folder each figure is an SVG and a PDF file, and its data a CSV file.")))
}

measured_html <- function(part) {
  c(sprintf("<p>%s%s%s</p>", escape_html(part$text),
            if (is.null(part$code)) "" else sprintf(" <code>%s</code>", escape_html(part$code)),
            if (is.null(part$csv)) "" else paste0(" ", csv_link(part$csv, part$csv_name, part$csv_text))),
    if (!is.null(part$table)) c(sprintf("<details><summary>%s</summary>", escape_html(part$summary)),
                                html_table(part$table), "</details>"))
}

bench_measured <- function(bench) {
  session <- bench$session
  blocks <- unique(bench$every_sample$block)
  commit <- machine_value(bench$machine, "commit")
  list(
    list(text = sprintf(paste(
      "Benchmark %s, session %.0f of %.0f, started %s (UTC), %s. %s in %s, their order random with seed %.0f;",
      "each sample is a fresh interpreter process, and its output was checked: %s right. To do it again%s:"),
      bench$file, session$id, bench$sessions, sub("T", " ", sub("Z$|[+]00:00$", "", session$started)),
      session$status, counted(nrow(bench$every_sample), "sample"), counted(length(blocks), "block"), session$seed,
      sprintf("%s of %s", format_count(bench$right), format_count(nrow(bench$every_sample))),
      if (is.na(commit)) "" else paste(" at commit", commit)), code = reproduce(session)),
    list(text = paste0(
      "Time is that of the parallel region: from the first fork to the last result, the making and ending of a pool ",
      "included, the interpreter's start and its imports not. Micro-benchmarks: that time divided by the operations. ",
      sprintf(paste("Intervals hold %g %%: those of medians from %s resamples of whole blocks, those of ratios by Student's t;",
                    "fewer than %d blocks have none."),
              100 * bench$method$level, format_count(bench$method$resamples), bench$method$fewest_blocks)),
      csv = csv_text(sample_rows(bench)), csv_name = paste0(bench$label, "-samples.csv"),
      csv_text = sprintf("All %s as CSV.", counted(nrow(bench$every_sample), "sample")),
      summary = "The machine and the build", table = bench$machine),
    list(text = "Which runtimes ran, and why others did not.", summary = "The runtimes",
         table = replace(bench$runtimes, is.na(bench$runtimes), "")))
}

# The session's command, with the seed that was drawn where the command gives none.
reproduce <- function(session) {
  if (grepl("--seed", session$command, fixed = TRUE)) return(session$command)
  sprintf("%s --seed %.0f", session$command, session$seed)
}

sample_rows <- function(bench) {
  bench$every_sample[c("block", "workload", "size", "runtime", "workers", "series", "status", "region_ns", "operations",
                       "floor_ns")]
}

trace_measured <- function(trace) {
  tables <- bind(list(
    trace$meta, data.frame(key = ifelse(is.na(trace$stats$pid), trace$stats$name,
      sprintf("%s, process %s", trace$stats$name, trace$stats$pid)), value = trace$stats$value)))
  command <- machine_value(trace$meta, "command")
  list(list(text = sprintf("Trace %s: %s from %s%s", trace$file, counted(trace$events, "event"),
                           counted(nrow(trace$processes), "process", "processes"), if (is.na(command)) "." else ", of"),
            code = if (!is.na(command)) command, summary = "The trace's own account", table = tables))
}
