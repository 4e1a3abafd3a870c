# The order of the page: sections with a title, figures and tables; and the HTML of one.

report_sections <- function(report) {
  sections <- c(
    if (length(report$benches) > 1) list(section("Sessions", list(figure_sessions(report$benches)))),
    unlist(Map(bench_sections, report$benches, seq_along(report$benches), length(report$benches),
               # several benches may be of several machines, and a trace does not say of which
               list(if (length(report$benches) == 1) report$compared)), recursive = FALSE),
    if (length(report$compared) > 0) list(
      section("Where the speedup went", list(figure_lost(report$compared), figure_what_if(report$compared)),
              list(list(title = "What if", rows = what_if_table(report$compared)))),
      section("On other numbers of CPUs", list(figure_prediction(report$compared)),
              list(list(title = "Predictions", rows = prediction_table(report$compared))))),
    unlist(Map(trace_sections, report$traces, seq_along(report$traces), length(report$traces)), recursive = FALSE))
  Filter(function(s) length(s$figures) + length(s$tables) > 0, sections)
}

section <- function(title, figures, tables = list()) {
  list(title = title, figures = figures, tables = Filter(function(table) !is.null(table$rows), tables))
}

# With several files, each section's title has the label of its file, and the names of figures are numbered from the second
# file on.
of_file <- function(sections, label, number, files) {
  if (files == 1) return(sections)
  lapply(sections, function(s) {
    s$title <- sprintf("%s: %s", label, s$title)
    if (number > 1) s$figures <- lapply(s$figures, function(f) replace(f, "name", sprintf("%s_%d", f$name, number)))
    s
  })
}

bench_sections <- function(bench, number, files, traces) {
  of_file(list(
    section("Comparison", if (has_other_ratios(bench)) list(figure_ratio(bench)),
            captioned(ratio_tables(bench), ratio_table_caption(bench))),
    section("Scaling", list(figure_speedup(bench, traces), figure_fits(bench)),
            list(list(name = "scaling", title = "Times, speedup, efficiency and serial fraction", rows = scaling_table(bench)),
                 list(title = "What the laws say", rows = fit_table(bench)),
                 list(name = "weak", title = "Weak scaling: each worker keeps its share of the work",
                      rows = weak_table(bench$weak)))),
    section("Micro-benchmarks", list(figure_ratio(bench, micro = TRUE), figure_micro(bench)),
            list(list(name = "target", title = "snakefish against the best peer, the floor and its targets",
                      rows = target_table(bench$targets)),
                 list(name = "break_even", title = "The task from which on a runtime beats the sequential loop",
                      rows = break_even_table(bench$break_evens)))),
    section("Memory", list(figure_memory(bench)), list(list(title = "Peak memory", rows = memory_table(bench$memory)))),
    section("Tracing's own cost", list(figure_tracing(bench)))), bench$label, number, files)
}

# The first of them says how to read all.
captioned <- function(tables, caption) c(list(c(tables[[1]], list(caption = caption))), tables[-1])

trace_sections <- function(trace, number, files) {
  of_file(list(
    section("The traced run", list(figure_timeline(trace), figure_ledger(trace))),
    section("Functions", if (nrow(trace$functions) > 0) list(figure_functions(trace)),
            list(list(title = "Functions by CPU time", rows = function_table(trace)))),
    section("Shared variables", if (nrow(trace$merges) > 0) list(figure_merges(trace)),
            list(list(title = "Merges by variable", rows = merge_table(trace)))),
    section("Channels", list(figure_latency(trace), figure_channels(trace)),
            list(list(title = "Latency by size", rows = percentile_table(trace)),
                 list(title = "Channels", rows = channel_table(trace)))),
    section("What tracing wrote", list(figure_events(trace)))), trace$label, number, files)
}

section_id <- function(title) gsub("^-|-$", "", gsub("[^a-z0-9]+", "-", tolower(title)))

section_html <- function(section) {
  opening_html(section_id(section$title), section$title, c(
    vapply(section$figures, figure_html, ""), mapply(table_html, section$tables, seq_along(section$tables) == 1)))
}

# What is behind the first screen: it opens on a click, on a link to it, and in print.
opening_html <- function(id, title, content) {
  c(sprintf('<details class="section"><summary><h2>%s</h2></summary>\n<section id="%s">', escape_html(title), id), content,
    "</section>\n</details>")
}

# The first table of a section is open; the others open on a click.
table_html <- function(table, open) {
  sprintf("<details%s><summary>%s</summary>\n%s%s</details>", if (open) " open" else "", escape_html(table$title),
          html_table(table$rows), if (is.null(table$caption)) "" else
            sprintf('\n<p class="caption">%s</p>', escape_html(table$caption)))
}

contents_html <- function(sections) {
  links <- sprintf('<a href="#%s">%s</a>', vapply(sections, function(s) section_id(s$title), ""),
                   escape_html(vapply(sections, `[[`, "", "title")))
  c("<nav>", links, '<a href="#measured">How it was measured</a>',
    '<a href="#understanding">Understanding this report</a>', "</nav>")
}

# At the top of the page: how many notices of each severity there are.
badges_html <- function(notices) {
  counts <- table(factor(notices$severity, c("error", "loss", "warning")))
  if (sum(counts) == 0) return('<p class="badges"><a href="#measured">no losses, no warnings</a></p>')
  counts <- counts[counts > 0]
  many <- c(error = "errors", loss = "losses", warning = "warnings")
  paste0('<p class="badges">', paste(sprintf('<a class="%s" href="#notices">%s</a>', names(counts),
         counted(as.vector(counts), names(counts), many[names(counts)])), collapse = " "), "</p>")
}

notices_html <- function(notices) {
  if (nrow(notices) == 0) return(NULL)
  c('<ul class="notices" id="notices">', sprintf('<li class="%s"><b>%s</b> %s</li>', notices$severity, notices$severity,
    escape_html(notices$text)), "</ul>")
}
