# Loan applications as numbers.

# The features of a CSV file, a column each. Where nobody knew a guideline, gdlin says 666.
read_applications <- function(path) {
  rows <- read.csv(path, check.names = FALSE, na.strings = "", fileEncoding = "UTF-8")
  rows$gdlin[rows$gdlin == 666] <- NA
  rows
}

# What stands in for a missing cell: the more frequent of 0 and 1, the median of other numbers.
usual_value <- function(cells) {
  known <- cells[!is.na(cells)]
  if (all(known %in% c(0, 1))) as.numeric(mean(known) > 0.5) else median(known)
}

# A matrix with an intercept and the features in order, without missing cells.
design_matrix <- function(rows, features, usual) {
  columns <- lapply(features, function(name) {
    cells <- as.numeric(rows[[name]])
    ifelse(is.na(cells), usual[[name]], cells)
  })
  matrix(c(rep(1, nrow(rows)), unlist(columns)), nrow = nrow(rows))
}

# Numbers as text that reads back exactly; write.csv would round to 15 digits.
exact <- function(numbers) sprintf("%.17g", numbers)
