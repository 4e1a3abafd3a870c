# Where the speedup went: a bar for each traced run, from what its work would take if it were spread evenly over the
# processes that ran at once and all else cost nothing, to what it took.

not_analysed <- "The trace holds no analysis: run snakefish-trace analyze on it, then the report again."

figure_lost <- function(traces) {
  title <- "From the ideal to the measured time"
  parts <- bind(lapply(traces, lost_parts))
  if (is.null(parts)) return(missing_figure("lost_speedup", title, not_analysed))
  runs <- parts[!duplicated(parts$trace), ]
  parts$bar <- factor(parts$trace, rev(runs$trace))
  runs$bar <- factor(runs$trace, rev(runs$trace))
  categories <- traces[[1]]$categories$name
  colours <- c(category_colours(categories, c("handover", "imbalance", "outside")), ideal = category_palette[1])
  shown <- intersect(c("ideal", "imbalance", "handover", categories, "outside"), parts$part[parts$ns > 0])
  reach <- max(runs$duration_ns / runs$ideal_ns)
  draw <- function(narrow) {
    # in multiples of each run's ideal time
    plot <- stacked_bars(transform(parts[parts$ns > 0, ], x = ns / ideal_ns), shown, colours, narrow) +
      ggplot2::geom_segment(data = runs, ggplot2::aes(y = as.integer(bar) - 0.4, yend = as.integer(bar) + 0.4), x = 1,
                            xend = 1, colour = ink, linewidth = 0.4, linetype = "22") +
      ggplot2::geom_text(data = runs, ggplot2::aes(x = 0, y = as.integer(bar) + 0.46, label = lost_label(runs, narrow)),
                         hjust = 0, vjust = 0, size = if (narrow) 2.6 else 3, colour = ink) +
      ggplot2::scale_x_continuous("times the ideal time", limits = c(0, reach * 1.02), breaks = lost_breaks(reach, narrow),
                                  expand = ggplot2::expansion(c(0, 0.01))) +
      ggplot2::scale_y_discrete(NULL, labels = if (narrow) NULL else function(bar) shorten(bar, 34),
                                expand = ggplot2::expansion(add = c(0.5, 0.85)))
    picture(plot, 1 + 0.22 * ceiling(length(shown) / if (narrow) 3 else 7) + 0.6 * nrow(runs))
  }
  new_figure("lost_speedup", title, draw, lost_finding(runs, parts), paste(
    "Ideal: the useful time over the number of processes that ran at once; speedup: useful time over the measured time.",
    "The other parts are what the critical path holds besides it; imbalance: useful time on the path that was not spread",
    "over these processes. Where other work went on at the same time, the parts are scaled down to sum to the measured time.",
    "Dashed: the ideal."), parts[c("trace", "part", "ns")], width = 9)
}

# The parts of one run: the ideal time and each loss; they sum to the run's duration. NULL without an analysis.
lost_parts <- function(trace) {
  value <- function(name) trace$efficiency$value[match(name, trace$efficiency$name)]
  duration <- value("duration_ns")
  ideal <- value("useful_ns") / value("lanes")  # the trace's word for processes that ran at once
  if (nrow(trace$activities) == 0 || !is.finite(duration) || !is.finite(ideal) || ideal <= 0) return(NULL)
  useful <- trace$categories$name[1]
  on_path <- sum(trace$activities$ns[trace$activities$activity == useful])
  others <- trace$activities[trace$activities$activity != useful, ]
  lost <- c(stats::setNames(others$ns, others$activity), imbalance = max(0, on_path - ideal))
  stopifnot(lost >= 0)
  if (sum(lost) > 0) lost <- lost * max(0, duration - ideal) / sum(lost)
  data.frame(trace = trace$label, part = c("ideal", names(lost)), ns = c(ideal, unname(lost)), ideal_ns = ideal,
             duration_ns = duration, at_once = value("lanes"), useful_ns = value("useful_ns"))
}

lost_breaks <- function(reach, narrow) {
  breaks <- pretty(c(0, reach), if (narrow) 4 else 8)
  sort(unique(c(1, breaks[abs(breaks - 1) > 0.06 * reach & breaks >= 0])))
}

lost_label <- function(runs, narrow) {
  times <- sprintf("%s, ideally %s", format_duration(runs$duration_ns), format_duration(runs$ideal_ns))
  # on a phone there is no room for the name beside the bar
  if (narrow) return(sprintf("%s: %s", shorten(runs$trace, 34), times))
  sprintf("%s; speedup %s with %s at once", times, format_digits(runs$useful_ns / runs$duration_ns),
          counted(runs$at_once, "process", "processes"))
}

# The finding on many runs: the best and the worst, and which loss is the largest in how many.
losses_finding <- function(runs, parts) {
  share <- runs$ideal_ns / runs$duration_ns
  ends <- c(which.max(share), which.min(share))
  worst <- vapply(split_by(parts[parts$part != "ideal", ], "trace"), function(own) own$part[which.max(own$ns)], "")
  counts <- sort(table(worst), decreasing = TRUE)
  named <- sprintf("%s (%s)", runs$trace[ends], format_percent(share[ends]))
  sprintf(paste("Of %d runs %s is nearest to its ideal time and %s farthest from it (the ideal in per cent of the measured",
                "time). What cost most was %s."),
          nrow(runs), named[1], named[2], in_words(sprintf("%s in %d", names(counts), counts)))
}

lost_finding <- function(runs, parts) {
  if (too_many_to_tell(runs$trace)) return(losses_finding(runs, parts))
  sentences <- vapply(seq_len(nrow(runs)), function(i) {
    own <- parts[parts$trace == runs$trace[i] & parts$part != "ideal", ]
    own <- own[order(-own$ns), ][seq_len(min(2, nrow(own))), ]
    own <- own[own$ns > 0.01 * runs$duration_ns[i], ]
    sprintf("%s took %s where %s would be ideal%s.", runs$trace[i], format_duration(runs$duration_ns[i]),
            format_duration(runs$ideal_ns[i]), if (nrow(own) == 0) "" else sprintf("; most was lost to %s",
            in_words(sprintf("%s (%s)", own$part, format_percent(own$ns / runs$duration_ns[i])))))
  }, "")
  paste(sentences, collapse = " ")
}
