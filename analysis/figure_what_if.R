# What if something cost nothing: how much faster the run would be.

figure_what_if <- function(traces) {
  title <- "What if it cost nothing"
  rows <- bind(lapply(traces, function(trace) if (nrow(trace$what_if) > 0) data.frame(trace = trace$label, trace$what_if)))
  if (is.null(rows)) return(missing_figure("what_if", title, not_analysed))
  rows$trace <- factor(rows$trace, unique(rows$trace))
  best <- tapply(rows$speedup, rows$what, max)
  rows$what <- factor(rows$what, names(sort(best)))
  rows$text <- what_if_text(rows$speedup, rows$saved_ns)
  panels <- nlevels(rows$trace)
  draw <- function(narrow) {
    columns <- panel_columns(panels, narrow)
    plot <- ggplot2::ggplot(rows, ggplot2::aes(speedup, what)) +
      ggplot2::geom_vline(xintercept = 1, colour = faint, linewidth = 0.4) +
      ggplot2::geom_linerange(ggplot2::aes(xmin = 1, xmax = speedup), colour = okabe_ito[["blue"]], linewidth = 0.5) +
      ggplot2::geom_point(size = 2.4, colour = okabe_ito[["blue"]]) +
      ggplot2::geom_text(ggplot2::aes(label = sprintf("  %s  ", text), hjust = ifelse(speedup < 1, 1, 0)),
                         size = if (narrow) 2.5 else 2.8, colour = ink) +
      ggplot2::scale_x_continuous("times as fast as it was", limits = what_if_limits(rows, columns, narrow)) +
      ggplot2::ylab(NULL) + report_theme(narrow)
    if (panels > 1) plot <- plot + ggplot2::facet_wrap(~trace, ncol = columns)
    picture(plot, 0.6 + (0.4 + 0.25 * nlevels(rows$what)) * ceiling(panels / columns))
  }
  new_figure("what_if", title, draw, what_if_finding(rows), paste(
    "The run is played again from its trace without the one cost, everything else taking the time it took and nobody",
    "doing another's work. Costs that the trace did not measure are left out; below 1: waits would move to where they",
    "hurt more."), rows)
}

# With room in the panel for the numbers to the right of points from 1 on, and to the left of the others.
what_if_limits <- function(rows, columns, narrow) {
  panel_inches <- if (narrow) 2.9 else 7.6 / columns - 0.3
  letter <- (if (narrow) 0.064 else 0.072) / panel_inches
  room <- function(texts) min(0.4, if (length(texts) == 0) 0 else letter * (3 + max(nchar(texts))))
  left <- room(rows$text[rows$speedup < 1])
  right <- room(rows$text[rows$speedup >= 1])
  reach <- range(c(rows$speedup, 0.98, 1.05))
  reach + c(-left, right) * diff(reach) / (1 - left - right)
}

what_if_text <- function(speedup, saved_ns) {
  ifelse(saved_ns == 0, "no change", sprintf("%s (%s%s)", format_digits(speedup), ifelse(saved_ns < 0, "+", "\u2212"),
                                             format_duration(abs(saved_ns))))
}

what_if_finding <- function(rows) {
  best <- bind(lapply(split_by(rows, "trace"), function(own) own[which.max(own$speedup), ]))
  traces <- nrow(best)
  if (too_many_to_tell(best$trace)) {
    counts <- sort(table(as.character(best$what[best$speedup >= 1.005])), decreasing = TRUE)
    best <- best[which.max(best$speedup), ]
    if (length(counts) > 0) return(sprintf("Most would be gained without \u201c%s\u201d in %s: it would be %s times as fast. %s",
      best$what, best$trace, format_digits(best$speedup),
      sprintf("What costs most: %s.", in_words(sprintf("%s in %d of %d", names(counts), counts, traces)))))
  }
  sentences <- ifelse(best$speedup < 1.005, sprintf("No single cost slowed %s by more than 0.5 %%.", best$trace),
                      sprintf("Without \u201c%s\u201d %s would have been %s times as fast.", best$what, best$trace,
                              format_digits(best$speedup)))
  paste(sentences, collapse = " ")
}
