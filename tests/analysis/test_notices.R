test_that("a clean benchmark and trace need no notice", {
  bench <- load_computed(make_bench_db(in_scratch("clean.db")))
  trace <- load_trace(make_trace_db(in_scratch("clean_trace.db"), stats = data.frame(
    name = c("lost", "books", "lost_logs"), process = c(1, NA, NA), severity = c("info", "info", "loss"),
    value = c("0", "closed", "0"))))
  expect_equal(nrow(notices(list(bench), list(trace))), 0)
})

test_that("a trace alone may have none too", {
  expect_equal(nrow(notices(list(), list(load_trace(make_trace_db(in_scratch("quiet.db")))))), 0)
})

test_that("losses come first and are summed over the processes", {
  trace <- load_trace(make_trace_db(in_scratch("lossy.db"), killed = TRUE, state = "recovered", stats = data.frame(
    name = c("torn", "lost", "lost"), process = c(NA, 1, 2), severity = c("error", "loss", "loss"),
    value = c("1", "10", "2000"))))
  rows <- notices(list(), list(trace))
  expect_equal(rows$severity, c("error", "loss", "warning", "warning"))
  expect_match(rows$text[2], "lost: 2,010 (process 100 and 101)", fixed = TRUE)
  expect_true(any(grepl("not complete (recovered)", rows$text, fixed = TRUE)))
  expect_true(any(grepl("right (102), signal 9", rows$text, fixed = TRUE)))
})

test_that("a worker that its pool has ended is no warning", {
  trace <- load_trace(make_trace_db(in_scratch("terminated.db"), killed = TRUE))
  trace$processes$exit_status[trace$processes$exit_status == -9] <- -15
  expect_equal(nrow(notices(list(), list(trace))), 0)
})

test_that("failed samples, absent runtimes, interrupted sessions and few blocks are told", {
  path <- make_bench_db(in_scratch("bad.db"), blocks = 4, status = "interrupted")
  change(path, "UPDATE sample SET status = 'crash', output_ok = NULL, error = 'signal 11' WHERE block = 0 AND runtime =
                'multiprocessing' AND workload = 'mandelbrot'",
         "INSERT INTO runtime VALUES(1, 'joblib', 'absent', 'No module named joblib', NULL, 'a test')",
         "INSERT INTO warning VALUES(1, 'The machine had other work (load 3.5).')")
  text <- notices(list(load_computed(path)), list())$text
  expect_true(any(grepl("4 samples of mandelbrot under multiprocessing: crash (signal 11)", text, fixed = TRUE)))
  expect_true(any(grepl("joblib did not run: No module named joblib.", text, fixed = TRUE)))
  expect_true(any(grepl("not complete (interrupted)", text, fixed = TRUE)))
  expect_true(any(grepl("4 blocks: fewer than 6", text, fixed = TRUE)))
  expect_true(any(grepl("load 3.5", text, fixed = TRUE)))
})
