# Efficiency: speedup divided by workers, which is the share of the workers' time that was useful.

figure_efficiency <- function(bench) {
  title <- "Efficiency against workers"
  rows <- bench$speedups
  if (is.null(rows)) return(missing_figure("efficiency", title, no_speedup(bench)))
  rows <- in_runtime_order(rows)
  shown <- transform(rows, low = efficiency_low, high = efficiency_high)
  draw <- function(narrow) {
    plot <- scaling_plot(shown, bench$cpus, "efficiency", narrow) +
      ggplot2::geom_hline(yintercept = 1, colour = faint, linewidth = 0.4) +
      ggplot2::scale_y_continuous("efficiency (speedup / workers)", limits = c(0, NA), breaks = seq(0, 2, 0.25),
                                  labels = function(x) paste0(100 * x, " %"), expand = ggplot2::expansion(c(0, 0.08)))
    picture(plot, panel_height(length(unique(rows$program)), narrow))
  }
  new_figure("efficiency", title, draw, efficiency_finding(rows, bench$cpus), paste0(
    "100 % means that every worker was as useful as the sequential program. ",
    scaling_caption(rows, bench, "The scale of workers is log2"),
    if (is.finite(bench$cpus) && bench$cpus < max(rows$workers)) " Beyond the CPUs efficiency must fall: they are shared."),
    scaling_data(shown))
}

efficiency_finding <- function(rows, cpus) {
  workers <- full_workers(rows$workers, cpus)
  if (too_many_to_tell(rows$program)) {
    return(median_by_runtime(rows, workers, "efficiency", "Efficiency", format_percent))
  }
  at <- rows[rows$workers == workers, ]
  at <- at[order(at$runtime), ]
  sentences <- vapply(split_by(at, "program"), function(cell) {
    sprintf("Efficiency of %s with %s: %s.", cell$program[1], counted(workers, "worker"),
            in_words(sprintf("%s %s", cell$runtime, format_percent(cell$efficiency))))
  }, "")
  paste(sentences, collapse = " ")
}
