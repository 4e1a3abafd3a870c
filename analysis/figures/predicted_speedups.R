# What the traces of the bench's own programs predict with more workers than were measured, for the figure of speedups.

# A prediction says only how many times as fast the program gets: it starts from the speedup that was measured with as many
# workers as there are CPUs. same_tasks: not those of the workers that were traced, but the same with any number. NULL: there
# are none.
predicted_speedups <- function(bench, traces) {
  rows <- bind(lapply(traces, function(trace) {
    measured <- rows_of_cell(bench$speedups, trace)
    if (NROW(measured) == 0) return(NULL)
    from <- measured[measured$workers == full_workers(measured$workers, bench$cpus), ]
    base <- trace$prediction[trace$prediction$cpus == from$workers, ]
    later <- trace$prediction[trace$prediction$cpus >= from$workers, ]
    if (nrow(base) == 0 || nrow(later) < 2) return(NULL)
    times <- function(seconds) from$speedup * base$seconds / seconds
    data.frame(program = from$program, runtime = from$runtime, workers = later$cpus, speedup = times(later$seconds),
               low = times(later$high), high = times(later$low), limit = later$limit,
               same_tasks = cell_value(trace, "same_tasks") %in% "1", traced = cell_value(trace, "workers"))
  }))
  rows[!duplicated(rows[c("program", "runtime", "workers")]), ]  # of several traces of a cell, the first
}

# The rows of the cell that a trace is of; `python3 -m bench trace` notes it there.
rows_of_cell <- function(rows, trace) {
  size <- suppressWarnings(as.numeric(cell_value(trace, "size")))
  rows[rows$workload %in% cell_value(trace, "workload") & rows$size %in% size & rows$runtime %in% cell_value(trace, "runtime"), ]
}

cell_value <- function(trace, what) machine_value(trace$meta, paste0("bench_", what))

predicted_layers <- function(rows) {
  if (is.null(rows)) return(NULL)
  list(
    ggplot2::geom_ribbon(data = rows, ggplot2::aes(workers, ymin = low, ymax = high, fill = runtime), inherit.aes = FALSE,
                         alpha = 0.15, show.legend = FALSE),
    ggplot2::geom_line(data = rows, ggplot2::aes(workers, speedup, colour = runtime, group = runtime), inherit.aes = FALSE,
                       linetype = "22", linewidth = 0.6, show.legend = FALSE))
}

# The most that is predicted of the programs, each with the fewest workers that do it.
predicted_finding <- function(rows) {
  rows <- rows[rows$same_tasks, ]
  if (NROW(rows) == 0) return("")
  peaks <- bind(lapply(split_by(rows, c("program", "runtime")), function(own) own[which.max(own$speedup), ]))
  told <- function(row) {
    sprintf("%s of %s %s with %s (limit: %s)", row$runtime, row$program, format_digits(row$speedup),
            counted(row$workers, "worker"), row$limit)
  }
  most <- told(peaks[which.max(peaks$speedup), ])
  if (nrow(peaks) == 1) return(sprintf(" Predicted with more workers: %s.", most))
  sprintf(" Predicted with more workers: from %s to %s.", told(peaks[which.min(peaks$speedup), ]), most)
}

predicted_caption <- function(rows, bench) {
  if (is.null(rows)) return("")
  paste0(" Dashed, without points: predicted from a trace, as gain over the measured speedup where the line begins, with a CPU ",
         "for each worker; bands: the middle 95 % when the tasks' times are drawn anew.", flat_predictions(rows),
         without_prediction(rows, bench), " ", prediction_tested)
}

# A trace has the tasks that it has: where the program makes as many as it has workers, more of these get nothing.
flat_predictions <- function(rows) {
  flat <- rows[!rows$same_tasks, ]
  if (nrow(flat) == 0) return("")
  last <- bind(lapply(split_by(flat, c("program", "runtime")), function(own) own[which.max(own$workers), ]))
  sprintf(paste(" Flat, and no forecast, for %s: the program cuts its work by the number of workers, and the trace has the tasks",
                "of %s."), in_words(sprintf("%s with %s (limit: %s)", last$program, last$runtime, last$limit)),
          in_words(paste(unique(last$traced), "workers")))
}

without_prediction <- function(rows, bench) {
  without <- setdiff(bench$speedups$program, rows$program)
  if (length(without) > 0) sprintf(" Not traced: %s.", in_words(sort(without)))
}
