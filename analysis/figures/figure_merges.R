# What sharing variables cost: a bar for each variable, of the time to find and pickle its changes in the tasks, and of that
# to merge them; beside it the bytes that came, and the conflicts.

figure_merges <- function(trace) {
  title <- "Shared variables: extracting and merging"
  rows <- trace$merges
  if (nrow(rows) == 0) return(missing_figure("merges", title, "The trace has no merge of shared variables."))
  unit <- duration_unit(rows$extract_ns + rows$merge_ns)
  rows$bar <- factor(rows$variable, rev(rows$variable))
  times <- rbind(data.frame(bar = rows$bar, part = "extracting", x = rows$extract_ns / unit$ns),
                 data.frame(bar = rows$bar, part = "merging", x = rows$merge_ns / unit$ns))
  ends <- data.frame(bar = rows$bar, x = (rows$extract_ns + rows$merge_ns) / unit$ns)
  draw <- function(narrow) {
    ends$text <- merge_text(rows, narrow)
    plot <- stacked_bars(times, c("extracting", "merging"), category_colours(trace$categories$name), narrow) +
      ggplot2::geom_text(data = ends, ggplot2::aes(x = x, label = paste0("  ", text)), hjust = 0,
                         size = if (narrow) 2.5 else 2.8, colour = ink) +
      ggplot2::scale_x_continuous(sprintf("time of all tasks (%s)", unit$unit), breaks = function(limits) pretty(limits, 4),
                                  expand = ggplot2::expansion(c(0, if (narrow) 0.9 else 0.35))) +
      ggplot2::scale_y_discrete(NULL, labels = function(bar) shorten(bar, if (narrow) 14 else 28))
    picture(plot, 1.1 + 0.3 * nlevels(rows$bar))
  }
  new_figure("merges", title, draw, merges_finding(trace), paste(
    "Extracting is done by each task, merging by those that join them. A container that several variables lead to counts",
    "for the first of them. Of no single variable: the search for what has changed, storing it."),
    rows[c("variable", "tasks", "bytes", "extract_ns", "merge_ns", "conflicts")])
}

# Beside a bar: "2.10 MiB of 4 tasks, 1 conflict", on a phone without the tasks.
merge_text <- function(rows, narrow) {
  bytes <- ifelse(rows$bytes > 0, paste0(format_bytes(rows$bytes), if (!narrow) paste(" of", counted(rows$tasks, "task"))), "")
  conflicts <- ifelse(rows$conflicts > 0, counted(rows$conflicts, "conflict"), "")
  paste0(bytes, ifelse(nzchar(bytes) & nzchar(conflicts), ", ", ""), conflicts)
}

merges_finding <- function(trace) {
  rows <- trace$merges
  named <- rows[rows$named == 1, ]
  ns <- sum(rows$extract_ns + rows$merge_ns)
  whole <- sprintf("Extracting and merging shared variables took %s, %s of the processes' time", format_duration(ns),
                   format_percent(ns / max(1, sum(trace$processes$end_ns - trace$processes$start_ns))))
  if (nrow(named) == 0) return(paste0(whole, "; no task had changed any."))
  spent <- named$extract_ns + named$merge_ns
  most <- which.max(spent)
  conflicts <- sum(rows$conflicts)
  paste0(whole, sprintf("; \u201c%s\u201d most of it, %s, with %s of %s.", shorten(named$variable[most], 28),
                        format_duration(spent[most]), format_bytes(named$bytes[most]), counted(named$tasks[most], "task")),
         if (conflicts > 0) sprintf(" %s.", counted(conflicts, "conflict")))
}

merge_table <- function(trace) {
  rows <- trace$merges
  if (nrow(rows) == 0) return(NULL)
  data.frame(check.names = FALSE, variable = rows$variable, tasks = format_count(rows$tasks),
             bytes = format_bytes(rows$bytes), extracting = format_duration(rows$extract_ns),
             merging = format_duration(rows$merge_ns), conflicts = format_count(rows$conflicts))
}
