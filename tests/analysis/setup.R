# What all tests share: the report's functions, the databases, and a place for files.

repository <- normalizePath(file.path(tests, "../.."))
source(file.path(repository, "analysis/report.R"), local = globalenv())
load_parts(file.path(repository, "analysis"))
for (part in c("databases", "make_bench_db", "make_trace_db")) {
  source(file.path(tests, paste0(part, ".R")), local = globalenv())
}

scratch <- tempfile("analysis")
dir.create(scratch)
in_scratch <- function(name) file.path(scratch, name)

# The path of a bench database whose results are computed, as `python3 -m bench show` leaves it.
computed <- function(path) {
  old <- setwd(repository)
  on.exit(setwd(old))
  status <- system2("/usr/bin/python3", c("-m", "bench", "show", shQuote(path)), stdout = FALSE)
  if (status != 0) stop("python3 -m bench show ", path, ": exit status ", status)
  path
}

load_computed <- function(path) load_bench(computed(path), seed = 1)

# The report as one call, without a process of its own.
report_of <- function(..., directory) {
  dir.create(directory, showWarnings = FALSE)
  report <- make_report(list(..., output = directory, seed = 1L))
  write_report(report, file.path(repository, "analysis"))
}

run_report <- function(..., directory = getwd()) {
  old <- setwd(directory)
  on.exit(setwd(old))
  out <- tempfile(); err <- tempfile()
  status <- system2(file.path(R.home("bin"), "Rscript"), c(shQuote(file.path(repository, "analysis/report.R")),
                    shQuote(c(...))), stdout = out, stderr = err)
  list(status = status, out = readLines(out), err = readLines(err))
}
