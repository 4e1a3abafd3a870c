# Run times: every sample as a dot, and beside the dots the median with its interval. One panel for each program.

figure_run_times <- function(bench) {
  title <- "Run times"
  samples <- bench$samples[!bench$samples$micro, ]
  if (nrow(samples) == 0) {
    return(missing_figure("run_times", title, "The session has no program, only micro-benchmarks."))
  }
  times <- samples[c("program", "runtime", "workers", "block", "time_ns")]
  medians <- bench$times[!bench$times$micro, ]
  panels <- length(unique(times$program))
  times$runtime <- runtime_factor(times$runtime)
  medians$runtime <- runtime_factor(medians$runtime)
  counts <- sort(unique(times$workers))
  for_x <- function(workers) factor(workers, counts)
  # each runtime has a column at each number of workers, for its dots, median and interval
  columns <- dodge_offsets(times, 0.75)
  times <- times[order(times$program, times$runtime, times$workers, times$block), ]
  times$x <- columns$x(times, for_x) - 0.06
  medians$x <- columns$x(medians, for_x) + 0.06
  draw <- function(narrow) {
    plot <- ggplot2::ggplot(times, ggplot2::aes(x, time_ns, colour = runtime, shape = runtime)) +
      ggplot2::facet_wrap(~program, ncol = panel_columns(panels, narrow), scales = "free_y") +
      ggplot2::geom_point(shape = 16, alpha = 0.45, size = 1.2, show.legend = FALSE) +
      ggplot2::geom_point(data = medians, ggplot2::aes(y = median_ns), size = if (narrow) 2 else 2.6)
    if (any(is.finite(medians$low_ns))) {
      plot <- plot + ggplot2::geom_linerange(data = medians, ggplot2::aes(y = median_ns, ymin = low_ns,
                                             ymax = high_ns), linewidth = 0.7, show.legend = FALSE, na.rm = TRUE)
    }
    columns <- ggplot2::guide_legend(ncol = if (narrow) 2 else 5)
    plot <- plot + runtime_scales(times$runtime) + ggplot2::guides(colour = columns, shape = columns) +
      ggplot2::scale_x_continuous("workers", breaks = seq_along(counts), labels = counts,
                                  expand = ggplot2::expansion(add = 0.5)) +
      ggplot2::scale_y_continuous("time", labels = format_duration_tick, limits = c(0, NA),
                                  expand = ggplot2::expansion(c(0, 0.06))) +
      report_theme(narrow) + ggplot2::theme(panel.grid.major.x = ggplot2::element_blank())
    picture(plot, panel_height(panels, narrow))
  }
  new_figure("run_times", title, draw, run_times_finding(medians), paste(
    "Small dots: one block each; large: their median.", interval_caption(medians, bench$method), "Lower is better."),
    times[c("program", "runtime", "workers", "block", "time_ns")])
}

# The columns of the runtimes at each number of workers: evenly spread over `width`, without gaps for absent ones.
dodge_offsets <- function(times, width) {
  present <- unique(times[c("workers", "runtime")])
  place <- stats::ave(as.integer(present$runtime), present$workers, FUN = rank)
  among <- stats::ave(place, present$workers, FUN = length)
  offset <- (place - (among + 1) / 2) * width / max(among)
  list(x = function(rows, for_x) {
    as.integer(for_x(rows$workers)) +
      offset[match(paste(rows$workers, rows$runtime), paste(present$workers, present$runtime))]
  })
}

run_times_finding <- function(medians) {
  # the ceiling does different work: several copies of the program
  if (!all(medians$runtime == "ceiling")) medians <- medians[medians$runtime != "ceiling", ]
  quickest <- lapply(split_by(medians, "program"), function(cell) cell[which.min(cell$median_ns), ])
  if (too_many_to_tell(medians$program)) {
    wins <- table(factor(vapply(quickest, function(best) as.character(best$runtime), "")))
    return(sprintf("Quickest of %s: %s.", counted(length(quickest), "program"),
                   in_words(sprintf("%s in %d", names(wins), wins))))
  }
  sentences <- vapply(quickest, function(best) {
    sprintf("%s is quickest under %s with %s: %s.", best$program, best$runtime, counted(best$workers, "worker"),
            format_duration(best$median_ns))
  }, "")
  paste(sentences, collapse = " ")
}
