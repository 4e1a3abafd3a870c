# One look for all figures: the theme, and the meaning of colours, shapes and line types. The colours are Okabe and Ito's,
# which the colour-blind can tell apart. A shape, line type or printed name always repeats what a colour says.

okabe_ito <- c(black = "#000000", orange = "#E69F00", sky = "#56B4E9", green = "#009E73", yellow = "#F0E442",
               blue = "#0072B2", vermillion = "#D55E00", purple = "#CC79A7")
ink <- "#222222"
faint <- "#666666"
unknown_colour <- "#E4E4E4"

report_theme <- function(narrow = FALSE) {
  ggplot2::theme_minimal(base_size = if (narrow) 10 else 11) +
    ggplot2::theme(
      text = ggplot2::element_text(colour = ink),
      axis.title = ggplot2::element_text(size = if (narrow) 8.5 else 9.5),
      axis.text = ggplot2::element_text(colour = "#444444"),
      panel.grid.minor = ggplot2::element_blank(),
      panel.grid.major = ggplot2::element_line(colour = "#E6E6E6", linewidth = 0.3),
      panel.spacing = ggplot2::unit(14, "pt"),
      strip.text = ggplot2::element_text(colour = ink, hjust = 0, face = "bold", size = 11),
      legend.position = "top", legend.justification = "left", legend.title = ggplot2::element_blank(),
      legend.margin = ggplot2::margin(0, 0, 2, 0), legend.box.spacing = ggplot2::unit(4, "pt"),
      legend.key.width = ggplot2::unit(if (narrow) 18 else 26, "pt"),
      plot.background = ggplot2::element_rect(fill = "white", colour = NA),
      plot.margin = ggplot2::margin(6, if (narrow) 8 else 18, 6, 4))
}

# A runtime looks the same in all figures. Runtimes that are not listed take the spare looks, in alphabetical order.
runtime_looks <- data.frame(
  runtime = c("sequential", "snakefish", "multiprocessing", "snakefish-traced", "ceiling", "floor"),
  colour = c(okabe_ito[c("black", "blue", "vermillion", "sky")], "#8A8A8A", "#8A8A8A"),
  shape = c(15, 16, 17, 1, 8, 124), line = c("dotted", "solid", "longdash", "22", "dashed", "dotted"))
spare_looks <- data.frame(
  colour = c(okabe_ito[c("green", "purple", "orange")], "#8B6B3E", "#5B4B8A", "#3F7F3F", "#B0706F"),
  shape = c(18, 4, 0, 2, 5, 6, 3), line = c("dotdash", "twodash", "13", "4212", "41", "F2", "1343"))

looks_of <- function(runtimes) {
  runtimes <- unique(as.character(runtimes))
  known <- runtime_looks[runtime_looks$runtime %in% runtimes, ]
  others <- sort(setdiff(runtimes, known$runtime))
  spare <- spare_looks[(seq_along(others) - 1) %% nrow(spare_looks) + 1, ]
  rbind(known, data.frame(runtime = others, spare))
}

runtime_factor <- function(runtime) factor(runtime, looks_of(runtime)$runtime)

runtime_scales <- function(runtimes) {
  looks <- looks_of(runtimes)
  named <- function(column) stats::setNames(looks[[column]], looks$runtime)
  # all have the same limits, so that they share one legend even where a layer lacks some runtimes
  scale <- function(of, column) of(values = named(column), limits = looks$runtime)
  list(scale(ggplot2::scale_colour_manual, "colour"), scale(ggplot2::scale_fill_manual, "colour"),
       scale(ggplot2::scale_shape_manual, "shape"), scale(ggplot2::scale_linetype_manual, "line"))
}

# Colours of the kinds of spans, by their place in the trace's table of kinds. A kind that is added to that table comes last,
# so it changes no other's colour.
kind_palette <- c("#D55E00", "#56B4E9", "#8C6BB1", "#F0E442", "#CC79A7", "#005A45", "#0072B2", "#009E73", "#9C9C9C",
                  "#E69F00", "#9AD0F0", "#8B6B3E", "#A6DBB5", "#F5C98A", "#E8B5D3", "#F2A37A")

kind_colours <- function(kinds) {
  stats::setNames(kind_palette[(seq_along(kinds) - 1) %% length(kind_palette) + 1], kinds)
}

# Colours of the ledger's categories, likewise by their place: useful time is green, waiting yellow to red.
category_palette <- c("#009E73", "#56B4E9", "#0072B2", "#F0E442", "#E69F00", "#D55E00", "#A3341F", "#F2A37A", "#CC79A7",
                      "#E8B5D3", "#8C6BB1", "#8B6B3E", "#5A5A5A", "#A6DBB5", "#C9C9C9", "#2F4B7C", "#B5CF3B", "#C51B8A",
                      "#C8A97E")

# For what is no category, such as the critical path's handing over.
other_palette <- c("#9AD0F0", "#6B4E71", "#F5C98A")

category_colours <- function(categories, others = character()) {
  n <- length(category_palette)
  c(stats::setNames(category_palette[(seq_along(categories) - 1) %% n + 1], categories),
    stats::setNames(other_palette[(seq_along(others) - 1) %% length(other_palette) + 1], others))
}

# Black or white, whichever reads better on the colour. Not exactly black or white, because dark.R would replace those.
text_on <- function(colour) {
  light <- colSums(grDevices::col2rgb(colour) * c(0.299, 0.587, 0.114))
  ifelse(light > 140, "#1B1B1B", "#FEFEFE")
}

# The legend of fill colours, in as many rows as it needs.
fill_legend <- function(n, narrow, ...) {
  ggplot2::guide_legend(nrow = ceiling(n / if (narrow) 3 else 7), byrow = TRUE, keywidth = 0.8, ...)
}
