# Makes the pictures in the page smaller. The figures of a full session have tens of thousands of dots, and svglite writes
# each as an element with its whole style. Here styles become classes, and neighbours of the same style become one path.
# The picture looks the same, light and dark. The files beside the page are not changed, for editors without style sheets.

shrink_svg <- function(svg) {
  lines <- join_neighbours(strsplit(svg, "\n")[[1]])
  place <- regexpr(" style='[^']*'", lines)
  style <- sub("^ style='(.*)'$", "\\1", regmatches(lines, place))
  styles <- unique(style)
  regmatches(lines, place) <- sprintf(" class='k%d'", match(style, styles))
  sub(dark_style(), class_rules(styles), paste0(paste(lines, collapse = "\n"), "\n"), fixed = TRUE)
}

class_rules <- function(styles) {
  dark <- styles
  for (colour in names(dark_colours)) {
    dark <- gsub(paste0(": ", colour), paste0(":", dark_colours[[colour]]), dark, fixed = TRUE)
  }
  # svglite leaves out what is black
  black <- dark_colours[["#000000"]]
  text <- grepl("font-size", styles)
  dark <- paste0(dark, ifelse(text & !grepl("fill:", styles), paste0("fill:", black),
                              ifelse(!text & !grepl("stroke:", styles), paste0("stroke:", black), "")))
  rules <- function(styles) paste(sprintf(".svglite .k%d{%s}", seq_along(styles), styles), collapse = "")
  paste0(rules(styles), "@media (prefers-color-scheme: dark){", rules(dark), "}")
}

# Lines, polygons and filled circles that follow one another in the same style become one path. A circle becomes a line of
# no length with round ends.
join_neighbours <- function(lines) {
  lines <- dots_as_lines(lines)
  number <- "(-?[0-9.]+)"
  line <- sprintf("^<line x1='%s' y1='%s' x2='%s' y2='%s' (style='[^']*') />$", number, number, number, number)
  polygon <- "^<polygon points='([^ ']+) ([^']*[^ ']) *' (style='[^']*') />$"
  part <- rep(NA_character_, length(lines))
  style <- part
  is_line <- grepl(line, lines)
  part[is_line] <- sub(line, "M\\1,\\2L\\3,\\4", lines[is_line])
  style[is_line] <- sub(line, "\\5", lines[is_line])
  is_polygon <- grepl(polygon, lines)
  part[is_polygon] <- sub(polygon, "M\\1L\\2Z", lines[is_polygon])
  style[is_polygon] <- sub(polygon, "\\3", lines[is_polygon])
  part <- gsub("([0-9][.][0-9])[0-9]+", "\\1", part)
  part <- sub("^(M([^,]+),([^L]+))L\\2,\\3$", "\\1h0", part)
  group <- cumsum(c(TRUE, is.na(style[-1]) | is.na(style[-length(style)]) | style[-1] != style[-length(style)]))
  joined <- !is.na(part)
  paths <- tapply(part[joined], group[joined], paste, collapse = "")
  first <- joined & !duplicated(group)
  lines[first] <- sprintf("<path d='%s' %s />", paths[as.character(group[first])], style[first])
  lines[first | !joined]
}

dots_as_lines <- function(lines) {
  circle <- paste0("^<circle cx='([0-9.]+)' cy='([0-9.]+)' r='([0-9.]+)' style='stroke-width: [0-9.]+; stroke: none; ",
                   "fill: (#[0-9A-F]{6});( fill(-opacity: [0-9.]+;))?' />$")
  dots <- grep(circle, lines)
  width <- 2 * as.numeric(sub(circle, "\\3", lines[dots]))
  lines[dots] <- sprintf(sub(circle, paste0("<line x1='\\1' y1='\\2' x2='\\1' y2='\\2' style='stroke-width: %.2f; ",
                                            "stroke: \\4; stroke\\6 stroke-linecap: round;' />"), lines[dots]), width)
  sub("stroke stroke-linecap", "stroke-linecap", lines, fixed = TRUE)
}
