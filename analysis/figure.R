# What a figure is: a plot with a name, a title, the sentence it shows (its alt text) and a caption that says how to
# read it; or, where the data lack something, the sentence that says what. One SVG file each.

new_figure <- function(name, title, plot, finding, caption, width = 8, height = 4) {
  list(name = name, title = title, plot = plot, finding = finding, caption = caption, width = width, height = height)
}

missing_figure <- function(name, title, reason) list(name = name, title = title, missing = reason)

# Writes the figure as SVG; the finding becomes the title element, so that the file alone is accessible too.
write_figure <- function(figure, directory) {
  path <- file.path(directory, paste0(figure$name, ".svg"))
  svglite::svglite(path, width = figure$width, height = figure$height)
  tryCatch(print(figure$plot), finally = grDevices::dev.off())
  svg <- readLines(path, encoding = "UTF-8", warn = FALSE)
  start <- grep("<svg ", svg)[1]
  svg[start] <- sub("<svg ([^>]*)>", paste0("<svg \\1 role='img'><title>",
                    gsub("\\", "\\\\", escape_html(figure$finding), fixed = TRUE), "</title>"), svg[start])
  writeLines(svg, path, useBytes = TRUE)
  path
}

# The figure as HTML with the picture inside it.
figure_html <- function(figure, directory) {
  id <- gsub("_", "-", figure$name)
  heading <- sprintf('<h2 id="%s">%s</h2>', id, escape_html(figure$title))
  if (!is.null(figure$missing)) return(sprintf('%s\n<p class="missing">%s</p>', heading, escape_html(figure$missing)))
  picture <- base64enc::dataURI(file = file.path(directory, paste0(figure$name, ".svg")), mime = "image/svg+xml")
  sprintf(paste0('%s\n<p class="finding">%s</p>\n<figure>\n<div class="picture"><img src="%s" alt="%s" width="%d" ',
                 'height="%d"></div>\n<figcaption>%s</figcaption>\n</figure>'),
          heading, escape_html(figure$finding), picture, escape_html(figure$finding),
          round(96 * figure$width), round(96 * figure$height), escape_html(figure$caption))
}

escape_html <- function(text) {
  for (pair in list(c("&", "&amp;"), c("<", "&lt;"), c(">", "&gt;"), c('"', "&quot;"))) {
    text <- gsub(pair[1], pair[2], text, fixed = TRUE)
  }
  text
}

# Rows and height of a facetted figure: two panels side by side, except for one alone.
panel_columns <- function(panels) min(2, panels)
panel_height <- function(panels, each = 2.7) 0.9 + each * ceiling(panels / panel_columns(panels))
