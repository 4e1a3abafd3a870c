# A report of made-up databases for the browser's test: Rscript tests/analysis/make_page.R DIRECTORY

file <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)[1])
tests <- dirname(normalizePath(gsub("~+~", " ", file, fixed = TRUE)))
source(file.path(tests, "setup.R"), local = globalenv())
directory <- commandArgs(TRUE)[1]
report_of(bench = computed(make_bench_db(in_scratch("bench.db"), blocks = 6)), trace = make_trace_db(in_scratch("trace.db"), killed = TRUE),
          directory = directory)
unlink(scratch, recursive = TRUE)
