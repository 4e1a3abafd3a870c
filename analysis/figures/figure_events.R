# What tracing itself cost in a run: its events by kind, and the time that writing them took.

max_event_kinds <- 12

figure_events <- function(trace) {
  title <- "What tracing wrote, and what that cost"
  rows <- trace$events_by_kind
  if (nrow(rows) == 0) return(missing_figure("events", title, "The trace holds no event."))
  cost_ns <- suppressWarnings(as.numeric(machine_value(trace$meta, "event_cost_ps"))) / 1000
  if (nrow(rows) > max_event_kinds) {
    rest <- rows[max_event_kinds:nrow(rows), ]
    rows <- rbind(rows[seq_len(max_event_kinds - 1), ],
                  data.frame(kind = sprintf("%d other kinds", nrow(rest)), events = sum(rest$events)))
  }
  rows$kind <- factor(rows$kind, rev(rows$kind))
  rows$text <- format_count(rows$events)
  if (is.finite(cost_ns)) rows$text <- paste0(rows$text, ": ", format_duration(rows$events * cost_ns))
  draw <- function(narrow) {
    plot <- ggplot2::ggplot(rows, ggplot2::aes(events, kind)) +
      ggplot2::geom_col(fill = okabe_ito[["sky"]], width = 0.7) +
      ggplot2::geom_text(ggplot2::aes(label = text), hjust = -0.05, size = if (narrow) 2.6 else 3, colour = ink) +
      ggplot2::scale_x_continuous("events", labels = format_tick,
                                  breaks = function(limits) pretty(limits, if (narrow) 2 else 5),
                                  expand = ggplot2::expansion(c(0, if (narrow) 0.6 else 0.25))) +
      ggplot2::ylab(NULL) + report_theme(narrow) +
      ggplot2::theme(panel.grid.major.y = ggplot2::element_blank())
    picture(plot, 0.7 + 0.22 * nrow(rows))
  }
  new_figure("events", title, draw, events_finding(trace, cost_ns), paste(
    "Times: the number of events by the cost of writing one, calibrated when the trace was finished; what events do to",
    "caches and to the collector's CPU is not in it."), rows[c("kind", "events")])
}

events_finding <- function(trace, cost_ns) {
  if (!is.finite(cost_ns)) return(sprintf("Tracing wrote %s; what one costs was not calibrated.",
                                          counted(trace$events, "event")))
  lives <- sum(trace$processes$end_ns - trace$processes$start_ns)
  sprintf("Tracing wrote %s at %s each: %s, %s of the processes' time.", counted(trace$events, "event"),
          format_duration(cost_ns), format_duration(trace$events * cost_ns),
          format_percent(trace$events * cost_ns / max(1, lives)))
}
