# Real SQLite files from the project's own schema files, filled with known numbers.

# Executes a schema file; RSQLite takes one statement at a time.
create_database <- function(path, schema) {
  unlink(path)
  db <- DBI::dbConnect(RSQLite::SQLite(), path)
  lines <- sub("--.*$", "", readLines(schema))
  for (statement in strsplit(paste(lines, collapse = "\n"), ";")[[1]]) {
    if (nzchar(trimws(statement))) DBI::dbExecute(db, statement)
  }
  db
}

append_rows <- function(db, table, ...) DBI::dbAppendTable(db, table, data.frame(..., stringsAsFactors = FALSE))
