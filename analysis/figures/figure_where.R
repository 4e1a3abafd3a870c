# Where the time of each traced program went, in milliseconds: a bar for snakefish, and below it one for the quickest of the
# other libraries that was traced. A trace is of the parallel region alone.

most_causes <- 5  # that have a colour of their own; the others are one

figure_where <- function(traces) {
  title <- "Where the time went"
  runs <- where_runs(traces)
  if (is.null(runs)) return(missing_figure("where", title, no_where(traces)))
  parts <- where_parts(runs)
  unit <- duration_unit(max(runs$duration_ns))
  shown <- levels(parts$part)
  colours <- c(category_colours(traces[[1]]$categories$name, c("handover", "imbalance", "outside")),
               work = category_palette[1], "all else" = unknown_colour)
  bars <- rev(runs$bar)
  parts$bar <- factor(parts$bar, bars)
  runs$place <- match(runs$bar, bars)
  draw <- function(narrow) {
    plot <- stacked_bars(transform(parts, x = ns / unit$ns), shown, colours, narrow, shares = FALSE) +
      ggplot2::geom_text(data = runs, ggplot2::aes(x = duration_ns / unit$ns, y = place, label = where_label(runs, narrow)),
                         hjust = 0, size = if (narrow) 2.5 else 2.9, colour = ink) +
      ggplot2::scale_x_continuous(NULL, labels = function(x) paste(format_tick(x), unit$unit),
                                  expand = ggplot2::expansion(c(0, if (narrow) 0.42 else 0.3))) +
      ggplot2::scale_y_discrete(NULL, labels = shorten(rev(ifelse(runs$ours, runs$program, runs$runtime)), 18)) +
      ggplot2::guides(fill = ggplot2::guide_legend(nrow = if (narrow) 2 else 1, byrow = TRUE, keywidth = 0.8)) +
      ggplot2::theme(legend.box.spacing = ggplot2::unit(0, "pt"), legend.key.size = ggplot2::unit(9, "pt"),
                     axis.text.y = ggplot2::element_text(size = if (narrow) 7.5 else 8))
    picture(plot, (if (narrow) 0.4 else 0.5) + 0.19 * (if (narrow) 2 else 1) + (if (narrow) 0.122 else 0.16) * nrow(runs))
  }
  new_figure("where", title, draw, where_finding(runs), paste0(
    "Upper bar: snakefish; below it the quickest other library that was traced. Only the parallel region, traced. Work: what ",
    "its work takes, spread evenly over the processes that ran at once; the other parts are what came on top, by cause, of what ",
    "the critical path holds. At a bar's end: the time, and the disease that the ledger found."),
    parts[c("program", "runtime", "part", "ns")], width = 7)
}

# The traced pairs, a row a run: of each program snakefish and then its best rival, if one was traced.
where_runs <- function(traces) {
  rows <- bind(lapply(seq_along(traces), function(i) {
    parts <- lost_parts(traces[[i]])
    if (is.null(parts)) return(NULL)
    named <- strsplit(traces[[i]]$label, "-(?=[^-]*$)", perl = TRUE)[[1]]
    of <- function(what, otherwise) {
      value <- cell_value(traces[[i]], what)
      if (is.na(value)) otherwise else value
    }
    data.frame(trace = i, program = of("workload", named[1]), runtime = of("runtime", named[length(named)]),
               size = suppressWarnings(as.numeric(cell_value(traces[[i]], "size"))),
               workers = suppressWarnings(as.numeric(cell_value(traces[[i]], "workers"))), duration_ns = parts$duration_ns[1],
               processes = nrow(traces[[i]]$processes), disease = first_or(traces[[i]]$advice$disease, ""),
               action = first_or(traces[[i]]$advice$sentence, ""))
  }))
  if (is.null(rows)) return(NULL)
  rows$ours <- rows$runtime == "snakefish"
  rows <- none_is_null(rows[rows$program %in% rows$program[rows$ours], ])
  if (is.null(rows)) return(NULL)
  rows <- rows[order(rows$program, !rows$ours, rows$duration_ns), ]
  rows <- rows[!duplicated(rows[c("program", "ours")]), ]
  rows$bar <- paste(rows$program, rows$runtime, sep = "\r")
  rows$parts <- lapply(rows$trace, function(i) lost_parts(traces[[i]])[c("part", "ns")])
  none_is_null(rows)
}

first_or <- function(values, otherwise) if (length(values) > 0 && !is.na(values[1])) values[1] else otherwise

no_where <- function(traces) {
  if (length(traces) == 0) {
    return("Not traced: `python3 -m bench trace` traces the programs, and the report then says where their time went.")
  }
  if (all(vapply(traces, function(trace) is.null(lost_parts(trace)), TRUE))) return(not_analysed)
  "No trace of a program under snakefish: `python3 -m bench trace` makes them."
}

# A row a run and part, the largest causes by name and the others as one.
where_parts <- function(runs) {
  parts <- bind(lapply(seq_len(nrow(runs)), function(i) {
    data.frame(runs[i, c("program", "runtime", "bar")], runs$parts[[i]], row.names = NULL)
  }))
  parts$part[parts$part == "ideal"] <- "work"
  causes <- parts[parts$part != "work", ]
  sums <- sort(tapply(causes$ns, causes$part, sum), decreasing = TRUE)
  named <- names(sums)[seq_len(min(most_causes, sum(sums > 0)))]
  if (sum(sums > 0) == length(named) + 1) named <- names(sums)[sums > 0]
  parts$part[!parts$part %in% c("work", named)] <- "all else"
  parts <- stats::aggregate(ns ~ program + runtime + bar + part, parts, sum)
  parts <- parts[parts$ns > 0, ]
  parts$part <- factor(parts$part, intersect(c("work", named, "all else"), parts$part))
  parts
}

where_label <- function(runs, narrow) {
  found <- runs$ours & !runs$disease %in% c("", "none")
  told <- ifelse(found, paste0(", ", shorten(runs$disease, if (narrow) 16 else 24)), "")
  sprintf(" %s%s", format_duration(runs$duration_ns), told)
}

# What costs most besides the work, and what is gained on the other library or lost to it.
where_finding <- function(runs) {
  ours <- runs[runs$ours, ]
  worst <- vapply(ours$parts, function(parts) largest(parts[parts$part != "ideal", ])$part, "")
  counts <- sort(table(worst), decreasing = TRUE)
  if (nrow(ours) == 1) {
    most <- largest(ours$parts[[1]][ours$parts[[1]]$part != "ideal", ])
    return(sprintf("Besides its work, most of %s under snakefish went to %s: %s of %s.", ours$program, most$part,
                   format_duration(most$ns), format_duration(ours$duration_ns)))
  }
  sprintf("Under snakefish, what costs most besides the work is %s.",
          in_words(sprintf("%s in %d of %d programs", names(counts), counts, nrow(ours))))
}

largest <- function(parts) parts[which.max(parts$ns), ]

# Why one of the two is faster in a program, by what was traced: the cause that costs the slower one most above the other.
# "" where that was not traced at this size, or no cause stands out by 1 % of the time.
why_text <- function(runs, program, size, workers, faster) {
  own <- runs[runs$program == program & runs$size %in% size, ]
  if (NROW(own) != 2) return("")
  slow <- own[own$ours == !faster, ]
  quick <- own[own$ours == faster, ]
  parts <- merge(slow$parts[[1]], quick$parts[[1]], by = "part", all = TRUE)
  parts[is.na(parts)] <- 0
  parts <- transform(parts[parts$part != "ideal", ], ns = ns.x - ns.y)
  most <- largest(parts)
  if (nrow(most) == 0 || most$ns < 0.01 * slow$duration_ns) return("")
  many <- if (slow$processes >= 2 * quick$processes) sprintf(", with %d processes against %d", slow$processes, quick$processes)
          else ""
  sprintf(": %s costs %s %s more%s%s", most$part, slow$runtime, format_duration(most$ns), many,
          if (quick$workers %in% c(workers, NA)) "" else sprintf(" (traced x%d)", quick$workers))
}
