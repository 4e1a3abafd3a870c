# CPU time by function, by samples of Python's stacks: a panel for each kind of task, with a bar for each function. The dark
# part is its own time, the light one that of what it has called.

figure_functions <- function(trace) {
  title <- "Functions by CPU time"
  rows <- trace$functions
  if (nrow(rows) == 0) return(missing_figure("functions", title, "The trace has no samples of stacks: record --sample 199."))
  unit <- duration_unit(rows$total_ns)
  rows$task <- factor(rows$task, unique(rows$task))
  rows$bar <- factor(seq_len(nrow(rows)), rev(seq_len(nrow(rows))))  # two files may have functions of one name
  parts <- c("itself", "what it called")
  times <- rbind(data.frame(rows[c("task", "bar")], part = parts[1], x = rows$self_ns / unit$ns),
                 data.frame(rows[c("task", "bar")], part = parts[2], x = (rows$total_ns - rows$self_ns) / unit$ns))
  times$part <- factor(times$part, rev(parts))
  colours <- stats::setNames(category_palette[c(1, 2)], parts)
  draw <- function(narrow) {
    rows$x <- rows$total_ns / unit$ns
    rows$text <- sprintf("  %s%s", format_percent(rows$self_share), if (narrow) "" else paste(",", shorten(rows$place, 28)))
    plot <- ggplot2::ggplot(times, ggplot2::aes(x, bar)) +
      ggplot2::geom_col(ggplot2::aes(fill = part), width = 0.72, orientation = "y", colour = "white", linewidth = 0.2) +
      ggplot2::geom_text(data = rows, ggplot2::aes(label = text), hjust = 0, size = if (narrow) 2.5 else 2.8, colour = ink) +
      ggplot2::scale_fill_manual(values = colours, breaks = parts, guide = fill_legend(length(parts), narrow)) +
      ggplot2::scale_x_continuous(sprintf("CPU time (%s)", unit$unit), breaks = function(limits) pretty(limits, 4),
                                  expand = ggplot2::expansion(c(0, if (narrow) 0.18 else 0.3))) +
      ggplot2::scale_y_discrete(NULL, labels = function(bar) shorten(rows$`function`[as.integer(bar)], if (narrow) 14 else 28)) +
      ggplot2::facet_grid(task ~ ., scales = "free_y", space = "free_y") +  # bars of one width, however many a panel has
      report_theme(narrow) + ggplot2::theme(panel.grid.major.y = ggplot2::element_blank(),
                                            strip.text.y = ggplot2::element_text(angle = 0, hjust = 0,
                                                                                 size = if (narrow) 7 else 9))
    picture(plot, 1.1 + 0.1 * nlevels(rows$task) + 0.27 * nrow(rows))
  }
  new_figure("functions", title, draw, functions_finding(rows), paste(
    "By samples of Python's stacks. The percentage is the function's own part of the CPU time of its kind of task; the line is",
    "the one that most of that is in. A function that calls itself has the time once."),
    rows[c("task", "function", "file", "line", "self_ns", "total_ns", "samples", "self_share")])
}

functions_finding <- function(rows) {
  firsts <- rows[!duplicated(rows$task), ]
  first <- firsts[1, ]
  others <- firsts[-1, ]
  paste0(sprintf("Most CPU time of kind \u201c%s\u201d was in \u201c%s\u201d (%s): %s, %s of it", first$task,
                 shorten(first$`function`, 28), shorten(first$place, 28), format_duration(first$self_ns),
                 format_percent(first$self_share)),
         if (nrow(others) > 0) paste0("; of ", paste(sprintf(
           "\u201c%s\u201d in \u201c%s\u201d, %s", others$task, shorten(others$`function`, 28),
           format_percent(others$self_share)), collapse = "; of ")), ".")
}

function_table <- function(trace) {
  rows <- trace$functions
  if (nrow(rows) == 0) return(NULL)
  data.frame(check.names = FALSE, task = rows$task, `function` = rows$`function`, line = rows$place,
             itself = format_duration(rows$self_ns), share = format_percent(rows$self_share),
             `with what it called` = format_duration(rows$total_ns), samples = format_count(rows$samples))
}
