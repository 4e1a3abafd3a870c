/* See database.h.
 *
 * With a rollback journal and synchronous=OFF a trace survives the death of this process, but not a crash of the
 * machine. Locking is exclusive: there is one collector, which should not wait for readers. */
#include "store/database.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/schema.h"
#include "store/trace_file.h"

static int write_error(sqlite3 *db, const char *path, struct sentence *why)
{
    return output_explain(why, -EIO, "cannot write %s: %s", path, db ? sqlite3_errmsg(db) : "no memory");
}

static int execute(sqlite3 *db, const char *sql, const char *path, struct sentence *why)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : write_error(db, path, why);
}

/* Opens SQLite for a program with one thread: its locks and statistics take a tenth of the time of an insert. What
 * stands in the file is not trusted: no trigger runs, no function of ours is called by a view, a damaged page is
 * noticed. */
static int open_file(sqlite3 **db, const char *path, struct sentence *why)
{
    char name[PATH_MAX];
    *db = NULL;
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD); /* refused, without effect, once SQLite is initialized */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (trace_file_name(name, path))
        return output_explain(why, -ENAMETOOLONG, "%s: name too long", path);
    if (sqlite3_open_v2(name, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return output_explain(why, -EIO, "cannot open %s: %s", path, *db ? sqlite3_errmsg(*db) : "no memory");
    sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    return execute(*db, "PRAGMA cell_size_check=ON", path, why);
}

static const char settings[] = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE; "
                               "PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;";

int database_create(struct database *database, const char *path, struct sentence *why)
{
    struct database made;
    int error = trace_file_make(path, &made.lock, why);
    if (error)
        return error;
    error = open_file(&made.db, path, why);
    if (!error)
        error = execute(made.db, settings, path, why);
    if (!error)
        error = execute(made.db, "BEGIN EXCLUSIVE", path, why);
    if (!error)
        error = execute(made.db, schema_statements, path, why);
    if (!error)
        error = execute(made.db, "COMMIT", path, why);
    if (error)
        database_discard(&made);
    else
        *database = made;
    return error;
}

/* Opened for writing even if it is only read: the journal of a killed collector has to be rolled back. Where the user
 * may not write the file, SQLite opens it for reading. */
int database_open(sqlite3 **db, const char *path, struct sentence *why)
{
    *db = NULL;
    int is = trace_file_identify(path, why);
    if (is < 0)
        return is;
    if (is == TRACE_FILE_NONE)
        return output_explain(why, -ENOENT, "there is no trace at %s", path);
    if (is == TRACE_FILE_EMPTY)
        return output_explain(why, -EINVAL, "%s is empty: no trace was written to it", path);
    int error = open_file(db, path, why);
    if (!error)
        error = schema_check(*db, path, why);
    if (error) {
        sqlite3_close(*db);
        *db = NULL;
    }
    return error;
}

/* Settings, and SQLite's lock, which is kept. */
static int prepare_to_write(sqlite3 *db, const char *path, struct sentence *why)
{
    sqlite3_busy_timeout(db, 5000); /* a program may be reading it */
    int error = execute(db, settings, path, why);
    return error ? error : execute(db, "BEGIN EXCLUSIVE; COMMIT", path, why);
}

int database_continue(struct database *database, const char *path, struct sentence *why)
{
    struct database opened;
    int error = trace_file_lock(path, &opened.lock, why);
    if (error)
        return error;
    error = database_open(&opened.db, path, why);
    if (!error)
        error = prepare_to_write(opened.db, path, why);
    if (error)
        database_close(&opened);
    else
        *database = opened;
    return error;
}

static int copy_content(sqlite3 *to, sqlite3 *from, const char *path, struct sentence *why)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (backup)
        sqlite3_backup_step(backup, -1);
    return backup && sqlite3_backup_finish(backup) == SQLITE_OK ? 0 : write_error(to, path, why);
}

int database_copy(struct database *database, const char *from, const char *path, struct sentence *why)
{
    struct database made;
    sqlite3 *source;
    int error = database_open(&source, from, why);
    if (error)
        return error;
    error = trace_file_make(path, &made.lock, why);
    if (!error) {
        error = open_file(&made.db, path, why);
        if (!error)
            error = copy_content(made.db, source, path, why);
        if (!error)
            error = prepare_to_write(made.db, path, why);
        if (error)
            database_discard(&made);
        else
            *database = made;
    }
    sqlite3_close(source);
    return error;
}

void database_close(struct database *database)
{
    sqlite3_close(database->db);
    close(database->lock);
}

void database_discard(struct database *database)
{
    const char *name = database->db ? sqlite3_db_filename(database->db, "main") : NULL;
    char *path = name ? strdup(name) : NULL, journal[PATH_MAX + 16];
    sqlite3_close(database->db);
    if (path) {
        snprintf(journal, sizeof journal, "%s-journal", path);
        unlink(journal);
        unlink(path);
        free(path);
    }
    close(database->lock);
}

char *database_meta(sqlite3 *db, const char *key)
{
    sqlite3_stmt *get = NULL;
    char *value = NULL;
    if (sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE key = ?", -1, &get, NULL) == SQLITE_OK) {
        sqlite3_bind_text(get, 1, key, -1, SQLITE_STATIC);
        if (sqlite3_step(get) == SQLITE_ROW && sqlite3_column_text(get, 0))
            value = strdup((const char *)sqlite3_column_text(get, 0));
    }
    sqlite3_finalize(get);
    return value;
}
