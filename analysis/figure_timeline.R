# The timeline of a traced run: a lane for each process, its spans as bars nested by depth, messages as arrows.

timeline_columns <- 700   # a span shorter than this part of the run cannot be seen on its own
max_arrows <- 60

figure_timeline <- function(trace) {
  title <- "Timeline of a traced run"
  if (is.null(trace)) return(missing_figure("timeline", title, "No trace was given."))
  processes <- trace$processes
  begin <- min(processes$start_ns)
  length_ns <- max(1, max(processes$end_ns) - begin)
  unit <- duration_unit(length_ns)
  in_unit <- function(ns) (ns - begin) / unit$ns

  processes$lane <- assign_lanes(processes)
  drawn <- processes[!is.na(processes$lane), ]
  spans <- trace$spans[trace$spans$process %in% drawn$id, ]
  spans$depth <- if (nrow(spans) > 0) span_depth(spans) else integer()
  several_threads <- any(spans$lane > 0)
  too_deep <- sum(spans$depth >= max_depth)
  spans <- spans[spans$depth < max_depth, ]
  placed <- place_rows(drawn, spans)
  spans <- gather_short(placed$spans, length_ns / timeline_columns)
  arrows <- choose_arrows(trace$messages, placed$processes, length_ns)

  height <- min(0.24, 8 / placed$rows)     # inches a row
  plot <- ggplot2::ggplot() +
    ggplot2::geom_rect(data = placed$processes, fill = "#F0F0F0", ggplot2::aes(
      xmin = in_unit(start_ns), xmax = in_unit(end_ns), ymin = top, ymax = bottom)) +
    fork_lines(placed$processes, in_unit) +
    span_bars(spans, trace$kinds, in_unit, length_ns) +
    span_names(spans, trace$kinds, in_unit, length_ns, height) +
    arrow_lines(arrows$drawn, in_unit) +
    killed_marks(placed$processes, in_unit, length_ns) +
    ggplot2::scale_y_reverse(NULL, breaks = placed$lanes$middle, labels = placed$lanes$label,
                             expand = ggplot2::expansion(add = 0.4)) +
    ggplot2::scale_x_continuous(sprintf("time since the start (%s)", unit$unit),
                                expand = ggplot2::expansion(c(0.01, 0.02))) +
    report_theme() + ggplot2::theme(panel.grid.major.y = ggplot2::element_blank())
  new_figure("timeline", title, plot, timeline_finding(trace, length_ns), timeline_caption(
    processes, spans, several_threads, too_deep, arrows), width = 9, height = 1.3 + height * (placed$rows + 1))
}

# From top to bottom: lanes, in them the threads of the process, in them the depths. Adds the row to each span, top and
# bottom to each process.
place_rows <- function(processes, spans) {
  spans$process_lane <- processes$lane[match(spans$process, processes$id)]
  deepest <- if (nrow(spans) > 0) stats::aggregate(depth ~ process_lane + lane, spans, max)
             else data.frame(process_lane = integer(), lane = integer(), depth = integer())
  empty <- setdiff(processes$lane, deepest$process_lane)
  none <- rep(0, length(empty))
  deepest <- rbind(deepest, data.frame(process_lane = empty, lane = none, depth = none))
  deepest <- deepest[order(deepest$process_lane, deepest$lane), ]
  gap <- 0.7
  deepest$top <- cumsum(c(0, deepest$depth + 1))[seq_len(nrow(deepest))] + gap * (match(deepest$process_lane,
                 unique(deepest$process_lane)) - 1)
  spans$row <- deepest$top[match(paste(spans$process_lane, spans$lane), paste(deepest$process_lane, deepest$lane))] +
    spans$depth
  top <- tapply(deepest$top, deepest$process_lane, min)
  bottom <- tapply(deepest$top + deepest$depth + 1, deepest$process_lane, max)
  processes$top <- as.vector(top[as.character(processes$lane)])
  processes$bottom <- as.vector(bottom[as.character(processes$lane)])
  lanes <- data.frame(middle = as.vector(top + bottom) / 2, label = lane_labels(processes, processes$lane))
  list(processes = processes, spans = spans, lanes = lanes, rows = max(bottom))
}

# Solid where the span ended; pale with a dashed outline where its process did before it.
span_bars <- function(spans, kinds, in_unit, length_ns) {
  if (nrow(spans) == 0) return(NULL)
  colours <- kind_colours(kinds)
  spans$kind <- factor(spans$kind, intersect(kinds, spans$kind))
  open <- spans[spans$closed == 0, ]
  # a white edge tells a span from the next one, where it is wide enough to lose it
  edged <- spans$share == 1 & spans$end_ns - spans$start_ns > 4 * length_ns / timeline_columns
  list(
    ggplot2::geom_rect(data = spans, ggplot2::aes(xmin = in_unit(start_ns), xmax = in_unit(end_ns), fill = kind,
      ymin = row + 0.96 - 0.92 * share, ymax = row + 0.96), alpha = ifelse(spans$closed == 1, 1, 0.25),
      colour = ifelse(edged, "white", NA), linewidth = 0.25),
    if (nrow(open) > 0) ggplot2::geom_rect(data = open, ggplot2::aes(xmin = in_unit(start_ns), xmax = in_unit(end_ns),
      ymin = row + 0.06, ymax = row + 0.94, colour = kind), fill = NA, linetype = "22", linewidth = 0.5,
      show.legend = FALSE),
    ggplot2::scale_fill_manual(values = colours, drop = FALSE,
      guide = ggplot2::guide_legend(nrow = ceiling(nlevels(spans$kind) / 8), byrow = TRUE, keywidth = 0.8,
                                    override.aes = list(alpha = 1))),
    ggplot2::scale_colour_manual(values = colours))
}

# The name in the bar, where the bar is long enough for it; a user's span goes by its own name.
span_names <- function(spans, kinds, in_unit, length_ns, row_height) {
  spans <- spans[spans$share == 1, ]
  spans$name <- ifelse(is.na(spans$text), spans$kind, spans$text)
  wide <- (spans$end_ns - spans$start_ns) / length_ns > (nchar(spans$name) + 1) * 0.0105
  spans <- spans[wide, ]
  if (nrow(spans) == 0 || row_height < 0.14) return(NULL)
  colour <- ifelse(spans$closed == 1, text_on(kind_colours(kinds)[spans$kind]), ink)
  ggplot2::geom_text(data = spans, ggplot2::aes(x = in_unit((start_ns + end_ns) / 2), y = row + 0.52, label = name),
                     colour = colour, size = 2.5)
}

# Thin lines from the parent's lane to the child's start.
fork_lines <- function(processes, in_unit) {
  parent <- processes[match(processes$parent, processes$id), ]
  lines <- data.frame(x = processes$start_ns, from = parent$bottom, to = processes$top)
  lines <- lines[stats::complete.cases(lines) & lines$from < lines$to, ]
  if (nrow(lines) == 0 || anyDuplicated(processes$lane)) return(NULL)
  ggplot2::geom_segment(data = lines, ggplot2::aes(x = in_unit(x), xend = in_unit(x), y = from, yend = to),
                        colour = "#999999", linewidth = 0.3, linetype = "12")
}

# Messages between two drawn lanes, from the edge of the one to the facing edge of the other. Of many, the first of
# each sender, receiver and stretch of time is drawn, the stretches getting longer until the arrows are few enough.
choose_arrows <- function(messages, processes, length_ns) {
  from <- processes[match(messages$sender, processes$id), ]
  to <- processes[match(messages$receiver, processes$id), ]
  down <- from$top < to$top
  arrows <- data.frame(sender = messages$sender, receiver = messages$receiver, send_ns = messages$send_ns,
                       receive_ns = messages$receive_ns, from = ifelse(down, from$bottom, from$top),
                       to = ifelse(down, to$top, to$bottom), across = from$lane != to$lane)
  across <- arrows[arrows$across %in% TRUE, ]
  drawn <- across
  stretches <- 512
  while (nrow(drawn) > max_arrows && stretches >= 1) {
    stretch <- floor(across$send_ns / (length_ns / stretches))
    drawn <- across[!duplicated(data.frame(across$sender, across$receiver, stretch)), ]
    stretches <- stretches / 2
  }
  if (nrow(drawn) > max_arrows) drawn <- drawn[unique(round(seq(1, nrow(drawn), length.out = max_arrows))), ]
  list(drawn = drawn, between = nrow(across), within = sum(messages$sender == messages$receiver, na.rm = TRUE),
       untaken = sum(is.na(messages$receiver)))
}

arrow_lines <- function(arrows, in_unit) {
  if (nrow(arrows) == 0) return(NULL)
  ggplot2::geom_segment(data = arrows, ggplot2::aes(x = in_unit(send_ns), xend = in_unit(receive_ns), y = from,
                        yend = to), colour = ink, linewidth = 0.3, alpha = if (nrow(arrows) > 30) 0.6 else 0.9,
                        arrow = ggplot2::arrow(length = ggplot2::unit(3.5, "pt"), angle = 25, type = "closed"))
}

killed_marks <- function(processes, in_unit, length_ns) {
  killed <- processes[processes$exit_status %in% -(1:64), ]
  if (nrow(killed) == 0) return(NULL)
  killed$y <- (killed$top + killed$bottom) / 2
  # to the right of the mark, or to its left where the figure ends
  killed$hjust <- ifelse(in_unit(killed$end_ns) > 0.88 * in_unit(max(processes$end_ns)), 1.12, -0.12)
  list(
    ggplot2::geom_point(data = killed, ggplot2::aes(x = in_unit(end_ns), y = y), shape = 4, size = 2.6, stroke = 1.1,
                        colour = ink),
    ggplot2::geom_label(data = killed, ggplot2::aes(x = in_unit(end_ns), y = y, hjust = hjust,
                        label = sprintf("signal %d", -exit_status)), size = 2.7, colour = ink, fill = "white",
                        label.size = 0, label.padding = ggplot2::unit(1.5, "pt")))
}

timeline_finding <- function(trace, length_ns) {
  processes <- trace$processes
  most <- max(vapply(processes$start_ns, function(t) sum(processes$start_ns <= t & processes$end_ns > t), 1))
  open <- sum(trace$spans$closed == 0)
  latency <- stats::median(trace$messages$receive_ns - trace$messages$send_ns, na.rm = TRUE)
  paste0(sprintf("A run of %s in %s, at most %d of them at the same time", format_duration(length_ns),
                 counted(nrow(processes), "process", "processes"), most),
         if (nrow(trace$messages) > 0) sprintf("; %s", counted(nrow(trace$messages), "message")),
         if (is.finite(latency)) sprintf(", %s %s", if (nrow(trace$messages) == 1) "taken after" else
           "half of them taken within", format_duration(latency)), ".",
         if (open > 0) sprintf(" %s never ended, because the process did.", counted(open, "span")))
}

timeline_caption <- function(processes, spans, several_threads, too_deep, arrows) {
  hidden <- sum(is.na(processes$lane))
  paste(c(
    "A lane for each process, in the order of their start; nested spans hang below the span they are in.",
    if (several_threads) "A process's further threads stand below its first.",
    if (anyDuplicated(stats::na.omit(processes$lane)))
      "There are many processes: those that follow one another share a lane.",
    if (hidden > 0) sprintf("%s found no free lane and are not drawn.", counted(hidden, "process", "processes")),
    if (any(spans$share < 1))
      "Spans too short to be seen are gathered: a low bar is the share of that time that they took.",
    if (too_deep > 0) sprintf("%s nested deeper than %d are left out.", counted(too_deep, "span"), max_depth),
    if (any(spans$closed == 0)) "Dashed outline: the span never ended, because its process did (cross: by a signal).",
    if (arrows$between > 0) paste0("Arrows: messages, from sent to received", if (nrow(arrows$drawn) < arrows$between)
      sprintf("; %s of %s are drawn", format_count(nrow(arrows$drawn)), format_count(arrows$between)), "."),
    if (arrows$within > 0) sprintf("%s of a process to itself not drawn.", counted(arrows$within, "message")),
    if (arrows$untaken > 0) sprintf("%s without a receive in the trace.", counted(arrows$untaken, "message"))),
    collapse = " ")
}
