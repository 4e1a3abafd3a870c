/* Rows inserted by one statement: how arguments are stored, and the first error. */
#include "harness.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>

#include "store/inserts.h"
#include "store/rows.h"

static sqlite3 *db;

static void make_table(void)
{
    CHECK_EQ(SQLITE_OK, sqlite3_open(":memory:", &db));
    CHECK_EQ(SQLITE_OK, sqlite3_exec(db, "CREATE TABLE t(i INTEGER NOT NULL UNIQUE, o, r, s)", NULL, NULL, NULL));
}

TEST(arguments_are_stored_by_their_types)
{
    struct inserts inserts;
    make_table();
    inserts_open(&inserts, db, "INSERT INTO t VALUES(?, ?, ?, ?)");
    inserts_row(&inserts, "iors", INT64_C(0), INT64_C(0), 0.0, "text");
    inserts_row(&inserts, "iors", INT64_MIN, INT64_C(7), INFINITY, NULL);
    inserts_row(&inserts, "iors", INT64_MAX, INT64_C(7), NAN, "");
    CHECK_EQ(0, inserts_close(&inserts));
    CHECK_EQ(1, rows_number(db, "SELECT count(*) FROM t WHERE i = 0 AND o IS NULL AND r = 0 AND s = 'text'"));
    CHECK_EQ(2, rows_number(db, "SELECT count(*) FROM t WHERE abs(i / 2) > 1e18 AND o = 7 AND r IS NULL"));
    CHECK_EQ(1, rows_number(db, "SELECT count(*) FROM t WHERE s IS NULL"));
    sqlite3_close(db);
}

TEST(after_the_first_error_no_row_is_inserted)
{
    struct inserts inserts;
    make_table();
    inserts_open(&inserts, db, "INSERT INTO t(i) VALUES(?)");
    inserts_row(&inserts, "i", INT64_C(1));
    inserts_row(&inserts, "i", INT64_C(1));
    inserts_row(&inserts, "i", INT64_C(2));
    CHECK_EQ(-EIO, inserts.error);
    CHECK_EQ(-EIO, inserts_close(&inserts));
    CHECK_EQ(1, rows_number(db, "SELECT count(*) FROM t"));
    inserts_open(&inserts, db, "INSERT INTO nothing VALUES(?)");
    inserts_row(&inserts, "i", INT64_C(1));
    CHECK_EQ(-EIO, inserts_close(&inserts));
    sqlite3_close(db);
}

TEST_MAIN()
