# The laws fitted to the speedups.

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
