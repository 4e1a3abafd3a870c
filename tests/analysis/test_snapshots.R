# What each figure draws, from databases that never change, as a hash of its layers' data. Where a figure was meant to
# change: look at it, then SNAPSHOTS=update Rscript tests/analysis/run.R

snapshots <- file.path(tests, "snapshots.csv")

drawn_hash <- function(figure) {
  text <- unlist(lapply(c(FALSE, TRUE), function(narrow) {
    grDevices::pdf(NULL)
    built <- on_device(ggplot2::ggplot_build(figure$draw(narrow)$plot))
    lapply(built$data, function(layer) {
      layer <- layer[intersect(names(layer), c("x", "y", "xend", "yend", "xmin", "xmax", "ymin", "ymax", "colour", "fill", "shape",
                                               "linetype", "label", "PANEL"))]
      numbers <- vapply(layer, is.numeric, TRUE)
      layer[numbers] <- lapply(layer[numbers], function(x) formatC(as.numeric(x), digits = 5, format = "g"))
      c(names(layer), vapply(layer, function(column) paste(as.character(column), collapse = " "), ""))
    })
  }))
  path <- in_scratch("drawn.txt")
  writeLines(c(text, figure$finding, figure$caption), path)
  unname(tools::md5sum(path))
}

test_that("every figure draws what it drew", {
  bench <- load_computed(make_bench_db(in_scratch("fixed.db"), blocks = 6, workers = c(1, 2, 4), cpus = 4))
  wide <- load_computed(make_wide_db(in_scratch("fixed_wide.db"), micro = NULL))
  # with the kernel's view; what would be calibrated on the machine, the cost of an event, is in the database
  trace <- load_trace(change(make_trace_db(in_scratch("fixed_trace.db"), killed = TRUE), kernels_view))
  sharing <- load_trace(change(make_trace_db(in_scratch("fixed_shared.db")), shared_variables()))
  foreseen <- load_trace(change(make_trace_db(in_scratch("fixed_predicted.db")), predicted()))
  sampled <- load_trace(change(make_trace_db(in_scratch("fixed_sampled.db")), sampled_functions()))
  figures <- list(figure_faster(bench), figure_ratio(bench), figure_ratio(bench, TRUE), figure_speedup(bench),
                  figure_micro(bench), figure_tracing(bench), figure_fits(wide),
                  figure_memory(wide), figure_sessions(list(bench, wide)), figure_timeline(trace), figure_ledger(trace),
                  figure_lost(list(trace)), figure_what_if(list(trace)), figure_latency(trace), figure_channels(trace),
                  figure_events(trace), figure_merges(sharing), figure_prediction(list(foreseen)), figure_functions(sampled))
  found <- data.frame(figure = vapply(figures, `[[`, "", "name"), hash = vapply(figures, drawn_hash, ""))
  if (identical(Sys.getenv("SNAPSHOTS"), "update")) utils::write.csv(found, snapshots, row.names = FALSE)
  expect_equal(found, utils::read.csv(snapshots))
})
