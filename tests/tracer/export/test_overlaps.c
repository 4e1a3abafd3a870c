/* Which spans do not nest, compared with a look at all pairs of random ones. */
#include "harness.h"

#include <sqlite3.h>
#include <stdbool.h>

#include "export/overlaps.h"
#include "tracer/analyze/random_numbers.h"

enum { MOST = 40 };

struct span {
    int row, first, last; /* last 0: it never ended */
    bool of_user, moved;
};

static sqlite3 *db;

static void run(const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        FAIL("%s: %s", sql, sqlite3_errmsg(db));
}

static void begin(void)
{
    CHECK_EQ(SQLITE_OK, sqlite3_open(":memory:", &db));
    run("CREATE TABLE drawn_span(first INTEGER PRIMARY KEY, last, process, tid, of_user, moved);"
        "CREATE TABLE overlapping(event INTEGER PRIMARY KEY);"
        "CREATE VIEW span_end AS SELECT process, tid, first AS place, first, of_user, moved FROM drawn_span"
        " UNION ALL SELECT process, tid, last, first, of_user, moved FROM drawn_span WHERE last IS NOT NULL"
        " ORDER BY process, tid, place");
}

static void put(const struct span *s)
{
    char sql[200];
    snprintf(sql, sizeof sql, "INSERT INTO drawn_span VALUES(%d, nullif(%d, 0), 1, %d, %d, %d)", s->first, s->last,
             s->row, s->of_user, s->moved);
    run(sql);
}

static bool found(int first)
{
    char sql[100];
    sqlite3_stmt *s;
    snprintf(sql, sizeof sql, "SELECT 1 FROM overlapping WHERE event = %d", first);
    CHECK_EQ(SQLITE_OK, sqlite3_prepare_v2(db, sql, -1, &s, NULL));
    bool is = sqlite3_step(s) == SQLITE_ROW;
    sqlite3_finalize(s);
    return is;
}

static bool overlap(const struct span *a, const struct span *b)
{
    if (a->row != b->row || a->moved || b->moved)
        return false;
    if (a->first > b->first)
        return overlap(b, a);
    return a->last && a->last > b->first && (!b->last || b->last > a->last);
}

/* Each user's span is found if and only if it overlaps another one or has moved; and what is left nests. */
static void check(const struct span *spans, int count)
{
    CHECK_EQ(0, overlaps_find(db));
    for (int i = 0; i < count; i++) {
        bool wanted = spans[i].moved, is = found(spans[i].first), with_call = false;
        for (int j = 0; j < count; j++) {
            bool both = j != i && overlap(&spans[i], &spans[j]);
            wanted |= both;
            with_call |= both && !spans[j].of_user;
            CHECK(!both || is || found(spans[j].first));
        }
        if (spans[i].of_user)
            CHECK_EQ(wanted, is);
        else
            CHECK(!is || with_call || spans[i].moved); /* not because of a user's span */
    }
}

TEST(random_spans)
{
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct span spans[MOST], *open[MOST];
        struct random_numbers r = {seed};
        int count = 0, opened = 0;
        begin();
        for (int place = 1; place < 90; place++) {
            if (opened && (count == MOST || random_below(&r, 2))) {
                int which = random_below(&r, 3) ? opened - 1 : random_below(&r, opened);
                open[which]->last = place;
                open[which] = open[--opened];
            } else if (count < MOST) {
                spans[count] =
                    (struct span){.row = random_below(&r, 5) == 0, .first = place, .of_user = random_below(&r, 3) != 0};
                spans[count].moved = spans[count].of_user && random_below(&r, 10) == 0;
                open[opened++] = &spans[count++];
            }
        }
        for (int i = 0; i < count; i++)
            put(&spans[i]);
        check(spans, count);
        sqlite3_close(db);
    }
}

TEST(nested_spans_are_left_as_they_are)
{
    begin();
    for (int i = 1; i <= 1000; i++)
        put(&(struct span){.first = i, .last = i > 30 ? 3000 - i : 0, .of_user = i % 2});
    CHECK_EQ(0, overlaps_find(db));
    for (int i = 1; i <= 1000; i++)
        CHECK(!found(i));
}

TEST(many_that_overlap_one_after_the_other_take_little_time)
{
    begin();
    run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)"
        " INSERT INTO drawn_span SELECT 2 * i, 2 * i + 5, 1, 0, 1, 0 FROM n");
    CHECK_EQ(0, overlaps_find(db));
    CHECK(found(2) && found(300000) && found(600000));
}

TEST_MAIN()
