# Where each process's time went: its life as one bar, divided by the categories of the ledger.

max_bars <- 20

figure_ledger <- function(trace) {
  title <- "Where each process's time went"
  if (is.null(trace)) return(missing_figure("ledger", title, "No trace was given."))
  rows <- trace$ledger[trace$ledger$ns > 0, ]
  if (nrow(rows) == 0) return(missing_figure("ledger", title, "The trace has no process that lived long enough."))
  grouped <- ledger_bars(rows, trace$processes)
  rows <- grouped$rows
  unit <- duration_unit(tapply(rows$ns, rows$bar, sum))
  categories <- intersect(trace$categories, rows$category)
  colours <- kind_colours(trace$categories)
  colours[length(colours)] <- unknown_colour  # the last one is what is left
  rows$category <- factor(rows$category, rev(categories))
  # in the order of stacking, so that a label finds the middle of its part
  rows <- rows[order(rows$bar, -as.integer(rows$category)), ]
  rows$middle <- stats::ave(rows$ns, rows$bar, FUN = cumsum) - rows$ns / 2
  whole <- tapply(rows$ns, rows$bar, sum)
  rows$share <- rows$ns / as.vector(whole[as.character(rows$bar)])
  wide <- rows[rows$ns > 0.055 * max(whole), ]
  plot <- ggplot2::ggplot(rows, ggplot2::aes(ns / unit$ns, bar)) +
    ggplot2::geom_col(ggplot2::aes(fill = category), width = 0.72, orientation = "y", colour = "white",
                      linewidth = 0.2) +
    ggplot2::geom_text(data = wide, ggplot2::aes(x = middle / unit$ns, label = format_percent(share)), size = 2.7,
                       colour = text_on(colours[as.character(wide$category)])) +
    ggplot2::scale_fill_manual(values = colours, breaks = categories, guide = ggplot2::guide_legend(
      nrow = ceiling(length(categories) / 8), byrow = TRUE, keywidth = 0.8)) +
    ggplot2::scale_x_continuous(sprintf("%s (%s)", if (grouped$several) "time of all processes of that name" else
      "time of the process's life", unit$unit), expand = ggplot2::expansion(c(0, 0.03))) +
    ggplot2::ylab(NULL) + report_theme() + ggplot2::theme(panel.grid.major.y = ggplot2::element_blank())
  new_figure("ledger", title, plot, ledger_finding(trace$ledger), paste0(
    "Each moment of a process's first thread belongs to one category; snakefish-trace analyze tells more. ",
    "Percentages are of the bar."), width = 9, height = 1.3 + 0.3 * nlevels(rows$bar))
}

# A bar for each process; where there are too many, for each name without its number (worker-1, worker-2: worker), and
# the smallest of these together.
ledger_bars <- function(rows, processes) {
  several <- nrow(processes) > max_bars
  names <- gsub("[-_ #]?[0-9]+", "", processes$name)
  rows <- rows[rows$process %in% processes$id, ]
  place <- match(rows$process, processes$id)
  rows$bar <- if (several) names[place] else processes$label[place]
  if (several) {
    many <- table(names)
    sums <- sort(tapply(rows$ns, rows$bar, sum), decreasing = TRUE)
    small <- if (length(sums) > max_bars) names(sums)[max_bars:length(sums)]
    rows$bar <- ifelse(rows$bar %in% small, "all others",
                       ifelse(many[rows$bar] > 1, sprintf("%s, %d processes", rows$bar, many[rows$bar]), rows$bar))
    order_of_bars <- unique(rows$bar[order(place)])
  } else {
    order_of_bars <- processes$label[processes$label %in% rows$bar]
  }
  rows <- stats::aggregate(ns ~ bar + category, rows, sum)
  rows$bar <- factor(rows$bar, rev(unique(order_of_bars)))
  list(rows = rows, several = several)
}

ledger_finding <- function(ledger) {
  sums <- sort(tapply(ledger$ns, ledger$category, sum), decreasing = TRUE)
  shares <- sums / sum(sums)
  shown <- shares[seq_len(min(4, sum(shares > 0)))]
  sprintf("Of all processes' time, %s.", in_words(sprintf("%s was %s", format_percent(shown), names(shown))))
}
