/* See database.h.
 *
 * Invariant: a file that is not a trace is never written to. The application id in the file's header decides; it is
 * read without SQLite, which might roll back a journal. With a rollback journal and synchronous=OFF a trace survives
 * the death of this process, but not a crash of the machine. Locking is exclusive: there is one collector, which should
 * not wait for readers. */
#include "store/database.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/liveness.h"

static const char schema[] =
#include "store/schema.inc"
    ;

/* Opens SQLite for a program with one thread: its locks and statistics take a tenth of the time of an insert. */
static int open_file(sqlite3 **db, const char *path, int flags)
{
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD); /* refused, without effect, once SQLite is initialized */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    return sqlite3_open_v2(path, db, flags | SQLITE_OPEN_NOMUTEX, NULL);
}

/* What is at `path`? 1: a trace; 0: nothing; -errno and a sentence: something else. */
static int identify(const char *path, struct sentence *why)
{
    unsigned char header[100];
    struct stat st;
    if (stat(path, &st)) {
        if (errno == ENOENT)
            return lstat(path, &st) ? 0 : output_explain(why, -ENOENT, "%s is a symbolic link to nothing", path);
        return output_explain(why, -errno, "cannot look at %s: %s", path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode))
        return output_explain(why, -EISDIR, "%s is a directory", path);
    if (!S_ISREG(st.st_mode))
        return output_explain(why, -EINVAL, "%s is not a regular file", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return output_explain(why, -errno, "cannot open %s: %s", path, strerror(errno));
    ssize_t n = pread(fd, header, sizeof header, 0);
    close(fd);
    if (n < (ssize_t)sizeof header || memcmp(header, "SQLite format 3", 16) != 0)
        return output_explain(why, -EINVAL, "%s is not a trace database, nor any SQLite database", path);
    uint32_t id = (uint32_t)header[68] << 24 | (uint32_t)header[69] << 16 | (uint32_t)header[70] << 8 | header[71];
    if (id != DATABASE_APPLICATION_ID)
        return output_explain(why, -EINVAL, "%s is an SQLite database, but not a trace", path);
    return 1;
}

/* A trace that a collector is writing must not be replaced. */
static int check_idle(const char *path, struct sentence *why)
{
    sqlite3 *db = NULL;
    int error = 0;
    if (open_file(&db, path, SQLITE_OPEN_READONLY) == SQLITE_OK &&
        sqlite3_exec(db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL) == SQLITE_BUSY)
        error = output_explain(why, -EBUSY, "%s is being written by another snakefish-trace", path);
    sqlite3_close(db);
    return error;
}

/* Can files be made in its directory? SQLite makes a journal there too. */
static int check_parent(const char *path, struct sentence *why)
{
    char parent[PATH_MAX];
    if (strlen(path) >= sizeof parent)
        return output_explain(why, -ENAMETOOLONG, "%s: name too long", path);
    strcpy(parent, path);
    char *slash = strrchr(parent, '/');
    if (slash == parent)
        slash[1] = '\0';
    else if (slash)
        *slash = '\0';
    else
        strcpy(parent, ".");
    if (access(parent, W_OK | X_OK))
        return output_explain(why, -errno, "cannot make %s: %s", path, strerror(errno));
    return 0;
}

int database_check(const char *path, struct sentence *why)
{
    if (!path[0])
        return output_explain(why, -EINVAL, "the database's name is empty");
    int is = identify(path, why);
    if (is > 0)
        is = check_idle(path, why);
    return is < 0 ? is : check_parent(path, why);
}

static int write_error(sqlite3 *db, const char *path, struct sentence *why)
{
    return output_explain(why, -EIO, "cannot write %s: %s", path, db ? sqlite3_errmsg(db) : "no memory");
}

static int execute(sqlite3 *db, const char *sql, const char *path, struct sentence *why)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : write_error(db, path, why);
}

static const char settings[] = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE; "
                               "PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;";

int database_create(sqlite3 **db, const char *path, struct sentence *why)
{
    char real[PATH_MAX], journal[PATH_MAX + 16];
    *db = NULL;
    int error = database_check(path, why);
    if (error)
        return error;
    if (realpath(path, real)) { /* an older trace */
        /* The journal first: if it were left without its database, it would be rolled back into the new one. */
        snprintf(journal, sizeof journal, "%s-journal", real);
        if ((unlink(journal) && errno != ENOENT) || unlink(real))
            return output_explain(why, -errno, "cannot replace %s: %s", path, strerror(errno));
    }
    if (open_file(db, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) != SQLITE_OK) {
        error = write_error(*db, path, why);
        sqlite3_close(*db);
        *db = NULL;
        return error;
    }
    error = execute(*db, settings, path, why);
    if (!error)
        error = execute(*db, "BEGIN EXCLUSIVE", path, why);
    if (!error)
        error = execute(*db, schema, path, why);
    if (!error)
        error = execute(*db, "COMMIT", path, why);
    if (error) {
        database_discard(*db);
        *db = NULL;
    }
    return error;
}

int database_open(sqlite3 **db, const char *path, int writing, struct sentence *why)
{
    *db = NULL;
    int is = identify(path, why);
    if (is < 0)
        return is;
    if (is == 0)
        return output_explain(why, -ENOENT, "there is no trace at %s", path);
    int error = 0;
    sqlite3_stmt *version = NULL;
    /* Opened for writing even if it is only read: the journal of a killed collector has to be rolled back. Where the
     * user may not write the file, SQLite opens it for reading. */
    int rc = open_file(db, path, SQLITE_OPEN_READWRITE);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(*db, "PRAGMA user_version", -1, &version, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(version);
    if (rc == SQLITE_BUSY)
        error = output_explain(why, -EBUSY, "%s is still being written by another snakefish-trace", path);
    else if (rc != SQLITE_ROW)
        error = output_explain(why, -EIO, "cannot read %s: %s", path, *db ? sqlite3_errmsg(*db) : "no memory");
    else if (sqlite3_column_int(version, 0) != DATABASE_SCHEMA_VERSION)
        error = output_explain(why, -EINVAL, "%s is a trace of schema version %d, this program knows version %d", path,
                               sqlite3_column_int(version, 0), DATABASE_SCHEMA_VERSION);
    sqlite3_finalize(version);
    if (!error && writing) {
        sqlite3_busy_timeout(*db, 5000); /* a program may be reading it */
        error = execute(*db, settings, path, why);
        if (!error)
            error = execute(*db, "BEGIN EXCLUSIVE; COMMIT", path, why); /* takes the lock, which is kept from here on */
    }
    if (error) {
        sqlite3_close(*db);
        *db = NULL;
    }
    return error;
}

void database_discard(sqlite3 *db)
{
    const char *name = db ? sqlite3_db_filename(db, "main") : NULL;
    char *path = name ? strdup(name) : NULL, journal[PATH_MAX + 16];
    sqlite3_close(db);
    if (path) {
        snprintf(journal, sizeof journal, "%s-journal", path);
        unlink(journal);
        unlink(path);
        free(path);
    }
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
