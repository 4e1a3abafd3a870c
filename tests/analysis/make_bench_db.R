# A bench database. Time of a program: that of one worker by `law` (a function of the workers that have a CPU each, and of
# all of them), times the block's own state and each sample's noise; factor says how much slower a runtime is than
# snakefish.

bench_factors <- c(sequential = 1, snakefish = 1, "snakefish-traced" = 1.03, multiprocessing = 1.25)
bench_programs <- c("spectral-norm" = 0.8e9, mandelbrot = 1.1e9)
bench_micro <- c("channel-round-trip" = 2.1e3, "spawn-join" = 310e3)

# a serial part, a parallel one, and a cost for each worker
law_of_costs <- function(busy, workers) 0.05 + 0.95 / busy + 0.01 * workers

make_bench_db <- function(path, blocks = 8, factors = bench_factors, programs = bench_programs, micro = bench_micro,
                          workers = 1:4, cpus = 2, noise = 0.02, seed = 1, status = "complete", law = law_of_costs) {
  db <- create_database(path, file.path(repository, "bench/run/schema.sql"))
  on.exit(DBI::dbDisconnect(db))
  names <- c(names(programs), names(micro))
  runtimes <- names(factors)
  grid <- rbind(
    expand.grid(workload = names(programs), runtime = setdiff(runtimes, "sequential"), workers = workers,
                stringsAsFactors = FALSE),
    if ("sequential" %in% runtimes) expand.grid(workload = names(programs), runtime = "sequential", workers = 1,
                                                stringsAsFactors = FALSE),
    if (length(micro) > 0) expand.grid(workload = names(micro), runtime = setdiff(runtimes, "sequential"),
                                       workers = 1, stringsAsFactors = FALSE))
  append_rows(db, "session", id = 1, started = "2024-05-01T10:00:00Z", finished = "2024-05-01T10:04:00Z",
              status = status, command = "python3 -m bench run --seed 7", seed = 7, blocks = blocks,
              samples = blocks * nrow(grid), limit_s = 60, memory = 0)
  append_rows(db, "machine", session = 1, key = c("cpu_model", "effective_cpus", "memory_bytes", "hypervisor", "kernel",
              "python", "commit", "dirty"), value = c("Example CPU 3000", ifelse(is.na(cpus), "unknown", cpus),
              8 * 2^30, "yes", "Linux 6.1.0 x86_64", "CPython 3.11.2", "0123456789abcdef0123456789abcdef01234567", "0"))
  append_rows(db, "workload", session = 1, name = names, size = 100, kind = rep(c("program", "micro"),
              c(length(programs), length(micro))), unit = "rows", operation = "whole run", doc = "a test")
  append_rows(db, "runtime", session = 1, name = runtimes, status = "present", doc = "a test")
  append_rows(db, "cell", session = 1, workload = grid$workload, size = 100, runtime = grid$runtime,
              workers = grid$workers, series = "strong", work = 1)
  if (blocks == 0) return(invisible(path))
  set.seed(seed)
  for (block in seq_len(blocks) - 1) {
    n <- nrow(grid)
    is_micro <- grid$workload %in% names(micro)
    operations <- ifelse(is_micro, 1000, 1)
    whole <- c(programs, micro)[grid$workload]
    ideal <- ifelse(is_micro | grid$runtime == "sequential", whole,
                    whole * law(pmin(grid$workers, cpus, na.rm = TRUE), grid$workers))
    region <- ideal * operations * factors[grid$runtime] * exp(stats::rnorm(1, 0, noise) + stats::rnorm(n, 0, noise))
    append_rows(db, "sample", session = 1, block = block, position = sample(n) - 1, workload = grid$workload, size = 100,
                runtime = grid$runtime, workers = grid$workers, status = "ok", exit_status = 0, start_ns = 0,
                wall_ns = round(region + 3e7), run_ns = round(region + 1e7), import_ns = 5e6, region_ns = round(region),
                operations = operations, output_ok = 1, output_bytes = 10, load1 = 0.5)
  }
  invisible(path)
}

# What a query answers.
with_database <- function(path, sql) {
  db <- DBI::dbConnect(RSQLite::SQLite(), path)
  on.exit(DBI::dbDisconnect(db))
  DBI::dbGetQuery(db, sql)
}

# Changes a database by hand.
change <- function(path, ...) {
  db <- DBI::dbConnect(RSQLite::SQLite(), path)
  on.exit(DBI::dbDisconnect(db))
  for (statement in c(...)) DBI::dbExecute(db, statement)
  invisible(path)
}

# A made-up session on 8 CPUs whose programs follow the universal scalability law, so that the fits have what they need and
# must find these numbers again: every figure of a machine that is wider than the one that the tests run on.
usl_alpha <- 0.04
usl_beta <- 0.006

make_wide_db <- function(path, blocks = 6, noise = 0.005, ...) {
  law <- function(busy, workers) (1 + usl_alpha * (busy - 1) + usl_beta * busy * (busy - 1)) / busy
  factors <- c(bench_factors, "snakefish-again" = 1, ceiling = 0.9, joblib = 1.6)
  make_bench_db(path, blocks, factors, workers = c(1, 2, 3, 4, 6, 8, 12, 16), cpus = 8, noise = noise, law = law, ...)
  change(path, "INSERT INTO memory SELECT DISTINCT 1, workload, size, runtime, workers,
                  1048576 * (12 + workers * iif(runtime = 'multiprocessing', 9, 5)), workers + 1, 9
                FROM sample WHERE workload IN (SELECT name FROM workload WHERE kind = 'program')")
}
