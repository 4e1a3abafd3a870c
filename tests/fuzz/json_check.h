/* Is a text one JSON value, in valid UTF-8? Written apart from the tracer's own writer, so that one can judge the
 * other.
 */
#ifndef SF_TESTS_FUZZ_JSON_CHECK_H
#define SF_TESTS_FUZZ_JSON_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The bytes of the character at `s`, and its code; 0: it is not valid UTF-8. A NUL byte ends the text. */
static int utf8_next(const char *s, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)s[0];
    int bytes = first < 0x80 ? 1 : first >= 0xf0 && first < 0xf8 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
    if (!bytes || first >= 0xf8)
        return 0;
    *code = bytes == 1 ? first : first & (0x7fu >> bytes);
    for (int i = 1; i < bytes; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | ((unsigned char)s[i] & 0x3f);
    }
    return *code >= least[bytes] && *code <= 0x10ffff && (*code & ~0x7ffu) != 0xd800 ? bytes : 0;
}

static const char *json_skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Each of these returns where the value ends; NULL: it is none. */
static const char *json_skip_string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    while (*at != '"') {
        uint32_t code;
        int bytes = utf8_next(at, &code);
        if (!bytes || code < 0x20)
            return NULL;
        if (code != '\\') {
            at += bytes;
        } else if (at[1] == 'u') {
            if (strspn(at + 2, "0123456789abcdefABCDEF") < 4)
                return NULL;
            at += 6;
        } else {
            if (!at[1] || !strchr("\"\\/bfnrt", at[1]))
                return NULL;
            at += 2;
        }
    }
    return at + 1;
}

static const char *json_skip_number(const char *at)
{
    static const char digits[] = "0123456789";
    at += *at == '-';
    size_t whole = strspn(at, digits);
    if (!whole || (whole > 1 && *at == '0'))
        return NULL;
    at += whole;
    if (*at == '.') {
        size_t part = strspn(at + 1, digits);
        if (!part)
            return NULL;
        at += 1 + part;
    }
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '+' || at[1] == '-');
        size_t exponent = strspn(at, digits);
        if (!exponent)
            return NULL;
        at += exponent;
    }
    return at;
}

static const char *json_skip_value(const char *at, int depth)
{
    static const char *const words[] = {"true", "false", "null"};
    at = json_skip_blanks(at);
    if (*at == '"')
        return json_skip_string(at);
    if (*at != '{' && *at != '[') {
        for (size_t i = 0; i < 3; i++)
            if (strncmp(at, words[i], strlen(words[i])) == 0)
                return at + strlen(words[i]);
        return json_skip_number(at);
    }
    char end = *at == '{' ? '}' : ']';
    bool first = true;
    for (at = json_skip_blanks(at + 1); *at != end; at = json_skip_blanks(at), first = false) {
        if (depth == 0 || (!first && *at++ != ','))
            return NULL;
        if (end == '}') {
            at = json_skip_string(json_skip_blanks(at));
            at = at ? json_skip_blanks(at) : NULL;
            if (!at || *at++ != ':')
                return NULL;
        }
        at = json_skip_value(at, depth - 1);
        if (!at)
            return NULL;
    }
    return at + 1;
}

static bool json_is_valid(const char *text)
{
    const char *end = json_skip_value(text, 20);
    return end && !*json_skip_blanks(end);
}

#endif
