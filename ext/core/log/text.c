/* See text.h. */
#include "core/log/text.h"

#include <stdio.h>
#include <string.h>

bool sf_text_is_writable(const char *text, uint64_t bytes)
{
    return bytes < SF_TEXT_BYTES_MAX && !memchr(text, '\0', bytes);
}

/* The end of a text of `bytes` bytes that was cut: so that two with the same beginning stay two, it names the size and
 * a hash (FNV-1a, by Fowler, Noll and Vo) of the whole. Returns its length. */
static size_t put_cut(char *to, size_t size, const char *text, uint64_t bytes)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (uint64_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
    return (size_t)snprintf(to, size, "... (cut: %llu bytes, %016llx)", (unsigned long long)bytes,
                            (unsigned long long)hash);
}

uint64_t sf_text_make_writable(char to[SF_TEXT_BYTES_MAX], const char *text, uint64_t bytes)
{
    static const char visible_nul[] = "\xe2\x90\x80"; /* U+2400 */
    char cut[80];
    size_t cut_bytes = 0, n = 0;
    uint64_t i = 0;
    for (; i < bytes && n + sizeof cut + 4 < SF_TEXT_BYTES_MAX; i++) {
        if (text[i]) {
            to[n++] = text[i];
        } else {
            memcpy(to + n, visible_nul, 3);
            n += 3;
        }
    }
    if (i < bytes) {
        while (n && ((unsigned char)to[n - 1] & 0xc0) == 0x80) /* not in the middle of a character */
            n--;
        n -= n && (unsigned char)to[n - 1] >= 0xc0;
        cut_bytes = put_cut(cut, sizeof cut, text, bytes);
        memcpy(to + n, cut, cut_bytes);
    }
    return n + cut_bytes;
}
