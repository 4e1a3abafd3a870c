# The first screen: is it faster, how sure is that, where did the time go? All numbers are those of the results in the bench
# database, and the sentences those of `python3 -m bench show`.

# "snakefish is faster than multiprocessing in 8 of 9 decided comparisons of programs, ..."
faster_sentence <- function(bench) {
  rows <- judged_rows(bench)
  if (is.null(rows)) return(no_verdict_sentence(bench))
  counts <- function(verdict) sum(rows$verdict == verdict)
  open <- counts("inconclusive")
  decided <- nrow(rows) - open
  than <- if (length(unique(rows$base)) == 1) rows$base[1] else "the fastest other library"
  if (decided == 0) {
    few <- if (all(is.na(rows$low))) sprintf(": %s %s too few for a verdict", counted(max(rows$blocks), "block"),
                                             if (max(rows$blocks) == 1) "is" else "are") else ""
    return(sprintf("snakefish and %s are not told apart in %s of programs%s.", than, counted(nrow(rows), "comparison"), few))
  }
  told <- c(faster = "faster than %s in %d", slower = "slower than %s in %d",
            "no practical difference" = "not practically different from %s in %d")
  said <- Filter(function(verdict) counts(verdict) > 0, names(told))
  said <- vapply(seq_along(said), function(i) {
    text <- if (i == 1) sprintf(told[[said[i]]], than, counts(said[i])) else
      sprintf(sub(" (than|from) %s", "", told[[said[i]]]), counts(said[i]))
    text
  }, "")
  sprintf("snakefish is %s of %s%s.", in_words(said), counted(decided, "decided comparison"),
          if (open > 0) sprintf("; %d %s undecided", open, if (open == 1) "is" else "are") else "")
}

# What there is to say where nothing has a verdict.
no_verdict_sentence <- function(bench) {
  if (is.null(judged_rows(bench, TRUE))) return(no_ratio(bench))
  "No verdict on programs: the session has only micro-benchmarks."
}

# "Best: regex-redux x2, 2.33 [1.90, 2.87] times as fast. Worst: ..."; with the reasons, as far as they were traced.
ends_sentence <- function(bench, runs) {
  rows <- judged_rows(bench)
  if (is.null(rows)) return(NULL)
  ends <- unique(c(which.max(rows$times_as_fast), which.min(rows$times_as_fast)))
  told <- vapply(ends, function(i) {
    row <- rows[i, ]
    faster <- row$verdict == "faster"
    decided <- faster || row$verdict == "slower"
    sprintf("%s x%d, %s times as fast%s.", row$program, row$workers, ratio_text(row$times_as_fast, row$low, row$high),
            if (decided) why_text(runs, row$workload, row$size, row$workers, faster) else sprintf(" (%s)", row$verdict))
  }, "")
  if (length(told) == 1) return(told)
  paste(c("Best:", "Worst:"), told, collapse = " ")
}

# The headline against the A/A control, and what would decide the rest.
sure_sentences <- function(bench) c(control_sentence(bench), seen_sentence(bench), more_sentence(bench))

# Of programs; of micro-benchmarks where the session has no others.
control_sentence <- function(bench) {
  noise <- bench$noise[bench$noise$comparisons > 0, ]
  noise <- noise[order(noise$kind != "program"), ][1, ]
  if (is.na(noise$kind)) return("No A/A control: the session did not run snakefish against itself.")
  sprintf("snakefish against itself: up to %s apart in %s of %s, of which %d would be called a difference.",
          format_percent(noise$largest, 1), counted(noise$comparisons, "comparison"),
          c(program = "programs", micro = "micro-benchmarks")[noise$kind], noise$different)
}

# What would have been found in half of the programs, at each number of workers.
seen_sentence <- function(bench) {
  rows <- judged_rows(bench)
  rows <- rows[is.finite(rows$detectable), ]
  if (NROW(rows) == 0) return(NULL)
  told <- vapply(split_by(rows, "workers"), function(own) {
    sprintf("of %s with %s", detectable_text(stats::median(own$detectable)), counted(own$workers[1], "worker"))
  }, "", USE.NAMES = FALSE)
  sprintf("A difference %s would have been found in half of the programs.", in_words(told))
}

detectable_text <- function(share) format_percent(share, if (share < 0.1) 1 else 0)

most_blocks <- 10000  # as bench/results/statistics.py has it: what takes more is not told in blocks

more_sentence <- function(bench) {
  rows <- judged_rows(bench)
  rows <- rows[rows$verdict == "inconclusive", ]
  if (NROW(rows) == 0) return(if (!is.null(judged_rows(bench))) "Every program is decided.")
  few <- is.na(rows$low)
  if (all(few)) return(sprintf("Undecided: fewer than %d blocks have no verdicts; more of them: %s.", bench$method$fewest_blocks,
                               more_command(bench, bench$method$fewest_blocks - bench$session$blocks)))
  rows <- rows[!few & is.finite(rows$more_blocks), ]
  if (nrow(rows) == 0) return(NULL)
  rows <- rows[order(rows$more_blocks), ]
  if (rows$more_blocks[1] + rows$blocks[1] >= most_blocks) {
    return(sprintf("%s undecided: more than %s blocks would decide the first.", format_count(nrow(rows)),
                   format_count(most_blocks)))
  }
  sprintf("%s undecided. If it is as it looks, %s would decide %s x%d: %s.", format_count(nrow(rows)),
          counted(rows$more_blocks[1], "more block"), rows$program[1], rows$workers[1], more_command(bench, rows$more_blocks[1]))
}

# The bench's default database needs no -o. The folder of another one is not in the page, which is the same wherever it is made.
more_command <- function(bench, blocks) {
  sprintf("`python3 -m bench run --resume --blocks +%d%s`", max(1, blocks),
          if (bench$is_default) "" else paste(" -o", shQuote(bench$file)))
}

# The figures of the first screen, those of several benches numbered as in their sections.
answer_figures <- function(benches, traces) {
  faster <- lapply(seq_along(benches), function(i) {
    figure <- figure_faster(benches[[i]])
    if (i > 1) figure$name <- paste0(figure$name, "_", i)
    figure
  })
  c(faster, list(figure_where(traces)))
}

# The first screen as HTML: the three questions, each with its sentences and picture.
answers_html <- function(report) {
  several <- length(report$benches) > 1
  asked <- lapply(seq_along(report$benches), function(i) {
    bench <- report$benches[[i]]
    label <- if (several) sprintf("%s: ", bench$label) else ""
    ends <- ends_sentence(bench, report$runs)
    c('<section class="faster">', sprintf("<h2>%sFaster?</h2>", escape_html(label)),
      sprintf('<p class="verdict">%s</p>', escape_html(faster_sentence(bench))),
      if (!is.null(ends)) sprintf('<p class="ends">%s</p>', escape_html(ends)),
      if (is.null(report$answers[[i]]$missing)) answer_html(report$answers[[i]]), "</section>",
      '<section class="sure">', sprintf("<h2>%sHow sure?</h2>", escape_html(label)), "<ul>",
      sprintf("<li>%s</li>", code_html(sure_sentences(bench))), "</ul></section>")
  })
  alone <- if (length(report$benches) == 0) c('<section class="faster">', sprintf('<p class="verdict">%s</p>',
                                                                                  escape_html(report$verdicts)), "</section>")
  c('<div class="answers">', alone, unlist(asked), where_html(report), "</div>")
}

where_html <- function(report) {
  figure <- report$answers[[length(report$answers)]]
  # a traced run that is none of the bench's programs has its own sections
  if (!is.null(figure$missing) && length(report$benches) == 0) return(NULL)
  c('<section class="where">\n<h2>Where did it go?</h2>',
    if (is.null(figure$missing)) sprintf('<p class="finding">%s</p>', escape_html(figure$finding)), answer_html(figure),
    actions_html(report$runs), "</section>")
}

# The one action that the ledger names for each program, where it names one.
actions_html <- function(runs) {
  runs <- runs[runs$ours & nzchar(runs$action) & runs$disease != "none", ]
  if (NROW(runs) == 0) return(NULL)
  c("<details class=\"actions\"><summary>What to change in each program</summary>\n<ul>",
    sprintf("<li><b>%s</b>: %s.</li>", escape_html(runs$program), escape_html(runs$action)), "</ul></details>")
}

# A figure without title and finding, which stand beside it; how to read it opens.
answer_html <- function(figure) {
  if (!is.null(figure$missing)) return(sprintf('<p class="missing">%s</p>', code_html(figure$missing)))
  sprintf(paste0("<!-- figure %s -->\n<figure>\n%s\n<details><summary>How to read it</summary>",
                 "<figcaption>%s %s</figcaption></details>\n</figure>"),
          figure$name, picture_html(figure), escape_html(figure$caption),
          csv_link(figure$csv, paste0(figure$name, ".csv"), "Its data as CSV."))
}

# What stands between backticks is code.
code_html <- function(text) gsub("`([^`]*)`", "<code>\\1</code>", escape_html(text))
