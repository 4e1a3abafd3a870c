# The channels over the run: how many messages were in each, and how much was received from it.

max_channels <- 4

figure_channels <- function(trace) {
  title <- "Channels over time"
  if (nrow(trace$channels) == 0) return(missing_figure("channels", title, "No message was sent in this trace."))
  shown <- trace$channels[seq_len(min(max_channels, nrow(trace$channels))), ]
  length_ns <- trace$run$end_ns - trace$run$begin_ns
  slots <- page_limits$channel_slots
  unit <- duration_unit(length_ns)
  slot_s <- length_ns / slots / 1e9
  shown$name <- channel_names(trace$channels)[seq_len(nrow(shown))]
  rows <- bind(lapply(shown$channel, function(channel) {
    depths <- fill_depths(trace$depths[trace$depths$channel == channel, ])
    flow <- trace$flows[trace$flows$channel == channel, ]
    bytes <- rep(0, slots)
    bytes[flow$slot + 1] <- flow$bytes
    rbind(data.frame(channel = channel, what = "messages in it", slot = seq_along(depths) - 1, value = depths),
          data.frame(channel = channel, what = "MB/s taken out", slot = seq_along(bytes) - 1, value = bytes / slot_s / 1e6))
  }))
  rows$time <- (rows$slot + 0.5) / slots * length_ns / unit$ns
  rows$name <- shown$name[match(rows$channel, shown$channel)]
  rows$panel <- sprintf("channel %s: %s", rows$name, rows$what)
  rows$panel <- factor(rows$panel, unique(rows$panel))
  draw <- function(narrow) {
    plot <- ggplot2::ggplot(rows, ggplot2::aes(time, value)) +
      ggplot2::facet_wrap(~panel, ncol = if (narrow) 1 else 2, scales = "free_y") +
      ggplot2::geom_ribbon(ggplot2::aes(ymin = 0, ymax = value, fill = what), alpha = 0.35) +
      ggplot2::geom_line(ggplot2::aes(colour = what), linewidth = 0.5) +
      ggplot2::scale_fill_manual(values = unname(okabe_ito[c("orange", "blue")])) +
      ggplot2::scale_colour_manual(values = unname(okabe_ito[c("orange", "blue")])) +
      ggplot2::scale_x_continuous(sprintf("time since the start (%s)", unit$unit)) +
      ggplot2::scale_y_continuous(NULL, labels = format_tick, limits = c(0, NA),
                                  expand = ggplot2::expansion(c(0, 0.08))) +
      report_theme(narrow) + ggplot2::theme(legend.position = "none")
    panels <- nlevels(rows$panel)
    picture(plot, 0.5 + if (narrow) 1.5 * panels else 1.8 * panels / 2)
  }
  new_figure("channels", title, draw, channels_finding(trace), paste0(
    sprintf("The run in %d parts: in each the most messages that were in the channel, and how much was received.",
            slots),
    if (nrow(trace$channels) > max_channels) sprintf(" The %d with most messages, of %d.", max_channels,
                                                     nrow(trace$channels))),
    data.frame(channel = rows$channel, name = rows$name, what = rows$what, time_ns = round(rows$time * unit$ns),
               value = signif(rows$value, 6)),
    width = 9)
}

# The names that the program has given, those of two channels with their numbers too; the number of one that has no name.
channel_names <- function(rows) {
  names <- ifelse(is.na(rows$name), format(rows$channel, trim = TRUE, scientific = FALSE), shorten(rows$name, 18))
  twice <- names %in% names[duplicated(names)]
  ifelse(twice & !is.na(rows$name), sprintf("%s (%.0f)", names, rows$channel), names)
}

# The most messages in each part of the run: at least as many as were there when the part before ended.
fill_depths <- function(rows, slots = page_limits$channel_slots) {
  stopifnot(rows$slot >= 0, rows$slot < slots, !anyDuplicated(rows$slot), rows$at_end <= rows$highest)
  depths <- rep(0, slots)
  last <- 0
  place <- match(seq_len(slots) - 1, rows$slot)
  for (i in seq_len(slots)) {
    here <- place[i]
    depths[i] <- if (is.na(here)) last else max(last, rows$highest[here])
    if (!is.na(here)) last <- rows$at_end[here]
  }
  depths
}

channels_finding <- function(trace) {
  rows <- trace$channels
  busiest <- rows[1, ]
  left <- sum(rows$messages - rows$received)
  paste0(sprintf("%s carried %s, %s in all; the busiest, channel %s, up to %s at a time and %s.",
                 counted(nrow(rows), "channel"), counted(sum(rows$messages), "message"), format_bytes(sum(rows$bytes)),
                 channel_names(rows)[1], format_count(busiest$depth_max),
                 if (busiest$ns > 0) sprintf("%s messages/s", format_digits(busiest$messages / busiest$ns * 1e9))
                 else "all at once"),
         if (left > 0) sprintf(" %s never received.", if (left == 1) "One message was" else
           paste(format_count(left), "messages were")))
}

channel_table <- function(trace, limit = 50) {
  rows <- trace$channels
  if (nrow(rows) == 0) return(NULL)
  rows$name <- channel_names(rows)
  rows <- rows[seq_len(min(limit, nrow(rows))), ]
  data.frame(check.names = FALSE, channel = rows$name, messages = format_count(rows$messages),
             received = format_count(rows$received), senders = rows$senders, receivers = rows$receivers,
             bytes = format_bytes(rows$bytes), "messages/s" = format_digits(rows$messages / rows$ns * 1e9),
             "MB/s" = format_digits(rows$bytes / rows$ns * 1e3), deepest = format_count(rows$depth_max),
             "mean latency" = format_duration(rows$latency_ns), "of it queueing" = format_duration(rows$queueing_ns))
}
