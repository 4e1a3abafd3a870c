test_that("durations read well", {
  expect_equal(format_duration(c(0, 4, 999, 1500, 2.1e6, 61.5e9)),
               c("0 ns", "4.00 ns", "999 ns", "1.50 us", "2.10 ms", "61.5 s"))
  expect_equal(format_duration(999.6e6), "1.00 s")
  expect_equal(format_duration(NA), "unknown")
})

test_that("numbers have three digits", {
  expect_equal(format_digits(c(0.1234, 1.234, 12.34, 1234.5, 0)), c("0.123", "1.23", "12.3", "1,234", "0"))
  expect_equal(format_digits(9.999), "10.0")
})

test_that("shares that are not whole do not read as whole", {
  expect_equal(format_percent(c(0, 0.001, 0.5, 0.999, 1)), c("0 %", "<1 %", "50 %", ">99 %", "100 %"))
})

test_that("words", {
  expect_equal(in_words(character()), character())
  expect_equal(in_words(c("a", "b", "c")), "a, b and c")
  expect_equal(counted(1, "block"), "1 block")
  expect_equal(counted(1200, "process", "processes"), "1,200 processes")
  expect_equal(format_bytes(c(10, 2048, 8 * 2^30)), c("10.0 bytes", "2.00 KiB", "8.00 GiB"))
})

test_that("counts of more than an integer holds keep their digits", {
  expect_silent(text <- format_count(c(7, 1234, 5e9)))
  expect_equal(text, c("7", "1,234", "5,000,000,000"))
})
