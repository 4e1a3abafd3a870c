# What if something cost nothing: how much faster the run would be.

figure_what_if <- function(traces) {
  title <- "What if it cost nothing"
  rows <- bind(lapply(traces, function(trace) if (nrow(trace$what_if) > 0) data.frame(trace = trace$label, trace$what_if)))
  if (is.null(rows)) return(missing_figure("what_if", title, not_analysed))
  rows$trace <- factor(rows$trace, unique(rows$trace))
  best <- tapply(rows$speedup, rows$what, max)
  rows$what <- factor(rows$what, names(sort(best)))
  several <- nlevels(rows$trace) > 1
  reach <- range(c(rows$speedup, 0.95, 1.1))
  draw <- function(narrow) {
    beside <- ggplot2::position_dodge(width = 0.6)
    plot <- ggplot2::ggplot(rows, ggplot2::aes(speedup, what, colour = trace, shape = trace)) +
      ggplot2::geom_vline(xintercept = 1, colour = faint, linewidth = 0.4) +
      ggplot2::geom_linerange(ggplot2::aes(xmin = 1, xmax = speedup), position = beside, linewidth = 0.5,
                              show.legend = FALSE) +
      ggplot2::geom_point(position = beside, size = 2.6) +
      ggplot2::geom_text(ggplot2::aes(label = what_if_text(speedup, saved_ns), hjust = ifelse(speedup < 1, 1.08, -0.08)),
                         position = beside, size = if (narrow) 2.5 else 2.9, show.legend = FALSE) +
      ggplot2::scale_colour_manual(values = unname(okabe_ito[c("blue", "vermillion", "green", "purple", "orange", "sky")])) +
      ggplot2::scale_shape_manual(values = c(16, 17, 15, 18, 4, 3)) +
      ggplot2::scale_x_continuous("times as fast as it was", limits = c(
        reach[1] - if (any(rows$speedup < 1)) (if (narrow) 0.5 else 0.25) * diff(reach) else 0,
        reach[2] + (if (narrow) 0.6 else 0.25) * diff(reach))) +
      ggplot2::ylab(NULL) + report_theme(narrow)
    if (!several) plot <- plot + ggplot2::theme(legend.position = "none")
    picture(plot, 0.9 + (0.14 + 0.2 * nlevels(rows$trace)) * nlevels(rows$what))
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
