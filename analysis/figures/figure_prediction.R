# The run on other numbers of CPUs, as `snakefish-trace predict` says: what was measured as points, what is predicted as
# lines, dashed beyond the CPUs of the machine, with the intervals as bands.

# How well that was tested: the figures of tracer/README.md, "On other numbers of CPUs".
prediction_tested <- paste(
  "Tested: of programs whose tasks sleep, 233 of 260 predictions were within 5 % of what was measured, half within 0.7 %, and",
  "the worst was wrong by 42 %; with 32 and 64 workers, 77 of 104. Seven programs that compute took with 2 workers 0.96 to 1.12",
  "times as long as predicted from 1.")

most_predicted_series <- 6

figure_prediction <- function(traces) {
  title <- "Time on other numbers of CPUs"
  rows <- prediction_rows(traces)
  if (is.null(rows)) {
    return(missing_figure("prediction", title, paste("The trace holds no prediction, or one of a run that took no time:",
                          "snakefish-trace report stores one in a trace that can be written, predict --store another one.")))
  }
  panels <- length(unique(rows$panel))
  machine <- unique(rows$machine)
  machine <- if (length(machine) == 1 && is.finite(machine)) machine else NA
  alone <- length(unique(rows$series)) == 1
  draw <- function(narrow) {
    columns <- ggplot2::guide_legend(ncol = if (narrow) 2 else 4)
    plot <- prediction_plot(rows, machine) + runtime_scales(rows$series) + report_theme(narrow) +
      ggplot2::guides(colour = if (alone) "none" else columns, shape = if (alone) "none" else columns, fill = "none",
                      linetype = "none") +
      ggplot2::scale_x_continuous("CPUs", trans = "log2", breaks = 2^(0:12), expand = ggplot2::expansion(add = 0.15)) +
      ggplot2::scale_y_continuous("time (log scale)", trans = "log10", labels = format_duration_tick, breaks = duration_ticks)
    if (panels > 1) plot <- plot + ggplot2::facet_wrap(~panel, ncol = panel_columns(panels, narrow), scales = "free_y")
    picture(plot, panel_height(panels, narrow, each = if (panels == 1) 3.4 else 2.6))
  }
  new_figure("prediction", title, draw, prediction_finding(rows), prediction_caption(rows, machine),
             rows[c("trace", "cpus", "seconds", "low", "high", "speedup", "efficiency", "limit", "enough", "measured")],
             width = if (panels == 1) 7 else 8.6)
}

# The predictions of all traces. Where a file's name ends in its runtime, as `python3 -m bench trace` names them, the program
# has a panel, with a line for each runtime. The others share one panel; if they are many, each has its own. machine: the CPUs
# of the machine of the run; NA where that is not known. NULL: there are none.
prediction_rows <- function(traces) {
  rows <- bind(lapply(traces, function(trace) {
    if (nrow(trace$prediction) == 0) return(NULL)
    machine <- suppressWarnings(as.numeric(machine_value(trace$meta, "cpus")))
    data.frame(trace = trace$label, machine = machine, trace$prediction)
  }))
  if (is.null(rows)) return(NULL)
  ending <- "^(.+)-(snakefish|multiprocessing)$"
  of_runtime <- grepl(ending, rows$trace)
  many <- length(unique(rows$trace[!of_runtime])) > most_predicted_series
  rows$series <- ifelse(of_runtime, sub(ending, "\\2", rows$trace), if (many) "each run" else shorten(rows$trace, 30))
  rows$panel <- ifelse(of_runtime, sub(ending, "\\1", rows$trace), if (many) rows$trace else "other runs")
  rows$panel <- factor(rows$panel, unique(rows$panel))
  rows$series <- runtime_factor(rows$series)
  rows
}

prediction_plot <- function(rows, machine) {
  rows[c("ns", "low_ns", "high_ns", "measured_ns")] <- 1e9 * rows[c("seconds", "low", "high", "measured")]
  # the last predicted point within the machine begins the dashed line too; of an unknown machine all is dashed
  limit <- ifelse(is.finite(rows$machine), rows$machine, 0)
  within <- rows[rows$cpus <= limit, ]
  last <- tapply(within$cpus, within$trace, max)[rows$trace]
  beyond <- rows[is.na(last) | rows$cpus >= last, ]
  enough <- bind(lapply(split_by(rows, "trace"), helps_no_more))
  ideal <- ideal_times(rows)
  plot <- ggplot2::ggplot(rows, ggplot2::aes(cpus, ns, colour = series, shape = series, group = trace))
  if (is.finite(machine) && machine < max(rows$cpus)) {
    ground <- grid::rectGrob(gp = grid::gpar(fill = "#F2F2F2", col = NA))
    plot <- plot + ggplot2::annotation_custom(ground, log2(machine), Inf, -Inf, Inf) +
      ggplot2::geom_vline(xintercept = machine, colour = "#999999", linewidth = 0.4)
  }
  plot <- plot +
    ggplot2::geom_line(data = ideal, linetype = "solid", colour = faint, linewidth = 0.4) +
    ggplot2::geom_text(data = ideal[duplicated(ideal$panel), ], label = "ideal", hjust = 1.3, vjust = 0, size = 3.1,
                       colour = faint) +
    ggplot2::geom_ribbon(ggplot2::aes(ymin = low_ns, ymax = high_ns, fill = series), alpha = 0.18, colour = NA,
                         show.legend = FALSE) + predicted_line(within, "solid") + predicted_line(beyond, "22")
  if (nrow(enough) > 0) {
    plot <- plot + ggplot2::geom_point(data = enough, shape = 23, fill = "white", size = 2.6, show.legend = FALSE)
  }
  plot + ggplot2::geom_point(ggplot2::aes(y = measured_ns), size = 3, na.rm = TRUE)
}

# One point is no line.
predicted_line <- function(rows, type) {
  rows <- rows[rows$trace %in% rows$trace[duplicated(rows$trace)], ]
  if (nrow(rows) > 0) ggplot2::geom_line(data = rows, linetype = type, linewidth = 0.6, show.legend = FALSE)
}

# In each panel from the run that needs the least CPU time: twice the CPUs, half the time, down to a little below the others.
ideal_times <- function(rows) {
  bind(lapply(split_by(rows, "panel"), function(own) {
    first <- own[which.min(own$ns * own$cpus), ]
    alone <- first$ns * first$cpus
    counts <- c(min(own$cpus), min(max(own$cpus), max(2 * min(own$cpus), 2 * alone / min(own$low_ns))))
    data.frame(first[c("trace", "series", "panel")], cpus = counts, ns = alone / counts, row.names = NULL)
  }))
}

# Of one trace, the fewest CPUs from which on more do not help; no row where that was not reached.
helps_no_more <- function(own) utils::head(own[own$enough == 1 & own$cpus < max(own$cpus), ], 1)

# The row of each trace that its finding is about: where more do not help, or the most CPUs.
told_predictions <- function(rows) {
  bind(lapply(split_by(rows, "trace"), function(own) {
    enough <- helps_no_more(own)
    row <- if (nrow(enough) > 0) enough else own[which.max(own$cpus), ]
    measured <- own[is.finite(own$measured), ][1, ]
    last <- own[which.max(own$cpus), ]
    cbind(row[setdiff(names(row), "measured")], ends = nrow(enough) > 0, measured = measured$measured,
          measured_cpus = measured$cpus, expected = measured$seconds, last_cpus = last$cpus, last_limit = last$limit)
  }))
}

prediction_finding <- function(rows) {
  told <- told_predictions(rows)
  told$gain <- ifelse(is.finite(told$speedup), sprintf(", %s times as fast as on one", format_digits(told$speedup)), "")
  if (too_many_to_tell(told$trace)) {
    told <- told[order(-told$speedup), ][c(1, nrow(told)), ]
    return(sprintf("Of %s %s would gain most by more CPUs, and %s least.", counted(length(unique(rows$trace)), "traced run"),
                   told_prediction(told[1, ]), told_prediction(told[2, ])))
  }
  paste(vapply(seq_len(nrow(told)), function(i) {
    row <- told[i, ]
    # with as many workers as CPUs, or without maps, it was measured on these; else the workers were fewer, or more
    place <- if (row$measured_cpus %in% row$machine) paste("on", counted(row$measured_cpus, "CPU")) else
      paste("with", counted(row$measured_cpus, "worker"))
    paste0(if (is.finite(row$measured)) sprintf("%s took %s %s, where %s is predicted. ", row$trace,
                                                format_duration(1e9 * row$measured), place, format_duration(1e9 * row$expected)),
           sprintf("On %s %s would take %s%s%s. The limit there: %s.", counted(row$cpus, "CPU"),
                   if (is.finite(row$measured)) "it" else row$trace, format_duration(1e9 * row$seconds), row$gain,
                   if (row$ends) ", and more do not help" else "", row$limit),
           if (row$last_limit != row$limit) sprintf(" On %s: %s.", counted(row$last_cpus, "CPU"), row$last_limit))
  }, ""), collapse = " ")
}

told_prediction <- function(row) {
  sprintf("%s (on %s %s%s)", row$trace, counted(row$cpus, "CPU"), format_duration(1e9 * row$seconds), row$gain)
}

prediction_caption <- function(rows, machine) {
  paste0(
    "Points: measured, at as many CPUs as the run's maps had workers, or, without maps, as the machine has. Lines: predicted by ",
    "simulation of the trace", if (any(is.finite(rows$machine))) ", dashed beyond the machine's CPUs",
    "; a map has as many workers as there are CPUs, and so have imap, an Executor and a Pool of multiprocessing (instrumented); ",
    "all other processes stay as many as they were. Bands: the middle 95 % when the tasks' times are drawn anew. Grey line: ",
    "ideal. White: from here on more CPUs do not help.",
    if (any(is.finite(rows$measured) & rows$cpus > rows$machine, na.rm = TRUE))
      " Where there were more workers than CPUs, tasks that compute took longer than on CPUs of their own.",
    if (is.finite(machine) && machine < max(rows$cpus))
      sprintf(" Vertical line: the machine's %s; grey ground: more than that.", counted(machine, "CPU")), " ",
    prediction_tested)
}

prediction_table <- function(traces) {
  rows <- prediction_rows(traces)
  if (is.null(rows)) return(NULL)
  table <- data.frame(check.names = FALSE, run = rows$trace, CPUs = format_count(rows$cpus),
                      predicted = format_duration(1e9 * rows$seconds),
                      "95 %" = sprintf("%s to %s", format_duration(1e9 * rows$low), format_duration(1e9 * rows$high)),
                      measured = ifelse(is.finite(rows$measured), format_duration(1e9 * rows$measured), ""),
                      speedup = format_digits(rows$speedup),
                      efficiency = ifelse(is.finite(rows$efficiency), format_percent(rows$efficiency), ""), limit = rows$limit)
  if (length(unique(rows$trace)) == 1) table[-1] else table
}
