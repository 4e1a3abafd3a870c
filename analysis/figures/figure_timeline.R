# The timeline of a traced run: a lane for each process, its spans as bars nested by depth, messages as arrows, its times
# on a CPU as a strip below, and the critical path as a line through the lanes.

strip_rows <- 0.55   # the height of the on-CPU strip, in rows

figure_timeline <- function(trace) {
  title <- "Timeline"
  drawn <- trace$processes[!is.na(trace$processes$lane), ]
  column <- trace$run$column_ns
  several_threads <- any(c(trace$spans$thread, trace$columns$thread) > 0)
  too_deep <- sum(trace$spans$depth >= max_depth)
  spans <- trace$spans[trace$spans$depth < max_depth, ]
  columns <- trace$columns[trace$columns$depth < max_depth, ]
  has_cpu <- nrow(trace$cpu) > 0
  placed <- place_rows(drawn, spans, columns, if (has_cpu) strip_rows else 0)
  placed$spans$share <- rep(1, nrow(spans))
  bars <- rbind(placed$spans[bar_columns],
                join_columns(placed$columns, trace$run$begin_ns, column)[bar_columns])
  arrows <- choose_arrows(trace, placed$processes)
  path <- path_line(trace$path, placed$processes, column)
  length_ns <- trace$run$end_ns - trace$run$begin_ns
  unit <- duration_unit(length_ns)
  in_unit <- function(ns) (ns - trace$run$begin_ns) / unit$ns
  kinds <- intersect(trace$kinds, bars$kind)

  draw <- function(narrow) {
    height <- min(if (narrow) 0.2 else 0.24, 8 / placed$rows)     # inches a row
    labels <- if (narrow) shorten(without_pid(placed$lanes$label), 14) else placed$lanes$label
    plot <- ggplot2::ggplot() +
      ggplot2::geom_rect(data = placed$processes, fill = "#F0F0F0", ggplot2::aes(
        xmin = in_unit(start_ns), xmax = in_unit(end_ns), ymin = top, ymax = bottom)) +
      fork_lines(placed$processes, in_unit) +
      cpu_strips(trace, placed$processes, in_unit) +
      span_bars(bars, trace$kinds, in_unit, column, narrow) +
      arrow_lines(arrows$drawn, in_unit) +
      path_lines(path, in_unit) +
      span_names(bars, trace$kinds, in_unit, length_ns, height, narrow) +
      killed_marks(placed$processes, in_unit) +
      ggplot2::scale_y_reverse(NULL, breaks = placed$lanes$middle, labels = labels,
                               expand = ggplot2::expansion(add = 0.4)) +
      ggplot2::scale_x_continuous(sprintf("time since the start (%s)", unit$unit),
                                  expand = ggplot2::expansion(c(0.01, 0.02))) +
      report_theme(narrow) + ggplot2::theme(panel.grid.major.y = ggplot2::element_blank())
    picture(plot, 1.2 + 0.2 * ceiling(length(kinds) / if (narrow) 3 else 7) + height * (placed$rows + 1))
  }
  figure <- new_figure("timeline", title, draw, timeline_finding(trace, length_ns), timeline_caption(
    trace, bars, several_threads, too_deep, arrows, nrow(path) > 0), bars_data(bars, placed$processes), width = 9)
  if (is.null(trace$live)) figure else c(figure, list(live = trace$live, live_caption = live_caption(trace)))
}

bar_columns <- c("process", "row", "kind", "start_ns", "end_ns", "closed", "text", "share")

bars_data <- function(bars, processes) {
  data.frame(process = processes$label[match(bars$process, processes$id)], kind = bars$kind, text = bars$text,
             start_ns = round(bars$start_ns), end_ns = round(bars$end_ns), share = bars$share, closed = bars$closed)
}

# A lane holds, from top to bottom, the threads of its process, each with its depths, and then the strip. Adds the row to
# each span and column, and top, bottom and strip to each process.
place_rows <- function(processes, spans, columns, strip) {
  lane_of <- function(rows) processes$lane[match(rows$process, processes$id)]
  spans$lane <- lane_of(spans)
  columns$lane <- lane_of(columns)
  all <- rbind(spans[c("lane", "thread", "depth")], columns[c("lane", "thread", "depth")])
  empty <- setdiff(processes$lane, all$lane)
  none <- rep(0, length(empty))
  all <- rbind(all, data.frame(lane = empty, thread = none, depth = none))
  deepest <- stats::aggregate(depth ~ lane + thread, all, max)
  deepest <- deepest[order(deepest$lane, deepest$thread), ]
  stopifnot(deepest$depth >= 0, !is.na(deepest$lane))
  gap <- 0.7
  before <- match(deepest$lane, unique(deepest$lane)) - 1
  deepest$top <- cumsum(c(0, deepest$depth + 1))[seq_len(nrow(deepest))] + (gap + strip) * before
  row_of <- function(rows) {
    key <- paste(deepest$lane, deepest$thread)
    deepest$top[match(paste(rows$lane, rows$thread), key)] + rows$depth
  }
  spans$row <- row_of(spans)
  columns$row <- row_of(columns)
  top <- tapply(deepest$top, deepest$lane, min)
  bottom <- tapply(deepest$top + deepest$depth + 1, deepest$lane, max)
  place <- as.character(processes$lane)
  processes$top <- as.vector(top[place])
  processes$strip <- as.vector(bottom[place])
  processes$bottom <- processes$strip + strip
  lanes <- data.frame(middle = as.vector(top + bottom + strip) / 2, label = lane_labels(processes, processes$lane))
  list(processes = processes, spans = spans, columns = columns, lanes = lanes, rows = max(bottom) + strip)
}

# Solid where the span ended; pale with a dashed outline where its process ended first.
span_bars <- function(bars, kinds, in_unit, column, narrow) {
  if (nrow(bars) == 0) return(NULL)
  colours <- kind_colours(kinds)
  bars$kind <- factor(bars$kind, intersect(kinds, bars$kind))
  open <- bars[bars$closed == 0, ]
  # a white edge separates spans, where they are wide enough
  edged <- bars$share == 1 & bars$end_ns - bars$start_ns > 4 * column
  list(
    ggplot2::geom_rect(data = bars, ggplot2::aes(xmin = in_unit(start_ns), xmax = in_unit(end_ns), fill = kind,
      ymin = row + 0.96 - 0.92 * share, ymax = row + 0.96), alpha = ifelse(bars$closed == 1, 1, 0.25),
      colour = ifelse(edged, "white", NA), linewidth = 0.25),
    if (nrow(open) > 0) ggplot2::geom_rect(data = open, ggplot2::aes(xmin = in_unit(start_ns), xmax = in_unit(end_ns),
      ymin = row + 0.06, ymax = row + 0.94, colour = kind), fill = NA, linetype = "22", linewidth = 0.5,
      show.legend = FALSE),
    ggplot2::scale_fill_manual(values = colours, drop = FALSE,
      guide = fill_legend(nlevels(bars$kind), narrow, override.aes = list(alpha = 1))),
    ggplot2::scale_colour_manual(values = colours))
}

# The name in the bar, where the bar is long enough. A span of the user shows the name that the user gave; one of a channel
# that has a name shows its kind and that name, or its kind alone where no more has room.
span_names <- function(bars, kinds, in_unit, length_ns, row_height, narrow) {
  bars <- bars[bars$share == 1, ]
  bars$name <- ifelse(is.na(bars$text), bars$kind, bars$text)
  room <- (bars$end_ns - bars$start_ns) / length_ns / if (narrow) 0.024 else 0.0105
  of_channel <- startsWith(as.character(bars$name), paste0(bars$kind, " "))
  bars$name <- ifelse(of_channel & room <= nchar(bars$name) + 1, bars$kind, bars$name)
  bars <- bars[room > nchar(bars$name) + 1, ]
  if (nrow(bars) == 0 || row_height < 0.14) return(NULL)
  colour <- ifelse(bars$closed == 1, text_on(kind_colours(kinds)[bars$kind]), ink)
  ggplot2::geom_text(data = bars, ggplot2::aes(x = in_unit((start_ns + end_ns) / 2), y = row + 0.52, label = name),
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

# Below the spans: when the process had a CPU (dark), and when it was ready to run without one (red, half as high).
cpu_strips <- function(trace, processes, in_unit) {
  if (nrow(trace$cpu) == 0) return(NULL)
  cpu <- cpu_pieces(trace$cpu, trace$run)
  cpu$strip <- processes$strip[match(cpu$process, processes$id)]
  high <- strip_rows * ifelse(cpu$state == "on", 0.9, 0.45) * cpu$share
  cpu$bottom <- cpu$strip + strip_rows * 0.95
  cpu$top <- cpu$bottom - high
  ggplot2::geom_rect(data = cpu, ggplot2::aes(xmin = in_unit(start_ns), xmax = in_unit(end_ns), ymin = top, ymax = bottom),
                     fill = ifelse(cpu$state == "on", faint, okabe_ito[["vermillion"]]))
}

# Those that are gathered (they have a slot) show the share of their column, in quarters.
cpu_pieces <- function(cpu, run) {
  gathered <- !is.na(cpu$slot)
  cpu$share <- ifelse(gathered, pmin(1, ceiling(4 * cpu$end_ns / run$column_ns) / 4), 1)
  begin <- run$begin_ns + cpu$slot * run$column_ns
  cpu$start_ns[gathered] <- begin[gathered]
  cpu$end_ns[gathered] <- begin[gathered] + run$column_ns
  # waiting is drawn last, so that it is visible
  cpu[order(cpu$state, cpu$process, cpu$start_ns), ]
}

# The path as one line: along a lane's upper edge while it is in that process, then to the next lane. Short stays, as in
# a quick exchange of messages, are left out, because they could not be told apart.
path_line <- function(path, processes, column) {
  path <- path[path$process %in% processes$id, ]
  ends <- seq_len(nrow(path)) %in% c(1, nrow(path))
  path <- path[ends | path$end_ns - path$start_ns >= 6 * column, ]
  if (nrow(path) == 0) return(data.frame(ns = numeric(), y = numeric()))
  y <- processes$top[match(path$process, processes$id)] - 0.12
  data.frame(ns = as.vector(rbind(path$start_ns, path$end_ns)), y = rep(y, each = 2))
}

path_lines <- function(path, in_unit) {
  if (nrow(path) == 0) return(NULL)
  line <- function(...) ggplot2::geom_path(data = path, ggplot2::aes(x = in_unit(ns), y = y), lineend = "round", ...)
  list(line(colour = "white", linewidth = 1.9), line(colour = ink, linewidth = 0.8))
}

# Messages between two drawn lanes, from the edge of one to the facing edge of the other. Of many messages, only the first
# of each sender, receiver and stretch of time is drawn; the stretches get longer until the arrows are few enough.
choose_arrows <- function(trace, processes) {
  lane_of <- function(id) processes$lane[match(id, processes$id)]
  from <- processes[match(trace$arrows$sender, processes$id), ]
  to <- processes[match(trace$arrows$receiver, processes$id), ]
  down <- from$top < to$top
  arrows <- transform(trace$arrows, from = ifelse(down, from$bottom, from$top), to = ifelse(down, to$top, to$bottom))
  across <- arrows[(from$lane != to$lane) %in% TRUE, ]
  drawn <- across
  stretches <- page_limits$arrow_stretches
  length_ns <- trace$run$end_ns - trace$run$begin_ns
  while (nrow(drawn) > page_limits$arrows && stretches >= 1) {
    stretch <- floor(across$send_ns / (length_ns / stretches))
    drawn <- across[!duplicated(data.frame(across$sender, across$receiver, stretch)), ]
    stretches <- stretches / 2
  }
  if (nrow(drawn) > page_limits$arrows) drawn <- drawn[unique(round(seq(1, nrow(drawn), length.out = page_limits$arrows))), ]
  pairs <- trace$pairs
  messages <- function(which) sum(pairs$messages[which %in% TRUE])
  list(drawn = drawn, between = messages(lane_of(pairs$sender) != lane_of(pairs$receiver)),
       within = messages(pairs$sender == pairs$receiver), untaken = messages(is.na(pairs$receiver)))
}

arrow_lines <- function(arrows, in_unit) {
  if (nrow(arrows) == 0) return(NULL)
  ggplot2::geom_segment(data = arrows, ggplot2::aes(x = in_unit(send_ns), xend = in_unit(receive_ns), y = from,
                        yend = to), colour = ink, linewidth = 0.3, alpha = if (nrow(arrows) > 30) 0.6 else 0.9,
                        arrow = ggplot2::arrow(length = ggplot2::unit(3.5, "pt"), angle = 25, type = "closed"))
}

killed_marks <- function(processes, in_unit) {
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
  messages <- sum(trace$pairs$messages)
  paste0(sprintf("A run of %s in %s, at most %d of them at the same time", format_duration(length_ns),
                 counted(nrow(processes), "process", "processes"), most),
         if (messages > 0) sprintf("; %s", counted(messages, "message")), ".", path_finding(trace),
         if (trace$open_spans > 0) sprintf(" %s never ended, because the process did.",
                                           counted(trace$open_spans, "span")))
}

path_finding <- function(trace) {
  if (nrow(trace$activities) == 0) return("")
  top <- trace$activities[seq_len(min(2, nrow(trace$activities))), ]
  sprintf(" Its critical path is %s.", in_words(sprintf("%s %s", format_percent(top$share), top$activity)))
}

timeline_caption <- function(trace, bars, several_threads, too_deep, arrows, has_path) {
  processes <- trace$processes
  hidden <- sum(is.na(processes$lane))
  paste(c(
    "A lane for each process, in the order of their start; nested spans hang below the span they are in.",
    if (several_threads) "A process's further threads stand below its first.",
    if (anyDuplicated(stats::na.omit(processes$lane)))
      "There are many processes: those that follow one another share a lane.",
    if (hidden > 0) sprintf("%s found no free lane and are not drawn.", counted(hidden, "process", "processes")),
    if (any(bars$share < 1))
      "Spans too short to be seen are gathered: a low bar is the share of that time that they took.",
    if (too_deep > 0) sprintf("%s nested deeper than %d are left out.", counted(too_deep, "span"), max_depth),
    if (any(bars$closed == 0)) "Dashed outline: the span never ended, because its process did (cross: by a signal).",
    if (nrow(trace$cpu) > 0) "Strip below a lane: grey, on a CPU; red, ready to run without one.",
    if (has_path) "Thick line: the critical path, without its short stays.",
    if (arrows$between > 0) paste0("Arrows: messages, from sent to received", if (nrow(arrows$drawn) < arrows$between)
      sprintf("; %s of %s are drawn", format_count(nrow(arrows$drawn)), format_count(arrows$between)), "."),
    if (arrows$within > 0) sprintf("%s of a process to itself not drawn.", counted(arrows$within, "message")),
    if (arrows$untaken > 0) sprintf("%s without a receive in the trace.", counted(arrows$untaken, "message"))),
    collapse = " ")
}
