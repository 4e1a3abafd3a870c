/* The opcodes of pickles that plain objects need; Lib/pickletools.py of Python describes all of them. */
#ifndef SF_PY_MESSAGE_PLAIN_FORMAT_H
#define SF_PY_MESSAGE_PLAIN_FORMAT_H

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

#endif
