test_that("row_medians are the medians of the rows", {
  set.seed(1)
  for (n in c(1, 2, 5, 8)) {
    rows <- matrix(rnorm(7 * n), 7, n)
    expect_equal(row_medians(rows), apply(rows, 1, median))
  }
})

test_that("the interval of a ratio covers the truth in about 95 % of sessions, with outliers too", {
  set.seed(11)
  for (case in list(c(6, 0), c(8, 0.1), c(12, 0.1))) {
    covered <- replicate(250, {
      i <- block_interval(simulate_pairs(case[1], 1.25, case[2]), function(b, t) b / t, seed = 1)
      i[["low"]] <= 1.25 && i[["high"]] >= 1.25
    })
    expect_gt(mean(covered), 0.91)
    expect_lt(mean(covered), 0.995)
  }
})

test_that("a known ratio is found", {
  set.seed(2)
  rows <- compare_runtimes(simulate_samples(10, two_runtimes(1.3)), "snakefish", "multiprocessing", seed = 1)
  expect_equal(nrow(rows), 1)
  expect_equal(rows$ratio, 1.3, tolerance = 0.04)
  expect_true(rows$low < 1.3 && rows$high > 1.3)
  expect_equal(rows$verdict, "faster")
  rows <- compare_runtimes(simulate_samples(10, two_runtimes(1 / 1.3)), "snakefish", "multiprocessing", seed = 1)
  expect_equal(rows$verdict, "slower")
})

test_that("a runtime compared with itself is rarely called different", {
  set.seed(3)
  verdicts <- replicate(250, {
    i <- block_interval(simulate_pairs(8, 1), function(b, t) b / t, seed = 1)
    verdict(i[["estimate"]], i[["low"]], i[["high"]])
  })
  expect_lt(mean(verdicts %in% c("faster", "slower")), 0.08)
})

test_that("blocks are paired: what slows a whole block does not widen the ratio's interval", {
  samples <- data.frame(program = "p", micro = FALSE, workers = 2, block = rep(1:8, each = 2),
                        runtime = c("snakefish", "multiprocessing"))
  samples$time_ns <- ifelse(samples$runtime == "snakefish", 1, 1.5) * 1e9 * samples$block
  rows <- compare_runtimes(samples, "snakefish", "multiprocessing", seed = 1)
  expect_equal(c(rows$ratio, rows$low, rows$high), c(1.5, 1.5, 1.5))
  expect_equal(rows$by_block[[1]], rep(1.5, 8))
})

test_that("only blocks that hold both are compared", {
  set.seed(4)
  samples <- simulate_samples(8, two_runtimes(2), noise = 0)
  samples <- samples[!(samples$block == 3 & samples$runtime == "snakefish"), ]
  samples$time_ns[samples$block == 3] <- 1e15
  rows <- compare_runtimes(samples, "snakefish", "multiprocessing", seed = 1)
  expect_equal(rows$blocks, 7)
  expect_equal(rows$ratio, 2)
  expect_null(compare_runtimes(samples, "snakefish", "nothing", seed = 1))
})

test_that("fewer than six blocks have a ratio but no interval and no verdict", {
  set.seed(5)
  rows <- compare_runtimes(simulate_samples(5, two_runtimes(2)), "snakefish", "multiprocessing", seed = 1)
  expect_equal(rows$ratio, 2, tolerance = 0.1)
  expect_true(is.na(rows$low) && is.na(rows$high))
  expect_equal(rows$verdict, "inconclusive")
})

test_that("verdicts", {
  expect_equal(verdict(c(1.2, 0.8, 1, 1.005, 1.01), c(1.1, 0.7, 0.99, 0.9, 1.001), c(1.3, 0.9, 1.01, 1.1, 1.019)),
               c("faster", "slower", "no practical difference", "inconclusive", "no practical difference"))
})

test_that("speedup and efficiency are those of the sequential program's time", {
  truth <- data.frame(program = "p", micro = FALSE, runtime = c("sequential", "snakefish", "snakefish"),
                      workers = c(1, 1, 4), time_ns = c(8e9, 10e9, 4e9))
  rows <- speedups(simulate_samples(6, truth, noise = 0), seed = 1)
  expect_equal(rows$speedup, c(0.8, 2))
  expect_equal(rows$efficiency, c(0.8, 0.5))
  expect_equal(rows$base_ns, c(8e9, 8e9))
  expect_null(speedups(simulate_samples(6, truth[2:3, ], noise = 0), seed = 1))
})

test_that("the overall ratio is the geometric mean of the programs' ratios", {
  truth <- rbind(two_runtimes(2), transform(two_runtimes(0.5), program = "q"))
  overall <- overall_ratio(simulate_samples(6, truth, noise = 0), "snakefish", "multiprocessing", 2, seed = 1)
  expect_equal(overall$ratio, 1)
  expect_equal(overall$programs, 2)
  expect_null(overall_ratio(simulate_samples(6, truth, noise = 0), "snakefish", "multiprocessing", 3, seed = 1))
})

test_that("the same seed gives the same interval and leaves the random state alone", {
  set.seed(6)
  values <- rnorm(8, 10)
  before <- .Random.seed
  first <- block_interval(values, identity, seed = 9)
  rm(list = ls(block_draws_cache), envir = block_draws_cache)
  expect_identical(block_interval(values, identity, seed = 9), first)
  expect_identical(.Random.seed, before)
})
