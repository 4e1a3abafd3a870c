# Memory against workers: the peak PSS of the whole tree; PSS divides a shared page among the processes that map it.

figure_memory <- function(bench) {
  title <- "Memory against workers"
  rows <- bench$memory
  if (is.null(rows) || nrow(rows) == 0) {
    return(missing_figure("memory", title, "The session has no readings of memory: run the bench with --memory."))
  }
  rows <- in_runtime_order(rows)
  rows$mib <- rows$bytes / 2^20
  counts <- sort(unique(rows$workers))
  panels <- length(unique(rows$program))
  draw <- function(narrow) {
    columns <- ggplot2::guide_legend(ncol = if (narrow) 2 else 5)
    plot <- ggplot2::ggplot(rows, ggplot2::aes(workers, mib, colour = runtime, shape = runtime, linetype = runtime)) +
      ggplot2::facet_wrap(~program, ncol = panel_columns(panels, narrow), scales = "free_y") +
      ggplot2::geom_line(data = rows[several_counts(rows), ], linewidth = 0.5) + ggplot2::geom_point(size = 2.2) +
      runtime_scales(rows$runtime) + ggplot2::guides(colour = columns, shape = columns, linetype = columns) +
      ggplot2::scale_x_continuous("workers", trans = "log2", breaks = counts, expand = ggplot2::expansion(add = 0.15)) +
      ggplot2::scale_y_continuous("peak PSS (MiB)", limits = c(0, NA), labels = format_tick,
                                  expand = ggplot2::expansion(c(0, 0.08))) +
      report_theme(narrow)
    picture(plot, panel_height(panels, narrow))
  }
  new_figure("memory", title, draw, memory_finding(rows), paste(
    "The most that the program and all its processes held at one time (PSS divides a shared page among its processes), from",
    "an extra run each, so without an interval."), rows[c("program", "runtime", "workers", "bytes")])
}

memory_finding <- function(rows) {
  at <- rows[rows$workers == max(rows$workers), ]
  pair <- merge(at[at$runtime == "snakefish", c("program", "bytes")],
                at[at$runtime == "multiprocessing", c("program", "bytes")], by = "program")
  if (nrow(pair) > 0) {
    ratio <- pair$bytes.x / pair$bytes.y
    of <- if (nrow(pair) == 1) paste("in", pair$program) else
      sprintf("(median of %s; %s)", counted(nrow(pair), "program"), paste(format_digits(range(ratio)), collapse = " to "))
    return(sprintf("With %s snakefish holds %s times the memory of multiprocessing %s.",
                   counted(max(rows$workers), "worker"), format_digits(stats::median(ratio)), of))
  }
  top <- rows[which.max(rows$bytes), ]
  sprintf("The most was held by %s under %s with %s: %s.", top$program, top$runtime, counted(top$workers, "worker"),
          format_bytes(top$bytes))
}
