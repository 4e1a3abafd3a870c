# What the page says first.

sentence_of <- function(...) faster_sentence(load_computed(make_bench_db(in_scratch("verdict.db"), ...)))

test_that("the first sentence says what was decided, and of how many", {
  expect_equal(sentence_of(), "snakefish is faster than multiprocessing in 4 of 4 decided comparisons.")
  mixed <- computed(make_bench_db(in_scratch("mixed.db"), micro = NULL))
  change(mixed, "UPDATE comparison SET verdict = 'slower', times_as_fast = 0.5, low = 0.4, high = 0.6
                 WHERE verdict IS NOT NULL AND workload = 'mandelbrot' AND workers = 2",
         "UPDATE comparison SET verdict = 'inconclusive', more_blocks = 7
          WHERE verdict IS NOT NULL AND workload = 'mandelbrot' AND workers = 1")
  bench <- load_bench(mixed, 1)
  expect_equal(faster_sentence(bench), paste("snakefish is faster than multiprocessing in 2 and slower in 1 of 3 decided comparisons;",
                                             "1 is undecided."))
  expect_match(ends_sentence(bench, NULL), "^Best: spectral-norm x[12], 1[.].*[.] Worst: mandelbrot x2, 0.500 [[]0.400, 0.600[]] times as fast[.]$")
  expect_match(more_sentence(bench), "^1 undecided[.] If it is as it looks, 7 more blocks would decide mandelbrot x1: `.* --blocks [+]7 -o 'mixed[.]db'`[.]$")
  change(mixed, "UPDATE comparison SET verdict = 'no practical difference' WHERE verdict IS NOT NULL")
  expect_equal(faster_sentence(load_bench(mixed, 1)),
               "snakefish is not practically different from multiprocessing in 4 of 4 decided comparisons.")
})

test_that("few blocks, no programs, no partner", {
  expect_match(sentence_of(blocks = 3), "are not told apart in 4 comparisons of programs: 3 blocks are too few for a verdict[.]$")
  expect_match(sentence_of(blocks = 1), ": 1 block is too few for a verdict[.]$")
  expect_match(sentence_of(programs = NULL), "only micro-benchmarks")
  expect_match(sentence_of(factors = bench_factors[1:2]), "no runs of multiprocessing")
  few <- load_computed(make_bench_db(in_scratch("few.db"), blocks = 2))
  expect_match(more_sentence(few), "fewer than 6 blocks have no verdicts; more of them: `.* --blocks [+]4 -o 'few[.]db'`")
})

test_that("programs that never ran right in the same block have no ratio over all", {
  path <- change(make_bench_db(in_scratch("apart.db"), blocks = 2, micro = NULL),
                 "UPDATE sample SET status = 'crash', output_ok = NULL WHERE workload = 'mandelbrot' AND block = 0",
                 "UPDATE sample SET status = 'crash', output_ok = NULL WHERE workload = 'spectral-norm' AND block = 1")
  expect_match(figure_sessions(list(load_computed(path)))$finding, "^No session has a block")
})

test_that("a machine that nobody described", {
  path <- change(make_bench_db(in_scratch("nowhere.db"), blocks = 1), "DELETE FROM machine")
  expect_match(machine_line(load_computed(path)), "does not describe the machine")
})

test_that("how sure it is says what `bench show` says", {
  path <- computed(make_bench_db(in_scratch("sure.db"), blocks = 6, noise = 0.06,
                                 factors = c(bench_factors[1:3], multiprocessing = 1.05, "snakefish-again" = 1)))
  old <- setwd(repository)
  on.exit(setwd(old))
  shown <- system2("/usr/bin/python3", c("-m", "bench", "show", path), stdout = TRUE)
  bench <- load_bench(path, 1)
  numbers <- function(text) gsub(" %", "%", unlist(regmatches(text, gregexpr("[0-9.]+ ?%|[0-9]+ more block", text))))
  theirs <- function(pattern) numbers(grep(pattern, shown, value = TRUE))
  expect_equal(numbers(control_sentence(bench)), theirs("itself, programs"))
  expect_setequal(numbers(seen_sentence(bench)), theirs("would have been found in half"))
  expect_true(length(theirs("x[12]: [0-9]+ more block")) > 0)
  expect_true(all(numbers(more_sentence(bench)) %in% theirs("x[12]: [0-9]+ more block")))
})

# A pair of traces of one program, as `bench trace` leaves them.
traced_pair <- function(...) {
  lapply(c("snakefish", "multiprocessing"), function(runtime) {
    notes <- c(workload = "mandelbrot", size = 100, runtime = runtime, workers = 2)
    path <- make_trace_db(in_scratch(sprintf("mandelbrot-%s.db", runtime)))
    change(path, sprintf("INSERT INTO meta VALUES('bench_%s', '%s')", names(notes), notes),
           if (runtime == "snakefish") "UPDATE path_activity SET ns = ns + 1e8 WHERE activity = 'forking'", ...)
    load_trace(path)
  })
}

test_that("each traced program has a bar for snakefish and one for the quickest other, whose parts sum to the measured time", {
  traces <- traced_pair()
  slow <- traces[[2]]
  slow$meta$value[slow$meta$key == "bench_runtime"] <- "joblib"
  slow$efficiency$value[slow$efficiency$name == "duration_ns"] <- 2e8
  figure <- figure_where(c(traces, list(slow)))
  expect_null(figure$missing)
  expect_setequal(figure$data$runtime, c("snakefish", "multiprocessing"))
  sums <- tapply(figure$data$ns, figure$data$runtime, sum)
  for (sum in sums) expect_equal(sum, with_database(in_scratch("mandelbrot-snakefish.db"),
    "SELECT value FROM efficiency WHERE name = 'duration_ns'")$value)
  for (narrow in c(FALSE, TRUE)) expect_match(render_svg(figure, narrow)$svg, ">multiprocessing</text>")
  expect_match(figure_where(list())$missing, "bench trace")
  expect_match(figure_where(list(load_trace(make_trace_db(in_scratch("other.db")))))$missing, "No trace of a program under snakefish")
})

test_that("why it is slower or faster is the cause that costs the slower one most above the other", {
  runs <- where_runs(traced_pair())
  expect_match(why_text(runs, "mandelbrot", 100, 2, faster = FALSE), "^: forking costs snakefish [0-9.]+ ms more$")
  expect_match(why_text(runs, "mandelbrot", 100, 1, faster = FALSE), "[(]traced x2[)]$")
  expect_equal(why_text(runs, "spectral-norm", 100, 2, faster = FALSE), "")
  expect_equal(why_text(runs, "mandelbrot", 99, 2, faster = FALSE), "")  # traced at another size
  expect_equal(why_text(NULL, "mandelbrot", 100, 2, faster = TRUE), "")
  runs$processes <- c(81, 3)
  expect_match(why_text(runs, "mandelbrot", 100, 2, faster = FALSE), ", with 81 processes against 3$")
})

test_that("the page names the action that the ledger names, and none where nothing stands out", {
  runs <- where_runs(traced_pair("DELETE FROM advice", "INSERT INTO advice VALUES(1, 'processes', 'fork less', 1.8)"))
  expect_match(paste(actions_html(runs), collapse = ""), "<li><b>mandelbrot</b>: fork less[.]</li>")
  runs$disease <- "none"
  expect_null(actions_html(runs))
})

test_that("no two categories of the ledger have the same colour", {
  expect_false(anyDuplicated(category_palette[seq_len(nrow(read_categories()))]) > 0)
  expect_gte(length(category_palette), nrow(read_categories()))
})
