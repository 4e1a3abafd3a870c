# Makes the report: Rscript analysis/report.R --bench build/bench.db --trace build/trace.db -o build/report
#
# Reads the databases, writes DIRECTORY/index.html and beside it each figure as SVG and PDF and its data as CSV; prints a
# summary and, last, the page's path. Exit status 0; 1 when a database cannot be used, with one sentence on stderr; 2
# when the command line is wrong.

usage <- "usage: Rscript analysis/report.R [--bench BENCH.DB]... [--trace TRACE.DB]... [--beside TRACE.DB]... [-o DIRECTORY]
                                 [--seed N]

  --bench BENCH.DB   what `python3 -m bench run` wrote; several for several machines or commits
  --trace TRACE.DB   what snakefish-trace wrote, after `snakefish-trace analyze` and, for the times on other
                     numbers of CPUs, `predict --store`; several for several runs
  --beside TRACE.DB  a trace that only the figures that compare traces show
  -o DIRECTORY       where the report goes (build/report)
  --seed N           of the resampling that gives fitted curves their bands (1); the same databases and seed give the
                     same bytes"

parts <- c("units", "rows", "load", "load_trace", "fits", "drawing/theme", "drawing/dark", "drawing/shrink",
           "drawing/figure", "drawing/lanes", "figures/figure_faster", "figures/figure_where",
           "figures/predicted_speedups", "figures/figure_speedup", "figures/figure_ratio", "figures/figure_micro",
           "figures/figure_fits", "figures/figure_memory", "figures/figure_sessions", "figures/figure_timeline",
           "figures/figure_ledger", "figures/figure_merges", "figures/figure_functions", "figures/figure_lost",
           "figures/figure_what_if", "figures/figure_prediction", "figures/figure_latency",
           "figures/figure_channels", "figures/figure_events", "page/live_timeline", "page/notices", "page/verdict",
           "page/answers", "page/tables", "page/understanding", "page/sections")

# This file's directory, which holds the other files, wherever the report is called from.
source_directory <- function() {
  file <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)[1])
  # Rscript writes a space in the path as ~+~
  dirname(normalizePath(gsub("~+~", " ", file, fixed = TRUE)))
}

load_parts <- function(directory) {
  assign("parts_directory", directory, globalenv())
  for (part in parts) source(file.path(directory, paste0(part, ".R")), local = globalenv(), encoding = "UTF-8")
}

parse_arguments <- function(arguments) {
  options <- list(bench = character(), trace = character(), beside = character(), output = "build/report", seed = 1)
  names <- c("--bench" = "bench", "--trace" = "trace", "--beside" = "beside", "-o" = "output", "--output" = "output",
             "--seed" = "seed")
  several <- c("bench", "trace", "beside")
  wrong <- function(...) {
    stop(structure(class = c("usage_error", "error", "condition"), list(message = paste0(...), call = NULL)))
  }
  while (length(arguments) > 0) {
    option <- arguments[1]
    if (option %in% c("-h", "--help")) return(NULL)
    if (!option %in% names(names)) wrong("unknown argument ", option)
    if (length(arguments) < 2) wrong(option, " needs a value")
    name <- names[[option]]
    options[[name]] <- c(if (name %in% several) options[[name]], arguments[2])
    arguments <- arguments[-(1:2)]
  }
  options$seed <- suppressWarnings(as.integer(options$seed))
  if (is.na(options$seed)) wrong("--seed needs a whole number")
  if (length(unlist(options[several])) == 0) wrong("nothing to report on: give --bench, --trace or both")
  options
}

# Everything that the page shows.
make_report <- function(options) {
  benches <- label_apart(lapply(options$bench, load_bench, seed = options$seed))
  loaded <- label_apart(lapply(c(options$trace, options$beside), load_trace))
  whole <- seq_along(loaded) <= length(options$trace)
  traces <- with_live_timelines(loaded[whole], loaded[!whole])
  report <- list(
    benches = benches, traces = traces, compared = if (any(!whole)) loaded[!whole] else traces,
    notices = notices(benches, loaded), directory = options$output,
    answers = answer_figures(benches, if (length(benches) == 1 || length(benches) == 0) loaded else list()),
    runs = if (length(benches) < 2) where_runs(loaded),
    verdicts = c(vapply(benches, faster_sentence, ""), if (length(benches) == 0) unlist(lapply(traces, trace_verdicts))),
    machines = if (length(benches) > 0) vapply(benches, machine_line, "") else trace_machines(traces),
    command = paste(c("Rscript analysis/report.R", sprintf("--bench %s", vapply(benches, `[[`, "", "file")),
                      sprintf("--trace %s", vapply(traces, `[[`, "", "file")),
                      sprintf("--beside %s", vapply(loaded[!whole], `[[`, "", "file")), "--seed", options$seed),
                    collapse = " "))
  report$sections <- report_sections(report)
  report
}

# Files of the same name get a number.
label_apart <- function(loaded) {
  labels <- make.unique(vapply(loaded, `[[`, "", "label"), " ")
  Map(function(one, label) replace(one, "label", label), loaded, labels)
}

write_report <- function(report, source) {
  remove_old(report$directory)
  written <- function(figures) {
    lapply(figures, function(figure) if (is.null(figure$missing)) write_figure(figure, report$directory) else figure)
  }
  report$answers <- written(report$answers)
  report$sections <- lapply(report$sections, function(section) replace(section, "figures", list(written(section$figures))))
  # Rendered in a temporary directory, so that the checkout may be read-only and nothing else is left beside the page.
  work <- tempfile("report")
  dir.create(work)
  on.exit(unlink(work, recursive = TRUE))
  file.copy(file.path(source, "page", c("report.Rmd", "page.html")), work)
  format <- rmarkdown::output_format(
    knitr = rmarkdown::knitr_options(), pandoc = rmarkdown::pandoc_options(
      to = "html5", args = c("--template", file.path(work, "page.html"), "--wrap=preserve")),
    clean_supporting = TRUE)
  environment <- new.env(parent = globalenv())
  environment$report <- report
  rmarkdown::render(file.path(work, "report.Rmd"), format, output_file = "index.html", envir = environment,
                    quiet = TRUE)
  page <- file.path(report$directory, "index.html")
  if (!file.copy(file.path(work, "index.html"), page, overwrite = TRUE)) stop_with(page, " cannot be written.")
  page
}

# Removes what an earlier report left, and nothing else: its page names its figures.
remove_old <- function(directory) {
  page <- file.path(directory, "index.html")
  if (!file.exists(page)) return()
  lines <- readLines(page, warn = FALSE, encoding = "UTF-8")
  mark <- "^.*<!-- figure ([a-z_0-9]+) -->.*$"
  names <- sub(mark, "\\1", grep(mark, lines, value = TRUE, useBytes = TRUE), useBytes = TRUE)
  unlink(c(page, file.path(directory, outer(names, c(".svg", ".pdf", ".csv"), paste0))))
}

make_directory <- function(path) {
  dir.create(path, showWarnings = FALSE, recursive = TRUE)
  if (!dir.exists(path)) stop_with(path, " cannot be made, so there is no place for the report.")
  if (file.access(path, 2) != 0) stop_with(path, " cannot be written to.")
  normalizePath(path)
}

# What a terminal may get: control characters and marks of direction, which the names in a trace may have, become "?".
visible <- function(text) gsub("[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]", "?", iconv(text, "UTF-8", "UTF-8", sub = "?"), perl = TRUE)

# For the terminal: the verdict, the machine, notices, and the path of the page.
summary_lines <- function(report, page) {
  c(report$verdicts, unique(report$machines), sprintf("%s: %s", report$notices$severity, report$notices$text), page)
}

main <- function() {
  source <- source_directory()
  # a fixed locale and time zone, so that the same databases give the same bytes wherever the report is made
  Sys.setlocale("LC_COLLATE", "C")
  Sys.setlocale("LC_CTYPE", "C.UTF-8")
  Sys.setenv(TZ = "UTC")
  if (!nzchar(Sys.getenv("HOME"))) Sys.setenv(HOME = tempdir()) # rmarkdown needs one
  load_parts(source)
  options <- parse_arguments(commandArgs(TRUE))
  if (is.null(options)) return(cat(usage, "\n", sep = ""))
  page <- file.path(options$output, "index.html")
  options(warn = 1)
  report <- make_report(options)
  report$directory <- make_directory(options$output)
  write_report(report, source)
  writeLines(visible(summary_lines(report, page)))
}

if (sys.nframe() == 0L) {
  leave <- function(status, ...) {
    writeLines(paste0("report: ", ...), stderr())
    quit(status = status)
  }
  tryCatch(main(),
           usage_error = function(e) leave(2, visible(conditionMessage(e)), "\n", usage),
           report_error = function(e) leave(1, visible(conditionMessage(e))),
           error = function(e) leave(1, "the report cannot be made: ", visible(conditionMessage(e))))
}
