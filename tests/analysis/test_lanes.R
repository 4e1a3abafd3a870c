# What trace.sql makes of spans: a list of two, those drawn one by one and those gathered.
loaded_spans <- function(records, end = 1000) {
  path <- write_trace_db(in_scratch("spans.db"), data.frame(id = 1, pid = 7, start_ns = 0, end_ns = end), records)
  load_trace(path)
}

test_that("depth is the number of enclosing spans of the same thread", {
  trace <- loaded_spans(rbind(
    span_records(1, "run", 0, 900), span_records(1, "send", 100, 400), span_records(1, "wait", 200, 300),
    # begins as another ends: beside it
    span_records(1, "receive", 400, 500), span_records(1, "join", 150, 950, lane = 1)))
  expect_equal(trace$spans$kind, c("run", "send", "wait", "receive", "join"))
  expect_equal(trace$spans$depth, c(0, 1, 2, 1, 0))
})

test_that("spans that overlap without nesting are drawn beside each other", {
  spans <- data.frame(process = 1, thread = c(0, 0, 0, 0, 0, 1), start_ns = c(0, 10, 20, 50, 95, 30),
                      end_ns = c(40, 90, 30, 60, 95, 35), closed = c(1, 1, 1, 1, 0, 1), depth = 0)
  expect_equal(assign_depths(spans)$depth, c(0, 1, 2, 0, 0, 0))
  spans$closed[1] <- 0
  expect_equal(assign_depths(spans)$depth, c(0, 1, 2, 2, 1, 0))
  expect_equal(nrow(assign_depths(spans[0, ])), 0)
})

test_that("few processes have a lane each; of many, those that follow one another share", {
  processes <- data.frame(start_ns = c(0, 10, 20), end_ns = c(100, 18, 30))
  expect_equal(assign_lanes(processes), 1:3)
  expect_equal(assign_lanes(processes, limit = 2), c(1, 2, 2))
  processes$end_ns[2] <- 25
  expect_equal(assign_lanes(processes, limit = 2), c(1, 2, NA))
})

test_that("short spans are gathered, and their time is kept as the bar's height", {
  # a run of 700 us has columns of 1 us; 100 spans of half a us, each in a column of its own
  begins <- 100e3 + 1000 * (0:99)
  records <- bind(c(list(span_records(1, "run", 0, 700e3)), lapply(begins, function(at) {
    span_records(1, "send", at, at + 500)
  })))
  trace <- loaded_spans(records, 700e3)
  expect_equal(trace$run$column_ns, 1000)
  expect_equal(trace$spans$kind, "run")
  expect_equal(sum(trace$columns$ns), 50e3)
  bars <- join_columns(transform(trace$columns, row = depth), trace$run$begin_ns, trace$run$column_ns)
  expect_equal(nrow(bars), 1)
  expect_equal(c(bars$share, bars$start_ns, bars$end_ns), c(0.5, 100e3, 200e3))
})

test_that("many times the messages do not bring as many times the rows into R", {
  rows_of <- function(rounds) {
    trace <- load_trace(make_large_trace_db(in_scratch("many.db"), rounds = rounds, messages = 60))
    c(sent = sum(trace$pairs$messages), rows = nrow(trace$columns) + nrow(trace$spans) + nrow(trace$arrows) +
        nrow(trace$latencies) + nrow(trace$depths) + nrow(trace$flows))
  }
  few <- rows_of(5)
  many <- rows_of(40)
  expect_equal(many[["sent"]], 8 * few[["sent"]])
  expect_lt(many[["rows"]], 2.5 * few[["rows"]])
})
