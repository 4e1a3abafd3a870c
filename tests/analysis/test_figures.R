# Every figure, from whatever data: drawn without a warning, with a finding; or a sentence on what is missing.

expect_drawn <- function(figure) {
  expect_null(figure$missing)
  expect_gt(nchar(figure$finding), 20)
  expect_false(grepl("NA|NaN|unknown", figure$finding))
  expect_false(grepl("NA|NaN", figure$caption))
  expect_silent(path <- write_figure(figure, scratch))
  svg <- paste(readLines(path), collapse = "\n")
  expect_match(svg, "<title>", fixed = TRUE)
  expect_false(grepl("(href|src)=", svg))
}

expect_missing <- function(figure, pattern) expect_match(figure$missing, pattern)

bench_figures <- list(figure_run_times, figure_speedup, figure_efficiency, figure_ratio, figure_micro)
draw <- function(...) {
  bench <- load_bench(make_bench_db(in_scratch("figures.db"), ...), seed = 1)
  lapply(bench_figures, function(make) make(bench))
}

test_that("a whole session", for (figure in draw(blocks = 6)) expect_drawn(figure))

test_that("a full session: control, ceiling and all other runtimes have looks of their own", {
  others <- c("concurrent-futures", "joblib", "multiprocessing-pipe", "multiprocessing-simplequeue",
              "multiprocessing-warm", "threading")
  for (figure in draw(blocks = 6, factors = c(bench_factors, "snakefish-again" = 1, ceiling = 0.9,
                                              stats::setNames(1.1 + 0 * seq_along(others), others)))) expect_drawn(figure)
  looks <- looks_of(c(names(bench_factors), "ceiling", "floor", others))
  expect_false(anyDuplicated(looks[c("colour", "shape")]) > 0)
})

test_that("one block: points without intervals", for (figure in draw(blocks = 1)) expect_drawn(figure))

test_that("one number of workers, and a control that is all noise", {
  path <- make_bench_db(in_scratch("noisy.db"), blocks = 1, workers = 2, factors = c(bench_factors, "snakefish-again" = 4))
  bench <- load_bench(path, seed = 1)
  for (make in bench_figures) expect_drawn(make(bench))
})

test_that("one runtime", {
  figures <- draw(blocks = 6, factors = bench_factors["snakefish"])
  expect_drawn(figures[[1]])
  expect_missing(figures[[2]], "no base case")
  expect_missing(figures[[3]], "no base case")
  expect_missing(figures[[4]], "no runs of multiprocessing")
  expect_drawn(figures[[5]])
})

test_that("one sample", {
  figures <- draw(blocks = 1, factors = bench_factors["sequential"], programs = bench_programs[1], micro = NULL)
  expect_drawn(figures[[1]])
  expect_missing(figures[[2]], "sequential runs only")
  expect_missing(figures[[4]], "no runs of snakefish and multiprocessing")
  expect_missing(figures[[5]], "no micro-benchmarks")
})

test_that("micro-benchmarks only", {
  figures <- draw(blocks = 6, programs = NULL)
  expect_missing(figures[[1]], "only micro-benchmarks")
  expect_missing(figures[[2]], "only micro-benchmarks")
  expect_drawn(figures[[4]])
})

test_that("a runtime that the theme does not know, many workers, an unknown number of CPUs", {
  figures <- draw(blocks = 6, factors = c(bench_factors, joblib = 1.4, another = 2), workers = c(1, 8, 64), cpus = NA)
  for (figure in figures) expect_drawn(figure)
})

test_that("micro-benchmarks with peers and a floor: the floor comes last and is marked", {
  path <- make_bench_db(in_scratch("floor.db"), blocks = 6, programs = NULL,
                        factors = c(bench_factors, floor = 0.1, joblib = 50))
  figure <- figure_micro(load_bench(path, seed = 1))
  expect_drawn(figure)
  expect_match(figure$caption, "Dashed: the floor")
  expect_equal(levels(figure$plot$data$row)[1], "floor")
})

test_that("an axis of durations has a few ticks, however wide it is", {
  expect_equal(duration_ticks(c(90, 9e4)), c(100, 1e3, 1e4))
  expect_equal(duration_ticks(c(9e5, 6e6)), c(1e6, 2e6, 5e6))
  for (width in c(1.05, 1.5, 3, 40, 1e5, 1e8)) {
    ticks <- duration_ticks(c(1234, 1234 * width))
    expect_true(length(ticks) >= 2 && length(ticks) <= 5)
    expect_true(!anyDuplicated(ticks))
  }
})

test_that("timeline and ledger of a run, of one with a killed process, of a large one", {
  for (trace in list(make_trace_db(in_scratch("t.db")), make_trace_db(in_scratch("k.db"), killed = TRUE),
                     make_large_trace_db(in_scratch("l.db")))) {
    trace <- load_trace(trace)
    expect_drawn(figure_timeline(trace))
    expect_drawn(figure_ledger(trace))
  }
  expect_lt(file.size(file.path(scratch, "timeline.svg")), 300e3)
})

test_that("many processes: a bar for each name, not for each process", {
  trace <- load_trace(make_large_trace_db(in_scratch("l.db")))
  expect_equal(levels(ledger_bars(trace$ledger, trace$processes)$rows$bar), c("worker, 90 processes", "program.py"))
})

test_that("a killed process's open spans are outlined, and told", {
  figure <- figure_timeline(load_trace(make_trace_db(in_scratch("k.db"), killed = TRUE)))
  expect_match(figure$finding, "2 spans never ended")
  expect_match(figure$caption, "Dashed outline")
  expect_match(paste(readLines(write_figure(figure, scratch)), collapse = "\n"), "signal 9")
})

test_that("a process without any span", {
  path <- write_trace_db(in_scratch("idle.db"), data.frame(id = 1, pid = 7, start_ns = 0, end_ns = 5e6),
                         instant_record(1, "mark", 1e6))
  trace <- load_trace(path)
  expect_drawn(figure_timeline(trace))
  expect_drawn(figure_ledger(trace))
})

test_that("a trace that lacks its end is drawn up to the last event", {
  path <- change(make_trace_db(in_scratch("cut.db"), killed = TRUE), "UPDATE process SET end_ns = NULL")
  figure <- figure_timeline(load_trace(path))
  expect_drawn(figure)
  expect_match(figure$finding, "A run of 95.0 ms")
})

test_that("no trace", {
  expect_missing(figure_timeline(NULL), "No trace")
  expect_missing(figure_ledger(NULL), "No trace")
})

test_that("messages to nobody and to oneself are counted, not drawn", {
  arrows <- choose_arrows(data.frame(sender = c(1, 1, 1), receiver = c(2, 1, NA), send_ns = 1:3, receive_ns = c(2, 3, NA)),
                          data.frame(id = 1:2, lane = 1:2, top = c(0, 2), bottom = c(1, 3)), 10)
  expect_equal(unlist(arrows[c("between", "within", "untaken")]), c(between = 1, within = 1, untaken = 1))
  expect_equal(c(arrows$drawn$from, arrows$drawn$to), c(1, 2))
})
