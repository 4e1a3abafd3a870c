# Several sessions in one picture, of machines or commits: how many times as fast as multiprocessing snakefish is in each,
# program by program.

figure_sessions <- function(benches) {
  title <- "The sessions beside each other"
  rows <- bind(lapply(benches, session_ratios))
  if (is.null(rows)) {
    return(missing_figure("sessions", title, "None of the sessions compares snakefish with multiprocessing."))
  }
  rows$session <- factor(rows$session, unique(vapply(benches, `[[`, "", "label")))
  programs <- sort(setdiff(unique(rows$program), all_programs))
  rows$program <- factor(rows$program, rev(c(all_programs, programs)))
  reach <- range(c(rows$times_as_fast, rows$low, rows$high, 1 / 1.1, 1.1), na.rm = TRUE)
  ticks <- ratio_ticks(reach)
  draw <- function(narrow) {
    beside <- ggplot2::position_dodge2(width = 0.7, reverse = TRUE)
    columns <- ggplot2::guide_legend(ncol = if (narrow) 2 else 5)
    plot <- ggplot2::ggplot(rows, ggplot2::aes(times_as_fast, program, colour = session, shape = session)) +
      ggplot2::geom_vline(xintercept = 1, colour = faint, linewidth = 0.4)
    if (any(is.finite(rows$low))) plot <- plot + ggplot2::geom_linerange(ggplot2::aes(xmin = low, xmax = high),
      position = beside, linewidth = 0.7, na.rm = TRUE, show.legend = FALSE)
    n <- nlevels(rows$session)
    plot <- plot + ggplot2::geom_point(position = beside, size = 2.4) +
      ggplot2::scale_colour_manual(values = rep(unname(okabe_ito[session_colours]), length.out = n)) +
      ggplot2::scale_shape_manual(values = rep(c(16, 17, 15, 18, 4, 3), length.out = n)) +
      ggplot2::guides(colour = columns, shape = columns) +
      ggplot2::scale_x_log10("times as fast as multiprocessing (log scale)", breaks = ticks, labels = format_tick,
                             limits = reach * c(1 / 1.02, 1.02)) +
      ggplot2::ylab(NULL) + report_theme(narrow)
    picture(plot, 1.1 + (0.14 + 0.13 * n) * nlevels(rows$program))
  }
  new_figure("sessions", title, draw, sessions_finding(rows), paste(
    "Each session with as many workers as its machine has CPUs. Bars:", sprintf("%g %%", 100 * benches[[1]]$method$level),
    "interval. All programs: the geometric mean."), rows)
}

all_programs <- "all programs"
session_colours <- c("blue", "vermillion", "green", "purple", "orange", "sky")

session_ratios <- function(bench) {
  workers <- verdict_workers(bench)
  if (is.null(bench$ratios) || is.na(workers)) return(NULL)
  rows <- bench$ratios[!bench$ratios$micro & bench$ratios$workers == workers, ]
  overall <- overall_at(bench, workers)
  columns <- c("program", "workers", "times_as_fast", "low", "high")
  if (!is.null(overall)) rows <- rbind(rows[columns], cbind(program = all_programs, overall)[columns])
  data.frame(session = bench$label, rows[columns])
}

sessions_finding <- function(rows) {
  overall <- rows[rows$program == all_programs, ]
  if (nrow(overall) == 0) return("No session has a block that holds all of its programs under both.")
  ratios <- ratio_text(overall$times_as_fast, overall$low, overall$high)
  sprintf("snakefish, over all programs, is %s.", in_words(sprintf("%s times as fast as multiprocessing in %s", ratios,
                                                                  overall$session)))
}
