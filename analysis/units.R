# Numbers for people: durations and shares with their unit, three significant digits.

duration_units <- data.frame(unit = c("ns", "us", "ms", "s"), ns = c(1, 1e3, 1e6, 1e9))

# The unit in which the largest of these durations reads best: 0.5 to 1000 of it.
duration_unit <- function(ns) {
  largest <- max(abs(ns[is.finite(ns)]), 0)
  fitting <- which(duration_units$ns <= largest)
  duration_units[max(1, fitting), ]
}

# "1.23 ms", each value in its own unit.
format_duration <- function(ns) {
  vapply(ns, function(x) {
    if (!is.finite(x)) return("unknown")
    unit <- duration_unit(signif(x, 3))  # 999.9 ms is 1.00 s
    paste(format_digits(x / unit$ns), unit$unit)
  }, "")
}

# Three significant digits without an exponent: 0.123, 1.23, 12.3, 123, 1,234.
format_digits <- function(x, digits = 3) {
  vapply(x, function(value) {
    if (!is.finite(value)) return("unknown")
    if (value == 0) return("0")
    decimals <- max(0, digits - 1 - floor(log10(abs(signif(value, digits)))))
    formatC(round(value, decimals), format = "f", digits = decimals, big.mark = ",")
  }, "")
}

# For axes: no more digits than the number has.
format_tick <- function(x) format(x, trim = TRUE, drop0trailing = TRUE, digits = 3, big.mark = ",", scientific = FALSE)

format_count <- function(n) formatC(round(n), format = "f", digits = 0, big.mark = ",")

# "1 process", "2 processes"
counted <- function(n, one, many = paste0(one, "s")) paste(format_count(n), ifelse(n == 1, one, many))

# Axis labels that carry their unit: "0", "250 us", "1.5 ms"
format_duration_tick <- function(ns) {
  vapply(ns, function(x) {
    if (!is.finite(x)) return(NA_character_)
    if (x == 0) return("0")
    unit <- duration_unit(x)
    paste(format_tick(x / unit$ns), unit$unit)
  }, "")
}

# A share a little below 1 or above 0 is not rounded to 100 % or 0 %.
format_percent <- function(share, digits = 0) {
  text <- paste0(formatC(100 * share, format = "f", digits = digits), " %")
  if (digits > 0) return(text)
  text[share > 0 & share < 0.005] <- "<1 %"
  text[share < 1 & share >= 0.995] <- ">99 %"
  text
}

format_bytes <- function(bytes) {
  vapply(bytes, function(x) {
    if (!is.finite(x)) return("unknown")
    step <- min(4, max(0, floor(log(max(x, 1), 1024))))
    paste(format_digits(x / 1024^step), c("bytes", "KiB", "MiB", "GiB", "TiB")[step + 1])
  }, "")
}

# "a", "a and b", "a, b and c"
in_words <- function(words) {
  n <- length(words)
  if (n < 2) return(paste(words))
  paste(paste(words[-n], collapse = ", "), "and", words[n])
}
