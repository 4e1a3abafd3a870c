sweep_samples <- function(cost_ns, task_ns, sizes = c(10, 100, 1000), blocks = 6) {
  grid <- expand.grid(block = seq_len(blocks), size = sizes, runtime = c("sequential", "snakefish"), stringsAsFactors = FALSE)
  ours <- grid$runtime == "snakefish"
  data.frame(grid, program = "sweep", workers = ifelse(ours, 2, 1), unit = "steps", series = "sweep", work = 1,
             time_ns = ifelse(ours, cost_ns + task_ns * grid$size, 2 * task_ns * grid$size))
}

test_that("a sweep is crossed where the times are equal", {
  rows <- crossovers(sweep_samples(500, 10), seed = 1)  # equal at 50
  expect_equal(rows$runtime, "snakefish")
  expect_gt(rows$size, 30)
  expect_lt(rows$size, 70)
  expect_equal(c(rows$low, rows$high), c(rows$size, rows$size))
  expect_equal(crossovers(sweep_samples(1e6, 10), seed = 1)$size, Inf)
  expect_equal(crossovers(sweep_samples(0, 10), seed = 1)$size, 0)
  expect_null(crossovers(sweep_samples(0, 10)[0, ], seed = 1))
  expect_match(crossover_table(crossovers(sweep_samples(1e6, 10), seed = 1))[[4]], "more than 1,000 steps")
})

test_that("it is that of the last fall, and few blocks have no interval", {
  expect_equal(last_fall(c(1, 10, 100), c(-1, 1, -1)), sqrt(1000))
  rows <- crossovers(sweep_samples(500, 10, blocks = 3), seed = 1)
  expect_true(is.finite(rows$size) && is.na(rows$low))
})

test_that("weak efficiency is the time of one share over that of all", {
  rows <- expand.grid(block = 1:6, cell = 1:4)
  truth <- data.frame(runtime = c("sequential", "snakefish", "snakefish", "sequential"), workers = c(1, 1, 2, 1),
                      series = c("both", "both", "weak", "weak"), work = c(1, 1, 2.1, 2.1), size = c(10, 10, 21, 21),
                      time_ns = c(100, 105, 125, 211))
  samples <- data.frame(rows["block"], truth[rows$cell, ], program = "p", unit = "rows")
  found <- weak_efficiency(samples, seed = 1)
  expect_equal(found$workers, 1:2)
  expect_equal(found$efficiency, c(100 / 105, 1.05 * 100 / 125))
  expect_null(weak_efficiency(samples[samples$series == "both", ], seed = 1))
})

test_that("larger sizes of the weak series are no programs of their own", {
  path <- make_bench_db(in_scratch("weak.db"), blocks = 6)
  change(path, "INSERT INTO workload SELECT 1, name, 200, kind, unit, operation, doc, output_source, output_sha256
                FROM workload WHERE name = 'mandelbrot'",
         "UPDATE cell SET series = 'both' WHERE workload = 'mandelbrot' AND workers = 1",
         "INSERT INTO cell VALUES(1, 'mandelbrot', 200, 'snakefish', 2, 'weak', 2)",
         "INSERT INTO sample(session, block, position, workload, size, runtime, workers, status, region_ns, operations,
          output_ok) SELECT 1, block, 999, workload, 200, runtime, 2, 'ok', 2 * region_ns, 1, 1 FROM sample
          WHERE workload = 'mandelbrot' AND runtime = 'snakefish' AND workers = 2",
         "INSERT INTO memory VALUES(1, 'mandelbrot', 100, 'snakefish', 2, 20971520, 3, 40)")
  bench <- load_bench(path, 1)
  expect_setequal(bench$samples$program, c(names(bench_programs), names(bench_micro)))
  expect_equal(bench$weak$workers[bench$weak$runtime == "snakefish"], 1:2)
  titles <- unlist(lapply(bench_sections(bench, 1, 1), function(s) vapply(s$tables, `[[`, "", "title")))
  expect_true(any(grepl("Weak scaling", titles)))
  expect_true("Peak memory" %in% titles)
})

test_that("a floor measured within the samples stands beside them", {
  path <- change(make_bench_db(in_scratch("within.db"), blocks = 6, programs = NULL),
                 "UPDATE sample SET floor_ns = region_ns / 2 WHERE workload = 'spawn-join' AND runtime = 'snakefish'")
  times <- load_bench(path, 1)$times
  expect_equal(times$median_ns[times$runtime == "floor"],
               times$median_ns[times$program == "spawn-join" & times$runtime == "snakefish"] / 2)
})

test_that("every other runtime has a table of its own against snakefish", {
  bench <- load_bench(make_bench_db(in_scratch("rivals.db"), blocks = 6, factors = c(bench_factors, joblib = 1.5)), 1)
  expect_equal(names(bench$rivals), "joblib")
  expect_true(all(bench$rivals$joblib$verdict == "faster"))
  expect_equal(vapply(ratio_tables(bench), `[[`, "", "title")[3], "snakefish against joblib")
})

test_that("the control is in no figure and in the text", {
  bench <- load_bench(make_bench_db(in_scratch("control.db"), blocks = 6,
                                    factors = c(bench_factors, "snakefish-again" = 1)), 1)
  expect_false(control_runtime %in% c(bench$samples$runtime, bench$speedups$runtime))
  expect_match(ratio_table_caption(bench), "snakefish differing from itself by up to")
})

test_that("show and the report come to the same verdicts", {
  path <- make_bench_db(in_scratch("both.db"), blocks = 8, factors = c(bench_factors, "snakefish-again" = 1))
  ours <- load_bench(path, 1)$ratios
  python <- Sys.which(c("python3", "/usr/bin/python3"))[["/usr/bin/python3"]]
  old <- setwd(repository)
  on.exit(setwd(old))
  shown <- system2(python, c("-m", "bench", "show", path), stdout = TRUE)
  at <- which(shown == "  snakefish / multiprocessing")
  theirs <- sub(".*\\] +", "", unlist(lapply(at, function(k) shown[k + 1:4])))
  expect_equal(theirs, ours$verdict[!ours$micro])
})
