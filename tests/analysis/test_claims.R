# Every number in a sentence of the page is one that the databases hold: each sentence that has one is checked against SQL.

bench_path <- computed(make_bench_db(in_scratch("claims.db"), blocks = 6, workers = 1:2,
                                     factors = c(bench_factors, "snakefish-again" = 1, ceiling = 0.9)))
trace_path <- change(make_trace_db(in_scratch("claims_trace.db")), predicted())
claimed <- make_report(list(bench = bench_path, trace = trace_path, beside = character(), output = scratch, seed = 1))

# What the numbers of a sentence may be. Each query has one column.
of_verdicts <- paste("SELECT %s FROM comparison WHERE verdict IS NOT NULL AND kind = 'program' AND runtime = 'snakefish'")
verdicts <- function(...) sprintf(of_verdicts, c(...))
pairs <- sprintf("SELECT %s FROM comparison WHERE runtime = 'snakefish' AND base = 'multiprocessing'",
                 c("times_as_fast", "low", "high", "workers", "count(*)"))
facts <- list(
  faster = c(verdicts("times_as_fast", "low", "high", "workers", "count(*)"),
             paste(verdicts("count(*)"), "GROUP BY verdict")),
  ends = verdicts("times_as_fast", "low", "high", "workers"),
  sure = c("SELECT largest FROM noise WHERE kind = 'program'", "SELECT comparisons FROM noise WHERE kind = 'program'",
           "SELECT different FROM noise WHERE kind = 'program'", verdicts("workers", "more_blocks"),
           "SELECT count(*) FROM comparison WHERE verdict = 'inconclusive' AND kind = 'program' AND runtime = 'snakefish'",
           "SELECT avg(detectable) FROM comparison WHERE verdict IS NOT NULL AND kind = 'program' GROUP BY workers"),
  micro_ratio = c(pairs, "SELECT count(*) FROM comparison WHERE verdict IS NOT NULL AND kind = 'micro'",
                  "SELECT count(*) FROM comparison WHERE verdict IS NOT NULL AND kind = 'micro' GROUP BY verdict"),
  speedup = c("SELECT speedup FROM speedup", "SELECT workers FROM speedup"),
  micro = c("SELECT median_ns FROM estimate", "SELECT least_ns FROM estimate", "SELECT DISTINCT workers FROM estimate"),
  tracing = c("SELECT abs(1 / times_as_fast - 1) FROM comparison WHERE runtime = 'snakefish-traced'",
              "SELECT avg(1 / times_as_fast - 1) FROM comparison WHERE runtime = 'snakefish-traced' GROUP BY kind",
              "SELECT count(*) FROM comparison WHERE runtime = 'snakefish-traced' GROUP BY kind"))
# Each loss, scaled so that the losses fill the time between the ideal and the measured one, as a share of that.
lost_shares <- "
  WITH run AS (SELECT max(CASE name WHEN 'duration_ns' THEN value END) AS took, max(CASE name WHEN 'useful_ns' THEN value END) /
                      max(CASE name WHEN 'lanes' THEN value END) AS ideal FROM efficiency),
       lost AS (SELECT iif(activity = (SELECT name FROM category WHERE id = 0), max(0, ns - ideal), ns) AS ns
                FROM path_activity, run)
  SELECT ns * (took - ideal) / (SELECT sum(ns) FROM lost) / took FROM lost, run"
trace_facts <- list(
  lost_speedup = c("SELECT value FROM efficiency WHERE name IN ('duration_ns', 'useful_ns')",
                   "SELECT max(CASE name WHEN 'useful_ns' THEN value END) / max(CASE name WHEN 'lanes' THEN value END) FROM efficiency",
                   lost_shares),
  what_if = "SELECT speedup FROM what_if",
  prediction = c("SELECT 1e9 * seconds FROM prediction", "SELECT 1e9 * measured FROM prediction", "SELECT speedup FROM prediction",
                 "SELECT cpus FROM prediction"),
  ledger = "SELECT total(ns) / (SELECT total(ns) FROM ledger) FROM ledger GROUP BY category",
  latency = c("SELECT latency_ns FROM message", "SELECT count(*) FROM message"),
  events = c("SELECT count(*) FROM event", "SELECT value / 1000.0 FROM meta WHERE key = 'event_cost_ps'",
             "SELECT value / 1000.0 * (SELECT count(*) FROM event) FROM meta WHERE key = 'event_cost_ps'",
             "SELECT value / 1000.0 * (SELECT count(*) FROM event) / (SELECT sum(end_ns - start_ns) FROM process) FROM meta
              WHERE key = 'event_cost_ps'"),
  channels = c("SELECT count(*) FROM message", "SELECT count(DISTINCT channel) FROM message", "SELECT sum(bytes) FROM message",
               "SELECT max(messages) FROM channel_depth", "SELECT DISTINCT channel FROM message",
               "SELECT 1e9 * count(*) / (max(coalesce(receive_ns, send_ns)) - min(send_ns)) FROM message GROUP BY channel"),
  timeline = c("SELECT max(end_ns) - min(start_ns) FROM process", "SELECT count(*) FROM process", "SELECT count(*) FROM message",
               "SELECT share FROM path_activity"))

numbers_of <- function(text) unlist(regmatches(text, gregexpr("[0-9]+(,[0-9]{3})*([.][0-9]+)?", text)))

as_written <- function(values) {
  values <- values[is.finite(values)]
  unique(numbers_of(c(format_digits(values), format_count(values), format_duration(values), format_percent(values),
                      format_percent(values, 1), format_bytes(values))))
}

expect_held <- function(name, text, path, queries) {
  held <- as_written(unlist(lapply(queries, function(sql) as.numeric(with_database(path, sql)[[1]]))))
  expect_equal(setdiff(numbers_of(text), held), character(), label = sprintf("numbers of %s (%s)", name, text))
}

test_that("every number that a sentence of the page tells is in the database", {
  bench <- claimed$benches[[1]]
  expect_held("faster", faster_sentence(bench), bench_path, facts$faster)
  expect_held("ends", ends_sentence(bench, claimed$runs), bench_path, facts$ends)
  for (sentence in sure_sentences(bench)) expect_held("sure", sentence, bench_path, facts$sure)
  figures <- Filter(function(figure) is.null(figure$missing), c(claimed$answers, unlist(lapply(claimed$sections, `[[`, "figures"),
                                                                                       recursive = FALSE)))
  for (figure in figures) {
    # names of programs, classes of sizes and places in a limit's words are no claims
    text <- gsub("[(]limit:[^)]*[)]|The limit there:.*|claims_trace|up to [0-9]+ KiB", "", figure$finding)
    if (length(numbers_of(text)) == 0) next
    of_trace <- figure$name %in% names(trace_facts)
    expect_true(of_trace || figure$name %in% names(facts), label = paste("a check of the finding of", figure$name))
    expect_held(figure$name, text, if (of_trace) trace_path else bench_path, c(facts, trace_facts)[[figure$name]])
  }
})

test_that("a percentile is told of as many messages as it needs, of fewer the most", {
  few <- claimed$traces[[1]]
  expect_match(figure_latency(few)$finding, "^Half of 6 messages of .* were received within .*, all within")
  expect_equal(percentile_table(few)[["99 %"]], "")
  many <- load_trace(make_large_trace_db(in_scratch("claims_large.db")))
  expect_match(figure_latency(many)$finding, "99 % within")
})

test_that("the samples are counted once: those of the sentence are those of the file", {
  path <- make_bench_db(in_scratch("counted.db"), blocks = 6)
  change(path, "UPDATE cell SET series = 'weak' WHERE workload = 'mandelbrot' AND runtime = 'snakefish' AND workers = 2")
  bench <- load_computed(path)
  told <- bench_measured(bench)
  count <- format_count(with_database(path, "SELECT count(*) FROM sample")[[1]])
  expect_match(told[[1]]$text, sprintf("%s samples in 6 blocks.*%s of %s right", count, count, count))
  expect_equal(told[[2]]$csv_text, sprintf("All %s samples as CSV.", count))
})
