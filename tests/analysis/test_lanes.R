spans_of <- function(start, end, kind = "run") {
  data.frame(process = 1, lane = 0, kind = kind, start_ns = start, end_ns = end, closed = 1, text = NA_character_)
}

test_that("depth is the number of enclosing spans", {
  expect_equal(span_depth(spans_of(c(0, 1, 2, 5, 10), c(9, 4, 3, 6, 12))), c(0, 1, 2, 1, 0))
  # one that begins as another ends is beside it; one that begins with another is in it
  expect_equal(span_depth(spans_of(c(0, 5, 5), c(5, 9, 7))), c(0, 0, 1))
  # spans without length
  expect_equal(span_depth(spans_of(c(0, 3, 3, 4), c(9, 3, 3, 5))), c(0, 1, 1, 1))
})

test_that("threads of a process do not nest in each other", {
  spans <- rbind(spans_of(0, 10), transform(spans_of(2, 8), lane = 1))
  expect_equal(span_depth(spans), c(0, 0))
})

test_that("few processes have a lane each; of many, those that follow one another share", {
  processes <- data.frame(start_ns = c(0, 10, 20), end_ns = c(100, 18, 30))
  expect_equal(assign_lanes(processes), 1:3)
  expect_equal(assign_lanes(processes, limit = 2), c(1, 2, 2))
  processes$end_ns[2] <- 25
  expect_equal(assign_lanes(processes, limit = 2), c(1, 2, NA))
})

test_that("short spans are gathered, and their time is kept as the bar's height", {
  spans <- rbind(spans_of(0, 1000), spans_of(seq(0, 995, 10), seq(0, 995, 10) + 5, "send"))
  spans$row <- c(0, rep(1, 100))
  bars <- gather_short(spans, pixel = 100)
  expect_equal(nrow(bars), 2)
  expect_equal(bars$share, c(1, 0.5))
  expect_equal(c(bars$start_ns[2], bars$end_ns[2]), c(0, 1000))
})
