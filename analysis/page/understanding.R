# "Understanding this report": what the plots and terms mean (understanding.dcf). Only what the page shows is explained.

explanations <- function() {
  path <- file.path(parts_directory, "page", "understanding.dcf")
  lines <- textConnection(grep("^#", readLines(path, encoding = "UTF-8"), invert = TRUE, value = TRUE))
  on.exit(close(lines))
  rows <- as.data.frame(read.dcf(lines))
  rows$Text <- gsub("\n", " ", rows$Text)
  rows
}

understanding_html <- function(report) {
  names <- unlist(lapply(c(list(list(figures = report$answers)), report$sections), function(section) {
    vapply(c(Filter(function(figure) is.null(figure$missing), section$figures),
             Filter(function(table) !is.null(table$name), section$tables)), `[[`, "", "name")
  }))
  shown <- explanations()
  shown <- shown[shown$Of %in% sub("_[0-9]+$", "", names), ]
  c("<dl>", sprintf('<dt>%s</dt>\n<dd>%s <span class="source">Source: %s.</span></dd>', escape_html(shown$Term),
                    escape_html(shown$Text), escape_html(shown$Source)), "</dl>")
}
