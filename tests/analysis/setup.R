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

# Samples in blocks without a database: time = the cell's true time, the block's state and noise. outliers: the share
# of samples that something else on the machine made up to twice as long.
simulate_samples <- function(blocks, truth, noise = 0.02, outliers = 0) {
  n <- nrow(truth)
  bind(lapply(seq_len(blocks), function(block) {
    hit <- 1 + (stats::runif(n) < outliers) * stats::runif(n)
    data.frame(truth[c("program", "micro", "runtime", "workers")], block = block,
               time_ns = truth$time_ns * exp(stats::rnorm(1, 0, noise) + stats::rnorm(n, 0, noise)) * hit)
  }))
}

# The same for two runtimes, as a matrix: multiprocessing, snakefish; one row a block.
simulate_pairs <- function(blocks, ratio, outliers = 0, noise = 0.02) {
  hit <- matrix(1 + (stats::runif(2 * blocks) < outliers) * stats::runif(2 * blocks), blocks)
  outer(exp(stats::rnorm(blocks, 0, noise)), 1e9 * c(ratio, 1)) * exp(stats::rnorm(2 * blocks, 0, noise)) * hit
}

two_runtimes <- function(ratio) {
  data.frame(program = "p", micro = FALSE, runtime = c("snakefish", "multiprocessing"), workers = 2,
             time_ns = c(1e9, 1e9 * ratio))
}

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
