# What the samples say, and how surely.
#
# The unit of replication is the block: a pass through all combinations on one state of the machine. So everything is
# compared within blocks, and intervals come from resampling whole blocks. Times are costs: they are averaged by the
# arithmetic mean, and a ratio is the ratio of two means over the same blocks, never a mean of ratios.

min_blocks <- 6           # with fewer, a resampled interval would be fiction: points only
practical_margin <- 0.05  # a difference of less than 5 % is of no practical interest
interval_level <- 0.95
resample_times <- 10000

# Runs f with a seed of its own and leaves the session's random state as it was.
with_seed <- function(seed, f) {
  old <- get0(".Random.seed", globalenv(), inherits = FALSE)
  on.exit(if (is.null(old)) suppressWarnings(rm(".Random.seed", envir = globalenv()))
          else assign(".Random.seed", old, globalenv()))
  set.seed(seed, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
  f()
}

# How often each of n blocks is drawn, one column a resample. Kept, because every figure asks for the same few.
block_draws_cache <- new.env()
block_draws <- function(n, seed, times = resample_times) {
  key <- paste(n, seed, times)
  if (is.null(block_draws_cache[[key]])) {
    block_draws_cache[[key]] <- with_seed(seed, function() stats::rmultinom(times, n, rep(1, n)))
  }
  block_draws_cache[[key]]
}

# The percentile interval, widened for few blocks: plain percentiles act as if the variance were divided by n instead
# of n - 1 and the quantile were the normal's, not Student's; at 8 blocks that makes 95 % in name 89 % in fact. So the
# percentiles are taken where they undo both.
percentile_interval <- function(resampled, n) {
  tail <- stats::pnorm(sqrt(n / (n - 1)) * stats::qt((1 - interval_level) / 2, n - 1))
  stats::quantile(resampled, c(tail, 1 - tail), names = FALSE)
}

# statistic is a function of means: it gets one mean for each column of `values` (one row a block), or for each column
# a vector of resampled means. Returns c(estimate, low, high), low and high NA below min_blocks.
block_interval <- function(values, statistic, seed) {
  values <- as.matrix(values)
  n <- nrow(values)
  if (n == 0) return(c(estimate = NA_real_, low = NA_real_, high = NA_real_))
  estimate <- do.call(statistic, unname(as.list(colMeans(values))))
  if (n < min_blocks) return(c(estimate = estimate, low = NA_real_, high = NA_real_))
  means <- crossprod(block_draws(n, seed), values) / n
  resampled <- do.call(statistic, lapply(seq_len(ncol(means)), function(i) means[, i]))
  interval <- percentile_interval(resampled, n)
  c(estimate = estimate, low = interval[1], high = interval[2])
}

# One row for each block and combination: a block that holds several samples of one counts once, with their mean.
block_times <- function(samples) {
  stats::aggregate(time_ns ~ program + micro + runtime + workers + block, samples, mean)
}

# Mean, median and interval of each combination of program, runtime and workers.
summarise_times <- function(samples, seed) {
  times <- block_times(samples)
  rows <- lapply(split_by(times, c("program", "runtime", "workers")), function(cell) {
    interval <- block_interval(cell$time_ns, function(x) x, seed)
    data.frame(cell[1, c("program", "micro", "runtime", "workers")], blocks = nrow(cell), mean_ns = interval[["estimate"]],
               median_ns = stats::median(cell$time_ns), low_ns = interval[["low"]], high_ns = interval[["high"]])
  })
  bind(rows)
}

# How many times as fast `runtime` is as `base`, block by block and overall; 2 is twice as fast. `base_workers` NULL
# pairs equal numbers of workers, else the base is what ran with that many.
compare_runtimes <- function(samples, runtime, base, seed, base_workers = NULL) {
  times <- block_times(samples)
  rows <- lapply(split_by(times[times$runtime == runtime, ], c("program", "workers")), function(cell) {
    workers <- if (is.null(base_workers)) cell$workers[1] else base_workers
    against <- times[times$runtime == base & times$program == cell$program[1] & times$workers == workers, ]
    pair <- merge(cell[c("block", "time_ns")], against[c("block", "time_ns")], by = "block", suffixes = c("", "_base"))
    if (nrow(pair) == 0) return(NULL)
    interval <- block_interval(pair[c("time_ns_base", "time_ns")], function(b, t) b / t, seed)
    data.frame(cell[1, c("program", "micro", "runtime", "workers")], base = base, blocks = nrow(pair),
               base_ns = mean(pair$time_ns_base), time_ns = mean(pair$time_ns),
               ratio = interval[["estimate"]], low = interval[["low"]], high = interval[["high"]],
               by_block = I(list(pair$time_ns_base / pair$time_ns)))
  })
  rows <- bind(rows)
  if (!is.null(rows)) rows$verdict <- verdict(rows$ratio, rows$low, rows$high)
  rows
}

# faster or slower: the whole interval lies on one side of 1 and the estimate beyond the margin;
# no practical difference: the whole interval lies within the margin. Everything else is not known.
verdict <- function(ratio, low, high, margin = practical_margin) {
  known <- is.finite(low) & is.finite(high)
  ifelse(!known, "inconclusive",
  ifelse(low >= 1 / (1 + margin) & high <= 1 + margin, "no practical difference",
  ifelse(low > 1 & ratio > 1 + margin, "faster",
  ifelse(high < 1 & ratio < 1 / (1 + margin), "slower", "inconclusive"))))
}

# Speedup against the sequential program and efficiency, for every runtime but that one. A session without the
# sequential runtime has no base case, and so no speedup.
speedups <- function(samples, seed, base = "sequential") {
  samples <- samples[!samples$micro, ]
  runtimes <- setdiff(unique(samples$runtime), base)
  base_workers <- samples$workers[samples$runtime == base]
  if (length(base_workers) == 0) return(NULL)
  rows <- bind(lapply(runtimes, compare_runtimes, samples = samples, base = base, seed = seed,
                      base_workers = min(base_workers)))
  if (is.null(rows)) return(NULL)
  names(rows)[names(rows) == "ratio"] <- "speedup"
  rows$efficiency <- rows$speedup / rows$workers
  rows
}

# One ratio over all programs at one number of workers: the geometric mean of their ratios, the last resort for a
# figure of merit over unlike programs. Blocks are resampled for all programs at once, since they share the blocks.
overall_ratio <- function(samples, runtime, base, workers, seed) {
  times <- block_times(samples[!samples$micro & samples$workers == workers & samples$runtime %in% c(runtime, base), ])
  if (nrow(times) == 0) return(NULL)
  wide <- stats::reshape(times[c("block", "program", "runtime", "time_ns")], direction = "wide",
                         idvar = c("block", "program"), timevar = "runtime")
  columns <- paste0("time_ns.", c(base, runtime))
  if (!all(columns %in% names(wide))) return(NULL)
  wide <- wide[stats::complete.cases(wide[columns]), ]
  programs <- unique(wide$program)
  blocks <- Reduce(intersect, split(wide$block, wide$program))
  if (length(blocks) == 0) return(NULL)
  values <- do.call(cbind, lapply(programs, function(program) {
    rows <- wide[wide$program == program, ]
    as.matrix(rows[match(blocks, rows$block), columns])
  }))
  geometric <- function(...) {
    means <- list(...)
    bases <- means[c(TRUE, FALSE)]
    ours <- means[c(FALSE, TRUE)]
    exp(Reduce(`+`, Map(function(b, t) log(b / t), bases, ours)) / length(ours))
  }
  interval <- block_interval(values, geometric, seed)
  data.frame(workers = workers, programs = length(programs), blocks = length(blocks), ratio = interval[["estimate"]],
             low = interval[["low"]], high = interval[["high"]],
             verdict = verdict(interval[["estimate"]], interval[["low"]], interval[["high"]]))
}

# split() by columns, in the order of the values, without empty groups
split_by <- function(rows, columns) {
  rows <- rows[do.call(order, unname(rows[columns])), ]
  key <- do.call(paste, c(unname(rows[columns]), sep = "\r"))
  split(rows, factor(key, unique(key)))
}

bind <- function(rows) {
  rows <- do.call(rbind, unname(rows))
  if (!is.null(rows)) rownames(rows) <- NULL
  rows
}
