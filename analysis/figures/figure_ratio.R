# How many times as fast one runtime is as another, one row a program and number of workers, on a log scale: twice as
# fast and half as fast lie equally far from 1.

figure_ratio <- function(bench, micro = FALSE) {
  name <- if (micro) "micro_ratio" else "ratio"
  title <- "snakefish, times as fast as multiprocessing"
  rows <- none_is_null(bench$ratios[bench$ratios$micro == micro, ])
  if (is.null(rows)) return(missing_figure(name, title, no_ratio(bench)))
  ratio_figure(name, title, rows, bench$method, "times as fast as multiprocessing (log scale)", ratio_finding(rows),
               "Right of 1 snakefish is faster.")
}

# Whether there are ratios of programs that the first figure of the page does not show.
has_other_ratios <- function(bench) {
  key <- function(rows) paste(rows$program, rows$base, rows$workers)
  shown <- judged_rows(bench)
  ratios <- none_is_null(bench$ratios[bench$ratios$micro == FALSE, ])
  !is.null(ratios) && !all(key(ratios) %in% key(shown))
}

# What tracing costs a program.
figure_tracing <- function(bench) {
  title <- "What tracing costs"
  if (is.null(bench$tracing)) return(missing_figure("tracing", title, "The session has no traced runs."))
  ratio_figure("tracing", title, bench$tracing, bench$method, "times as fast as untraced (log scale)",
               tracing_finding(bench$tracing), "snakefish traced against snakefish; left of 1 tracing slows the program down.")
}

ratio_figure <- function(name, title, rows, method, axis, finding, reading) {
  # programs first, then the micro-benchmarks
  rows$program <- factor(rows$program, unique(rows$program[order(rows$micro, rows$program)]))
  rows$label <- ifelse(rows$micro & !several_worker_counts(rows), "each operation", counted(rows$workers, "worker"))
  rows$row <- factor(rows$label, rev(unique(rows$label[order(rows$workers)])))
  dots <- data.frame(rows[rep(seq_len(nrow(rows)), lengths(rows$by_block)), c("program", "row")],
                     times_as_fast = unlist(rows$by_block))
  reach <- range(c(rows$times_as_fast, rows$low, rows$high, dots$times_as_fast, 1 / 1.1, 1.1), na.rm = TRUE)
  ticks <- ratio_ticks(reach)
  band <- data.frame(rows["program"], low = 1 / (1 + rows$margin), high = 1 + rows$margin)
  band <- band[!duplicated(band$program), ]
  band$top <- as.vector(table(rows$program)[as.character(band$program)]) + 0.6
  draw <- function(narrow) {
    # on the right there is room for the numbers
    limits <- c(reach[1] / 1.02, reach[2] * (reach[2] / reach[1])^if (narrow) 0.8 else 0.45)
    band[c("low", "high")] <- list(pmax(band$low, limits[1]), pmin(band$high, limits[2]))
    plot <- ggplot2::ggplot(rows, ggplot2::aes(times_as_fast, row)) +
      ggplot2::geom_rect(data = band, ggplot2::aes(xmin = low, xmax = high, ymax = top), ymin = 0.4, fill = "#EFEFEF",
                         inherit.aes = FALSE) +
      ggplot2::geom_segment(data = band, ggplot2::aes(yend = top), x = 0, xend = 0, y = 0.4, colour = faint,
                            linewidth = 0.4, inherit.aes = FALSE) +
      ggplot2::geom_point(data = dots, shape = 124, size = 2.2, colour = okabe_ito[["blue"]], alpha = 0.4) +
      ggplot2::geom_point(ggplot2::aes(shape = verdict, fill = verdict), size = if (narrow) 2.4 else 3,
                          colour = okabe_ito[["blue"]]) +
      ggplot2::geom_text(ggplot2::aes(x = Inf, label = ratio_text(times_as_fast, low, high)), hjust = 1.02,
                         size = if (narrow) 2.6 else 3.1, colour = ink)
    if (any(is.finite(rows$low))) {
      plot <- plot + ggplot2::geom_linerange(ggplot2::aes(xmin = low, xmax = high), linewidth = 0.8,
                                             colour = okabe_ito[["blue"]], na.rm = TRUE)
    }
    plot <- plot +
      ggplot2::scale_shape_manual(values = verdict_shapes) + ggplot2::scale_fill_manual(values = verdict_fills) +
      ggplot2::guides(shape = verdict_legend(narrow), fill = verdict_legend(narrow)) +
      ggplot2::scale_x_log10(axis, breaks = if (narrow) every_other(ticks) else ticks, labels = format_tick,
                             limits = limits) +
      ggplot2::scale_y_discrete(NULL, expand = ggplot2::expansion(add = c(0.6, if (narrow) 1.6 else 0.6))) +
      report_theme(narrow)
    panels <- nlevels(rows$program)
    plot <- plot +
      ggplot2::facet_grid(rows = ggplot2::vars(program), scales = "free_y", space = "free_y", switch = "y") +
      ggplot2::theme(panel.grid.major.y = ggplot2::element_blank(), panel.spacing = ggplot2::unit(8, "pt"))
    # on a phone a program's name stands above its rows, else to the left of them
    if (narrow) {
      plot <- plot + ggplot2::theme(strip.text = ggplot2::element_blank()) +
        ggplot2::geom_text(data = band, ggplot2::aes(y = top + 0.5, label = program), x = log10(limits[1]), hjust = 0,
                           size = 3.2, fontface = "bold", colour = ink, inherit.aes = FALSE)
      return(picture(plot, 1.1 + 0.4 * panels + 0.19 * nrow(rows)))
    }
    plot <- plot +
      ggplot2::theme(strip.placement = "outside",
                     strip.text.y.left = ggplot2::element_text(angle = 0, hjust = 0, margin = ggplot2::margin(r = 12)))
    picture(plot, 1.1 + 0.12 * panels + 0.26 * nrow(rows))
  }
  new_figure(name, title, draw, finding, paste0(
    reading, " The two are compared within each block (ticks: one block each); the ratio is that of their geometric means. ",
    interval_caption(rows, method), " Grey band: the margin within which there is no practical difference, ",
    format_percent(method$practical_margin), "."),
    rows[c("program", "workers", "runtime", "base", "time_ns", "base_ns", "times_as_fast", "low", "high", "p", "blocks", "margin",
           "verdict", "family", "detectable", "more_blocks")])
}

verdict_legend <- function(narrow) ggplot2::guide_legend(ncol = if (narrow) 2 else 4)
every_other <- function(ticks) if (length(ticks) > 5) ticks[seq(1, length(ticks), 2)] else ticks

tracing_finding <- function(rows) {
  told <- vapply(split_by(rows, "micro"), function(own) {
    slower <- 1 / own$times_as_fast - 1
    worst <- which.max(slower)
    if (nrow(own) == 1) return(sprintf("that of %s by %s", own$program, format_change(slower)))
    sprintf("that of %s by %s in the median of %s, at most by %s (%s)", if (own$micro[1]) "micro-benchmarks" else "programs",
            format_change(stats::median(slower)), counted(nrow(own), "comparison"), format_change(slower[worst]),
            own$program[worst])
  }, "")
  sprintf("Tracing changes the time: %s.", paste(told, collapse = "; "))
}

format_change <- function(share) paste0(ifelse(share < 0, "\u2212", "+"), format_percent(abs(share), 1))

verdict_shapes <- c("faster" = 24, "slower" = 25, "no practical difference" = 21, "inconclusive" = 22, "no verdict" = 23)
verdict_fills <- c("faster" = okabe_ito[["blue"]], "slower" = okabe_ito[["vermillion"]],
                   "no practical difference" = okabe_ito[["sky"]], "inconclusive" = "white",
                   "no verdict" = "white")

ratio_ticks <- function(reach) {
  ticks <- sort(c(10^(-4:4), 2 * 10^(-4:4), 5 * 10^(-4:4)))
  inside <- ticks[ticks >= reach[1] & ticks <= reach[2]]
  if (length(inside) >= 3) return(inside)
  ticks <- c(0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.4, 1.6, 1.8, 2)
  ticks[ticks >= reach[1] & ticks <= reach[2]]
}

ratio_text <- function(ratio, low, high) {
  ifelse(is.finite(low), sprintf("%s [%s, %s]", format_digits(ratio), format_digits(low), format_digits(high)),
         format_digits(ratio))
}

several_worker_counts <- function(rows) {
  counts <- tapply(rows$workers, rows$program, function(workers) length(unique(workers)))
  as.vector(counts[rows$program]) > 1
}

no_ratio <- function(bench) {
  absent <- setdiff(c("snakefish", "multiprocessing"), bench$samples$runtime)
  if (length(absent) > 0) return(sprintf("No comparison: the session has no runs of %s.", in_words(absent)))
  "No comparison: snakefish and multiprocessing have no program, workers and block in common."
}

ratio_finding <- function(rows) {
  judged <- rows[rows$verdict != no_verdict, ]
  extremes <- rows[unique(c(which.min(rows$times_as_fast), which.max(rows$times_as_fast))), ]
  told <- sprintf("%s times as fast in %s at %s", ratio_text(extremes$times_as_fast, extremes$low, extremes$high),
                  extremes$program, counted(extremes$workers, "worker"))
  verdicts <- if (nrow(judged) == 0) "No comparison with multiprocessing has a verdict" else
    sprintf("Of %s with multiprocessing, snakefish is %s", counted(nrow(judged), "comparison"),
            in_words(verdict_counts(judged$verdict)))
  sprintf("%s. It is %s.", verdicts, if (length(told) == 1) told else paste("between", paste(told, collapse = " and ")))
}

# Without those that have none.
verdict_counts <- function(verdicts) {
  counts <- table(factor(verdicts, setdiff(names(verdict_shapes), no_verdict)))
  counts <- counts[counts > 0]
  if (length(counts) == 0) return(character())
  text <- c("faster" = "faster in %d", "slower" = "slower in %d",
            "no practical difference" = "not practically different in %d", "inconclusive" = "not told apart in %d")
  mapply(function(name, n) sprintf(text[[name]], n), names(counts), as.vector(counts), USE.NAMES = FALSE)
}
