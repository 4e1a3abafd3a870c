# The serial fraction at each number of workers, and the laws fitted to the speedups.

figure_serial <- function(bench) {
  title <- "Serial fraction (Karp and Flatt)"
  rows <- if (!is.null(bench$speedups)) karp_flatt(bench$speedups, bench$cpus)
  if (is.null(rows)) return(missing_figure("serial", title, paste(
    "Not estimable: it needs a speedup with at least two workers that have a CPU each.")))
  rows$runtime <- runtime_factor(rows$runtime)
  counts <- sort(unique(rows$workers))
  programs <- unique(rows$program)
  draw <- function(narrow) {
    columns <- ggplot2::guide_legend(ncol = if (narrow) 2 else 5)
    plot <- ggplot2::ggplot(rows, ggplot2::aes(serial, program, colour = runtime, shape = runtime))
    beside <- ggplot2::position_dodge(width = 0.6)
    if (length(counts) == 1) {
      # with one number of workers there is no line to draw, so programs stand side by side
      plot <- plot + ggplot2::geom_vline(xintercept = 0, colour = faint, linewidth = 0.4)
      if (any(is.finite(rows$low))) plot <- plot + ggplot2::geom_linerange(ggplot2::aes(xmin = low, xmax = high),
        position = beside, linewidth = 0.6, na.rm = TRUE, show.legend = FALSE)
      plot <- plot + ggplot2::geom_point(position = beside, size = 2.4) +
        ggplot2::scale_x_continuous(sprintf("serial fraction with %s", counted(counts, "worker")), labels = percent_tick) +
        ggplot2::scale_y_discrete(NULL, limits = rev) + runtime_scales(rows$runtime) +
        ggplot2::guides(colour = columns, shape = columns) + report_theme(narrow)
      return(picture(plot, 1.1 + (0.2 + 0.11 * nlevels(rows$runtime)) * length(programs)))
    }
    plot <- ggplot2::ggplot(rows, ggplot2::aes(workers, serial, colour = runtime, shape = runtime, linetype = runtime)) +
      ggplot2::facet_wrap(~program, ncol = panel_columns(length(programs), narrow), scales = "free_y") +
      ggplot2::geom_hline(yintercept = 0, colour = faint, linewidth = 0.4)
    if (any(is.finite(rows$low))) plot <- plot + ggplot2::geom_ribbon(data = rows[is.finite(rows$low), ],
      ggplot2::aes(ymin = low, ymax = high, fill = runtime), alpha = 0.15, colour = NA)
    plot <- plot + ggplot2::geom_line(linewidth = 0.5) + ggplot2::geom_point(size = 2.2) +
      runtime_scales(rows$runtime) +
      ggplot2::guides(colour = columns, shape = columns, linetype = columns, fill = columns) +
      ggplot2::scale_x_continuous("workers", trans = "log2", breaks = counts) +
      ggplot2::scale_y_continuous("serial fraction", labels = percent_tick) + report_theme(narrow)
    picture(plot, panel_height(length(programs), narrow))
  }
  new_figure("serial", title, draw, serial_finding(rows), paste(
    "The share of the work that would have to be serial to explain the speedup; rising with the workers it means overhead,",
    "flat a serial part, below 0 faster than linear.", sub("^Bars", "Intervals", interval_caption(rows, bench$method)),
    "Only workers with a CPU each."), rows)
}

percent_tick <- function(x) paste(format_tick(100 * x), "%")

serial_finding <- function(rows) {
  median_by_runtime(rows, max(rows$workers), "serial", "Serial fraction", function(share) format_percent(share, 1))
}

figure_fits <- function(bench) {
  title <- "Amdahl's law and the USL"
  fitted <- Filter(function(fit) is.null(fit$amdahl$missing) || is.null(fit$usl$missing), bench$fits)
  if (length(fitted) == 0) {
    reason <- if (length(bench$fits) > 0) bench$fits[[1]]$amdahl$missing else "not estimable: no program ran in parallel"
    return(missing_figure("fits", title, paste0(toupper(substr(reason, 1, 1)), substring(reason, 2), ".")))
  }
  curves <- bind(lapply(fitted, function(fit) rbind(fit_curve(fit, "amdahl", "Amdahl"), fit_curve(fit, "usl", "USL"))))
  curves$panel <- sprintf("%s, %s", curves$program, curves$runtime)
  # the points that the laws were fitted to: the speedup over one worker
  points <- bind(lapply(fitted, function(fit) {
    own <- bench$times[bench$times$program == fit$program & bench$times$runtime == fit$runtime &
                         bench$times$workers %in% fit$counts, ]
    data.frame(panel = sprintf("%s, %s", fit$program, fit$runtime), workers = own$workers,
               speedup = own$median_ns[own$workers == 1] / own$median_ns)
  }))
  panels <- length(unique(curves$panel))
  counts <- sort(unique(points$workers))
  draw <- function(narrow) {
    plot <- ggplot2::ggplot(curves, ggplot2::aes(workers, speedup)) +
      ggplot2::facet_wrap(~panel, ncol = panel_columns(panels, narrow)) +
      ggplot2::geom_abline(colour = faint, linewidth = 0.4)
    if (any(is.finite(curves$low))) plot <- plot + ggplot2::geom_ribbon(data = curves[is.finite(curves$low), ],
      ggplot2::aes(ymin = low, ymax = high, fill = law), alpha = 0.2)
    plot <- plot + ggplot2::geom_line(ggplot2::aes(colour = law, linetype = law), linewidth = 0.7) +
      ggplot2::geom_point(data = points, size = 2, colour = ink) +
      ggplot2::scale_colour_manual(values = c(Amdahl = okabe_ito[["blue"]], USL = okabe_ito[["vermillion"]])) +
      ggplot2::scale_fill_manual(values = c(Amdahl = okabe_ito[["blue"]], USL = okabe_ito[["vermillion"]])) +
      ggplot2::scale_linetype_manual(values = c(Amdahl = "solid", USL = "longdash")) +
      ggplot2::scale_x_continuous("workers", trans = "log2", breaks = counts) +
      ggplot2::scale_y_continuous("speedup over one worker", trans = "log2", breaks = 2^(-10:12), labels = format_tick) +
      report_theme(narrow)
    picture(plot, panel_height(panels, narrow))
  }
  new_figure("fits", title, draw, fits_finding(fitted), paste(
    "Dots: medians. Lines: the laws fitted to them; bands:", sprintf("%g %%", 100 * bench$method$level),
    "of resamples over blocks. Thin: ideal. Only workers with a CPU each."), curves)
}

fit_curve <- function(fit, law, name) {
  found <- fit[[law]]
  if (!is.null(found$missing)) return(NULL)
  bounds <- function(x) if (is.null(x)) NA_real_ else x
  data.frame(program = fit$program, runtime = fit$runtime, law = name, workers = found$points,
             speedup = found$curve[1, ], low = bounds(found$low), high = bounds(found$high))
}

workers_text <- function(counts) paste(range_text(counts), if (all(counts == 1)) "worker" else "workers")

peaks_finding <- function(fits) {
  fits <- Filter(function(fit) is.null(fit$usl$missing), fits)
  peaks <- vapply(fits, function(fit) fit$usl$parameters[1, "peak"], 1)
  if (length(peaks) == 0) return("")
  ends <- peaks[is.finite(peaks)]
  if (length(ends) == 0) return(" By the USL more workers always gain.")
  sprintf(" By the USL the speedup is highest at %s%s.", workers_text(round(ends)), if (length(ends) < length(peaks))
    sprintf(" in %d of %d fits, and has no peak in the others", length(ends), length(peaks)) else "")
}

fits_finding <- function(fits) {
  shares <- vapply(fits, function(fit) if (is.null(fit$amdahl$missing)) fit$amdahl$parameters[1, "serial"] else NA_real_, 1)
  names <- vapply(fits, function(fit) sprintf("%s under %s", fit$program, fit$runtime), "")
  most <- which.max(shares)
  least <- which.min(shares)
  paste0(sprintf("Amdahl's serial share is lowest for %s (%s) and highest for %s (%s).", names[least],
                 format_percent(shares[least], 1), names[most], format_percent(shares[most], 1)), peaks_finding(fits))
}
