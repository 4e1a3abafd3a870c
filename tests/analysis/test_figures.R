# Every figure, from whatever data: drawn without a warning, with a finding; or a sentence on what is missing.

expect_drawn <- function(figure, phone = FALSE) {
  expect_null(figure$missing)
  expect_gt(nchar(figure$finding), 20)
  expect_false(grepl("NA|NaN|unknown|Inf", figure$finding))
  expect_false(grepl("NA|NaN", figure$caption))
  for (width in if (phone) c(FALSE, TRUE) else FALSE) {
    expect_silent({
      grDevices::pdf(NULL)
      on_device(drawn <- ggplot2::ggplotGrob(figure$draw(width)$plot))
    })
  }
  expect_s3_class(figure$data, "data.frame")
}

expect_missing <- function(figure, pattern) expect_match(figure$missing, pattern)

bench_figures <- list(figure_faster, figure_speedup, figure_ratio, figure_micro, figure_tracing)
draw <- function(...) {
  bench <- load_computed(make_bench_db(in_scratch("figures.db"), ...))
  lapply(bench_figures, function(make) make(bench))
}

test_that("a whole session", for (figure in draw(blocks = 6)) expect_drawn(figure, phone = TRUE))

test_that("a figure is an SVG for light and dark, one for a phone, a PDF and its data", {
  written <- write_figure(draw(blocks = 6)[[2]], scratch)
  for (svg in c(written$svg, written$narrow_svg)) {
    expect_match(svg, "<svg [^>]*role='img'[^>]*><title>[^<]{20,}</title>")
    expect_match(svg, "prefers-color-scheme: dark", fixed = TRUE)
    expect_false(grepl("(href|src)=", svg))
  }
  width <- function(svg) as.numeric(sub(".*<svg [^>]*width='([0-9.]+)pt'.*", "\\1", svg))
  expect_lt(width(written$narrow_svg), 300)
  expect_gt(width(written$svg), 500)
  expect_equal(nrow(utils::read.csv(file.path(scratch, "speedup.csv"))), 2 * 3 * 4)
  expect_equal(readChar(file.path(scratch, "speedup.pdf"), 5, useBytes = TRUE), "%PDF-")
})

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
  bench <- load_computed(path)
  for (make in bench_figures) expect_drawn(make(bench))
})

test_that("one runtime", {
  figures <- draw(blocks = 6, factors = bench_factors["snakefish"])
  expect_missing(figures[[1]], "no runs of multiprocessing")
  expect_missing(figures[[2]], "no base case")
  expect_missing(figures[[3]], "no runs of multiprocessing")
  expect_drawn(figures[[4]])
  expect_missing(figures[[5]], "no traced runs")
})

test_that("one sample", {
  figures <- draw(blocks = 1, factors = bench_factors["sequential"], programs = bench_programs[1], micro = NULL)
  expect_missing(figures[[1]], "no runs of snakefish and multiprocessing")
  expect_missing(figures[[2]], "sequential runs only")
  expect_missing(figures[[3]], "no runs of snakefish and multiprocessing")
  expect_missing(figures[[4]], "no micro-benchmarks")
})

test_that("micro-benchmarks only", {
  bench <- load_computed(make_bench_db(in_scratch("figures.db"), blocks = 6, programs = NULL))
  expect_missing(figure_faster(bench), "only micro-benchmarks")
  expect_missing(figure_speedup(bench), "only micro-benchmarks")
  expect_drawn(figure_ratio(bench, micro = TRUE), phone = TRUE)
  expect_drawn(figure_micro(bench))
})

test_that("a runtime that the theme does not know, many workers, an unknown number of CPUs", {
  figures <- draw(blocks = 6, factors = c(bench_factors, joblib = 1.4, another = 2), workers = c(1, 8, 64), cpus = NA)
  for (figure in figures) expect_drawn(figure)
})

test_that("micro-benchmarks with peers and a floor: the floor comes last and is marked", {
  path <- make_bench_db(in_scratch("floor.db"), blocks = 6, programs = NULL,
                        factors = c(bench_factors, floor = 0.1, joblib = 50))
  figure <- figure_micro(load_computed(path))
  expect_drawn(figure)
  expect_match(figure$caption, "Dashed: the floor")
  expect_equal(levels(figure$draw(FALSE)$plot$data$row)[1], "floor")
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

layer_of <- function(figure, geom) {
  plot <- figure$draw(FALSE)$plot
  grDevices::pdf(NULL)
  built <- on_device(ggplot2::ggplot_build(plot))
  built$data[vapply(plot$layers, function(layer) inherits(layer$geom, geom), TRUE)]
}

trace_figures <- list(figure_timeline, figure_ledger, figure_latency, figure_channels, figure_events)

test_that("all figures of a run, of one with a killed process, of a large one", {
  traces <- lapply(list(make_trace_db(in_scratch("t.db")), make_trace_db(in_scratch("k.db"), killed = TRUE),
                        make_large_trace_db(in_scratch("l.db"))), load_trace)
  for (trace in traces) for (make in trace_figures) expect_drawn(make(trace), phone = identical(trace, traces[[2]]))
  expect_lt(nchar(write_figure(figure_timeline(traces[[3]]), scratch)$svg), 300e3)
  expect_drawn(figure_lost(traces))
  expect_drawn(figure_what_if(traces))
})

test_that("the parts of a run's time sum to the time that was measured", {
  trace <- load_trace(make_trace_db(in_scratch("t.db")))
  parts <- lost_parts(trace)
  expect_equal(sum(parts$ns), 100e6)
  expect_equal(parts$ns[parts$part == "ideal"], parts$useful_ns[1] / parts$at_once[1])
  expect_true(all(parts$ns >= 0))
})

test_that("a trace without an analysis says which command makes one", {
  path <- change(make_trace_db(in_scratch("plain.db")), "DELETE FROM critical_path", "DELETE FROM path_activity",
                 "DELETE FROM efficiency", "DELETE FROM what_if")
  trace <- load_trace(path)
  expect_missing(figure_lost(list(trace)), "snakefish-trace analyze")
  expect_missing(figure_what_if(list(trace)), "snakefish-trace analyze")
  expect_drawn(figure_timeline(trace))
})

test_that("with the kernel's view a strip shows the times on a CPU and those without", {
  trace <- load_trace(change(make_trace_db(in_scratch("cpu.db")), kernels_view))
  expect_equal(nrow(trace$cpu), 4)
  figure <- figure_timeline(trace)
  expect_drawn(figure)
  expect_match(figure$caption, "grey, on a CPU")
})

test_that("a channel's depth stays what it was until something changes", {
  expect_equal(fill_depths(data.frame(slot = c(1, 3), highest = c(4, 3), at_end = c(2, 0)))[1:6], c(0, 4, 2, 3, 0, 0))
})

test_that("a channel has the name that the program gave it: panels, finding, table, data and the bars of the timeline", {
  named <- function(name) {
    file <- make_trace_db(in_scratch("named.db"), killed = TRUE)
    load_trace(change(file, sprintf("INSERT INTO channel VALUES(1, 4096, 1, 'channel', '%s')", name)))
  }
  labels_of <- function(trace) unlist(lapply(layer_of(figure_timeline(trace), "GeomText"), `[[`, "label"))
  trace <- named("in")
  figure <- figure_channels(trace)
  expect_drawn(figure, phone = TRUE)
  panels <- ggplot2::ggplot_build(figure$draw(FALSE)$plot)$layout$layout$panel
  expect_equal(as.character(panels), c("channel in: messages in it", "channel in: MB/s taken out"))
  expect_match(figure$finding, "the busiest, channel in, up to")
  expect_equal(c(unique(figure$data$name), channel_table(trace)$channel), c("in", "in"))
  expect_true("send in" %in% figure_timeline(trace)$data$text)
  expect_true("send in" %in% labels_of(trace))

  long <- named(strrep("requests ", 9))  # the bar has room for its kind alone
  expect_true("send" %in% labels_of(long))
  expect_false(any(grepl("requests", labels_of(long))))
  expect_equal(nchar(channel_names(long$channels)), 18)
  expect_equal(channel_table(named(""))$channel, "1")
  rows <- data.frame(channel = c(1, 2, 3e5, 12), name = c("a", "a", NA, "b"))
  expect_equal(channel_names(rows), c("a (1)", "a (2)", "300000", "b"))
})

test_that("messages of no channel, and more that came than were sent, harm no figure", {
  path <- make_trace_db(in_scratch("no_channel.db"))
  change(path, "INSERT INTO event SELECT * FROM event WHERE kind = 15 AND phase = 2",
         "UPDATE event SET object = NULL WHERE rowid = (SELECT min(rowid) FROM event WHERE kind = 14 AND phase = 2)")
  trace <- load_trace(path)
  expect_false(anyNA(trace$depths$channel))
  expect_gte(min(trace$depths$highest, trace$depths$at_end), 0)
  expect_drawn(figure_channels(trace))
})

test_that("percentiles are those of the messages", {
  trace <- load_trace(make_large_trace_db(in_scratch("l.db")))
  latencies <- with_database(in_scratch("l.db"), "SELECT latency_ns AS x FROM message WHERE receive_ns IS NOT NULL")$x
  found <- trace$percentiles$latency_ns[trace$percentiles$per_mille == 900]
  expect_equal(found, stats::quantile(latencies, 0.9, type = 1, names = FALSE))
  expect_equal(max(trace$latencies$latency_ns), max(latencies))
  expect_equal(max(trace$depths$highest), with_database(in_scratch("l.db"), "SELECT max(messages) AS x FROM channel_depth")$x)
})

test_that("shared variables have their bars and their table, where there are any", {
  expect_missing(figure_merges(load_trace(make_trace_db(in_scratch("t.db")))), "no merge of shared variables")
  trace <- load_trace(change(make_trace_db(in_scratch("shared.db")), shared_variables()))
  figure <- figure_merges(trace)
  expect_drawn(figure, phone = TRUE)
  expect_match(figure$finding, "took 8.60 ms, 3 % of the processes' time; .table. most of it, 5.80 ms, with 4.77 MiB of 2 tasks")
  expect_match(figure$finding, "2 conflicts[.]$")
  expect_equal(merge_table(trace)$variable, c("table", "hits", "of no single variable"))
  expect_equal(merge_text(trace$merges, FALSE), c("4.77 MiB of 2 tasks, 2 conflicts", "40.0 bytes of 1 task", ""))
  expect_equal(merge_text(trace$merges, TRUE), c("4.77 MiB, 2 conflicts", "40.0 bytes", ""))
})

test_that("of many shared variables the costliest have a bar each, and the others one", {
  trace <- load_trace(change(make_trace_db(in_scratch("many_shared.db")), shared_variables(others = 30)))
  expect_equal(trace$merges$variable, c("table", "hits", sprintf("variable_%d", 30:19), "18 other variables",
                                        "of no single variable"))
  expect_equal(trace$merges$bytes[15], 18)
  expect_drawn(figure_merges(trace))
  fits <- load_trace(change(make_trace_db(in_scratch("fifteen.db")), shared_variables(others = 13)))
  expect_equal(fits$merges$variable[15], "variable_1")
})

test_that("functions have their bars by kind of task and their table, where there are samples", {
  expect_missing(figure_functions(load_trace(make_trace_db(in_scratch("t.db")))), "no samples of stacks")
  trace <- load_trace(change(make_trace_db(in_scratch("functions.db")), sampled_functions()))
  figure <- figure_functions(trace)
  expect_drawn(figure, phone = TRUE)
  expect_equal(figure$finding, paste0("Most CPU time of kind \u201cthread\u201d was in \u201csolve\u201d (program.py:30): ",
                                      "85.0 ms, 94 % of it; of \u201cparent\u201d in \u201cmain\u201d, 100 %."))
  expect_equal(trace$functions$`function`, c("solve", "work", "main"))
  expect_equal(trace$functions$line, c(30, 12, 3))
  expect_equal(function_table(trace)$itself, c("85.0 ms", "5.00 ms", "20.0 ms"))
  expect_equal(function_table(trace)$`with what it called`, c("85.0 ms", "90.0 ms", "20.0 ms"))
})

test_that("of many functions of a kind of task the first six are drawn", {
  trace <- load_trace(change(make_trace_db(in_scratch("many_functions.db")), sampled_functions(others = 30)))
  expect_equal(trace$functions$`function`, c("solve", "work", sprintf("other_%d", c(1, 10, 11, 12)), "main"))
  expect_drawn(figure_functions(trace))
})

predicted_run <- function(name, ...) load_trace(change(make_trace_db(in_scratch(paste0(name, ".db"))), predicted(...)))

test_that("a prediction is solid within the CPUs of the machine and dashed beyond, with its band and the measured point", {
  figure <- figure_prediction(list(predicted_run("predicted")))
  expect_drawn(figure, phone = TRUE)
  lines <- layer_of(figure, "GeomLine")
  lines <- bind(lapply(lines, function(line) line[c("x", "y", "linetype", "colour")]))
  lines <- lines[lines$colour != faint, ]
  expect_equal(2^lines$x[lines$linetype == "solid"], 1:2)
  expect_equal(2^lines$x[lines$linetype == "22"], 2^(1:6))
  band <- layer_of(figure, "GeomRibbon")[[1]]
  expect_equal(10^c(band$ymin[1], band$ymax[1]), c(3.8e9, 4.4e9))
  points <- layer_of(figure, "GeomPoint")
  expect_equal(c(2^points[[1]]$x, 10^points[[1]]$y), c(16, 0.4375e9))  # from here on more do not help
  measured <- points[[2]][is.finite(points[[2]]$y), ]
  expect_equal(c(2^measured$x, 10^measured$y), c(2, 2.2e9))
  expect_equal(figure$finding, paste(
    "predicted took 2.20 s on 2 CPUs, where 2.10 s is predicted. On 16 CPUs it would take 438 ms, 9.14 times as fast as on one,",
    "and more do not help. The limit there: from 14 CPUs on what program.py does itself, 0.2 s."))
  expect_match(figure$caption, "Vertical line: the machine's 2 CPUs")
  expect_equal(nrow(prediction_table(list(predicted_run("predicted")))), 7)
})

test_that("a what-if that is a bound says at least in the figure, in its finding and in the table, and an estimate does not", {
  path <- make_trace_db(in_scratch("bounds.db"))
  trace <- load_trace(path)
  bounded <- trace$what_if$what[trace$what_if$bound == "at least"]
  expect_setequal(bounded, c("fork", "processes", "merge", "transfer"))
  figure <- figure_what_if(list(trace))
  texts <- trimws(layer_of(figure, "GeomText")[[1]]$label)
  expect_setequal(trace$what_if$what[grepl("^at least [0-9]", texts)], bounded)
  expect_match(figure$finding, "^Without .merge. bounds would have been at least 1[.][0-9]+ times as fast[.]$")
  expect_match(figure$caption, "at least.: a change that takes this cost away")
  table <- what_if_table(list(trace))
  expect_setequal(table$without[grepl("^at least [0-9]", table[["times as fast"]])], bounded)
  expect_equal(table$assumed[table$without == "imbalance"], "as if children ran equally long")
  many <- figure_what_if(label_apart(rep(list(trace), max_what_if_panels + 1)))
  expect_match(layer_of(many, "GeomText")[[1]]$label, "without .merge.: at least 1[.]")
  expect_match(many$finding, "it would be at least 1[.][0-9]+ times as fast")

  estimates <- load_trace(change(path, "UPDATE what_if SET bound = NULL, doc = NULL"))
  figure <- figure_what_if(list(estimates))
  expect_false(any(grepl("at least", c(figure$finding, figure$caption, layer_of(figure, "GeomText")[[1]]$label))))
  lies <- load_trace(change(path, "UPDATE what_if SET bound = printf('%1000c', 'x'), doc = x'1b5b'"))
  expect_drawn(figure_what_if(list(lies)), phone = TRUE)
  expect_true(all(nchar(layer_of(figure_what_if(list(lies)), "GeomText")[[1]]$label) < 50))
})

test_that("the tested error of predictions is that of the tracer's README", {
  readme <- gsub("\\s+", " ", paste(readLines(file.path(repository, "tracer/README.md")), collapse = " "))
  for (told in c("in 233 of 260 cases", "Half were within 0.7 %", "The worst, by 42 %",
                 "with 32 in 46 of 52, with 64 in 31 of 52", "took 0.96 to 1.12 times what the trace with 1 predicts")) {
    expect_match(readme, told, fixed = TRUE)
  }
  expect_equal(46 + 31, 77)
  for (told in c("233 of 260", "0.7 %", "42 %", "77 of 104", "0.96 to 1.12")) expect_match(prediction_tested, told, fixed = TRUE)
})

test_that("snakefish stands beside multiprocessing in the panel of their program, others in one panel, many in their own", {
  pair <- lapply(c("life-snakefish", "life-multiprocessing", "fasta-snakefish"), predicted_run)
  rows <- prediction_rows(pair)
  expect_equal(levels(rows$panel), c("life", "fasta"))
  expect_equal(levels(rows$series), c("snakefish", "multiprocessing"))
  expect_drawn(figure_prediction(pair), phone = TRUE)
  two <- label_apart(list(predicted_run("one"), predicted_run("one", alone = 8)))
  expect_equal(nlevels(prediction_rows(two)$panel), 1)
  expect_equal(nlevels(prediction_rows(two)$series), 2)
  expect_drawn(figure_prediction(two))
  many <- label_apart(rep(two[1], most_predicted_series + 1))
  expect_equal(nlevels(prediction_rows(many)$panel), length(many))
  expect_drawn(figure_prediction(many))
  expect_match(figure_prediction(many)$finding, "^Of 7 traced runs .* would gain most by more CPUs, and .* least[.]$")
})

test_that("of a machine that is not known all is dashed; a run with more workers than CPUs is told as such", {
  unknown <- figure_prediction(list(predicted_run("elsewhere", cpus = "'x'")))
  expect_drawn(unknown)
  expect_false(grepl("Vertical", unknown$caption))
  expect_equal(unique(layer_of(unknown, "GeomLine")[[2]]$linetype), "22")
  few <- figure_prediction(list(predicted_run("few", cpus = 1)))
  expect_match(few$finding, "^few took 2.20 s with 2 workers, ")
  expect_match(few$caption, "more workers than CPUs")
})

test_that("without a prediction, or with one that cannot be, the page says how to get one", {
  path <- make_trace_db(in_scratch("t.db"))
  expect_missing(figure_prediction(list(load_trace(path))), "snakefish-trace report stores one")
  expect_null(prediction_table(list(load_trace(path))))
  change(path, "INSERT INTO prediction VALUES(0, 1, 1, 1, 1, 1, 'zero CPUs', 1, 1), (1, 'x', 1, 1, 1, 1, 'no number', 1, 1),
         (2, -1, -1, -1, 1, 1, 'negative', 1, 1), (4, 9e999, 1, 9e999, 1, 1, 'endless', 1, 1),
         (8, 0, 0, 0, 1, 1, 'no time', 1, 1), (16, 2, 3, 1, 1, 1, 'outside of its interval', 1, 1),
         (32, 1, 1, 1, NULL, 1, 'no speedup', 1, 1)")
  expect_missing(figure_prediction(list(load_trace(path))), "snakefish-trace report stores one")
  change(path, "INSERT INTO prediction VALUES(64, 1, 1, 1, 1, 1, x'1b5b', 'x', 'x')")
  expect_drawn(figure_prediction(list(load_trace(path))), phone = TRUE)
})

test_that("many processes: a bar for each name, not for each process", {
  trace <- load_trace(make_large_trace_db(in_scratch("l.db")))
  expect_equal(levels(ledger_bars(trace$ledger, trace$processes)$rows$bar), c("worker, 90 processes", "program.py"))
})

test_that("a killed process's open spans are outlined, and told", {
  figure <- figure_timeline(load_trace(make_trace_db(in_scratch("k.db"), killed = TRUE)))
  expect_match(figure$finding, "2 spans never ended")
  expect_match(figure$caption, "Dashed outline")
  expect_match(write_figure(figure, scratch)$svg, "signal 9")
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

test_that("messages to nobody and to oneself are counted, not drawn", {
  trace <- list(run = list(begin_ns = 0, end_ns = 10),
                arrows = data.frame(sender = c(1, 1), receiver = c(2, 1), send_ns = 1:2, receive_ns = 2:3),
                pairs = data.frame(sender = c(1, 1, 1), receiver = c(2, 1, NA), messages = c(5, 6, 7)))
  arrows <- choose_arrows(trace, data.frame(id = 1:2, lane = 1:2, top = c(0, 2), bottom = c(1, 3)))
  expect_equal(unlist(arrows[c("between", "within", "untaken")]), c(between = 5, within = 6, untaken = 7))
  expect_equal(c(arrows$drawn$from, arrows$drawn$to), c(1, 2))
})

test_that("several sessions stand beside each other", {
  benches <- label_apart(list(load_computed(make_bench_db(in_scratch("here.db"), blocks = 6)),
                              load_computed(make_bench_db(in_scratch("there.db"), blocks = 6, cpus = 4))))
  figure <- figure_sessions(benches)
  expect_drawn(figure)
  expect_match(figure$finding, "in here and .* in there[.]$")
})

test_that("memory is compared with multiprocessing's, and missing where it was not read", {
  path <- make_bench_db(in_scratch("memory.db"), blocks = 6)
  expect_missing(figure_memory(load_computed(path)), "no readings of memory")
  change(path, "INSERT INTO memory SELECT DISTINCT 1, workload, size, runtime, workers, 10485760 * workers *
                iif(runtime = 'multiprocessing', 2, 1), 2, 9 FROM sample WHERE workload = 'mandelbrot'")
  figure <- figure_memory(load_computed(path))
  expect_drawn(figure)
  expect_match(figure$finding, "0.500 times the memory of multiprocessing")
})

test_that("a line of panels is as high as its rows ask for", {
  grDevices::pdf(NULL) # else ggplotGrob would open a file
  on.exit(grDevices::dev.off())
  rows <- data.frame(panel = c("a", "b", "c"), x = 1, y = 1)
  plot <- ggplot2::ggplot(rows, ggplot2::aes(x, y)) + ggplot2::facet_wrap(~panel, ncol = 2)
  grob <- with_panel_heights(ggplot2::ggplotGrob(plot), c(2, 7))
  at <- unique(grob$layout$t[grepl("^panel", grob$layout$name)])
  expect_equal(as.numeric(grob$heights[sort(at)]), c(2.3, 7.3))
})
