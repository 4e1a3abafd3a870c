/* See schema.h. SQLite keeps the text of each CREATE statement in sqlite_schema. A database in memory, made by our own
 * statements, says what that text has to be. */
#include "store/schema.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

const char schema_statements[] =
#include "store/schema.inc"
    ;

static int unreadable(sqlite3 *db, const char *path, struct sentence *why)
{
    return output_explain(why, -EIO, "cannot read %s: %s", path, sqlite3_errmsg(db));
}

static int check_version(sqlite3 *db, const char *path, struct sentence *why)
{
    sqlite3_stmt *version = NULL;
    int error = 0, rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &version, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(version);
    if (rc == SQLITE_BUSY)
        error = output_explain(why, -EBUSY, "%s is still being written by another snakefish-trace", path);
    else if (rc != SQLITE_ROW)
        error = unreadable(db, path, why);
    else if (sqlite3_column_int(version, 0) != SCHEMA_VERSION)
        error = output_explain(why, -EINVAL, "%s is a trace of schema version %d, this program knows version %d", path,
                               sqlite3_column_int(version, 0), SCHEMA_VERSION);
    sqlite3_finalize(version);
    return error;
}

/* The text of one object of ours in the file. 1: it is the same, 0: it is not, -1: an error of the database. */
static int is_same(sqlite3_stmt *find, sqlite3_stmt *ours)
{
    for (int column = 0; column < 3; column++)
        sqlite3_bind_value(find, column + 1, sqlite3_column_value(ours, column));
    int rc = sqlite3_step(find);
    sqlite3_reset(find);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

static int compare(sqlite3 *model, sqlite3 *db, const char *path, struct sentence *why)
{
    sqlite3_stmt *ours = NULL, *find = NULL;
    int error = 0, same = 1;
    if (sqlite3_exec(model, schema_statements, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(model, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL", -1, &ours, NULL))
        error = output_explain(why, -ENOMEM, "no memory");
    else if (sqlite3_prepare_v2(db, "SELECT 1 FROM main.sqlite_schema WHERE type = ? AND name = ? AND sql = ?", -1,
                                &find, NULL))
        error = unreadable(db, path, why);
    while (!error && sqlite3_step(ours) == SQLITE_ROW) {
        same = is_same(find, ours);
        if (same < 0)
            error = unreadable(db, path, why);
        else if (!same)
            error = output_explain(why, -EINVAL, "%s is no trace that this program can read: its %s %s is another one",
                                   path, sqlite3_column_text(ours, 0), sqlite3_column_text(ours, 1));
    }
    sqlite3_finalize(ours);
    sqlite3_finalize(find);
    return error;
}

int schema_check(sqlite3 *db, const char *path, struct sentence *why)
{
    sqlite3 *model = NULL;
    int error = check_version(db, path, why);
    if (error)
        return error;
    if (sqlite3_open_v2(":memory:", &model, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, NULL) != SQLITE_OK)
        error = output_explain(why, -ENOMEM, "no memory");
    else
        error = compare(model, db, path, why);
    sqlite3_close(model);
    return error;
}
