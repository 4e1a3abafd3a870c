/* The opcodes of pickles that plain objects need; Lib/pickletools.py of Python describes all of them. */
#ifndef SF_PY_MESSAGE_PLAIN_FORMAT_H
#define SF_PY_MESSAGE_PLAIN_FORMAT_H

#include <stdint.h>
#include <string.h>

/* Pickles have the lowest byte first. */
#if !defined(PYPY_VERSION) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SF_HAS_PLAIN
#endif

enum opcode {
    MARK = '(',
    STOP = '.',
    BININT = 'J',     /* int32 */
    BININT1 = 'K',    /* uint8 */
    BININT2 = 'M',    /* uint16 */
    NONE = 'N',       /* no argument, as those without a comment */
    BINUNICODE = 'X', /* uint32 length, the characters */
    EMPTY_LIST = ']',
    APPEND = 'a',
    APPENDS = 'e',
    BINGET = 'h',      /* uint8 number in the memo */
    LONG_BINGET = 'j', /* uint32 number in the memo */
    SETITEM = 's',
    TUPLE = 't',
    EMPTY_TUPLE = ')',
    SETITEMS = 'u',
    EMPTY_DICT = '}',
    BINFLOAT = 'G', /* a double, the highest byte first */
    PROTO = 0x80,   /* uint8 version */
    TUPLE1 = 0x85,
    TUPLE2 = 0x86,
    TUPLE3 = 0x87,
    NEWTRUE = 0x88,
    NEWFALSE = 0x89,
    LONG1 = 0x8a,            /* uint8 length, so many bytes of an int */
    SHORT_BINUNICODE = 0x8c, /* uint8 length, the characters */
    MEMOIZE = 0x94,
    FRAME = 0x95 /* uint64 bytes of opcodes that follow */
};

/* As memcpy: most strs are so short that a call takes longer than the copy. */
static inline void copy_letters(char *to, const char *from, size_t length)
{
    if (length > 16) {
        memcpy(to, from, length);
    } else if (length >= 8) { /* twice 8 bytes, which may overlap */
        uint64_t first, last;
        memcpy(&first, from, 8);
        memcpy(&last, from + length - 8, 8);
        memcpy(to, &first, 8);
        memcpy(to + length - 8, &last, 8);
    } else if (length >= 4) {
        uint32_t first, last;
        memcpy(&first, from, 4);
        memcpy(&last, from + length - 4, 4);
        memcpy(to, &first, 4);
        memcpy(to + length - 4, &last, 4);
    } else {
        for (size_t i = 0; i < length; i++)
            to[i] = from[i];
    }
}

#endif
