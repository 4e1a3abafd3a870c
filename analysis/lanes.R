# Which lane of the timeline a process is drawn in, and which spans lie in which row of it.

max_lanes <- 20   # more would be too thin to read
max_depth <- 6    # spans nested deeper are left out, and counted

# One lane a process, in the order of their start. Where there are too many, processes that follow one another share
# lanes: each takes the first lane that is free at its start. Processes that find none within max_lanes get NA.
assign_lanes <- function(processes, limit = max_lanes) {
  if (nrow(processes) <= limit) return(seq_len(nrow(processes)))
  free_from <- rep(-Inf, limit)
  vapply(seq_len(nrow(processes)), function(i) {
    lane <- which(free_from <= processes$start_ns[i])[1]
    if (!is.na(lane)) free_from[lane] <<- processes$end_ns[i]
    lane
  }, 1L)
}

lane_labels <- function(processes, lane) {
  vapply(split(processes$label, factor(lane)), function(labels) {
    if (length(labels) == 1) labels else sprintf("%s and %s", labels[1], counted(length(labels) - 1, "later one"))
  }, "")
}

# How many spans enclose each span, in its thread. Spans must be ordered by process, lane, start and falling end.
span_depth <- function(spans) {
  thread <- paste(spans$process, spans$lane)
  depth <- unsplit(lapply(split(spans[c("start_ns", "end_ns")], thread), function(own) {
    # of those that come earlier, the ones that are not over; one without length encloses nothing
    long <- own$end_ns > own$start_ns
    started <- cumsum(long) - long
    pmax(0, started - findInterval(own$start_ns, sort(own$end_ns[long])))
  }), thread)
  as.integer(depth)
}

# Spans too short to be seen are gathered into columns of one `pixel`: for each row the kind that took most of the
# column and the share of it that spans took, in quarters; like neighbours become one bar. So a bar's height is always
# the share of its time that was spent, and a million spans draw no smear.
gather_short <- function(spans, pixel) {
  spans$share <- rep(1, nrow(spans))
  short <- spans$end_ns - spans$start_ns < pixel & spans$closed == 1
  if (sum(short) < 2) return(spans)
  few <- spans[short, ]
  few$column <- floor((few$start_ns + few$end_ns) / 2 / pixel)
  few$ns <- few$end_ns - few$start_ns
  sums <- stats::aggregate(ns ~ kind + column + row + process, few, sum)
  sums <- sums[order(sums$process, sums$row, sums$column, -sums$ns, sums$kind), ]
  cell <- paste(sums$process, sums$row, sums$column)
  total <- tapply(sums$ns, cell, sum)
  top <- sums[!duplicated(cell), ]
  top$share <- pmin(1, pmax(1, ceiling(4 * total[cell[!duplicated(cell)]] / pixel)) / 4)
  same <- c(FALSE, top$kind[-1] == top$kind[-nrow(top)] & top$row[-1] == top$row[-nrow(top)] &
              top$process[-1] == top$process[-nrow(top)] & top$share[-1] == top$share[-nrow(top)] &
              diff(top$column) == 1)
  run <- cumsum(!same)
  first <- top[!same, ]
  last <- top[!duplicated(run, fromLast = TRUE), ]
  bars <- data.frame(process = first$process, row = first$row, kind = first$kind, start_ns = first$column * pixel,
                     end_ns = (last$column + 1) * pixel, closed = 1, text = NA_character_, share = first$share)
  rbind(spans[!short, names(bars)], bars)
}
