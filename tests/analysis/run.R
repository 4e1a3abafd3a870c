# Runs the tests of the report, or those in the files that are named:
# Rscript tests/analysis/run.R [test_verdict.R ...]. The last line is `N passed, N failed, N skipped`.

file <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)[1])
tests <- dirname(normalizePath(gsub("~+~", " ", file, fixed = TRUE)))
suppressPackageStartupMessages(library(testthat))
source(file.path(tests, "setup.R"), local = globalenv())

counts <- c(passed = 0, failed = 0, skipped = 0)
wanted <- basename(commandArgs(TRUE))
there <- sort(list.files(tests, "^test_.*[.]R$"))
if (!all(wanted %in% there)) stop("there are ", paste(there, collapse = ", "), call. = FALSE)
for (path in file.path(tests, if (length(wanted) > 0) intersect(there, wanted) else there)) {
  started <- proc.time()[["elapsed"]]
  # an error outside of a test is a failure too
  rows <- tryCatch(as.data.frame(test_file(path, reporter = "check", env = new.env(parent = globalenv()))),
                   error = function(e) {
                     cat(basename(path), ": ", conditionMessage(e), "\n", sep = "")
                     data.frame(nb = 1, failed = 1, skipped = FALSE, error = FALSE)
                   })
  bad <- sum(rows$failed) + sum(rows$error)
  skipped <- sum(rows$skipped)
  counts <- counts + c(sum(rows$nb) - sum(rows$failed) - skipped, bad, skipped)
  cat(sprintf("  %-28s %4.1f s\n", basename(path), proc.time()[["elapsed"]] - started))
}
unlink(file.path(tests, "_snaps"), recursive = TRUE)  # testthat's, and empty: there are no snapshots
cat(sprintf("%d passed, %d failed, %d skipped\n", as.integer(counts[1]), as.integer(counts[2]), as.integer(counts[3])))
quit(status = if (counts[["failed"]] > 0) 1 else 0)
