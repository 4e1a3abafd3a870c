bench_db <- computed(make_bench_db(in_scratch("bench.db"), blocks = 6, workers = 1:2))
trace_db <- change(make_trace_db(in_scratch("trace.db"), killed = TRUE), predicted())
page_of <- function(directory) paste(readLines(file.path(directory, "index.html"), encoding = "UTF-8"), collapse = "\n")
tags <- function(page, name) regmatches(page, gregexpr(sprintf("<%s[ >][^>]*>?", name), page))[[1]]

test_that("both databases, relative paths, another directory: one page and its figures", {
  done <- run_report("--bench", "bench.db", "--trace", "trace.db", "-o", "out put", directory = scratch)
  expect_equal(done$err, character())
  expect_equal(done$status, 0)
  expect_equal(done$out[length(done$out)], "out put/index.html")
  expect_match(done$out[1], "^snakefish is faster than multiprocessing in 4 of 4 decided comparisons[.]$")
  directory <- in_scratch("out put")
  names <- c("channels", "events", "faster", "latency", "ledger", "lost_speedup", "micro", "micro_ratio", "prediction", "speedup",
             "timeline", "tracing", "what_if")
  expect_setequal(list.files(directory), c("index.html", outer(names, c(".svg", ".pdf", ".csv"), paste0)))
  page <- page_of(directory)
  expect_match(page, "snakefish is faster than multiprocessing in 4 of 4 decided comparisons[.]</p>")
  expect_match(page, "No trace of a program under snakefish")
  expect_match(page, "signal 9")
  expect_match(page, "Example CPU 3000, 2 CPUs")
  # that something is wrong stands before the verdict
  expect_match(page, '<p class="badges"><a class="warning" href="#notices">1 warning</a></p>', fixed = TRUE)
  expect_lt(regexpr("class=\"badges\"", page), regexpr("class=\"verdict\"", page))

  # nothing from elsewhere; the library's scripts hold names of namespaces, and the browser's test sees that they load nothing
  page <- sub('(?s)<script class="vendor">.*?</script>', "", page, perl = TRUE)
  links <- regmatches(page, gregexpr("(src|href|action|data)=[\"'][^\"']{0,20}", page))[[1]]
  expect_equal(grep("=[\"'](data:|#)", links, invert = TRUE, value = TRUE), character())
  expect_false(grepl("@import|url\\([^#]|<script [^>]*src|<iframe|<link[^>]*stylesheet|https?://", page))
  expect_lt(file.size(file.path(directory, "index.html")), 5e6)

  # every picture says what it shows
  pictures <- tags(page, "img")
  expect_length(pictures, length(names))
  expect_true(all(grepl(" alt=\"[^\"]{20,}\"", pictures)))
  expect_length(tags(page, "svg"), 0)
  for (svg in list.files(directory, "svg$", full.names = TRUE)) {
    expect_match(paste(readLines(svg), collapse = "\n"), "<svg [^>]*role='img'[^>]*><title>[^<]{20,}</title>")
  }

  # what is shown is explained, in two sentences
  told <- explanations()
  expect_equal(setdiff(c(setdiff(names, "micro_ratio"), "where", "scaling", "fits", "memory", "sessions", "weak", "break_even", "target"), told$Of), character())
  expect_true(all(grepl("[.?] [A-Z(].*[.]$", told$Text) & nzchar(told$Source)))
  for (term in told$Term[told$Of %in% c(names, "scaling")]) expect_match(page, sprintf("<dt>%s</dt>", term), fixed = TRUE)
  expect_false(grepl("<dt>Sessions", page, fixed = TRUE))

  # the same again gives the same bytes
  report_of(bench = bench_db, trace = trace_db, directory = in_scratch("again"))
  expect_equal(unname(tools::md5sum(list.files(in_scratch("again"), full.names = TRUE))),
               unname(tools::md5sum(list.files(directory, full.names = TRUE))))
})

test_that("either database may be left out", {
  report_of(trace = trace_db, directory = in_scratch("trace_only"))
  expect_true(all(c("index.html", "ledger.svg", "timeline.pdf") %in% list.files(in_scratch("trace_only"))))
  # what an earlier report left is taken away, and nothing else
  writeLines("mine", in_scratch("trace_only/mine.txt"))
  report_of(bench = computed(make_bench_db(in_scratch("one.db"), blocks = 1, factors = bench_factors["snakefish"])),
            directory = in_scratch("trace_only"))
  expect_setequal(list.files(in_scratch("trace_only")), c("index.html", "mine.txt",
    outer("micro", c(".svg", ".pdf", ".csv"), paste0)))
  expect_match(page_of(in_scratch("trace_only")), "No comparison: the session has no runs of multiprocessing")
})

test_that("names and messages are shown as they are, whatever they hold", {
  hostile <- "<b>\"'&\n```\n# heading"
  bench <- make_bench_db(in_scratch("\"<i>.db"), blocks = 1, programs = stats::setNames(1e9, hostile), micro = NULL)
  db <- DBI::dbConnect(RSQLite::SQLite(), bench)
  append_rows(db, "warning", session = 1, text = hostile)
  DBI::dbDisconnect(db)
  trace <- change(make_trace_db(in_scratch("control.db")), "UPDATE process SET name = '<' || char(1) || char(27) || '[1m'")
  report_of(bench = computed(bench), trace = trace, directory = in_scratch("hostile"))
  page <- gsub("base64,[^\"]*", "", page_of(in_scratch("hostile")))
  expect_length(tags(page, "h1"), 1)
  expect_length(c(tags(page, "i"), tags(page, "pre")), 0)
  expect_length(tags(page, "b"), 2)  # the severities of the notices
  expect_match(page, 'download="&quot;&lt;i&gt;-samples.csv"', fixed = TRUE)
  for (svg in list.files(in_scratch("hostile"), "svg$", full.names = TRUE)) {
    expect_equal(system2("python3", c("-c", shQuote("import sys, xml.dom.minidom as m; m.parse(sys.argv[1])"), svg)), 0)
  }
})

test_that("what cannot be used is one sentence and exit status 1, never R's words", {
  writeLines("no database", in_scratch("text.db"))
  for (arguments in list(c("--bench", in_scratch("text.db")), c("--trace", in_scratch("absent.db")),
                         c("--trace", bench_db), c("--bench", bench_db, "-o", in_scratch("text.db")))) {
    done <- run_report(arguments)
    expect_equal(done$status, 1)
    expect_length(done$err, 1)
    expect_match(done$err, "^report: .*[.]$")
    expect_false(grepl("Traceback|Error in|Execution halted|Calls:", done$err))
    expect_equal(done$out, character())
  }
})

test_that("a wrong command line is told with how it should be", {
  for (arguments in list(character(), "--what", c("--bench"), c("--bench", bench_db, "--seed", "x"))) {
    done <- run_report(arguments)
    expect_equal(done$status, 2)
    expect_match(done$err[1], "^report: (nothing to report on|unknown argument|--bench needs|--seed needs)")
    expect_true(any(grepl("^usage:", done$err)))
  }
})

test_that("the report types no event name", {
  words <- c("text", "task", "channel", "span", "map", "thread", "sample")  # tables and R's own words
  kinds <- setdiff(read_event_kinds()$name, words)
  source <- unlist(lapply(list.files(file.path(repository, "analysis"), "[.](R|Rmd|sql)$", full.names = TRUE, recursive = TRUE),
                          readLines))
  source <- sub("(#|--).*$", "", source)
  for (kind in kinds) expect_false(any(grepl(sprintf("[\"']%s[\"']", kind), source)), label = kind)
})
