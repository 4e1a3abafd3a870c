# Micro-benchmarks: what one operation costs under each runtime. The scale is logarithmic, because runtimes differ by
# powers of ten. Where the floor was measured, a line marks the least of its samples in the panel. What is called a floor, and
# something is quicker than that, is a reference.

figure_micro <- function(bench) {
  title <- "What one operation costs"
  rows <- bench$times[bench$times$micro, ]
  if (nrow(rows) == 0) return(missing_figure("micro", title, "The session has no micro-benchmarks."))
  floor_rows <- rows$runtime == "floor"
  reference <- floor_rows & rows$program %in% references(bench)
  least <- floor_rows & !reference
  rows$median_ns[least] <- rows$least_ns[least]
  rows[least, c("low_ns", "high_ns")] <- NA
  rows$runtime <- runtime_factor(rows$runtime)
  # Most micro-benchmarks run with one number of workers. Where there are several, the label says which.
  several <- tapply(rows$workers, rows$program, function(workers) length(unique(workers)) > 1)
  rows$row <- ifelse(several[rows$program], sprintf("%s, %s", rows$runtime, counted(rows$workers, "worker")),
                     as.character(rows$runtime))
  rows$row[reference] <- sub("^floor", "reference", rows$row[reference])
  order_of_rows <- unique(rows$row[order(rows$runtime == "floor", rows$runtime, rows$workers)])
  rows$row <- factor(rows$row, rev(order_of_rows))
  dots <- bench$samples[bench$samples$micro, c("program", "runtime", "workers", "block", "time_ns")]
  dots <- merge(dots, rows[c("program", "runtime", "workers", "row")])
  dots$runtime <- factor(dots$runtime, levels(rows$runtime))
  counts <- sort(table(rows$program)) # panels with as many rows stand beside each other
  panels <- length(counts)
  rows$program <- factor(rows$program, names(counts))
  dots$program <- factor(dots$program, names(counts))
  floors <- rows[least, ]
  draw <- function(narrow) {
    plot <- ggplot2::ggplot(rows, ggplot2::aes(median_ns, row, colour = runtime, shape = runtime)) +
      ggplot2::facet_wrap(~program, ncol = panel_columns(panels, narrow), scales = "free") +
      ggplot2::geom_vline(data = floors, ggplot2::aes(xintercept = median_ns), colour = faint, linetype = "22",
                          linewidth = 0.4) +
      ggplot2::geom_point(data = dots, ggplot2::aes(x = time_ns), shape = 16, alpha = 0.4, size = 1.2) +
      ggplot2::geom_point(size = 2.8) +
      ggplot2::geom_text(ggplot2::aes(label = format_duration(median_ns)), colour = ink, size = if (narrow) 2.6 else 3.1,
                         vjust = -1)
    if (any(is.finite(rows$low_ns))) {
      plot <- plot + ggplot2::geom_linerange(ggplot2::aes(xmin = low_ns, xmax = high_ns),
                                             linewidth = 0.7, na.rm = TRUE)
    }
    plot <- plot + runtime_scales(rows$runtime) +
      ggplot2::scale_x_log10("time per operation (log scale)", labels = format_duration_tick, breaks = duration_ticks,
                             expand = ggplot2::expansion(c(0.14, 0.14))) +
      ggplot2::scale_y_discrete(NULL, expand = ggplot2::expansion(add = c(0.5, 0.8))) +
      report_theme(narrow) + ggplot2::theme(legend.position = "none")
    lines <- tapply(counts, (seq_along(counts) - 1) %/% panel_columns(panels, narrow), max)
    picture(plot, 0.5 + sum(0.75 + 0.36 * lines), adjust = function(grob) with_panel_heights(grob, lines))
  }
  new_figure("micro", title, draw, micro_finding(rows, bench$ratios), paste(
    "Small dots: one block each; large, with its number: their median.", interval_caption(rows, bench$method),
    "Lower is better.", if (nrow(floors) > 0) "Dashed: the floor, what the machine alone needs: the least of its samples.",
    if (any(reference)) "A reference is what something is quicker than."),
    rows[c("program", "runtime", "workers", "blocks", "median_ns", "low_ns", "high_ns", "mean_ns")],
    width = if (panels == 1) 5 else 9.5)
}

# The drawing, in which each line of panels is as high as the number of rows in it asks for.
with_panel_heights <- function(grob, lines) {
  at <- sort(unique(grob$layout$t[grepl("^panel", grob$layout$name)]))
  grob$heights[at] <- grid::unit(lines + 0.3, "null")
  grob
}

# The programs whose floor is none.
references <- function(bench) {
  none <- bench$targets[bench$targets$base == "floor" & bench$targets$is_floor %in% 0, ]
  bench$times$program[paste(bench$times$workload, bench$times$size) %in% paste(none$workload, none$size)]
}

# A few ticks on a log scale, also where it spans less than a power of ten.
duration_ticks <- function(limits) {
  ticks <- as.vector(outer(c(1, 2, 5), 10^(0:12)))
  inside <- ticks[ticks >= limits[1] & ticks <= limits[2]]
  if (length(inside) > 5) inside <- inside[log10(inside) %% 1 == 0]
  if (length(inside) > 5) inside <- inside[seq(1, length(inside), by = 2)]
  if (length(inside) >= 2) inside else signif(exp(seq(log(limits[1]), log(limits[2]), length.out = 4))[2:3], 3)
}

peers_finding <- function(ratios) {
  extremes <- ratios[c(which.max(ratios$times_as_fast), which.min(ratios$times_as_fast)), ]
  verdicts <- verdict_counts(ratios$verdict)
  sprintf("Of %s that multiprocessing has too, snakefish's are %sfrom %s.",
          counted(nrow(ratios), "operation"), if (length(verdicts) > 0) paste0(in_words(verdicts), ": ") else "",
          paste(sprintf("%s times as fast (%s)", format_digits(extremes$times_as_fast), extremes$program), collapse = " to "))
}

micro_finding <- function(rows, ratios) {
  ratios <- ratios[ratios$micro, ]
  if (too_many_to_tell(rows$program) && NROW(ratios) > 0) return(peers_finding(ratios))
  if (too_many_to_tell(rows$program)) {
    ours <- rows[which.max(rows$median_ns), ]
    return(sprintf("Of %s, %s costs most: %s under %s.", counted(length(unique(rows$program)), "operation"), ours$program,
                   format_duration(ours$median_ns), ours$row))
  }
  sentences <- vapply(split_by(rows, "program"), function(cell) {
    cell <- cell[order(cell$median_ns), ]
    sprintf("One operation of %s takes %s.", cell$program[1],
            in_words(sprintf("%s under %s", format_duration(cell$median_ns), cell$row)))
  }, "")
  paste(sentences, collapse = " ")
}
