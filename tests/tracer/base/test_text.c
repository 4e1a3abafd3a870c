/* Bytes from outside become text. */
#include "harness.h"

#include "base/text.h"
#include "collect/texts.h"

static const char *clean(const char *from, size_t length, size_t size)
{
    static char to[64];
    size_t n = text_clean(to, size, from, length);
    CHECK_EQ(strlen(to), n);
    return to;
}

TEST(utf_8_stays_as_it_is)
{
    CHECK(strcmp(clean("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8d x", 12, 64), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8d x") ==
          0);
}

TEST(what_is_no_utf_8_becomes_question_marks)
{
    CHECK(strcmp(clean("a\xff\x80z", 4, 64), "a??z") == 0);
    CHECK(strcmp(clean("\xc0\xafz", 3, 64), "??z") == 0);         /* too long for its code */
    CHECK(strcmp(clean("\xed\xa0\x80z", 4, 64), "???z") == 0);    /* half of a surrogate pair */
    CHECK(strcmp(clean("\xf4\x90\x80\x80", 4, 64), "????") == 0); /* beyond the last character */
}

TEST(a_character_cut_in_two_is_left_out)
{
    CHECK(strcmp(clean("ab\xe2\x82", 4, 64), "ab") == 0);
    CHECK(strcmp(clean("ab\xe2\x82\xac", 5, 5), "ab") == 0);
}

TEST(a_nul_ends_it)
{
    CHECK(strcmp(clean("ab\0cd", 5, 64), "ab") == 0);
}

TEST(characters_are_read_one_by_one)
{
    uint32_t code;
    CHECK_EQ(1, text_next("a", &code));
    CHECK_EQ('a', code);
    CHECK_EQ(3, text_next("\xe2\x82\xac", &code));
    CHECK_EQ(0x20ac, code);
    CHECK_EQ(4, text_next("\xf0\x9f\x90\x8d", &code));
    CHECK_EQ(0x1f40d, code);
    CHECK_EQ(1, text_next("\xe2\x82", &code)); /* cut short */
    CHECK_EQ(TEXT_INVALID, code);
    CHECK_EQ(1, text_next("\xff", &code));
    CHECK_EQ(TEXT_INVALID, code);
}

TEST(a_terminal_gets_no_control_and_no_mark_of_direction)
{
    static const uint32_t hidden[] = {0,      7,      0x1b,   0x7f,   0x80,    0x9b,        0x9f,
                                      0x200b, 0x202e, 0x2066, 0xfeff, 0xe0041, TEXT_INVALID};
    static const uint32_t shown[] = {' ', '~', 0xa0, 0xe9, 0x5d0, 0x20ac, 0x1f40d};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        CHECK(!text_is_visible(hidden[i]));
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        CHECK(text_is_visible(shown[i]));
}

static const char *add(struct texts *t, uint32_t number, const char *sixteen)
{
    uint64_t ab[2] = {0};
    memcpy(ab, sixteen, strnlen(sixteen, 16));
    return texts_add(t, number, ab[0], ab[1]);
}

TEST(texts_are_put_together_also_two_at_once)
{
    struct texts *t = texts_new();
    CHECK(!add(t, 1, "0123456789abcdef"));
    CHECK(!add(t, 2, "ABCDEFGHIJKLMNOP"));
    const char *first = add(t, 1, "xyz");
    CHECK(first && strcmp(first, "0123456789abcdefxyz") == 0);
    const char *second = add(t, 2, "");
    CHECK(second && strcmp(second, "ABCDEFGHIJKLMNOP") == 0);
    texts_free(t);
}

TEST(a_text_without_end_is_cut_and_others_still_work)
{
    struct texts *t = texts_new();
    for (int i = 0; i < 100000; i++)
        CHECK(!add(t, 1, "0123456789abcdef"));
    const char *text = add(t, 1, "end");
    CHECK(text && strlen(text) <= 4096 && strncmp(text, "0123456789abcdef01", 18) == 0);
    for (uint32_t i = 2; i < 100; i++)
        CHECK(!add(t, i, "0123456789abcdef"));
    CHECK(strcmp(add(t, 200, "short"), "short") == 0);
    texts_free(t);
}

TEST_MAIN()
