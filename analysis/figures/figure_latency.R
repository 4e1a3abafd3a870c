# Latencies of messages, from sent to received, as their distribution for each size.

size_names <- c("up to 64 bytes", "to 1 KiB", "to 16 KiB", "to 256 KiB", "to 4 MiB", "larger")
size_colours <- okabe_ito[c("sky", "blue", "green", "orange", "vermillion", "purple")]
size_lines <- c("solid", "longdash", "22", "dotdash", "13", "twodash")

figure_latency <- function(trace) {
  title <- "Latency of messages"
  rows <- trace$latencies
  if (nrow(rows) == 0) return(missing_figure("latency", title, "No message of this trace was received."))
  used <- sort(unique(rows$size)) + 1
  rows$size <- factor(size_names[rows$size + 1], size_names[used])
  # a latency below the clock's error may be negative, which a log scale cannot show
  rows$latency_ns <- pmax(rows$latency_ns, 1)
  percentiles <- percentile_rows(trace)
  marked <- percentiles[percentiles$per_mille %in% c(500, 990) & has_percentile(percentiles), ]
  draw <- function(narrow) {
    plot <- ggplot2::ggplot(rows, ggplot2::aes(latency_ns, share, colour = size, linetype = size)) +
      ggplot2::geom_hline(yintercept = c(0.5, 0.99), colour = faint, linewidth = 0.3, linetype = "12") +
      ggplot2::geom_step(linewidth = 0.7) +
      ggplot2::geom_point(data = marked, ggplot2::aes(y = per_mille / 1000, shape = size), size = 2) +
      ggplot2::scale_colour_manual(values = unname(size_colours[used])) +
      ggplot2::scale_linetype_manual(values = size_lines[used]) +
      ggplot2::scale_shape_manual(values = c(16, 17, 15, 18, 4, 3)[used]) +
      ggplot2::guides(colour = legend_rows(narrow), linetype = legend_rows(narrow), shape = legend_rows(narrow)) +
      ggplot2::scale_x_log10("latency (log scale)", labels = format_duration_tick, breaks = duration_ticks) +
      ggplot2::scale_y_continuous("share of messages", labels = format_percent, breaks = c(0, 0.25, 0.5, 0.75, 0.99),
                                  limits = c(0, 1), expand = ggplot2::expansion(c(0, 0.02))) +
      report_theme(narrow)
    picture(plot, if (narrow) 3.2 else 3.6)
  }
  new_figure("latency", title, draw, latency_finding(percentiles), paste(
    "From the end of the send to the end of the receive. It includes the time that a message waits in its channel.",
    "Points: the median, and the 99th percentile of 100 messages or more."),
    data.frame(size = rows$size, latency_ns = rows$latency_ns, share = signif(rows$share, 6)))
}

legend_rows <- function(narrow) ggplot2::guide_legend(ncol = if (narrow) 2 else 6)

percentile_rows <- function(trace) {
  rows <- trace$percentiles
  rows$size <- factor(size_names[rows$size + 1], size_names[sort(unique(rows$size)) + 1])
  rows$latency_ns <- pmax(rows$latency_ns, 1)
  rows
}

percentile_table <- function(trace) {
  rows <- percentile_rows(trace)
  if (nrow(rows) == 0) return(NULL)
  cells <- lapply(split_by(rows, "size"), function(own) {
    at <- function(per_mille) {
      row <- own[own$per_mille == per_mille, ]
      if (has_percentile(row)) format_duration(row$latency_ns) else ""
    }
    data.frame(check.names = FALSE, size = as.character(own$size[1]), messages = format_count(own$messages[1]),
               median = at(500), "90 %" = at(900), "99 %" = at(990), "99.9 %" = at(999))
  })
  bind(cells)
}

# A percentile needs so many messages that one of them can lie beyond it: of fewer than 100 the most is told.
latency_finding <- function(rows) {
  medians <- rows[rows$per_mille == 500, ]
  late <- rows[rows$per_mille == 990, ]
  most <- ifelse(has_percentile(late), "99 %", "all")
  paste0(in_words(sprintf("%s of %s of %s were received within %s, %s within %s", c("Half", rep("half", nrow(medians) - 1)),
                          counted(medians$messages, "message"), sub("^to ", "up to ", medians$size),
                          format_duration(medians$latency_ns), most, format_duration(late$latency_ns))), ".")
}

has_percentile <- function(rows) rows$messages * (1000 - rows$per_mille) >= 1000
