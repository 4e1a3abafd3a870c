/* See text.h. A name may have been cut in the middle of a character, and a log may hold anything, but programs that
 * read the database may refuse text that is no valid UTF-8. */
#include "base/text.h"

#include <string.h>

/* Reads the character at s. How many bytes it has (1 to 4); 0: it is no UTF-8; -1: it is cut short. */
static int read_character(const unsigned char *s, size_t left, uint32_t *code)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    int n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    *code = s[0];
    if (n <= 1)
        return n;
    *code = s[0] & (0x7fu >> n);
    for (int i = 1; i < n; i++) {
        if ((size_t)i >= left)
            return -1;
        if (s[i] >> 6 != 2)
            return 0;
        *code = *code << 6 | (s[i] & 0x3fu);
    }
    bool valid = *code >= least[n] && *code <= 0x10ffff && (*code < 0xd800 || *code > 0xdfff);
    return valid ? n : 0;
}

int text_next(const char *text, uint32_t *code)
{
    int n = read_character((const unsigned char *)text, strlen(text) < 4 ? strlen(text) : 4, code);
    if (n > 0)
        return n;
    *code = TEXT_INVALID;
    return 1;
}

bool text_is_visible(uint32_t code)
{
    /* the controls of ASCII and Latin-1; zero-width characters and marks of direction; line and paragraph separator;
     * embeddings, overrides and isolates of direction; shorthand and annotation controls; tags */
    static const struct {
        uint32_t first, last;
    } invisible[] = {{0, 0x1f},          {0x7f, 0x9f},
                     {0xad, 0xad},       {0x600, 0x605},
                     {0x61c, 0x61c},     {0x6dd, 0x6dd},
                     {0x70f, 0x70f},     {0x890, 0x891},
                     {0x8e2, 0x8e2},     {0x180e, 0x180e},
                     {0x200b, 0x200f},   {0x2028, 0x202e},
                     {0x2060, 0x206f},   {0xfeff, 0xfeff},
                     {0xfff9, 0xfffb},   {0x110bd, 0x110bd},
                     {0x110cd, 0x110cd}, {0x13430, 0x1343f},
                     {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
                     {0xe0000, 0xe007f}, {TEXT_INVALID, TEXT_INVALID}};
    for (size_t i = 0; i < sizeof invisible / sizeof *invisible; i++)
        if (code >= invisible[i].first && code <= invisible[i].last)
            return false;
    return true;
}

size_t text_clean(char *to, size_t size, const char *from, size_t length)
{
    const unsigned char *s = (const unsigned char *)from;
    size_t at = 0, i = 0;
    while (i < length && s[i]) {
        uint32_t code;
        int n = read_character(s + i, length - i, &code);
        if (n < 0 || at + (size_t)(n ? n : 1) >= size)
            break;
        if (n == 0) {
            to[at++] = '?';
            i++;
        }
        for (; n > 0; n--)
            to[at++] = (char)s[i++];
    }
    to[at] = '\0';
    return at;
}
