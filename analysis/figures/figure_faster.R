# The first picture of the page: how many times as fast snakefish is as the fastest of the other libraries, a row a program and
# number of workers that has a verdict, the best first. Micro-benchmarks differ by powers of ten, so they have a figure of theirs.

figure_faster <- function(bench) {
  title <- "snakefish, times as fast as the fastest of the other libraries"
  rows <- judged_rows(bench)
  if (is.null(rows)) return(missing_figure("faster", title, no_verdict_sentence(bench)))
  rows <- rows[order(rows$times_as_fast), ]
  rows$row <- sprintf("%s x%d", rows$program, rows$workers)
  rows$row <- factor(rows$row, unique(rows$row))
  all_cpus <- rows$workers == full_workers(rows$workers, bench$cpus)
  new_figure("faster", title, function(narrow) draw_faster(if (narrow) rows[all_cpus, ] else rows, narrow),
             faster_sentence(bench), paste0(
    "x2: with 2 workers. ", interval_caption(rows, bench$method), " Right of the line snakefish is faster (log scale). Grey ",
    "band: no practical difference, ", format_percent(bench$method$practical_margin), ". Of ",
    format_count(1 / (1 - bench$method$level)), " sessions in which nothing differs, one says that anything does."),
    rows[c("program", "workers", "runtime", "base", "time_ns", "base_ns", "times_as_fast", "low", "high", "p", "blocks", "margin",
           "verdict", "family", "detectable", "more_blocks")], width = 7)
}

# The verdicts on snakefish's programs; NULL without any.
judged_rows <- function(bench, micro = FALSE) {
  none_is_null(bench$judged[bench$judged$runtime == "snakefish" & bench$judged$micro == micro, ])
}

draw_faster <- function(rows, narrow) {
  rows$row <- droplevels(rows$row)
  reach <- range(c(rows$times_as_fast, rows$low, rows$high, 1 / 1.1, 1.1), na.rm = TRUE)
  # on the right there is room for the numbers
  limits <- c(reach[1] / 1.02, reach[2] * (reach[2] / reach[1])^if (narrow) 0.75 else 0.5)
  ticks <- ratio_ticks(reach)
  plot <- ggplot2::ggplot(rows, ggplot2::aes(times_as_fast, row)) +
    ggplot2::annotate("rect", xmin = 1 / (1 + rows$margin[1]), xmax = 1 + rows$margin[1], ymin = -Inf, ymax = Inf,
                      fill = "#EFEFEF") +
    ggplot2::geom_vline(xintercept = 1, colour = faint, linewidth = 0.4)
  if (any(is.finite(rows$low))) {
    plot <- plot + ggplot2::geom_linerange(ggplot2::aes(xmin = low, xmax = high), linewidth = 0.8,
                                           colour = okabe_ito[["blue"]], na.rm = TRUE)
  }
  plot <- plot +
    ggplot2::geom_point(ggplot2::aes(shape = verdict, fill = verdict), size = if (narrow) 2.2 else 2.8,
                        colour = okabe_ito[["blue"]]) +
    ggplot2::geom_text(ggplot2::aes(x = Inf, label = ratio_text(times_as_fast, low, high)), hjust = 1.02,
                       size = if (narrow) 2.6 else 3.1, colour = ink) +
    ggplot2::scale_shape_manual(values = verdict_shapes) + ggplot2::scale_fill_manual(values = verdict_fills) +
    ggplot2::guides(shape = verdict_legend(narrow), fill = verdict_legend(narrow)) +
    ggplot2::scale_x_log10(NULL, breaks = if (narrow) every_other(ticks) else ticks, labels = format_tick, limits = limits) +
    ggplot2::scale_y_discrete(NULL) + report_theme(narrow) +
    ggplot2::theme(panel.grid.major.y = ggplot2::element_blank(), legend.box.spacing = ggplot2::unit(0, "pt"))
  picture(plot, (if (narrow) 0.62 else 0.75) + (if (narrow) 0.163 else 0.215) * nrow(rows))
}
