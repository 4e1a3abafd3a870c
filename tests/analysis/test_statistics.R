test_that("row_medians are the medians of the rows", {
  set.seed(1)
  for (n in c(1, 2, 5, 8)) {
    rows <- matrix(rnorm(7 * n), 7, n)
    expect_equal(row_medians(rows), apply(rows, 1, median))
  }
})

test_that("the interval of a ratio covers the truth in 93 to 97 % of sessions, with outliers too", {
  set.seed(11)
  covered <- unlist(lapply(list(c(6, 0), c(6, 0.1), c(8, 0.1), c(10, 0)), function(case) replicate(400, {
    i <- block_interval(simulate_pairs(case[1], 1.25, case[2]), function(b, t) b / t, seed = 1)
    i[["low"]] <= 1.25 && i[["high"]] >= 1.25
  })))
  expect_gt(mean(covered), 0.93)
  expect_lt(mean(covered), 0.97)
})

test_that("a known ratio is found", {
  set.seed(2)
  found <- function(ratio) {
    decide(compare_runtimes(simulate_samples(10, two_runtimes(ratio)), "snakefish", "multiprocessing", seed = 1), NULL)
  }
  rows <- found(1.3)
  expect_equal(nrow(rows), 1)
  expect_equal(rows$ratio, 1.3, tolerance = 0.04)
  expect_true(rows$low < 1.3 && rows$high > 1.3)
  expect_equal(rows$verdict, "faster")
  expect_equal(found(1 / 1.3)$verdict, "slower")
})

# A session of seven programs at two worker counts, with its control: what the verdicts are when snakefish is so many
# times as fast as multiprocessing.
simulate_verdicts <- function(ratio, blocks = 6) {
  truth <- expand.grid(program = letters[1:7], micro = FALSE, workers = 1:2, stringsAsFactors = FALSE,
                       runtime = c("snakefish", control_runtime, "multiprocessing"))
  truth$time_ns <- 1e9 * ifelse(truth$runtime == "multiprocessing", ratio, 1)
  samples <- simulate_samples(blocks, truth, noise = 0.02, outliers = 0.05)
  decide(compare_runtimes(samples, "snakefish", "multiprocessing", seed = 1), control_ratios(samples, 1))$verdict
}

test_that("what makes no difference is called one in no more than 5 % of sessions, let alone of comparisons", {
  set.seed(3)
  differences <- replicate(40, sum(simulate_verdicts(1) %in% c("faster", "slower")))
  expect_lte(mean(differences > 0), 0.05)
})

test_that("an effect is found among however many comparisons", {
  p <- replicate(200, block_interval(simulate_pairs(6, 1.3, 0), function(b, t) b / t, seed = 1)[["p"]])
  expect_gt(mean(stats::p.adjust(p, "holm") <= 0.05), 0.95)
})

test_that("a known effect is found in nearly every comparison, and in the right direction", {
  set.seed(4)
  expect_gt(mean(replicate(10, simulate_verdicts(1.2, blocks = 10)) == "faster"), 0.9)
  expect_gt(mean(replicate(10, simulate_verdicts(1 / 1.2, blocks = 10)) == "slower"), 0.9)
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
  expect_equal(decide(rows, NULL)$verdict, "inconclusive")
})

test_that("verdicts", {
  expect_equal(verdict(ratio = c(1.2, 0.8, 1, 1.005, 1.015), low = c(1.1, 0.7, 0.99, 0.9, 1.001),
                       high = c(1.3, 0.9, 1.01, 1.1, 1.03), p = c(0.001, 0.001, 0.9, 0.8, 0.001)),
               c("faster", "slower", "no practical difference", "inconclusive", "inconclusive"))
  expect_equal(verdict(1.1, 1.05, 1.15, 0.03), "faster")
  expect_equal(verdict(rep(1.1, 2), rep(1.05, 2), rep(1.15, 2), rep(0.03, 2)), rep("inconclusive", 2))  # Holm
})

test_that("nothing within what snakefish differs from itself by is called a difference", {
  expect_equal(noise_margin(NULL), practical_margin)
  expect_equal(noise_margin(c(1.001, 0.999)), practical_margin)
  expect_equal(noise_margin(1 / 1.1), 0.1)
  rows <- data.frame(micro = c(FALSE, TRUE), ratio = 1.08, low = 1.06, high = 1.12, p = 0.001)
  control <- data.frame(micro = c(FALSE, TRUE), ratio = c(1.01, 0.9))
  expect_equal(decide(rows, control)$verdict, c("faster", "inconclusive"))
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
