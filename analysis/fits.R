# What the shape of the scaling says: Karp and Flatt's serial fraction, Amdahl's law, and Gunther's universal scalability
# law (USL). Only numbers of workers that have a CPU each are used, because none of the laws describes shared CPUs.
#
# Amdahl: T(p) / T(1) = s + (1 - s) / p, one parameter. USL: p T(p) = c0 + c1 (p - 1) + c2 p (p - 1), alpha = c1 / c0
# (waiting for what is shared), beta = c2 / c0 (keeping it consistent), highest at sqrt((1 - alpha) / beta). Both are
# linear, fitted by least squares of relative errors, again in each resample of whole blocks.

amdahl_counts <- 3  # numbers of workers that a fit needs
usl_counts <- 6

# Runs f with a seed of its own and leaves the session's random state as it was.
with_seed <- function(seed, f) {
  old <- get0(".Random.seed", globalenv(), inherits = FALSE)
  on.exit(if (is.null(old)) suppressWarnings(rm(".Random.seed", envir = globalenv()))
          else assign(".Random.seed", old, globalenv()))
  set.seed(seed, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
  f()
}

# The medians of the columns of times, in each of so many resamples of whole blocks: a row a resample.
resampled_medians <- function(times, resamples, seed) {
  n <- nrow(times)
  draws <- with_seed(seed, function() matrix(sample.int(n, n * resamples, replace = TRUE), resamples, n))
  vapply(seq_len(ncol(times)), function(i) row_medians(array(times[draws, i], dim(draws))), numeric(resamples))
}

# The median of each row, for all rows at once.
row_medians <- function(rows) {
  n <- ncol(rows)
  sorted <- matrix(rows[order(row(rows), rows)], nrow(rows), n, byrow = TRUE)
  (sorted[, (n + 1) %/% 2] + sorted[, n %/% 2 + 1]) / 2
}

# One row for each program, runtime and number of workers above 1: the serial fraction (1/S - 1/p) / (1 - 1/p), with the
# interval that follows from the speedup's. Negative ones stay: faster than linear.
karp_flatt <- function(speedups, cpus) {
  rows <- speedups[speedups$workers > 1 & speedups$runtime != "ceiling", ]
  if (is.finite(cpus)) rows <- rows[rows$workers <= cpus, ]
  if (nrow(rows) == 0) return(NULL)
  stopifnot(rows$speedup > 0, rows$workers > 1)
  serial <- function(speedup) (1 / speedup - 1 / rows$workers) / (1 - 1 / rows$workers)
  data.frame(rows[c("program", "runtime", "workers", "blocks")], serial = serial(rows$speedup), low = serial(rows$high),
             high = serial(rows$low))
}

# For each program and runtime both fits: list(program, runtime, counts, amdahl, usl), each fit either `missing`, the
# reason why there is none, or its parameters with intervals and its curve.
# method: bench$method, for the level of intervals and the number of resamples.
fit_scaling <- function(samples, cpus, seed, method) {
  samples <- samples[!samples$micro & !samples$runtime %in% c("sequential", "ceiling", "floor"), ]
  if (is.finite(cpus)) samples <- samples[samples$workers <= cpus, ]
  if (nrow(samples) == 0) return(list())
  unname(lapply(split_by(samples, c("program", "runtime")), function(cell) {
    counts <- sort(unique(cell$workers))
    blocks <- Reduce(intersect, split(cell$block, cell$workers))
    column <- function(p) {
      own <- cell[cell$workers == p, ]
      own$time_ns[match(blocks, own$block)]
    }
    times <- vapply(counts, column, numeric(length(blocks)))
    times <- matrix(times, length(blocks))
    stopifnot(is.finite(times), times > 0)
    list(program = cell$program[1], runtime = cell$runtime[1], counts = counts, blocks = length(blocks),
         amdahl = fit_law(times, counts, cpus, amdahl_counts, seed, method, amdahl_law),
         usl = fit_law(times, counts, cpus, usl_counts, seed, method, usl_law))
  }))
}

# times: a row a block, a column a number of workers.
fit_law <- function(times, counts, cpus, needed, seed, method, law) {
  stopifnot(ncol(times) == length(counts), !is.unsorted(counts))
  if (length(counts) < needed || counts[1] != 1) {
    return(list(missing = sprintf(
      "not estimable: %s of workers within %s, %d are needed%s", counted(length(counts), "number"),
      if (is.finite(cpus)) counted(cpus, "CPU") else "the session", needed,
      if (length(counts) >= needed) ", one worker among them" else "")))
  }
  if (nrow(times) == 0) return(list(missing = "not estimable: no block holds all numbers of workers"))
  medians <- matrix(apply(times, 2, stats::median), 1)
  found <- law(medians, counts)
  if (nrow(times) < method$fewest_blocks) return(c(found, list(low = NULL, high = NULL)))
  of <- law(resampled_medians(times, method$resamples, seed), counts)
  tail <- (1 - method$level) / 2
  bounds <- function(values) apply(values, 2, stats::quantile, c(tail, 1 - tail), names = FALSE, na.rm = TRUE)
  parameters <- bounds(of$parameters)
  curve <- bounds(of$curve)
  c(found, list(parameter_low = parameters[1, ], parameter_high = parameters[2, ], low = curve[1, ], high = curve[2, ]))
}

curve_points <- function(counts) 2^seq(0, log2(max(counts)), length.out = 41)

# A law takes a matrix of times, a row a resample. It returns parameters and the speedups at curve_points, a row each.
amdahl_law <- function(times, counts) {
  y <- times / times[, 1]
  x <- 1 - 1 / counts
  weight <- 1 / colMeans(y)^2  # relative errors
  serial <- as.vector((sweep(y, 2, 1 / counts) %*% (weight * x)) / sum(weight * x^2))
  p <- curve_points(counts)
  list(points = p, parameters = cbind(serial = serial),
       curve = 1 / (outer(serial, 1 - 1 / p) + matrix(1 / p, length(serial), length(p), byrow = TRUE)))
}

usl_law <- function(times, counts) {
  y <- sweep(times, 2, counts, `*`)
  x <- cbind(1, counts - 1, counts * (counts - 1))
  weight <- 1 / colMeans(y)^2
  solved <- y %*% (weight * x) %*% solve(t(x) %*% (weight * x))
  alpha <- solved[, 2] / solved[, 1]
  beta <- solved[, 3] / solved[, 1]
  peak <- ifelse(beta > 0 & alpha < 1, sqrt(pmax(0, 1 - alpha) / beta), Inf)
  p <- curve_points(counts)
  # relative to the measured time of one worker, as all speedups are
  modelled <- solved %*% t(cbind(1, p - 1, p * (p - 1)))
  list(points = p, parameters = cbind(alpha = alpha, beta = beta, peak = peak),
       curve = sweep(modelled, 2, p, function(work, p) p / work) * solved[, 1])
}

# The page's table: what each fit says, or why there is none. NULL where none is estimable; the figure says that.
fit_table <- function(bench) {
  if (!any(vapply(bench$fits, function(fit) is.null(fit$amdahl$missing), TRUE))) return(NULL)
  text <- function(fit, name, format = format_digits) {
    if (!is.null(fit$missing)) return(fit$missing)
    value <- fit$parameters[1, name]
    if (is.null(fit$parameter_low)) return(format(value))
    sprintf("%s [%s, %s]", format(value), format(fit$parameter_low[[name]]), format(fit$parameter_high[[name]]))
  }
  percent <- function(x) format_percent(x, 1)
  peak <- function(x) ifelse(is.finite(x), format_digits(x), "none")
  rows <- lapply(bench$fits, function(fit) {
    usl <- if (is.null(fit$usl$missing)) sprintf("contention %s, coherency %s, workers at the peak: %s",
      text(fit$usl, "alpha", percent), text(fit$usl, "beta", percent), text(fit$usl, "peak", peak)) else fit$usl$missing
    data.frame(check.names = FALSE, program = fit$program, runtime = fit$runtime,
               "numbers of workers" = length(fit$counts),
               "Amdahl's serial share" = text(fit$amdahl, "serial", percent), USL = usl)
  })
  bind(rows)
}
