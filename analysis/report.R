# Makes the report: Rscript analysis/report.R --bench build/bench.db --trace build/trace.db -o build/report
#
# Reads the databases, writes DIRECTORY/index.html and each figure as SVG beside it, prints the page's path. Exit
# status 0; 1 when a database cannot be used, with one sentence on stderr; 2 when the command line is wrong.

usage <- "usage: Rscript analysis/report.R [--bench BENCH.DB] [--trace TRACE.DB] [-o DIRECTORY] [--seed N]

  --bench BENCH.DB   what `python3 -m bench run` wrote
  --trace TRACE.DB   what snakefish-trace wrote; at least one of the two
  -o DIRECTORY       where the report goes (build/report)
  --seed N           of the resampling (1); the same databases and seed give the same bytes"

figure_names <- c("ratio", "speedup", "efficiency", "run_times", "micro", "timeline", "ledger")

# This file's directory: the other files are beside it, wherever the report is called from.
source_directory <- function() {
  file <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)[1])
  # Rscript writes a space in the path so
  dirname(normalizePath(gsub("~+~", " ", file, fixed = TRUE)))
}

parts <- c("units", "statistics", "scaling", "load", "notices", "theme", "figure", "figure_run_times", "figure_speedup",
           "figure_efficiency", "figure_ratio", "figure_micro", "lanes", "figure_timeline", "figure_ledger", "verdict",
           "tables")

load_parts <- function(directory) {
  for (part in parts) source(file.path(directory, paste0(part, ".R")), local = globalenv(), encoding = "UTF-8")
}

parse_arguments <- function(arguments) {
  options <- list(output = "build/report", seed = 1)
  names <- c("--bench" = "bench", "--trace" = "trace", "-o" = "output", "--output" = "output", "--seed" = "seed")
  wrong <- function(...) stop(structure(class = c("usage_error", "error", "condition"),
                                        list(message = paste0(...), call = NULL)))
  while (length(arguments) > 0) {
    option <- arguments[1]
    if (option %in% c("-h", "--help")) return(NULL)
    if (!option %in% names(names)) wrong("unknown argument ", option)
    if (length(arguments) < 2) wrong(option, " needs a value")
    options[[names[[option]]]] <- arguments[2]
    arguments <- arguments[-(1:2)]
  }
  options$seed <- suppressWarnings(as.integer(options$seed))
  if (is.na(options$seed)) wrong("--seed needs a whole number")
  if (is.null(options$bench) && is.null(options$trace)) wrong("nothing to report on: give --bench, --trace or both")
  options
}

# Everything that the page shows.
make_report <- function(options) {
  bench <- if (!is.null(options$bench)) load_bench(options$bench, options$seed)
  trace <- if (!is.null(options$trace)) load_trace(options$trace)
  figures <- c(
    if (!is.null(bench)) list(figure_ratio(bench), figure_speedup(bench), figure_efficiency(bench),
                              figure_run_times(bench), figure_micro(bench)),
    if (!is.null(trace)) list(figure_timeline(trace), figure_ledger(trace)))
  list(
    bench = bench, trace = trace, notices = notices(bench, trace),
    figures = stats::setNames(figures, vapply(figures, `[[`, "", "name")),
    verdict = if (!is.null(bench)) bench_verdict(bench) else trace_verdict(trace),
    machine = machine_line(bench, trace), directory = options$output,
    command = paste(c("Rscript analysis/report.R", if (!is.null(bench)) c("--bench", bench$file),
                      if (!is.null(trace)) c("--trace", trace$file), "--seed", options$seed), collapse = " "))
}

write_report <- function(report, source) {
  # what an earlier report left there, and nothing else
  unlink(file.path(report$directory, c("index.html", paste0(figure_names, ".svg"))))
  for (figure in report$figures) if (is.null(figure$missing)) write_figure(figure, report$directory)
  # Rendered in a directory of its own, so that the checkout may be read-only and nothing is left beside the page.
  work <- tempfile("report")
  dir.create(work)
  on.exit(unlink(work, recursive = TRUE))
  file.copy(file.path(source, c("report.Rmd", "page.html")), work)
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

make_directory <- function(path) {
  dir.create(path, showWarnings = FALSE, recursive = TRUE)
  if (!dir.exists(path)) stop_with(path, " cannot be made, so there is no place for the report.")
  if (file.access(path, 2) != 0) stop_with(path, " cannot be written to.")
  normalizePath(path)
}

main <- function() {
  source <- source_directory()
  load_parts(source)
  # the order of words and the reading of names are not the caller's: the same databases give the same bytes
  Sys.setlocale("LC_COLLATE", "C")
  Sys.setlocale("LC_CTYPE", "C.UTF-8")
  options <- parse_arguments(commandArgs(TRUE))
  if (is.null(options)) return(cat(usage, "\n", sep = ""))
  shown <- file.path(options$output, "index.html")
  options(warn = 1)
  report <- make_report(options)
  report$directory <- make_directory(options$output)
  write_report(report, source)
  cat(shown, "\n", sep = "")
}

if (sys.nframe() == 0L) {
  leave <- function(status, ...) {
    writeLines(paste0("report: ", ...), stderr())
    quit(status = status)
  }
  tryCatch(main(),
           usage_error = function(e) leave(2, conditionMessage(e), "\n", usage),
           report_error = function(e) leave(1, conditionMessage(e)),
           error = function(e) leave(1, "the report cannot be made: ", conditionMessage(e)))
}
