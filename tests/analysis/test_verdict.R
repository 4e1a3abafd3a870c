verdict_of <- function(...) bench_verdict(load_computed(make_bench_db(in_scratch("verdict.db"), ...)))

test_that("the verdict says how much, how surely, where and how often", {
  expect_match(verdict_of(), paste("^snakefish runs these 2 programs 1[.]2\\d \\[1[.]\\d+, 1[.]\\d+\\] times as fast as",
                                   "multiprocessing at 2 workers: faster in 2[.]$"))
})

test_that("one program, few blocks, no programs, no partner", {
  expect_match(verdict_of(programs = bench_programs[1]), "runs the program spectral-norm .*: faster[.]$")
  expect_match(verdict_of(blocks = 3), "but 3 blocks are too few for a verdict[.]$")
  expect_match(verdict_of(blocks = 1), "but 1 block is too few for a verdict[.]$")
  expect_match(verdict_of(programs = NULL), "only micro-benchmarks")
  expect_match(verdict_of(factors = bench_factors[1:2]), "no runs of multiprocessing")
})

test_that("programs that never ran right in the same block have no ratio over all", {
  path <- change(make_bench_db(in_scratch("apart.db"), blocks = 2, micro = NULL),
                 "UPDATE sample SET status = 'crash', output_ok = NULL WHERE workload = 'mandelbrot' AND block = 0",
                 "UPDATE sample SET status = 'crash', output_ok = NULL WHERE workload = 'spectral-norm' AND block = 1")
  bench <- load_computed(path)
  expect_equal(bench_verdict(bench), paste("No ratio over these 2 programs: no block holds all of them under snakefish and",
                                           "multiprocessing at 2 workers."))
  expect_match(figure_sessions(list(bench))$finding, "^No session has a block")
})

test_that("a machine that nobody described", {
  path <- change(make_bench_db(in_scratch("nowhere.db"), blocks = 1), "DELETE FROM machine")
  expect_match(machine_line(load_computed(path)), "does not describe the machine")
})
