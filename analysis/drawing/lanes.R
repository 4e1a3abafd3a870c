# Which lane of the timeline a process is drawn in, and how spans that are too short to be seen are drawn together.

max_lanes <- 20   # more would be too thin to read
max_depth <- 6    # spans nested deeper are left out, and counted

# One lane a process, in the order of their start. Where there are too many, processes that follow one another share
# lanes: each takes the first lane that is free at its start. Processes that find none within max_lanes get NA.
assign_lanes <- function(processes, limit = max_lanes) {
  stopifnot(!is.unsorted(processes$start_ns))
  if (nrow(processes) <= limit) return(seq_len(nrow(processes)))
  free_from <- rep(-Inf, limit)
  vapply(seq_len(nrow(processes)), function(i) {
    lane <- which(free_from <= processes$start_ns[i])[1]
    if (!is.na(lane)) free_from[lane] <<- if (is.na(processes$end_ns[i])) Inf else processes$end_ns[i]
    lane
  }, 1L)
}

# The depth at which each span is drawn: the first one that is free in its thread at its begin. Where all nest that is the
# number of spans around it; spans that overlap without nesting are beside each other. spans: in the order of their begins
# in each thread, outer ones first. One that never ended takes its place for ever.
assign_depths <- function(spans) {
  # vectors, because R would copy a data frame for each span
  start <- spans$start_ns
  end <- ifelse(spans$closed == 1, spans$end_ns, Inf)
  depth <- numeric(nrow(spans))
  for (rows in split(seq_len(nrow(spans)), paste(spans$process, spans$thread))) {
    free_from <- numeric()
    for (i in rows) {
      place <- c(which(free_from <= start[i]), length(free_from) + 1)[1]
      free_from[place] <- end[i]
      depth[i] <- place - 1
    }
  }
  spans$depth <- depth
  spans
}

# On a phone there is no room for the number of a process beside its name.
without_pid <- function(label) sub(" [(][0-9]+[)]", "", label)

lane_labels <- function(processes, lane) {
  vapply(split(processes$label, factor(lane)), function(labels) {
    if (length(labels) == 1) labels else sprintf("%s and %s", labels[1], counted(length(labels) - 1, "later one"))
  }, "")
}

# Short spans as trace.sql gathers them, by column (slot) and kind. Each cell of row and column shows the kind that took
# most of it, as high as the share of it that all spans took, in quarters. Equal neighbours become one bar. So the bar's
# height is the share of time spent in spans, however many there are.
join_columns <- function(columns, begin_ns, column_ns) {
  columns <- columns[order(columns$process, columns$row, columns$slot, -columns$ns, columns$kind), ]
  cell <- paste(columns$process, columns$row, columns$slot)
  total <- tapply(columns$ns, cell, sum)
  top <- columns[!duplicated(cell), ]
  n <- nrow(top)
  top$share <- pmin(1, pmax(1, ceiling(4 * as.vector(total[cell[!duplicated(cell)]]) / column_ns)) / 4)
  like <- function(name) top[[name]][-1] == top[[name]][-n]
  same <- if (n == 0) logical() else c(FALSE, like("kind") & like("row") & like("process") & like("share") &
                                         diff(top$slot) == 1)
  run <- cumsum(!same)
  stopifnot(top$share > 0, top$share <= 1)
  first <- top[!same, ]
  last <- top[!duplicated(run, fromLast = TRUE), ]
  data.frame(process = first$process, row = first$row, kind = first$kind, start_ns = begin_ns + first$slot * column_ns,
             end_ns = begin_ns + (last$slot + 1) * column_ns, closed = rep(1, nrow(first)),
             text = rep(NA_character_, nrow(first)), share = first$share)
}
