# Speedup against the number of workers: what was gained over the sequential program, beside what would be ideal. Lines of equal
# efficiency, which is speedup over workers, are a second axis: the scales are log2, so they are parallel to the ideal.

# traces: those of the bench's programs, whose predictions are drawn where nothing was measured.
figure_speedup <- function(bench, traces = list()) {
  title <- "Speedup and efficiency against workers"
  rows <- bench$speedups
  if (is.null(rows)) return(missing_figure("speedup", title, no_speedup(bench)))
  rows <- in_runtime_order(rows)
  predicted <- predicted_speedups(bench, traces)
  limit <- max(rows$workers, predicted$workers)
  lines <- efficiency_lines(limit, min(rows$speedup, rows$low, predicted$low, na.rm = TRUE))
  panels <- length(unique(rows$program))
  draw <- function(narrow) {
    plot <- scaling_plot(rows, bench$cpus, narrow, predicted) +
      ggplot2::geom_segment(data = lines, ggplot2::aes(x = from, y = from * share, xend = limit, yend = limit * share),
                            inherit.aes = FALSE, colour = faint, linewidth = 0.3) +
      ggplot2::geom_text(data = lines, ggplot2::aes(x = limit, y = limit * share, label = paste0(label, " ")),
                         inherit.aes = FALSE, hjust = 1, vjust = -0.25, size = 2.8, colour = faint) +
      ggplot2::scale_y_continuous("speedup over sequential", trans = "log2", breaks = 2^(-10:12),
                                  labels = format_tick, expand = ggplot2::expansion(c(0.08, 0.08)))
    picture(plot, panel_height(panels, narrow))
  }
  new_figure("speedup", title, draw, paste0(speedup_finding(rows, bench$cpus), predicted_finding(predicted)), paste0(
    "Speedup: the sequential program's time over the runtime's. Base case, sequential: ", base_case_text(rows), ". Thin ",
    "lines: efficiency, speedup over workers; on the ideal line each worker is as useful as the sequential program. ",
    scaling_caption(rows, bench, limit), predicted_caption(predicted, bench)), scaling_data(rows, predicted))
}

# The ideal, and half and quarter of it as far as anything is shown there.
efficiency_lines <- function(limit, least) {
  share <- c(1, 0.5, 0.25)
  lines <- data.frame(share = share, label = c("ideal", "50 %", "25 %"), from = pmax(1, pmin(limit / 1.5, least / share)),
                      limit = limit)
  lines[share == 1 | limit * share >= least, ]
}

in_runtime_order <- function(rows) {
  rows$runtime <- runtime_factor(rows$runtime)
  rows[order(rows$program, rows$runtime, rows$workers), ]
}

scaling_data <- function(rows, predicted = NULL) {
  data <- rows[c("program", "runtime", "workers", "blocks", "base_ns", "time_ns", "speedup", "efficiency", "low", "high")]
  if (is.null(predicted)) return(data)
  predicted$efficiency <- predicted$speedup / predicted$workers
  predicted[c("blocks", "base_ns", "time_ns")] <- NA
  rbind(cbind(data, predicted = 0), cbind(predicted[names(data)], predicted = 1))
}

# Workers on a log2 scale, lines through the estimates, intervals as ribbons, every block as a dot. predicted: speedups beyond, or
# NULL.
scaling_plot <- function(rows, cpus, narrow, predicted = NULL) {
  counts <- sort(unique(c(rows$workers, predicted$workers)))
  rows$y <- rows$speedup
  dots <- data.frame(rows[rep(seq_len(nrow(rows)), lengths(rows$by_block)), c("program", "runtime", "workers")],
                     y = unlist(rows$by_block))
  panels <- length(unique(rows$program))
  plot <- ggplot2::ggplot(rows, ggplot2::aes(workers, y, colour = runtime, shape = runtime, linetype = runtime)) +
    ggplot2::facet_wrap(~program, ncol = panel_columns(panels, narrow))
  if (is.finite(cpus) && cpus < max(counts)) {
    ground <- grid::rectGrob(gp = grid::gpar(fill = "#F2F2F2", col = NA))
    plot <- plot + ggplot2::annotation_custom(ground, log2(cpus), Inf, -Inf, Inf)
  }
  if (is.finite(cpus) && cpus <= max(counts)) {
    plot <- plot + ggplot2::geom_vline(xintercept = cpus, colour = "#999999", linewidth = 0.4)
  }
  plot <- plot + predicted_layers(predicted)
  # a single number of workers has no line, and a bar as its interval
  joined <- several_counts(rows)
  certain <- is.finite(rows$low)
  if (any(certain & joined)) {
    plot <- plot + ggplot2::geom_ribbon(data = rows[certain & joined, ], ggplot2::aes(ymin = low, ymax = high,
                                        fill = runtime), alpha = 0.15, colour = NA)
  }
  beside <- ggplot2::position_dodge(width = 0.12)
  plot <- plot + ggplot2::geom_point(data = dots, position = beside, shape = 16, size = 0.7, alpha = 0.5,
                                     show.legend = FALSE)
  if (any(joined)) plot <- plot + ggplot2::geom_line(ggplot2::aes(group = runtime), data = rows[joined, ], linewidth = 0.5)
  if (any(certain & !joined)) {
    plot <- plot + ggplot2::geom_linerange(data = rows[certain & !joined, ], ggplot2::aes(ymin = low, ymax = high),
                                           position = beside, linetype = "solid", show.legend = FALSE)
  }
  plot <- plot + ggplot2::geom_point(position = if (any(joined)) "identity" else beside, size = 2.2)
  columns <- ggplot2::guide_legend(ncol = if (narrow) 2 else 5)
  plot + runtime_scales(rows$runtime) +
    ggplot2::guides(colour = columns, shape = columns, linetype = columns, fill = columns) +
    ggplot2::scale_x_continuous("workers", trans = "log2", breaks = counts,
                                expand = ggplot2::expansion(add = 0.15)) +
    report_theme(narrow)
}

# Whether a line can be drawn: the program and runtime of the row have several numbers of workers.
several_counts <- function(rows) {
  key <- paste(rows$program, rows$runtime)
  key %in% key[duplicated(key)]
}

# limit: the most workers that are shown.
scaling_caption <- function(rows, bench, limit) {
  paste0(sub("^Bars", "Bands", interval_caption(rows, bench$method)), " Dots: one block each. The scales are log2",
         "; nothing was measured between the points.", cpu_caption(limit, bench$cpus), if ("ceiling" %in% rows$runtime)
         " Ceiling: as many copies of the sequential program at once, the most that this machine allows.")
}

no_speedup <- function(bench) {
  if (!any(!bench$samples$micro)) return("The session has no program, only micro-benchmarks, which have no speedup.")
  if (!"sequential" %in% bench$samples$runtime) {
    return("The session has no sequential runs, so there is no base case to be faster than.")
  }
  "The session has sequential runs only: nothing to compare with them."
}

speedup_finding <- function(rows, cpus) {
  if (too_many_to_tell(rows$program)) {
    return(median_by_runtime(rows, full_workers(rows$workers, cpus), "speedup", "Speedup", format_digits))
  }
  best <- bind(lapply(split_by(rows, c("runtime", "program")), function(cell) cell[which.max(cell$speedup), ]))
  best <- best[order(best$program, match(best$runtime, levels(rows$runtime))), ]
  sentences <- vapply(split_by(best, "program"), function(cell) {
    sprintf("Highest speedup of %s: %s.", cell$program[1], in_words(sprintf("%s %s with %s", cell$runtime,
            format_digits(cell$speedup), counted(cell$workers, "worker"))))
  }, "")
  paste(sentences, collapse = " ")
}

# A finding names up to so many things one by one, and summarises more of them.
told_one_by_one <- 3
too_many_to_tell <- function(things) length(unique(things)) > told_one_by_one

# "Speedup with 2 workers, median (range) of 7 programs: snakefish 1.9 (1.5 to 2.0); ..."; of one program, its values.
median_by_runtime <- function(rows, workers, column, what, format) {
  at <- rows[rows$workers == workers, ]
  programs <- unique(at$program)
  if (length(programs) == 1) {
    return(sprintf("%s of %s with %s: %s.", what, programs, counted(workers, "worker"),
                   paste(at$runtime, format(at[[column]]), collapse = "; ")))
  }
  told <- vapply(split_by(at, "runtime"), function(own) {
    sprintf("%s %s (%s)", own$runtime[1], format(stats::median(own[[column]])),
            paste(unique(format(range(own[[column]]))), collapse = " to "))
  }, "")
  sprintf("%s with %s, median (range) of %s: %s.", what, counted(workers, "worker"),
          counted(length(programs), "program"), paste(told, collapse = "; "))
}

base_case_text <- function(rows) {
  base <- bind(lapply(split_by(rows, "program"), function(cell) cell[1, ]))
  paste(sprintf("%s %s", base$program, format_duration(base$base_ns)), collapse = ", ")
}

# rows: with the columns low or low_ns, which are NA where there are too few blocks for an interval.
interval_caption <- function(rows, method) {
  certain <- is.finite(if (is.null(rows$low)) rows$low_ns else rows$low)
  if (any(certain)) {
    sprintf("Bars: %g %% interval, %s %s blocks.", 100 * method$level,
            if ("low_ns" %in% names(rows)) "resampled over" else "of", range_text(rows$blocks[certain]))
  } else {
    sprintf("No intervals: %s, and fewer than %d carry none.", counted(max(rows$blocks), "block"),
            method$fewest_blocks)
  }
}

range_text <- function(x) paste(unique(format_count(range(x))), collapse = " to ")

cpu_caption <- function(limit, cpus) {
  if (!is.finite(cpus) || cpus > limit) return("")
  sprintf(" Vertical line: the %s that the bench could use%s.", counted(cpus, "CPU"),
          if (cpus < limit) "; grey ground: more workers than that" else "")
}
