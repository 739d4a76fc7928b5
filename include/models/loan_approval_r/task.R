# What this command is asked to do: the JSON file that its only argument names.
# Base R reads no JSON, so that it is read here: objects, lists, texts, numbers, true, false, null.

read_task <- function() {
  path <- commandArgs(trailingOnly = TRUE)[1]
  text <- paste(readLines(path, encoding = "UTF-8"), collapse = "\n")
  task <- parse_json(text)
  if (task$format != 1) stop("these scripts know format 1 only")
  task
}

parse_json <- function(text) {
  pattern <- '"(?:[^"\\\\]|\\\\.)*"|[^][{}:,"[:space:]]+|[][{}:,]'
  tokens <- regmatches(text, gregexpr(pattern, text, perl = TRUE))[[1]]
  at <- 0
  take <- function() {
    at <<- at + 1
    tokens[[at]]
  }
  value <- function(token = take()) {
    if (token == "{") return(members())
    if (token == "[") return(items())
    if (startsWith(token, '"')) return(unquoted(token))
    switch(token, "true" = TRUE, "false" = FALSE, "null" = NULL, as.numeric(token))
  }
  members <- function() {
    found <- list()
    while ((token <- take()) != "}") {
      if (token == ",") next
      take() # the colon
      found[[unquoted(token)]] <- value()
    }
    found
  }
  items <- function() {
    found <- list()
    while ((token <- take()) != "]") {
      if (token != ",") found <- c(found, list(value(token)))
    }
    unlist(found)
  }
  value()
}

# A text without its quotes. Of the escapes, \n, \t and \uXXXX stand for one character; any other
# for the character behind the backslash.
unquoted <- function(token) {
  text <- substr(token, 2, nchar(token) - 1)
  escape <- regexpr("\\\\(u[0-9A-Fa-f]{4}|.)", text, perl = TRUE)
  if (escape < 0) return(text)
  end <- escape + attr(escape, "match.length")
  code <- substr(text, escape + 1, end - 1)
  stands_for <- if (nchar(code) == 5) {
    intToUtf8(strtoi(substring(code, 2), 16L))
  } else {
    switch(code, n = "\n", t = "\t", code)
  }
  paste0(substr(text, 1, escape - 1), stands_for, unquoted(paste0('"', substring(text, end), '"')))
}
