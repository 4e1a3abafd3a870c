# What if something cost nothing: how much faster the run would be.

figure_what_if <- function(traces) {
  title <- "What if it cost nothing"
  rows <- bind(lapply(traces, function(trace) if (nrow(trace$what_if) > 0) data.frame(trace = trace$label, trace$what_if)))
  if (is.null(rows)) return(missing_figure("what_if", title, not_analysed))
  rows$trace <- factor(rows$trace, unique(rows$trace))
  best <- tapply(rows$speedup, rows$what, max)
  rows$what <- factor(rows$what, names(sort(best)))
  reach <- range(c(rows$speedup, 0.95, 1.1))
  draw <- function(narrow) {
    plot <- ggplot2::ggplot(rows, ggplot2::aes(speedup, what)) +
      ggplot2::geom_vline(xintercept = 1, colour = faint, linewidth = 0.4) +
      ggplot2::geom_linerange(ggplot2::aes(xmin = 1, xmax = speedup), colour = okabe_ito[["blue"]], linewidth = 0.5) +
      ggplot2::geom_point(size = 2.4, colour = okabe_ito[["blue"]]) +
      ggplot2::geom_text(ggplot2::aes(label = what_if_text(speedup, saved_ns), hjust = ifelse(speedup < 1, 1.1, -0.1)),
                         size = if (narrow) 2.5 else 2.8, colour = ink) +
      ggplot2::scale_x_continuous("times as fast as it was", limits = c(
        reach[1] - if (any(rows$speedup < 1)) (if (narrow) 0.5 else 0.4) * diff(reach) else 0,
        reach[2] + (if (narrow) 0.6 else 0.5) * diff(reach))) +
      ggplot2::ylab(NULL) + report_theme(narrow)
    panels <- nlevels(rows$trace)
    columns <- panel_columns(panels, narrow)
    if (panels > 1) plot <- plot + ggplot2::facet_wrap(~trace, ncol = columns)
    picture(plot, 0.6 + (0.4 + 0.25 * nlevels(rows$what)) * ceiling(panels / columns))
  }
  new_figure("what_if", title, draw, what_if_finding(rows), paste(
    "The run is played again from its trace without the one cost, everything else taking the time it took and nobody",
    "doing another's work. Costs that the trace did not measure are left out; below 1: waits would move to where they",
    "hurt more."), rows)
}

what_if_text <- function(speedup, saved_ns) {
  ifelse(saved_ns == 0, "no change", sprintf("%s (%s%s)", format_digits(speedup), ifelse(saved_ns < 0, "+", "\u2212"),
                                             format_duration(abs(saved_ns))))
}

what_if_finding <- function(rows) {
  sentences <- vapply(split_by(rows, "trace"), function(own) {
    top <- own[which.max(own$speedup), ]
    if (top$speedup < 1.005) return(sprintf("No single cost slowed %s by more than 0.5 %%.", top$trace))
    sprintf("Without %s, %s would have been %s times as fast.", top$what, top$trace, format_digits(top$speedup))
  }, "")
  paste(sentences, collapse = " ")
}
