# What is drawn and tabled is what the database's results say.

break_even_row <- function(...) data.frame(workload = "sweep", runtime = "snakefish", workers = 2, unit = "steps", blocks = 6,
                                           smallest = 10, largest = 1000, ...)

test_that("a break-even is told in words where it lies outside of the sweep", {
  table <- function(size, low, high) break_even_table(break_even_row(size = size, low = low, high = high))[[4]]
  expect_equal(table(50.4, 30, 1e2), "50 steps [30, 100]")
  expect_equal(table(Inf, 900, Inf), "more than 1,000 steps [900, more than 1,000]")
  expect_equal(table(0, 0, 20), "less than 10 steps [less than 10, 20]")
  expect_equal(table(50, NA, NA), "50 steps")
  expect_null(break_even_table(NULL))
})

test_that("a target is told with what it is held against and whether it is reached", {
  rows <- data.frame(workload = "stream", base = c("joblib", "multiprocessing", "floor"), best_peer = c(1, 0, 0),
                     what = c(NA, NA, "memcpy"), is_floor = c(NA, NA, 1), times_as_fast = c(5, NA, 0.5), low = c(4, NA, NA), high = c(6, NA, NA),
                     target = c(NA, 6, 0.4), state = c(NA, "not measured", "unsure"))
  table <- target_table(rows)
  expect_equal(table[[2]], c("joblib (best peer)", "multiprocessing", "floor: memcpy"))
  expect_equal(target_table(replace(rows, "is_floor", c(NA, NA, 0)))[[2]][3], "reference: memcpy")
  expect_equal(table[[3]], c("5.00 [4.00, 6.00]", "", "0.500"))
  expect_equal(table[[4]], c("", "6.00", "0.400"))
  expect_equal(table[[5]], c("", "not measured", "unsure"))
  expect_null(target_table(NULL))
})

test_that("a sweep and its infinite sizes come out of the database", {
  path <- make_bench_db(in_scratch("sweep.db"), blocks = 6)
  change(computed(path), "INSERT INTO break_even VALUES(1, 'mandelbrot', 'snakefish', 2, 6, 10, 100, 9e999, 50, 9e999)")
  expect_equal(break_even_table(load_bench(path, 1)$break_evens)[[4]], "more than 100 rows [50, more than 100]")
})

test_that("comparisons, speedups and their dots are the database's", {
  path <- computed(make_bench_db(in_scratch("tables.db"), blocks = 6, factors = c(bench_factors, "snakefish-again" = 1)))
  bench <- load_bench(path, 1)
  table <- with_database(path, "SELECT * FROM comparison WHERE base = 'multiprocessing' ORDER BY workload, workers")
  columns <- c("workers", "times_as_fast", "low", "high", "verdict", "margin")
  table$verdict[is.na(table$verdict)] <- "no verdict"
  expect_equal(bench$ratios[columns], table[columns])
  for (micro in c(FALSE, TRUE)) {
    expect_equal(none_is_null(figure_ratio(bench, micro)$data[columns]), none_is_null(table[(table$kind == "micro") == micro, columns]))
  }
  judged <- with_database(path, "SELECT * FROM comparison WHERE verdict IS NOT NULL AND kind = 'program' ORDER BY times_as_fast")
  expect_equal(none_is_null(figure_faster(bench)$data[columns]), none_is_null(judged[columns]))
  sample <- function(runtime) with_database(path, sprintf(
    "SELECT region_ns AS ns FROM sample WHERE workload = 'mandelbrot' AND runtime = '%s' AND workers = 1 ORDER BY block", runtime))$ns
  row <- bench$ratios[bench$ratios$program == "mandelbrot" & bench$ratios$workers == 1, ]
  expect_equal(sort(row$by_block[[1]]), sort(sample("multiprocessing") / sample("snakefish")))
  table <- with_database(path, "SELECT * FROM speedup WHERE runtime <> 'snakefish-again' ORDER BY workload, runtime, workers")
  columns <- c("runtime", "workers", "speedup", "low", "high", "efficiency", "efficiency_low", "efficiency_high")
  expect_equal(bench$speedups[columns], table[columns])
  row <- bench$speedups[bench$speedups$program == "mandelbrot" & bench$speedups$workers == 1 & bench$speedups$runtime == "snakefish", ]
  expect_equal(sort(row$by_block[[1]]), sort(sample("sequential") / sample("snakefish")))
  shown <- scaling_table(bench)
  row <- shown[shown$program == "mandelbrot" & shown$runtime == "snakefish" & shown$workers == 2, ]
  of <- table[table$workload == "mandelbrot" & table$runtime == "snakefish" & table$workers == 2, ]
  expect_equal(row[["speedup [interval]"]], ratio_text(of$speedup, of$low, of$high))
  expect_equal(row[["efficiency [interval]"]], sprintf("%s [%s, %s]", format_percent(of$efficiency), format_percent(of$efficiency_low),
                                                       format_percent(of$efficiency_high)))
  expect_match(row[["serial fraction [interval]"]], "^[0-9]+ % [[]")
  expect_equal(shown$median[shown$runtime == "sequential"], format_duration(with_database(
    path, "SELECT median_ns FROM estimate WHERE runtime = 'sequential' ORDER BY workload")$median_ns))
})

test_that("results that cannot be are noticed, not drawn", {
  path <- computed(make_bench_db(in_scratch("odd.db"), blocks = 6))
  change(path, "UPDATE comparison SET low = times_as_fast + 1")
  expect_error(load_bench(path, 1), "around\\(compared")
})

test_that("larger sizes of the weak series are no programs of their own", {
  path <- make_bench_db(in_scratch("weak.db"), blocks = 6)
  change(path, "INSERT INTO workload SELECT 1, name, 200, kind, unit, operation, doc, output_source, output_sha256
                FROM workload WHERE name = 'mandelbrot'",
         "UPDATE cell SET series = 'both' WHERE workload = 'mandelbrot' AND workers = 1",
         "INSERT INTO cell VALUES(1, 'mandelbrot', 200, 'snakefish', 2, 'weak', 2, NULL)",
         "INSERT INTO sample(session, block, position, workload, size, runtime, workers, status, region_ns, operations,
          output_ok) SELECT 1, block, 999, workload, 200, runtime, 2, 'ok', 2 * region_ns, 1, 1 FROM sample
          WHERE workload = 'mandelbrot' AND runtime = 'snakefish' AND workers = 2",
         "INSERT INTO memory VALUES(1, 'mandelbrot', 100, 'snakefish', 2, 20971520, 3, 40)")
  bench <- load_computed(path)
  expect_setequal(bench$samples$program, c(names(bench_programs), names(bench_micro)))
  expect_equal(bench$weak$workers[bench$weak$runtime == "snakefish"], 1:2)
  titles <- unlist(lapply(bench_sections(bench, 1, 1, list()), function(s) vapply(s$tables, `[[`, "", "title")))
  expect_true(any(grepl("Weak scaling", titles)))
  expect_true("Peak memory" %in% titles)
})

test_that("a floor measured within the samples stands beside them", {
  path <- change(make_bench_db(in_scratch("within.db"), blocks = 6, programs = NULL),
                 "UPDATE sample SET floor_ns = region_ns / 2 WHERE workload = 'spawn-join' AND runtime = 'snakefish'")
  times <- load_computed(path)$times
  expect_equal(times$median_ns[times$runtime == "floor"],
               times$median_ns[times$program == "spawn-join" & times$runtime == "snakefish"] / 2)
})

test_that("every other runtime has a table of its own against snakefish", {
  bench <- load_computed(make_bench_db(in_scratch("rivals.db"), blocks = 6, factors = c(bench_factors, joblib = 1.5)))
  expect_equal(names(bench$rivals), "joblib")
  expect_true(all(bench$rivals$joblib$verdict == "no verdict"))  # multiprocessing is the faster one, and has the verdicts
  expect_equal(vapply(ratio_tables(bench), `[[`, "", "title")[4], "snakefish against joblib")
})

test_that("the verdicts are a table: at one worker and at all CPUs, against the fastest of the others, with what was seen", {
  bench <- load_computed(make_bench_db(in_scratch("judged.db"), blocks = 6, micro = NULL, noise = 0.01,
                                       factors = c(bench_factors, joblib = 1.02)))
  table <- ratio_tables(bench)[[1]]$rows
  expect_equal(unique(table[["fastest of the others"]]), "joblib")
  expect_equal(table$workers, c(1, 2, 1, 2))
  expect_match(table[["would have been found"]], "^[0-9.]+ ?%$")
  expect_equal(sub(":.*", "", table$verdict), bench$judged$verdict)
  open <- bench$judged$verdict == "inconclusive"
  expect_equal(grepl("more blocks? would decide it$", table$verdict), open)
  expect_equal(verdict_counts(bench$ratios$verdict), character())
  expect_match(ratio_finding(bench$ratios), "^No comparison with multiprocessing has a verdict[.] It is between")
})

test_that("the control is in no figure and in the text", {
  bench <- load_computed(make_bench_db(in_scratch("control.db"), blocks = 6,
                                    factors = c(bench_factors, "snakefish-again" = 1)))
  expect_false(control_runtime %in% c(bench$samples$runtime, bench$speedups$runtime))
  expect_match(ratio_table_caption(bench), "snakefish differs from itself by up to .* of which 0 would be called a difference")
})

test_that("show prints what the report draws", {
  path <- computed(make_bench_db(in_scratch("both.db"), blocks = 8, factors = c(bench_factors, "snakefish-again" = 1)))
  ours <- load_bench(path, 1)$ratios
  ours <- ours[!ours$micro, ]
  old <- setwd(repository)
  on.exit(setwd(old))
  shown <- system2("/usr/bin/python3", c("-m", "bench", "show", "--all", path), stdout = TRUE)
  at <- which(shown == "  snakefish, times as fast as multiprocessing")
  rows <- unlist(lapply(at, function(k) shown[k + 1:4]))
  expect_equal(sub("^$", "no verdict", sub(".*\\] *", "", rows)), ours$verdict)
  expect_equal(as.numeric(sub("^ +[0-9]+ +[0-9]+ +([0-9.]+) .*", "\\1", rows)), round(ours$times_as_fast, 3))
})
