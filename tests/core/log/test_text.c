/* Names as a log can hold them. */
#include "harness.h"

#include "core/log/text.h"

static char long_text[20000], to[SF_TEXT_BYTES_MAX], other[SF_TEXT_BYTES_MAX];

TEST(an_ordinary_text_is_written_as_it_is)
{
    CHECK(sf_text_is_writable("a name", 6));
    CHECK(sf_text_is_writable("", 0));
    memset(long_text, 'x', sizeof long_text);
    CHECK(sf_text_is_writable(long_text, SF_TEXT_BYTES_MAX - 1));
    CHECK(!sf_text_is_writable(long_text, SF_TEXT_BYTES_MAX));
    CHECK(!sf_text_is_writable("a\0b", 3));
}

TEST(a_nul_becomes_visible_and_nothing_else_changes)
{
    CHECK_EQ(5, sf_text_make_writable(to, "a\0b", 3));
    CHECK(memcmp(to,
                 "a\xe2\x90\x80"
                 "b",
                 5) == 0);
    memset(long_text, 0, sizeof long_text);
    uint64_t bytes = sf_text_make_writable(to, long_text, 1500); /* three times as long when written */
    CHECK(bytes < SF_TEXT_BYTES_MAX && !memchr(to, '\0', bytes));
}

TEST(long_texts_are_cut_marked_and_kept_apart)
{
    memset(long_text, 'x', sizeof long_text);
    uint64_t bytes = sf_text_make_writable(to, long_text, sizeof long_text);
    CHECK(sf_text_is_writable(to, bytes));
    to[bytes] = '\0';
    CHECK(strstr(to, "(cut: 20000 bytes") != NULL);
    long_text[sizeof long_text - 1] = 'y';
    uint64_t other_bytes = sf_text_make_writable(other, long_text, sizeof long_text);
    CHECK(bytes != other_bytes || memcmp(to, other, bytes) != 0);
    CHECK_EQ(bytes, sf_text_make_writable(other, memset(long_text, 'x', sizeof long_text), sizeof long_text));
    CHECK(memcmp(to, other, bytes) == 0);
}

TEST(no_character_is_cut_in_two)
{
    for (int shift = 0; shift < 4; shift++) {
        for (size_t i = 0; i < sizeof long_text; i++)
            long_text[i] = "\xf0\x9f\x90\x8d"[(i + 4 - (size_t)shift) % 4];
        for (int i = 0; i < shift; i++)
            long_text[i] = 'x';
        uint64_t bytes = sf_text_make_writable(to, long_text, sizeof long_text - 4);
        to[bytes] = '\0';
        size_t text = (size_t)(strstr(to, "... (cut") - to);
        CHECK_EQ(0, (text - (size_t)shift) % 4);
    }
}

TEST_MAIN()
