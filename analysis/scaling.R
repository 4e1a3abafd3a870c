# Weak scaling, and the size of a task from which on a runtime is faster than the sequential loop.

# Efficiency where the work grows with the workers: the sequential time of one share of it over the time of all shares,
# 1 is a time that stays. work / workers makes up for sizes that hit the share not quite. NULL without such a series.
weak_efficiency <- function(samples, seed, base = "sequential") {
  if (!any(samples$series %in% "weak")) return(NULL)
  first <- samples[samples$runtime == base & samples$workers == 1 & samples$series %in% "both", ]
  grown <- unique(samples$runtime[samples$series %in% "weak"])
  rest <- samples[samples$runtime %in% setdiff(grown, base) &
                    (samples$series %in% "weak" | samples$workers == 1), ]
  bind(lapply(split_by(rest, c("program", "runtime", "workers")), function(cell) {
    pair <- merge(cell[c("block", "time_ns")], first[first$program == cell$program[1], c("block", "time_ns")],
                  by = "block", suffixes = c("", "_base"))
    if (nrow(pair) == 0) return(NULL)
    share <- cell$work[1] / cell$workers[1]
    interval <- block_interval(pair[c("time_ns_base", "time_ns")], function(b, t) share * b / t, seed)
    data.frame(cell[1, c("program", "runtime", "workers", "size", "unit")], blocks = nrow(pair),
               efficiency = interval[["estimate"]], low = interval[["low"]], high = interval[["high"]])
  }))
}

# Of every workload in several sizes: the size from which on each runtime takes less than the sequential loop, 0 when it
# always does, Inf when it does not at the largest. Blocks are resampled for all sizes at once.
crossovers <- function(samples, seed, base = "sequential") {
  if (nrow(samples) == 0) return(NULL)
  others <- samples[!samples$runtime %in% c(base, control_runtime), ]
  bind(lapply(split_by(others, c("program", "runtime", "workers")), function(cell) {
    bases <- samples[samples$runtime == base & samples$program == cell$program[1], ]
    pair <- merge(cell[c("block", "size", "time_ns")], bases[c("block", "size", "time_ns")], by = c("block", "size"),
                  suffixes = c("", "_base"))
    sizes <- sort(unique(pair$size))
    blocks <- Reduce(intersect, split(pair$block, pair$size))
    if (length(blocks) == 0) return(NULL)
    column <- function(name) {
      sapply(sizes, function(size) {
        rows <- pair[pair$size == size, ]
        rows[[name]][match(blocks, rows$block)]
      })
    }
    falls <- function(...) {
      medians <- do.call(cbind, list(...))
      logs <- log(medians[, seq_along(sizes), drop = FALSE] / medians[, -seq_along(sizes), drop = FALSE])
      apply(logs, 1, function(values) last_fall(sizes, values))
    }
    values <- cbind(matrix(column("time_ns"), length(blocks)), matrix(column("time_ns_base"), length(blocks)))
    interval <- block_interval(values, falls, seed)
    data.frame(cell[1, c("program", "runtime", "workers", "unit")], blocks = length(blocks), smallest = min(sizes),
               largest = max(sizes), size = interval[["estimate"]], low = interval[["low"]], high = interval[["high"]])
  }))
}

# Where the line through (log(size), value) falls below 0 for good.
last_fall <- function(sizes, values) {
  if (values[length(values)] >= 0) return(Inf)
  above <- which(values >= 0)
  if (length(above) == 0) return(0)
  k <- max(above)
  exp(log(sizes[k]) + (log(sizes[k + 1]) - log(sizes[k])) * values[k] / (values[k] - values[k + 1]))
}

# Tables of the page; NULL where there is nothing to show.
weak_table <- function(rows) {
  if (is.null(rows)) return(NULL)
  data.frame(check.names = FALSE, program = rows$program, runtime = rows$runtime, workers = rows$workers,
             size = sprintf("%s %s", format_count(rows$size), rows$unit),
             "efficiency [interval]" = ratio_text(rows$efficiency, rows$low, rows$high), blocks = rows$blocks)
}

crossover_table <- function(rows) {
  if (is.null(rows)) return(NULL)
  text <- function(size) {
    ifelse(size == Inf, paste("more than", format_count(rows$largest)),
    ifelse(size == 0, paste("less than", format_count(rows$smallest)), format_count(round(size))))
  }
  bounds <- ifelse(is.na(rows$low), "", sprintf(" [%s, %s]", text(rows$low), text(rows$high)))
  data.frame(check.names = FALSE, sweep = rows$program, runtime = rows$runtime, workers = rows$workers,
             "faster than sequential from [interval]" = paste0(text(rows$size), " ", rows$unit, bounds),
             blocks = rows$blocks)
}

memory_table <- function(rows) {
  if (nrow(rows) == 0) return(NULL)
  data.frame(check.names = FALSE, program = rows$program, runtime = rows$runtime, workers = rows$workers,
             "peak PSS of the tree" = format_bytes(rows$bytes), processes = rows$processes)
}
