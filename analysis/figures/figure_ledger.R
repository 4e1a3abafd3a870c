# Where each process's time went: its life as one bar, divided by the categories of the ledger.

max_bars <- 20

figure_ledger <- function(trace) {
  title <- "Where each process's time went"
  rows <- trace$ledger[trace$ledger$ns > 0, ]
  if (nrow(rows) == 0) return(missing_figure("ledger", title, "The trace has no process that lived long enough."))
  grouped <- ledger_bars(rows, trace$processes)
  rows <- grouped$rows
  unit <- duration_unit(tapply(rows$ns, rows$bar, sum))
  categories <- intersect(trace$categories$name, rows$category)
  draw <- function(narrow) {
    bars <- levels(rows$bar)
    plot <- stacked_bars(transform(rows, part = category, x = ns / unit$ns), categories,
                         category_colours(trace$categories$name), narrow) +
      ggplot2::scale_x_continuous(sprintf("%s (%s)", if (grouped$several) "time of all processes of that name" else
        "time of the process's life", unit$unit), expand = ggplot2::expansion(c(0, 0.03))) +
      ggplot2::scale_y_discrete(NULL, labels = function(bar) if (narrow) shorten(without_pid(bar), 16) else bar)
    picture(plot, 0.9 + 0.22 * ceiling(length(categories) / if (narrow) 3 else 7) + 0.3 * length(bars))
  }
  data <- data.frame(process = rows$bar, category = rows$category, ns = rows$ns)
  new_figure("ledger", title, draw, ledger_finding(trace$ledger), paste0(
    "Each moment of a process's first thread belongs to one category. Percentages are of the bar.",
    if (!trace$kernel_view) paste(" Without the kernel's view (record --kernel) page faults and times without a CPU are",
                                  "in the other categories.")
    else if (trace$faults_estimated) " Page faults are an estimate: their number times a calibrated cost.",
    " Tracing is an estimate, too."), data, width = 9)
}

# Draws rows with bar (a factor, from the bottom up), part and x as stacked bars; wide parts carry their percentage (shares).
stacked_bars <- function(rows, parts, colours, narrow, shares = TRUE) {
  rows$part <- factor(rows$part, rev(parts))
  # in the order of stacking, so that a label finds the middle of its part
  rows <- rows[order(rows$bar, -as.integer(rows$part)), ]
  rows$middle <- stats::ave(rows$x, rows$bar, FUN = cumsum) - rows$x / 2
  whole <- tapply(rows$x, rows$bar, sum)
  rows$share <- rows$x / as.vector(whole[as.character(rows$bar)])
  wide <- rows[shares & rows$x > (if (narrow) 0.13 else 0.055) * max(whole), ]
  ggplot2::ggplot(rows, ggplot2::aes(x, bar)) +
    ggplot2::geom_col(ggplot2::aes(fill = part), width = 0.72, orientation = "y", colour = "white", linewidth = 0.2) +
    ggplot2::geom_text(data = wide, ggplot2::aes(x = middle, label = format_percent(share)), size = 2.7,
                       colour = text_on(colours[as.character(wide$part)])) +
    ggplot2::scale_fill_manual(values = colours, breaks = parts, guide = fill_legend(length(parts), narrow)) +
    report_theme(narrow) + ggplot2::theme(panel.grid.major.y = ggplot2::element_blank())
}

# A bar for each process. Where there are too many, a bar for each name without its number (worker-1 and worker-2 are
# worker), and one for the smallest of these together.
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
