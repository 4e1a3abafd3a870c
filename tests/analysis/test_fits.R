method <- list(level = 0.95, resamples = 4000, fewest_blocks = 6)

# Samples in blocks without a database: the cell's true time, the block's state and noise.
simulate_samples <- function(blocks, truth, noise) {
  bind(lapply(seq_len(blocks), function(block) {
    data.frame(truth[c("program", "micro", "runtime", "workers")], block = block,
               time_ns = truth$time_ns * exp(stats::rnorm(1, 0, noise) + stats::rnorm(nrow(truth), 0, noise)))
  }))
}

# Samples whose times follow a law, with noise of a per cent.
lawful <- function(law, counts, blocks = 8, noise = 0.01) {
  set.seed(12)
  truth <- data.frame(program = "p", micro = FALSE, runtime = "snakefish", workers = counts, time_ns = 1e9 * law(counts))
  simulate_samples(blocks, truth, noise)
}
amdahl <- function(p) 0.1 + 0.9 / p
usl <- function(p) (1 + 0.05 * (p - 1) + 0.002 * p * (p - 1)) / p

test_that("Amdahl's serial share is found again, with an interval around it", {
  fit <- fit_scaling(lawful(amdahl, c(1, 2, 4, 8)), cpus = 8, seed = 1, method)[[1]]
  expect_equal(fit$amdahl$parameters[[1]], 0.1, tolerance = 0.1)
  expect_true(fit$amdahl$parameter_low <= 0.1 && fit$amdahl$parameter_high >= 0.1)
  expect_equal(fit$amdahl$curve[1, c(1, 41)], c(1, 1 / amdahl(8)), tolerance = 0.03)
  expect_match(fit$usl$missing, "4 numbers of workers within 8 CPUs, 6 are needed")
})

test_that("the USL's contention, coherency and peak are found again", {
  fit <- fit_scaling(lawful(usl, c(1, 2, 4, 8, 16, 32), noise = 0.001), cpus = 32, seed = 1, method)[[1]]
  found <- fit$usl$parameters[1, ]
  expect_equal(found[["alpha"]], 0.05, tolerance = 0.1)
  expect_equal(found[["beta"]], 0.002, tolerance = 0.1)
  expect_equal(found[["peak"]], sqrt(0.95 / 0.002), tolerance = 0.1)
  expect_true(all(fit$usl$parameter_low <= found & fit$usl$parameter_high >= found))
})

test_that("workers that share CPUs are no evidence, and too few are told", {
  fit <- fit_scaling(lawful(amdahl, c(1, 2, 4, 8)), cpus = 2, seed = 1, method)[[1]]
  expect_equal(fit$counts, c(1, 2))
  expect_equal(fit$amdahl$missing, "not estimable: 2 numbers of workers within 2 CPUs, 3 are needed")
  expect_match(fit_scaling(lawful(amdahl, c(2, 3, 4)), cpus = 4, seed = 1, method)[[1]]$amdahl$missing, "one worker among them")
})

test_that("few blocks have a fit without a band", {
  fit <- fit_scaling(lawful(amdahl, c(1, 2, 4), blocks = 3), cpus = 4, seed = 1, method)[[1]]
  expect_equal(fit$amdahl$parameters[[1]], 0.1, tolerance = 0.2)
  expect_null(fit$amdahl$low)
})

test_that("row_medians are the medians of the rows", {
  set.seed(1)
  for (n in c(1, 2, 5, 8)) {
    rows <- matrix(rnorm(7 * n), 7, n)
    expect_equal(row_medians(rows), apply(rows, 1, median))
  }
})

test_that("a band is that of its seed, and leaves the session's random numbers alone", {
  times <- matrix(1:12, 6)
  set.seed(3)
  before <- .Random.seed
  first <- resampled_medians(times, 100, seed = 9)
  expect_identical(resampled_medians(times, 100, seed = 9), first)
  expect_false(identical(resampled_medians(times, 100, seed = 8), first))
  expect_identical(.Random.seed, before)
})

test_that("the serial fraction is Karp and Flatt's, and a negative one stays", {
  rows <- data.frame(program = "p", runtime = "r", workers = c(1, 2, 4, 8), blocks = 6, speedup = c(1, 1.6, 4.4, 2),
                     low = c(1, 1.5, 4.2, 1), high = c(1, 1.8, 4.6, 3))
  found <- karp_flatt(rows, cpus = 4)
  expect_equal(found$workers, c(2, 4))
  expect_equal(found$serial, c((1 / 1.6 - 1 / 2) / (1 / 2), (1 / 4.4 - 1 / 4) / (3 / 4)))
  expect_lt(found$serial[2], 0)
  expect_true(all(found$low <= found$serial & found$serial <= found$high))
})

test_that("fits are drawn and tabled on a machine with CPUs enough, and missing with the reason elsewhere", {
  wide <- load_computed(make_bench_db(in_scratch("wide.db"), blocks = 6, workers = c(1, 2, 4), cpus = 4, micro = NULL))
  figure <- figure_fits(wide)
  expect_match(figure$finding, "^Amdahl's serial share is lowest for")
  expect_silent({
    grDevices::pdf(NULL)
    on_device(ggplot2::ggplotGrob(figure$draw(FALSE)$plot))
  })
  expect_match(fit_table(wide)[["Amdahl's serial share"]][1], "[0-9.]+ % \\[[0-9.]+ %, [0-9.]+ %\\]")
  small <- load_computed(make_bench_db(in_scratch("small.db"), blocks = 6, micro = NULL))
  expect_match(figure_fits(small)$missing, "^Not estimable: 2 numbers of workers within 2 CPUs, 3 are needed[.]$")
  expect_null(fit_table(small))
})

test_that("from a session on 8 CPUs that follows the USL its parameters are found again, for every runtime alike", {
  wide <- load_computed(make_wide_db(in_scratch("wide_usl.db"), micro = NULL))
  for (fit in wide$fits) {
    expect_equal(fit$counts, c(1, 2, 3, 4, 6, 8))
    expect_equal(fit$usl$parameters[1, ], c(alpha = usl_alpha, beta = usl_beta, peak = sqrt((1 - usl_alpha) / usl_beta)),
                 tolerance = 0.15)
  }
  expect_match(figure_fits(wide)$finding, "By the USL the speedup is highest at 1[1-4] (to 1[1-5] )?workers[.]$")
  expect_match(fit_table(wide)$USL[1], "contention [0-9.]+ % \\[.*workers at the peak: 1[1-4]")
})

test_that("one worker is the best, or there is no peak: both are told in words", {
  falls <- function(busy, workers) (1 + busy * (busy - 1)) / busy
  alone <- load_computed(make_bench_db(in_scratch("alone.db"), blocks = 6, workers = 1:8, cpus = 8, micro = NULL, noise = 0,
                                    law = falls))
  expect_match(figure_fits(alone)$finding, "By the USL the speedup is highest at 1 worker[.]$")
  never <- load_computed(make_bench_db(in_scratch("never.db"), blocks = 2, workers = 1:8, cpus = 8, micro = NULL, noise = 0,
                                    law = function(busy, workers) 0.9^workers))
  expect_match(fit_table(never)$USL[1], "workers at the peak: none$")
})
