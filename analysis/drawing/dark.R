# The same pictures on a dark page: each SVG holds a style sheet that replaces colours where the reader prefers dark pages.
# Programs that ignore style sheets, such as drawing editors, show the light picture.

# The colours of text, paper, grid and ground, and colours of data that are hard to see on a dark page. Others stay.
dark_colours <- c(
  "#FFFFFF" = "#14171A", "#222222" = "#E4E6E8", "#000000" = "#F2F2F2", "#666666" = "#A3A9AF", "#444444" = "#C0C4C8",
  "#999999" = "#80868C", "#E6E6E6" = "#2E3338", "#F0F0F0" = "#24292E", "#F2F2F2" = "#20252A", "#EFEFEF" = "#2A2F35",
  "#E4E4E4" = "#454B52", "#8A8A8A" = "#9AA0A6", "#0072B2" = "#3F95E0", "#005A45" = "#248A72", "#8B6B3E" = "#AE8A54",
  "#8C6BB1" = "#A98DCB", "#5B4B8A" = "#A08FDA", "#3F7F3F" = "#62A862", "#A3341F" = "#D4634C",
  "#2F4B7C" = "#6F8FC9")

dark_style <- function() {
  rule <- function(property) {
    sprintf("[style*='%s: %s']{%s:%s !important}", property, names(dark_colours), property, dark_colours)
  }
  black <- dark_colours[["#000000"]]
  # svglite leaves out what is black
  paste0("@media (prefers-color-scheme: dark){", paste(c(rule("fill"), rule("stroke")), collapse = ""),
         ".svglite :is(line,polyline,polygon,path,rect,circle):not([style*='stroke: ']){stroke:", black, "}",
         ".svglite text:not([style*='fill: ']){fill:", black, "}}")
}
