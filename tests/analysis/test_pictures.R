# What only the drawn picture shows: colours on a dark page, legends, and what is written where.

wide <- load_computed(make_wide_db(in_scratch("pictures.db")))
trace <- load_trace(make_trace_db(in_scratch("pictures_trace.db"), killed = TRUE))
sharing <- load_trace(change(make_trace_db(in_scratch("pictures_shared.db")), shared_variables()))
foreseen <- load_trace(change(make_trace_db(in_scratch("pictures_predicted.db")), predicted()))
sampled <- load_trace(change(make_trace_db(in_scratch("pictures_sampled.db")), sampled_functions()))
pictures_of <- function(figure) vapply(c(FALSE, TRUE), function(narrow) render_svg(figure, narrow)$svg, "")
matches <- function(pattern, text) regmatches(text, gregexpr(pattern, text))[[1]]
times_written <- function(word, svg) length(matches(sprintf(">%s</text>", word), svg))

test_that("on a machine of 8 CPUs every figure is drawn, and every letter is light where the page is dark", {
  figures <- c(lapply(list(figure_ratio, figure_faster, figure_speedup, figure_fits,
                           figure_micro, figure_memory, figure_tracing), function(make) make(wide)),
               lapply(list(figure_timeline, figure_ledger, figure_latency, figure_channels, figure_events),
                      function(make) make(trace)),
               list(figure_merges(sharing), figure_lost(list(trace)), figure_what_if(list(trace)),
                    figure_prediction(list(foreseen)), figure_functions(sampled)))
  on_bars <- c(text_on("#000000"), text_on("#FFFFFF"))
  for (figure in figures) {
    svg <- render_svg(figure, TRUE)$svg
    letters <- sub("fill: ", "", unlist(lapply(matches("<text [^>]*>", svg), function(tag) matches("fill: #[0-9A-F]{6}", tag))))
    expect_equal(setdiff(letters, c(names(dark_colours), on_bars)), character(), label = figure$name)
  }
})

test_that("runtimes that have no interval or no line stand in the one legend", {
  path <- make_bench_db(in_scratch("legend.db"), blocks = 6, workers = 1:2, factors = c(bench_factors, ceiling = 0.9))
  change(path, "DELETE FROM sample WHERE runtime = 'ceiling' AND workers = 1")
  for (svg in pictures_of(figure_speedup(load_computed(path)))) {
    for (name in c("snakefish", "multiprocessing", "ceiling")) expect_equal(times_written(name, svg), 1, label = name)
  }
})

test_that("a legend is in the order of the runtimes, and shows no control", {
  svg <- pictures_of(figure_memory(wide))[1]
  place <- vapply(c("sequential", "snakefish", "multiprocessing"), function(name) regexpr(sprintf(">%s</text>", name), svg), 1)
  expect_true(all(place > 0) && !is.unsorted(place))
  expect_equal(times_written("snakefish-again", svg), 0)
})

test_that("on a phone the runs, the programs and the processes keep their names", {
  expect_equal(times_written("pictures_trace: 100 ms, ideally [0-9.]+ ms", pictures_of(figure_lost(list(trace)))[2]), 1)
  expect_equal(times_written("left", pictures_of(figure_ledger(trace))[2]), 1)
  for (micro in c(FALSE, TRUE)) {
    ratio <- pictures_of(figure_ratio(wide, micro))[2]
    for (program in names(if (micro) bench_micro else bench_programs)) expect_equal(times_written(program, ratio), 1)
  }
})

test_that("the CPUs are a line, and grey ground only where there are more workers", {
  small <- function(workers) load_computed(make_bench_db(in_scratch("line.db"), blocks = 6, workers = workers, cpus = 2))
  expect_match(figure_speedup(small(1:2))$caption, "Vertical line: the 2 CPUs that the bench could use[.]")
  expect_match(figure_speedup(small(1:4))$caption, "; grey ground: more workers than that[.]")
  expect_false(grepl("Vertical", figure_speedup(small(1))$caption))
})

test_that("of many programs and runs the findings tell medians and extremes, not each", {
  programs <- stats::setNames(c(0.8, 1.1, 0.5, 2) * 1e9, c("a", "b", "c", "d"))
  micro <- stats::setNames(c(2, 3, 4, 5) * 1e3, c("e", "f", "g", "h"))
  bench <- load_computed(make_bench_db(in_scratch("many.db"), blocks = 6, programs = programs, micro = micro,
                                    factors = c(bench_factors, ceiling = 0.5)))
  expect_match(figure_speedup(bench)$finding, "^Speedup with 2 workers, median [(]range[)] of 4 programs: snakefish 1[.]")
  expect_match(figure_micro(bench)$finding, "^Of 4 operations that multiprocessing has too, snakefish's are faster in 4: from 1")
  runs <- label_apart(rep(list(trace), 4))
  expect_match(figure_lost(runs)$finding, "^Of 4 runs .* is nearest to its ideal time")
  expect_match(figure_what_if(runs)$finding, "^Most would be gained without .* times as fast[.] What costs most: .* in 4 of 4[.]$")

  runs <- label_apart(rep(list(trace), max_what_if_panels + 1))
  figure <- figure_what_if(runs)
  expect_match(figure$caption, "Of each run only what would gain most[.]$")
  expect_equal(nrow(figure$data), nrow(trace$what_if) * length(runs))
  for (svg in pictures_of(figure)) expect_length(matches("> ?pictures_trace[ 0-9]*, without", svg), length(runs))
})
