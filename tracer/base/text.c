/* See text.h. A name may have been cut in the middle of a character, and a log may hold anything, but programs that
 * read the database may refuse text that is no valid UTF-8. */
#include "base/text.h"

#include <stdbool.h>

/* How many bytes the character at s has (1 to 4); 0: it is no UTF-8; -1: it is cut short. */
static int character(const unsigned char *s, size_t left)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    int n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    if (n <= 1)
        return n;
    unsigned code = s[0] & (0x7fu >> n);
    for (int i = 1; i < n; i++) {
        if ((size_t)i >= left)
            return -1;
        if (s[i] >> 6 != 2)
            return 0;
        code = code << 6 | (s[i] & 0x3fu);
    }
    bool valid = code >= least[n] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return valid ? n : 0;
}

size_t text_clean(char *to, size_t size, const char *from, size_t length)
{
    const unsigned char *s = (const unsigned char *)from;
    size_t at = 0, i = 0;
    while (i < length && s[i]) {
        int n = character(s + i, length - i);
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
