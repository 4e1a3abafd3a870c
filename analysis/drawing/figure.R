# A figure is a plot with a name, a title, a finding (the sentence that it shows, and its alt text), a caption that says
# how to read it, and its data. Where data are missing, it has instead the sentence that says which.
#
# It is drawn twice, for a wide page and for a phone: `draw` is a function of `narrow` that returns picture(). Beside
# the page each figure is an SVG, a PDF and a CSV file. One may have `live` too: HTML that shows it where scripts run, with
# live_caption.

narrow_width <- 4.1  # inches: a phone's page
tall <- 2  # times as high as wide: on paper such a figure is 20 cm high, others 13

new_figure <- function(name, title, draw, finding, caption, data, width = 8.6) {
  list(name = name, title = title, draw = draw, finding = finding, caption = caption, data = data, width = width)
}

# adjust: changes the drawing (a gtable) in a way that ggplot2 has no words for.
picture <- function(plot, height, adjust = identity) list(plot = plot, height = height, adjust = adjust)

missing_figure <- function(name, title, reason) list(name = name, title = title, missing = reason)

# The figure as list(svg = its SVG text, drawing = what was drawn, for another device, height). The finding becomes the
# title element, so that the file alone is accessible too.
render_svg <- function(figure, narrow) {
  drawn <- figure$draw(narrow)
  path <- tempfile(fileext = ".svg")
  on.exit(unlink(path))
  svglite::svglite(path, width = if (narrow) narrow_width else figure$width, height = drawn$height)
  drawing <- on_device({
    drawing <- drawn$adjust(ggplot2::ggplotGrob(drawn$plot))
    grid::grid.draw(drawing)
    drawing
  })
  svg <- readLines(path, encoding = "UTF-8", warn = FALSE)
  start <- grep("<svg ", svg)[1]
  svg[start] <- sub("<svg ([^>]*)>", paste0("<svg \\1 role='img'><title>",
                    gsub("\\", "\\\\", escape_html(figure$finding), fixed = TRUE), "</title><style>", dark_style(),
                    "</style>"), svg[start])
  # names in a trace may hold characters that XML forbids
  svg <- gsub("[\x01-\x08\x0B\x0C\x0E-\x1F]", "\ufffd", svg, perl = TRUE)
  list(svg = paste0(paste(svg, collapse = "\n"), "\n"), drawing = drawing, height = drawn$height)
}

# Evaluates `draw` on the open device, and closes the device even after an error.
on_device <- function(draw) tryCatch(draw, finally = grDevices::dev.off())

# Writes the figure's files; returns the figure with the two pictures in it.
write_figure <- function(figure, directory) {
  file <- function(ending) file.path(directory, paste0(figure$name, ending))
  wide <- render_svg(figure, FALSE)
  figure$svg <- wide$svg
  figure$tall <- wide$height > tall * figure$width
  figure$narrow_svg <- render_svg(figure, TRUE)$svg
  figure$csv <- csv_text(figure$data)
  cat(figure$svg, file = file(".svg"))
  cat(figure$csv, file = file(".csv"))
  write_pdf(wide$drawing, figure$width, wide$height, file(".pdf"))
  figure
}

write_pdf <- function(drawing, width, height, path) {
  pattern <- gsub("%", "%%", path, fixed = TRUE) # the device takes it for a pattern with the page's number
  grDevices::cairo_pdf(pattern, width = width, height = height, family = "DejaVu Sans")
  on_device(grid::grid.draw(drawing))
  # the date is the only thing that differs from one time to the next
  bytes <- readBin(path, "raw", file.size(path))
  place <- grepRaw("/CreationDate (D:", bytes, fixed = TRUE)
  if (length(place) == 1) bytes[place + 17 + 0:13] <- charToRaw("20000101000000")
  writeBin(bytes, path)
}

csv_text <- function(rows) {
  rows <- rows[!vapply(rows, is.list, TRUE)]
  lines <- utils::capture.output(utils::write.csv(rows, row.names = FALSE, na = ""))
  paste0(paste(lines, collapse = "\n"), "\n")
}

# The figure as HTML with the pictures inside it.
figure_html <- function(figure) {
  id <- gsub("_", "-", figure$name)
  heading <- sprintf('<h3 id="%s">%s</h3>', id, escape_html(figure$title))
  if (!is.null(figure$missing)) return(sprintf('%s\n<p class="missing">%s</p>', heading, escape_html(figure$missing)))
  caption <- escape_html(figure$caption)
  if (!is.null(figure$live)) {
    caption <- sprintf('<span class="still">%s</span><span class="live">%s <span class="left-out"></span></span>', caption,
                       escape_html(figure$live_caption))
  }
  sprintf(paste0('%s\n<!-- figure %s -->\n<p class="finding">%s</p>\n<figure>\n%s\n%s<figcaption>%s %s</figcaption>\n</figure>'),
          heading, figure$name, escape_html(figure$finding), picture_html(figure), paste(c(figure$live, ""), collapse = "\n"),
          caption, csv_link(figure$csv, paste0(figure$name, ".csv"), "Its data as CSV."))
}

picture_html <- function(figure) {
  uri <- function(svg) base64enc::dataURI(charToRaw(enc2utf8(shrink_svg(svg))), mime = "image/svg+xml")
  class <- c(if (!is.null(figure$live)) "still", if (figure$tall) "tall")
  sprintf('<picture%s><source media="screen and (max-width: 40rem)" srcset="%s"><img src="%s" alt="%s"></picture>',
          if (is.null(class)) "" else sprintf(' class="%s"', paste(class, collapse = " ")), uri(figure$narrow_svg),
          uri(figure$svg), escape_html(figure$finding))
}

csv_link <- function(csv, name, text) {
  sprintf('<a download="%s" href="%s">%s</a>', escape_html(name),
          base64enc::dataURI(charToRaw(enc2utf8(csv)), mime = "text/csv"), text)
}

escape_html <- function(text) {
  for (pair in list(c("&", "&amp;"), c("<", "&lt;"), c(">", "&gt;"), c('"', "&quot;"))) {
    text <- gsub(pair[1], pair[2], text, fixed = TRUE)
  }
  text
}

# Rows and height of a figure with panels: two side by side, but one on a phone.
panel_columns <- function(panels, narrow) if (narrow) 1 else min(2, panels)
panel_height <- function(panels, narrow, each = if (narrow) 2.3 else 2.7) {
  0.9 + each * ceiling(panels / panel_columns(panels, narrow))
}
