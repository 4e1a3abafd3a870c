# What the samples say, and how surely.
#
# The unit of replication is the block: a pass through all combinations on one state of the machine. So everything is
# compared within blocks, and intervals come from resampling whole blocks. A ratio is that of two medians over the same
# blocks, never a mean of ratios. Medians, because other work on the machine hits a few samples of every session: with
# such outliers the intervals of means of 6 to 10 blocks cover the truth in 80 to 86 % of sessions, those of medians in
# 93 to 97 %. A ratio is called a difference only where it is larger than what snakefish differs by from itself (the A/A
# control), and sure enough when all comparisons of its kind are taken together (Holm). `python3 -m bench show` goes by
# the same definitions.

min_blocks <- 6           # with fewer, even the extremes do not enclose the median in 95 %: points only
practical_margin <- 0.02  # times that differ by less are of no practical difference
interval_level <- 0.95
resample_times <- 4000

# Runs f with a seed of its own and leaves the session's random state as it was.
with_seed <- function(seed, f) {
  old <- get0(".Random.seed", globalenv(), inherits = FALSE)
  on.exit(if (is.null(old)) suppressWarnings(rm(".Random.seed", envir = globalenv()))
          else assign(".Random.seed", old, globalenv()))
  set.seed(seed, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
  f()
}

# Which blocks are drawn, one row a resample. Kept, because every figure asks for the same few.
block_draws_cache <- new.env()
block_draws <- function(n, seed, times = resample_times) {
  key <- paste(n, seed, times)
  if (is.null(block_draws_cache[[key]])) {
    block_draws_cache[[key]] <- with_seed(seed, function() matrix(sample.int(n, n * times, replace = TRUE), times, n))
  }
  block_draws_cache[[key]]
}

# The median of each row, for all rows at once.
row_medians <- function(rows) {
  n <- ncol(rows)
  sorted <- matrix(rows[order(row(rows), rows)], nrow(rows), n, byrow = TRUE)
  (sorted[, (n + 1) %/% 2] + sorted[, n %/% 2 + 1]) / 2
}

# statistic is a function of medians: it gets one for each column of `values` (one row a block), or for each column a
# vector of resampled ones. Returns c(estimate, low, high, p); all but the first NA below min_blocks. p: how likely
# resamples lie on the other side of 1, or farther; or, where that is more, the tail of Student's t beyond the distance
# of log(estimate) from 0 in standard deviations of the resamples' logarithms. Resamples of few blocks alone are too sure.
block_interval <- function(values, statistic, seed) {
  values <- as.matrix(values)
  n <- nrow(values)
  nothing <- c(estimate = NA_real_, low = NA_real_, high = NA_real_, p = NA_real_)
  if (n == 0) return(nothing)
  columns <- seq_len(ncol(values))
  estimate <- do.call(statistic, lapply(columns, function(i) stats::median(values[, i])))
  if (n < min_blocks) return(replace(nothing, "estimate", estimate))
  draws <- block_draws(n, seed)
  resampled <- do.call(statistic, lapply(columns, function(i) row_medians(array(values[draws, i], dim(draws)))))
  tail <- (1 - interval_level) / 2
  interval <- stats::quantile(resampled, c(tail, 1 - tail), names = FALSE)
  beyond <- min(sum(resampled <= 1), sum(resampled >= 1))
  spread <- suppressWarnings(stats::sd(log(resampled)))  # of what is no ratio there may be none, and no p
  tails <- if (isTRUE(spread > 0)) 2 * stats::pt(-abs(log(estimate)) / spread, n - 1) else 0
  c(estimate = estimate, low = interval[1], high = interval[2], p = max(min(1, 2 * beyond / length(resampled)), tails))
}

# One row for each block and combination: a block that holds several samples of one counts once, with their mean.
block_times <- function(samples) {
  stats::aggregate(time_ns ~ program + micro + runtime + workers + block, samples, mean)
}

# Median, its interval, and the mean of each combination of program, runtime and workers.
summarise_times <- function(samples, seed) {
  times <- block_times(samples)
  rows <- lapply(split_by(times, c("program", "runtime", "workers")), function(cell) {
    interval <- block_interval(cell$time_ns, function(x) x, seed)
    data.frame(cell[1, c("program", "micro", "runtime", "workers")], blocks = nrow(cell),
               median_ns = interval[["estimate"]], mean_ns = mean(cell$time_ns),
               low_ns = interval[["low"]], high_ns = interval[["high"]])
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
               base_ns = stats::median(pair$time_ns_base), time_ns = stats::median(pair$time_ns),
               ratio = interval[["estimate"]], low = interval[["low"]], high = interval[["high"]], p = interval[["p"]],
               by_block = I(list(pair$time_ns_base / pair$time_ns)))
  })
  bind(rows)
}

# snakefish against itself: what these ratios differ from 1 by is noise.
control_runtime <- "snakefish-again"
control_ratios <- function(samples, seed) compare_runtimes(samples, control_runtime, "snakefish", seed)

# The other runtimes that programs are compared with.
rivals <- function(samples) {
  sort(setdiff(unique(samples$runtime[!samples$micro]), c("sequential", "ceiling", "floor", "multiprocessing", "snakefish",
       control_runtime, "snakefish-traced", "snakefish-channels")))
}

# What counts as no difference: the practical margin, or what 95 % of the A/A control's ratios differ from 1 by, where
# that is more.
noise_margin <- function(ratios) {
  if (length(ratios) == 0) return(practical_margin)
  max(practical_margin, stats::quantile(exp(abs(log(ratios))) - 1, 0.95, names = FALSE))
}

# Adds margin and verdict. Programs and micro-benchmarks are two kinds: each has its own noise, and in each the number of
# comparisons is allowed for.
decide <- function(rows, control) {
  if (is.null(rows)) return(NULL)
  rows$margin <- practical_margin
  rows$verdict <- ""
  for (kind in unique(rows$micro)) {
    of <- rows$micro == kind
    rows$margin[of] <- noise_margin(control$ratio[control$micro == kind])
    rows$verdict[of] <- verdict(rows$ratio[of], rows$low[of], rows$high[of], rows$p[of], rows$margin[of])
  }
  rows
}

practical_band <- function(margin = practical_margin) cbind(low = 1 / (1 + margin), high = 1 + margin)

# no practical difference: the whole interval lies within the margin; faster or slower: the ratio lies outside of it, and
# is sure when all these comparisons are taken together. Everything else is not known.
verdict <- function(ratio, low, high, p, margin = practical_margin) {
  band <- practical_band(margin)
  inside <- ratio >= band[, "low"] & ratio <= band[, "high"]
  sure <- stats::p.adjust(p, "holm") <= 1 - interval_level
  ifelse(!(is.finite(low) & is.finite(high)), "inconclusive",
  ifelse(low >= band[, "low"] & high <= band[, "high"], "no practical difference",
  ifelse(inside | !sure, "inconclusive", ifelse(ratio > 1, "faster", "slower"))))
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
  samples <- samples[!samples$micro & samples$workers == workers & samples$runtime %in% c(runtime, base), ]
  if (nrow(samples) == 0) return(NULL)
  times <- block_times(samples)
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
    medians <- list(...)
    bases <- medians[c(TRUE, FALSE)]
    ours <- medians[c(FALSE, TRUE)]
    exp(Reduce(`+`, Map(function(b, t) log(b / t), bases, ours)) / length(ours))
  }
  interval <- block_interval(values, geometric, seed)
  data.frame(workers = workers, programs = length(programs), blocks = length(blocks), ratio = interval[["estimate"]],
             low = interval[["low"]], high = interval[["high"]])
}

# The most workers that each have a CPU of their own; the fewest there are where none fit or the CPUs are not known.
full_workers <- function(counts, cpus) {
  fitting <- counts[is.finite(cpus) & counts <= cpus]
  if (length(fitting) > 0) max(fitting) else min(counts)
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
