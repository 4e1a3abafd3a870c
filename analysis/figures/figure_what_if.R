# What if something cost nothing: how much faster the run would be. Where the trace calls that a bound ("at least"), so do
# the figure, its finding and the table.

max_what_if_panels <- 6

figure_what_if <- function(traces) {
  title <- "What if it cost nothing"
  rows <- what_if_rows(traces)
  if (is.null(rows)) return(missing_figure("what_if", title, not_analysed))
  rows$trace <- factor(rows$trace, unique(rows$trace))
  best <- tapply(rows$speedup, rows$what, max)
  rows$what <- factor(rows$what, names(sort(best)))
  many <- nlevels(rows$trace) > max_what_if_panels
  new_figure("what_if", title, if (many) draw_best(rows) else draw_panels(rows), what_if_finding(rows), paste0(
    "The run is replayed from its trace without the one cost. Everything else takes the time that it took, and every ",
    "process keeps its work. Costs that the trace did not measure are left out. Below 1 the run would be slower, because ",
    "waits would move.",
    if (any(rows$bound != "")) paste0(" \u201c", rows$bound[rows$bound != ""][1], "\u201d: a change that takes this cost away ",
                                      "takes others along, which the replay keeps."),
    if (many) " Of each run only what would gain most."), rows)
}

what_if_rows <- function(traces) {
  rows <- bind(lapply(traces, function(trace) if (nrow(trace$what_if) > 0) data.frame(trace = trace$label, trace$what_if)))
  if (!is.null(rows)) rows$bound <- shorten(rows$bound, 12)
  rows
}

# A panel for each run, with a row for each cost.
draw_panels <- function(rows) {
  panels <- nlevels(rows$trace)
  rows$text <- what_if_text(rows)
  function(narrow) {
    columns <- panel_columns(panels, narrow)
    # the numbers stand to the right of 1, also those of points to its left
    plot <- what_if_plot(rows, "what", narrow, if (narrow) 2.9 else 7.6 / columns - 0.3) +
      ggplot2::geom_text(ggplot2::aes(x = pmax(1, speedup), label = paste0("  ", text)), hjust = 0,
                         size = if (narrow) 2.5 else 2.8, colour = ink) +
      ggplot2::scale_y_discrete(NULL)
    if (panels > 1) plot <- plot + ggplot2::facet_wrap(~trace, ncol = columns)
    picture(plot, 0.6 + (0.4 + 0.25 * nlevels(rows$what)) * ceiling(panels / columns))
  }
}

# Of many runs, a row for each, under its name.
draw_best <- function(rows) {
  rows <- bind(lapply(split_by(rows, "trace"), function(own) own[which.max(own$speedup), ]))
  rows$trace <- factor(rows$trace, rev(rows$trace))
  rows$text <- sprintf("%s, without \u201c%s\u201d: %s", rows$trace, rows$what, what_if_text(rows))
  function(narrow) {
    plot <- what_if_plot(transform(rows, text = ""), "trace", narrow, if (narrow) 3.6 else 8) +
      ggplot2::geom_text(data = rows, ggplot2::aes(x = 1, y = as.integer(trace) + 0.3, label = paste0(" ", text)), hjust = 0,
                         vjust = 0, size = if (narrow) 2.4 else 2.8, colour = ink) +
      ggplot2::scale_y_discrete(NULL, labels = NULL, expand = ggplot2::expansion(add = c(0.5, 0.9))) +
      ggplot2::theme(panel.grid.major.y = ggplot2::element_blank())
    picture(plot, 0.8 + 0.34 * nrow(rows))
  }
}

# Points beside 1, with room to their right for their texts in a panel of so many inches.
what_if_plot <- function(rows, y, narrow, panel_inches) {
  letter <- (if (narrow) 0.064 else 0.072) / panel_inches
  room <- min(0.6, letter * (2 + max(nchar(rows$text))))
  reach <- range(c(rows$speedup, 0.98, 1.05))
  ggplot2::ggplot(rows, ggplot2::aes(speedup, !!as.name(y))) +
    ggplot2::geom_vline(xintercept = 1, colour = faint, linewidth = 0.4) +
    ggplot2::geom_linerange(ggplot2::aes(xmin = 1, xmax = speedup), colour = okabe_ito[["blue"]], linewidth = 0.5) +
    ggplot2::geom_point(size = 2.4, colour = okabe_ito[["blue"]]) +
    ggplot2::scale_x_continuous("times as fast as it was", limits = reach + c(0, room * diff(reach) / (1 - room))) +
    report_theme(narrow)
}

what_if_text <- function(rows) {
  ifelse(rows$saved_ns == 0, "no change",
         sprintf("%s (%s%s)", times_as_fast_text(rows), ifelse(rows$saved_ns < 0, "+", "\u2212"),
                 format_duration(abs(rows$saved_ns))))
}

# "at least 1.23", "1.23"
times_as_fast_text <- function(rows) trimws(paste(rows$bound, format_digits(rows$speedup)))

what_if_table <- function(traces) {
  rows <- what_if_rows(traces)
  if (is.null(rows)) return(NULL)
  table <- data.frame(check.names = FALSE, run = rows$trace, without = rows$what,
                      "it would take" = format_duration(rows$duration_ns), "times as fast" = times_as_fast_text(rows),
                      assumed = rows$doc)
  if (length(unique(rows$trace)) == 1) table[-1] else table
}

what_if_finding <- function(rows) {
  best <- bind(lapply(split_by(rows, "trace"), function(own) own[which.max(own$speedup), ]))
  traces <- nrow(best)
  if (too_many_to_tell(best$trace)) {
    counts <- sort(table(as.character(best$what[best$speedup >= 1.005])), decreasing = TRUE)
    best <- best[which.max(best$speedup), ]
    if (length(counts) > 0) return(sprintf("Most would be gained without \u201c%s\u201d in %s: it would be %s times as fast. %s",
      best$what, best$trace, times_as_fast_text(best),
      sprintf("What costs most: %s.", in_words(sprintf("%s in %d of %d", names(counts), counts, traces)))))
  }
  sentences <- ifelse(best$speedup < 1.005, sprintf("No single cost slowed %s by more than 0.5 %%.", best$trace),
                      sprintf("Without \u201c%s\u201d %s would have been %s times as fast.", best$what, best$trace,
                              times_as_fast_text(best)))
  paste(sentences, collapse = " ")
}
