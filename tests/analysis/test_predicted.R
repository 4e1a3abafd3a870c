# What the traces of the bench's programs predict, in the bench's own figure of speedups.

bench_beside_traces <- load_computed(make_bench_db(in_scratch("cells.db"), blocks = 6, workers = 1:2))

# The trace of a cell of that database, as `python3 -m bench trace` leaves it.
traced_cell <- function(workload, ..., size = 100, runtime = "snakefish", same_tasks = 1) {
  notes <- c(workload = workload, size = size, runtime = runtime, workers = 2, same_tasks = same_tasks)
  path <- change(make_trace_db(in_scratch(sprintf("%s-%s.db", workload, runtime))), predicted(...),
                 sprintf("INSERT INTO meta VALUES('bench_%s', '%s')", names(notes), notes))
  if (runtime == "multiprocessing") change(path, "UPDATE task SET kind = 'process'")
  load_trace(path)
}

# The runtime's line, where it is predicted.
dashed_of <- function(figure, runtime = "snakefish") {
  plot <- figure$draw(FALSE)$plot
  grDevices::pdf(NULL)
  built <- on_device(ggplot2::ggplot_build(plot))
  lines <- bind(lapply(built$data[vapply(plot$layers, function(layer) inherits(layer$geom, "GeomLine"), TRUE)],
                       function(line) line[c("x", "y", "linetype", "colour", "PANEL")]))
  lines[lines$linetype == "22" & lines$colour == looks_of(runtime)$colour, ]
}

test_that("speedups beyond the machine's CPUs are predicted from the measured one, dashed, with a band and its tested error", {
  figure <- figure_speedup(bench_beside_traces, list(traced_cell("mandelbrot")))
  expect_null(figure$missing)
  for (narrow in c(FALSE, TRUE)) {
    grDevices::pdf(NULL)
    expect_silent(on_device(ggplot2::ggplotGrob(figure$draw(narrow)$plot)))
  }
  rows <- bench_beside_traces$speedups
  measured <- rows$speedup[rows$program == "mandelbrot" & rows$runtime == "snakefish" & rows$workers == 2]
  seconds <- 0.2 + 3.8 / 2^(1:6) + 0.01 * pmax(0, 2^(1:6) - 16)
  line <- dashed_of(figure)
  expect_equal(2^line$x, 2^(1:6))
  expect_equal(2^line$y, measured * seconds[1] / seconds, tolerance = 1e-6)
  told <- figure$data[figure$data$predicted == 1, ]
  expect_equal(told$low, told$speedup / 1.1, tolerance = 1e-6)
  expect_equal(told$high, told$speedup / 0.95, tolerance = 1e-6)
  expect_match(figure$finding, "with more workers: snakefish of mandelbrot [0-9.]+ with 16 workers [(]limit: from 14 CPUs on")
  expect_match(figure$caption, "grey ground: more workers than that")
  expect_match(figure$caption, prediction_tested, fixed = TRUE)
  expect_match(figure$caption, "Not traced: spectral-norm[.]")
})

test_that("a program whose tasks follow its workers is drawn flat, and the caption says that it is no forecast, with the limit", {
  figure <- figure_speedup(bench_beside_traces, list(traced_cell("mandelbrot"), traced_cell("spectral-norm", same_tasks = 0)))
  expect_match(figure$caption, paste("Flat, and no forecast, for spectral-norm with snakefish [(]limit: from 14 CPUs on what program.py does",
                                     "itself, 0.2 s[)]: .* and the trace has the tasks of 2 workers[.]"))
  expect_false(grepl("spectral-norm", sub(".*Predicted", "", figure$finding)))
  expect_equal(length(unique(dashed_of(figure)$PANEL)), 2)
})

test_that("snakefish stands beside multiprocessing, each with a line of its own colour", {
  both <- list(traced_cell("mandelbrot"), traced_cell("mandelbrot", runtime = "multiprocessing", serial = 1))
  figure <- figure_speedup(bench_beside_traces, both)
  for (runtime in c("snakefish", "multiprocessing")) expect_equal(2^dashed_of(figure, runtime)$x, 2^(1:6), label = runtime)
  expect_gt(max(dashed_of(figure)$y), max(dashed_of(figure, "multiprocessing")$y))
  expect_match(figure$finding, "from multiprocessing of mandelbrot [0-9.]+ with .* to snakefish of mandelbrot [0-9.]+ with")
})

test_that("traces of other programs, sizes or benches change nothing", {
  alone <- figure_speedup(bench_beside_traces)
  plain <- load_trace(change(make_trace_db(in_scratch("plain.db")), predicted()))
  silent <- load_trace(change(make_trace_db(in_scratch("silent.db")), "INSERT INTO meta VALUES('bench_workload', x'00ff')"))
  others <- list(plain, silent, traced_cell("mandelbrot", size = 1e5), traced_cell("fasta"),
                 traced_cell("mandelbrot", size = "x"))
  shown <- c("finding", "caption", "data")
  expect_equal(figure_speedup(bench_beside_traces, others)[shown], alone[shown])
})

test_that("a size of 100,000 is the same in the bench and in the trace", {
  path <- make_bench_db(in_scratch("large.db"), blocks = 6, workers = 1:2)
  change(path, "PRAGMA foreign_keys = OFF", sprintf("UPDATE %s SET size = 100000", c("workload", "cell", "sample")))
  expect_equal(NROW(predicted_speedups(load_computed(path), list(traced_cell("mandelbrot", size = "100000")))), 6)
})

test_that("the page draws the predictions of a bench's traces, and of several benches none", {
  bench <- computed(make_bench_db(in_scratch("one.db"), blocks = 6, workers = 1:2))
  traced_cell("mandelbrot")
  scaling <- function(...) {
    sections <- report_sections(make_report(list(..., output = scratch, seed = 1L)))
    Filter(function(s) grepl("Scaling$", s$title), sections)[[1]]$figures[[1]]
  }
  trace <- in_scratch("mandelbrot-snakefish.db")
  expect_match(scaling(bench = bench, beside = trace)$caption, "Dashed, without points: predicted")
  expect_match(scaling(bench = bench, trace = trace)$caption, "Dashed, without points: predicted")
  expect_false(grepl("Dashed, without points: predicted", scaling(bench = c(bench, bench), beside = trace)$caption))
})
