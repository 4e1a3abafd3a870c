# The picture in the page: smaller, and of the same colours in the same places.

svg_of <- function(...) paste0("<svg class='svglite'><title>t</title><style>", dark_style(), "</style>\n", paste(c(...), collapse = "\n"),
                               "\n</svg>\n")
dot <- function(x, y, colour) {
  sprintf("<circle cx='%.2f' cy='%.2f' r='1.50' style='stroke-width: 0.71; stroke: none; fill: %s; fill-opacity: 0.50;' />", x, y,
          colour)
}

test_that("neighbours of one style become one path, others stay apart", {
  small <- shrink_svg(svg_of(dot(1, 2, "#0072B2"), dot(3, 4, "#0072B2"), dot(5, 6, "#D55E00"),
                             "<polygon points='1.00,1.00 2.00,2.00 3.00,1.00 ' style='stroke: none; fill: #0072B2;' />",
                             "<text x='1' y='2' style='font-size: 8.00px;'>word</text>"))
  expect_match(small, "<path d='M1.0,2.0h0M3.0,4.0h0' class='k1' />\n<path d='M5.0,6.0h0' class='k2' />", fixed = TRUE)
  expect_match(small, "<path d='M1.0,1.0L2.0,2.0 3.0,1.0Z' class='k3' />\n<text x='1' y='2' class='k4'>word</text>", fixed = TRUE)
  expect_match(small, ".svglite .k1{stroke-width: 3.00; stroke: #0072B2; stroke-opacity: 0.50; stroke-linecap: round;}", fixed = TRUE)
})

test_that("on a dark page a class has the dark colour, and what has none is light", {
  dark <- sub(".*[(]prefers-color-scheme: dark[)]", "", class_rules(c("stroke: #0072B2;", "font-size: 8.00px;", "fill: #E69F00;")))
  expect_match(dark, sprintf(".k1{stroke:%s;}", dark_colours[["#0072B2"]]), fixed = TRUE)
  expect_match(dark, sprintf(".k2{font-size: 8.00px;fill:%s}", dark_colours[["#000000"]]), fixed = TRUE)
  expect_match(dark, sprintf(".k3{fill: #E69F00;stroke:%s}", dark_colours[["#000000"]]), fixed = TRUE)
})

test_that("thousands of dots take a fifth of their place", {
  figure <- figure_micro(load_computed(make_bench_db(in_scratch("dots.db"), blocks = 200, programs = NULL)))
  svg <- render_svg(figure, FALSE)$svg
  expect_lt(nchar(shrink_svg(svg)), nchar(svg) / 5)
  expect_match(svg, "style='")
})
