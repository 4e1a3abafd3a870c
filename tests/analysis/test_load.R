sentence_of <- function(expression) tryCatch({ expression; "none" }, report_error = conditionMessage)

test_that("a good benchmark is loaded with its known ratio", {
  bench <- load_computed(make_bench_db(in_scratch("bench.db")))
  expect_equal(bench$cpus, 2)
  expect_true(all(bench$judged$verdict == "faster"))
  expect_equal(unique(bench$ratios$verdict[!bench$ratios$micro & bench$ratios$workers > 2]), "no verdict")
  expect_equal(stats::median(bench$ratios$times_as_fast), 1.25, tolerance = 0.03)
  expect_setequal(bench$ratios$program[bench$ratios$micro], names(bench_micro))
  micro <- bench$times[bench$times$program == "spawn-join" & bench$times$runtime == "snakefish", ]
  expect_equal(micro$median_ns, bench_micro[["spawn-join"]], tolerance = 0.05)
})

test_that("a good trace is loaded with its names, texts and open spans", {
  trace <- load_trace(make_trace_db(in_scratch("trace.db"), killed = TRUE))
  expect_equal(trace$processes$label, c("program.py (100)", "left (101)", "right (102)"))
  expect_equal(trace$processes$exit_status, c(0, 0, -9))
  expect_equal(c(trace$open_spans, sum(trace$spans$closed == 0)), c(2, 2))
  expect_true("set up the tables" %in% trace$spans$text)
  expect_equal(sum(trace$pairs$messages), 4)
  expect_true(all(trace$arrows$receive_ns >= trace$arrows$send_ns))
  expect_equal(sum(trace$ledger$ns), sum(trace$processes$end_ns - trace$processes$start_ns))
})

test_that("every unusable file has its sentence", {
  good <- make_bench_db(in_scratch("good.db"), blocks = 1)
  copy <- function(name, ...) {
    path <- in_scratch(name)
    file.copy(good, path, overwrite = TRUE)
    change(path, ...)
  }
  expect_match(sentence_of(load_bench(in_scratch("no.db"), 1)), "no.db does not exist")
  expect_match(sentence_of(load_bench(scratch, 1)), "is a directory")
  file.create(in_scratch("empty.db"))
  expect_match(sentence_of(load_bench(in_scratch("empty.db"), 1)), "is empty")
  writeLines("this is a text, not a database", in_scratch("text.db"))
  expect_match(sentence_of(load_bench(in_scratch("text.db"), 1)), "is not an SQLite database")
  expect_match(sentence_of(load_bench(copy("foreign.db", "PRAGMA application_id = 7"), 1)), "is not a bench database")
  expect_match(sentence_of(load_trace(good)), "give it with --bench")
  expect_match(sentence_of(load_bench(copy("old.db", "PRAGMA user_version = 0"), 1)), "old schema version 0")
  expect_match(sentence_of(load_bench(copy("new.db", "PRAGMA user_version = 99"), 1)), "has schema version 99")
  expect_match(sentence_of(load_bench(copy("table.db", "DROP TABLE runtime"), 1)), "has no table runtime")
  expect_match(sentence_of(load_bench(copy("column.db", "ALTER TABLE session RENAME COLUMN seed TO sead"), 1)),
               "table session has no column seed")
  expect_match(sentence_of(load_bench(copy("none.db", "DELETE FROM sample"), 1)), "holds no samples")
  expect_match(sentence_of(load_bench(copy("wrong.db", "UPDATE sample SET output_ok = 0, status = 'wrong'"), 1)),
               "no sample with a right output")
  expect_match(sentence_of(load_bench(good, 1)), "has no results of its samples yet: `python3 -m bench show .*good.db` computes")
  expect_match(sentence_of(load_bench(change(computed(copy("more.db")), "DELETE FROM sample WHERE id = 1"), 1)),
               "has no results of its samples yet")
  bytes <- readBin(good, "raw", file.size(good))
  writeBin(bytes[1:(length(bytes) %/% 2)], in_scratch("half.db"))
  expect_match(sentence_of(load_bench(in_scratch("half.db"), 1)), "is damaged|is incomplete")
  expect_match(sentence_of(load_trace(write_trace_db(in_scratch("bare.db"), data.frame(id = integer(), pid = integer()),
               instant_record(1, "mark", 1)[0, ]))), "holds no process")
})

test_that("loading changes no byte", {
  path <- make_trace_db(in_scratch("same.db"))
  before <- tools::md5sum(path)
  load_trace(path)
  expect_equal(tools::md5sum(path), before)
})

test_that("the newest session is shown, and a size only where there are several", {
  path <- make_bench_db(in_scratch("two.db"), blocks = 2)
  change(path, "INSERT INTO session SELECT 2, started, finished, status, command, 8, blocks, samples, limit_s, memory,
          trace, margin FROM session",
         "INSERT INTO workload SELECT 2, name, 200, kind, unit, operation, doc, output_source, output_sha256 FROM workload",
         "INSERT INTO cell SELECT 2, workload, 200, runtime, workers, series, work, blocks FROM cell",
         "INSERT INTO sample(session, block, position, workload, size, runtime, workers, status, region_ns, operations,
          output_ok) SELECT 2, block, position, workload, 200, runtime, workers, status, 2 * region_ns, operations,
          output_ok FROM sample")
  bench <- load_computed(path)
  expect_equal(bench$session$seed, 8)
  expect_equal(bench$sessions, 2)
  expect_setequal(bench$samples$program, c(names(bench_programs), names(bench_micro)))
  change(path, "UPDATE workload SET session = 2 WHERE session = 1",
         "UPDATE cell SET session = 2 WHERE session = 1", "UPDATE sample SET session = 2, block = block + 10")
  expect_true("mandelbrot, 200 rows" %in% load_computed(path)$samples$program)
})
