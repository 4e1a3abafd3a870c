# Data frames, a row a case: in groups, and bound together again.

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

# The most workers that each have a CPU of their own; the fewest there are where none fit or the CPUs are not known.
full_workers <- function(counts, cpus) {
  stopifnot(length(counts) > 0, counts >= 1)
  fitting <- counts[is.finite(cpus) & counts <= cpus]
  if (length(fitting) > 0) max(fitting) else min(counts)
}
