# The interactive timeline (timeline.js): the data of each traced run as JSON in the page, within what a page may hold, and
# the controls around its canvas. What it draws with, and the licence of that, is in analysis/vendor/.

# What fits in the page. bytes: of the data of all runs together. spans, stays of the critical path, messages: of one run.
# name: characters of a span's name.
live_limits <- list(bytes = 2.5e6, spans = 110000, depth = 12, stays = 10000, messages = 3000, name = 60)

# The library, in the order in which its files need each other.
d3_files <- sprintf("d3-%s.min.js", c("dispatch", "selection", "drag", "color", "interpolate", "timer", "ease", "transition",
                                      "zoom", "array", "format", "scale"))

# Adds to each trace that has a figure of its timeline what makes it interactive. The first one offers the other runs too.
with_live_timelines <- function(traces, others) {
  if (length(traces) == 0) return(traces)
  json <- live_json_within(c(traces, others), live_limits$bytes)
  own <- seq_along(traces)
  Map(function(trace, i) {
    shown <- c(i, if (i == 1) setdiff(seq_along(json), own))
    c(trace, list(live = live_html(trace, json[shown], vapply(c(traces, others)[shown], `[[`, "", "label"))))
  }, traces, own)
}

# The data of each run. Small ones leave what they do not need to the others.
live_json_within <- function(traces, bytes) {
  json <- lapply(traces, live_json, live_limits$spans)
  sizes <- vapply(json, nchar, 1, "bytes")
  left <- length(json)
  for (i in order(sizes)) {
    spans <- min(live_limits$spans, nrow(traces[[i]]$every_span))
    while (nchar(json[[i]], "bytes") > bytes / left && spans > 0) {
      spans <- floor(spans * min(0.9, 0.95 * bytes / left / nchar(json[[i]], "bytes")))
      json[[i]] <- live_json(traces[[i]], spans)
    }
    bytes <- bytes - nchar(json[[i]], "bytes")
    left <- left - 1
  }
  json
}

# One run as JSON, with its `limit` longest spans. Times are whole nanoseconds since the start of the run; the columns of a
# row are read by decodeRow of timeline_data.js.
live_json <- function(trace, limit) {
  longest <- order(trace$every_span$start_ns - trace$every_span$end_ns)
  spans <- assign_depths(trace$every_span[sort(utils::head(longest, limit)), ])
  deep <- sum(spans$depth >= live_limits$depth)
  spans <- spans[spans$depth < live_limits$depth, ]
  drawn <- trace$processes[!is.na(trace$processes$lane), ]
  placed <- place_rows(drawn, spans, spans[0, ], if (nrow(trace$cpu) > 0) strip_rows else 0)
  since <- function(ns) round(ns - trace$run$begin_ns)
  processes <- placed$processes
  lanes <- sort(unique(processes$lane))
  labels <- unique(placed$spans[c("kind", "text")])
  kinds <- intersect(trace$kinds, labels$kind)
  text <- safe_text(labels$text)
  placed$spans$label <- match(paste(placed$spans$kind, placed$spans$text), paste(labels$kind, labels$text)) - 1
  data <- list(
    length = since(trace$run$end_ns), height = placed$rows, left_out = left_out_sentence(trace, nrow(spans), deep),
    lanes = data.frame(label = safe_text(placed$lanes$label), short = safe_text(without_pid(placed$lanes$label)),
                       middle = placed$lanes$middle),
    processes = data.frame(
      label = safe_text(processes$label), lane = match(processes$lane, lanes) - 1,
      start = since(processes$start_ns), end = since(processes$end_ns), top = processes$top, strip = processes$strip,
      bottom = processes$bottom, signal = ifelse(processes$exit_status %in% -(1:64), -processes$exit_status, 0)),
    kinds = data.frame(name = kinds, light = unname(kind_colours(trace$kinds)[kinds]),
                       dark = in_the_dark(unname(kind_colours(trace$kinds)[kinds]))),
    labels = list(kind = I(match(labels$kind, kinds) - 1), text = I(ifelse(is.na(text), "", shorten(text, live_limits$name)))),
    rows = unname(lapply(split(placed$spans, placed$spans$row), live_row, lanes, since)),
    path = live_path(trace, processes, since), messages = live_messages(trace, processes, since),
    cpu = live_cpu(trace, processes, since))
  # what ends a script cannot be in its data
  gsub("<", "\\u003c", jsonlite::toJSON(data, auto_unbox = TRUE, digits = NA, dataframe = "rows"), fixed = TRUE)
}

live_row <- function(spans, lanes, since) {
  start <- since(spans$start_ns)
  list(y = spans$row[1], lane = match(spans$lane[1], lanes) - 1, thread = spans$thread[1],
       start = I(c(start[1], diff(start))), length = I(pmax(0, since(spans$end_ns) - start)), label = I(spans$label),
       open = I(which(spans$closed == 0) - 1))
}

live_path <- function(trace, processes, since) {
  stays <- trace$every_stay[trace$every_stay$process %in% processes$id, ]
  list(process = I(match(stays$process, processes$id) - 1), start = I(since(stays$start_ns)), end = I(since(stays$end_ns)))
}

live_messages <- function(trace, processes, since) {
  arrows <- utils::head(trace$arrows[trace$arrows$sender != trace$arrows$receiver, ], live_limits$messages)
  list(sender = I(match(arrows$sender, processes$id) - 1), receiver = I(match(arrows$receiver, processes$id) - 1),
       send = I(since(arrows$send_ns)), receive = I(since(arrows$receive_ns)))
}

live_cpu <- function(trace, processes, since) {
  cpu <- if (nrow(trace$cpu) > 0) cpu_pieces(trace$cpu, trace$run) else cbind(trace$cpu, share = numeric())
  list(process = I(match(cpu$process, processes$id) - 1), on = I(as.integer(cpu$state == "on")), share = I(cpu$share),
       start = I(since(cpu$start_ns)), length = I(pmax(0, since(cpu$end_ns) - since(cpu$start_ns))))
}

left_out_sentence <- function(trace, drawn, deep) {
  hidden <- sum(is.na(trace$processes$lane))
  short <- trace$spans_in_all - drawn - deep
  stays <- trace$stays_in_all - nrow(trace$every_stay)
  messages <- sum(trace$pairs$messages[(trace$pairs$sender != trace$pairs$receiver) %in% TRUE])
  shown <- min(live_limits$messages, sum(trace$arrows$sender != trace$arrows$receiver))
  paste(c(
    if (short > 0) sprintf("The shortest %s of %s are left out, to keep the page small.", format_count(short),
                           counted(trace$spans_in_all, "span")),
    if (deep > 0) sprintf("%s nested deeper than %d are left out.", counted(deep, "span"), live_limits$depth),
    if (hidden > 0) sprintf("%s found no free lane and are not drawn.", counted(hidden, "process", "processes")),
    if (stays > 0) sprintf("The critical path is without its %s shortest stays.", format_count(stays)),
    if (shown < messages) sprintf("%s of %s are drawn.", format_count(shown), counted(messages, "message"))), collapse = " ")
}

in_the_dark <- function(colours) unname(ifelse(colours %in% names(dark_colours), dark_colours[colours], colours))

# Names may hold anything; NA stays NA.
safe_text <- function(text) gsub("[\\p{Cc}\\p{Cf}]", "\ufffd", iconv(text, "UTF-8", "UTF-8", sub = "?"), perl = TRUE)

live_html <- function(trace, json, labels) {
  runs <- sprintf('<option value="%d">%s</option>', seq_along(labels) - 1, escape_html(labels))
  c('<div class="live timeline">',
    sprintf('<div class="controls"><label%s>Run <select class="which-run">%s</select></label>',
            if (length(labels) == 1) " hidden" else "", paste(runs, collapse = "")),
    '<label>Search <input class="search" type="search" placeholder="span or process" spellcheck="false"></label>',
    '<span><button type="button" class="previous-hit" aria-label="The span before that was found">&lsaquo;</button>',
    '<button type="button" class="next-hit" aria-label="The next span that was found">&rsaquo;</button></span>',
    '<span><button type="button" class="wider" aria-label="Zoom out">&minus;</button>',
    '<button type="button" class="closer" aria-label="Zoom in">+</button>',
    '<button type="button" class="whole">Whole run</button></span>',
    '<label><input class="path" type="checkbox" checked> Critical path</label>',
    '<label><input class="messages" type="checkbox"> Messages</label></div>',
    '<p class="status" role="status"></p><ul class="legend" aria-label="Kinds of spans"></ul>',
    '<div class="stage"><canvas class="canvas" tabindex="0" role="application" aria-roledescription="timeline"',
    sprintf('aria-label="%s Arrow keys move, plus and minus zoom, 0 shows the whole run."></canvas>',
            escape_html(timeline_finding(trace, trace$run$end_ns - trace$run$begin_ns))),
    '<div class="tip" hidden></div></div><p class="range"></p>',
    sprintf('<script type="application/json">%s</script>', json), "</div>")
}

live_caption <- function(trace) {
  lanes <- stats::na.omit(trace$processes$lane)
  paste(c(
    "Drag to move; zoom with + and -, two fingers or, after a click, the wheel; the arrow keys move, 0 shows the whole run.",
    "Each process has a lane; nested spans hang below the span they are in.",
    if (anyDuplicated(lanes)) "There are many processes: those that follow one another share a lane.",
    if (length(unique(trace$every_span$thread)) > 1) "A process's further threads stand below its first.",
    "Spans narrower than a pixel are one bar, as high as the share of that time that they took.",
    if (any(trace$every_span$closed == 0)) "A pale span never ended, because its process did.",
    if (any(trace$processes$exit_status < 0, na.rm = TRUE)) "Cross: a signal ended the process.",
    if (nrow(trace$cpu) > 0) "Strip below a lane: grey, on a CPU; red, ready to run without one.",
    if (nrow(trace$every_stay) > 0) "Thick line: the critical path.",
    if (nrow(trace$arrows) > 0) "Arrows: messages, from sent to received."), collapse = " ")
}

# The scripts, for the end of the page: the library with its licence, then ours.
live_scripts <- function() {
  text <- function(...) paste(readLines(file.path(parts_directory, ...), encoding = "UTF-8", warn = FALSE), collapse = "\n")
  library <- vapply(d3_files, function(file) text("vendor", file), "")
  c('<script class="vendor">', sprintf("/*\nanalysis/vendor: %s\n\n%s\n*/", paste(d3_files, collapse = ", "),
                                       text("vendor", "LICENSE")), library, "</script>",
    "<script>", text("page", "timeline_data.js"), text("page", "timeline.js"), "</script>")
}
