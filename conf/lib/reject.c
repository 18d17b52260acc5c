/* Why the MTA refused a recipient: see reject.h.
 *
 * The operator's texts are asked first. Then three questions, the first answer counts: does a text of the table occur
 * in the reply, does the enhanced code tell the class, does a general word. The sender chooses what stands in the reply
 * before the last ">: ", so only the rest is read; and a code that can only mean the sender's address is believed before
 * a text that the sender's own server may have written. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "conf/lib/reject.h"

#include "conf/lib/words.h"

#include <stdbool.h>
#include <string.h>

enum {
    REPLY_MAX = 512, /* a reply line (RFC 5321 4.5.3.1.5); Postfix gives 510. A longer text is no MTA's reply. */
    CODE_SIZE = 12,  /* 4.XXX.XXX, with zeros behind it: codes are compared whole */
};

struct text {
    enum label_class class;
    size_t length;
    const char *text;
};

struct code_class {
    enum label_class class;
    char detail[CODE_SIZE - 2]; /* a code without its first digit */
};

/* An enhanced code; empty: none. */
struct code {
    char text[CODE_SIZE];
};

#define TEXT(class, literal) {class_##class, sizeof(literal) - 1, literal},
#define GENERAL(class, literal)
static const struct text texts[] = {
#include "conf/tables/reject_texts.def"
};
#undef TEXT
#undef GENERAL

#define TEXT(class, literal)
#define GENERAL(class, literal) {class_##class, sizeof(literal) - 1, literal},
static const struct text general_texts[] = {
#include "conf/tables/reject_texts.def"
};
#undef TEXT
#undef GENERAL

#define TEXT(class, literal)    _Static_assert(sizeof(literal) > WORDS_GROUP, "shorter than a group: " literal);
#define GENERAL(class, literal) TEXT(class, literal)
#include "conf/tables/reject_texts.def"
#undef TEXT
#undef GENERAL

#define CODE_FIRST(class, detail) {class_##class, detail},
#define CODE_CLASS(class, detail)
static const struct code_class first_codes[] = {
#include "conf/tables/reject_codes.def"
};
#undef CODE_FIRST
#undef CODE_CLASS

#define CODE_FIRST(class, detail)
#define CODE_CLASS(class, detail) {class_##class, detail},
static const struct code_class codes[] = {
#include "conf/tables/reject_codes.def"
};
#undef CODE_FIRST
#undef CODE_CLASS

#define C(id, text) text,
static const char code_values[code_COUNT][CODE_SIZE] = {
#include "conf/tables/codes.def"
};
#undef C

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One to three digits after a dot: their length with the dot, else 0. */
static size_t subcode_length(const char *p)
{
    size_t n = 1;

    if (p[0] != '.')
        return 0;
    while (n <= 3 && is_digit(p[n]))
        n++;
    return n > 1 ? n : 0;
}

/* The enhanced code at p, before a blank or the end. */
static struct code code_at(const char *p)
{
    struct code code = {""};
    size_t subject, detail;

    if (p[0] != '4' && p[0] != '5')
        return code;
    subject = subcode_length(p + 1);
    detail = subject > 0 ? subcode_length(p + 1 + subject) : 0;
    if (detail > 0 && (p[1 + subject + detail] == '\0' || p[1 + subject + detail] == ' '))
        memcpy(code.text, p, 1 + subject + detail);
    return code;
}

static bool smtp_code_at(const char *p)
{
    return (p[0] == '4' || p[0] == '5') && is_digit(p[1]) && is_digit(p[2]) &&
           (p[3] == '\0' || p[3] == ' ' || p[3] == '-');
}

/* The reply's kind and code: from the host if it is a code, else from the beginning of the text. */
static struct code find_code(const char *host, const char *addr, enum label_reply *reply)
{
    struct code code = code_at(host);
    const bool smtp = smtp_code_at(addr);

    if (code.text[0] == '\0')
        code = code_at(smtp && addr[3] != '\0' ? addr + 4 : addr);
    const char kind = code.text[0] != '\0' ? code.text[0] : smtp ? addr[0] : '5';
    *reply = kind == '4' ? reply_4xx : reply_5xx;
    return code;
}

static uint16_t code_value(const struct code *code)
{
    for (unsigned i = 0; i < code_other; i++)
        if (memcmp(code_values[i], code->text, CODE_SIZE) == 0)
            return (uint16_t)i;
    return code_other;
}

static enum label_class class_of_code(const struct code_class *rows, size_t count, const struct code *code)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(rows[i].detail, code->text + 2, CODE_SIZE - 2) == 0)
            return rows[i].class;
    return class_other;
}

/* What the sender did not choose begins behind the last "<ADDRESS>: " of Postfix or "<ADDRESS>... " of sendmail. */
static const char *words_start(const char *addr, size_t length)
{
    for (size_t i = length; i-- > 0;) {
        const char *p = addr + i;
        if (p[0] == '>' && p[1] == ':' && p[2] == ' ')
            return p + 3;
        if (p[0] == '>' && p[1] == '.' && strncmp(p + 1, "... ", 4) == 0)
            return p + 5;
    }
    return addr;
}

/* Of a text that is too long nothing counts. */
static void read_words(struct words *words, const char *addr)
{
    const size_t length = strnlen(addr, REPLY_MAX + 1);
    const char *start = length <= REPLY_MAX ? words_start(addr, length) : addr;

    words_read(words, start, length <= REPLY_MAX ? (size_t)(addr + length - start) : 0);
}

static enum label_class class_of_text(const struct text *rows, size_t count, const struct words *words)
{
    for (size_t i = 0; i < count; i++)
        if (words_have(words, rows[i].text, rows[i].length))
            return rows[i].class;
    return class_other;
}

static enum label_class class_of_own(const struct reject_texts *own, const struct words *words)
{
    for (uint32_t i = 0; i < own->count; i++)
        if (memmem(words->text, words->length, own->list[i].text, strlen(own->list[i].text)) != NULL)
            return (enum label_class)own->list[i].class;
    return class_COUNT;
}

struct reject reject_classify(const struct reject_texts *own, const char *host, const char *addr)
{
    struct reject reject;
    struct words words;
    bool read = own->count > 0;

    host = host != NULL ? host : "";
    addr = addr != NULL ? addr : "";
    const struct code code = find_code(host, addr, &reject.reply);
    reject.code = code_value(&code);
    if (read)
        read_words(&words, addr);
    reject.class = read ? class_of_own(own, &words) : class_COUNT;
    if (reject.class != class_COUNT)
        return reject;
    reject.class = class_of_code(first_codes, COUNT(first_codes), &code);
    if (reject.class != class_other)
        return reject;
    if (!read)
        read_words(&words, addr);
    reject.class = class_of_text(texts, COUNT(texts), &words);
    if (reject.class == class_other)
        reject.class = class_of_code(codes, COUNT(codes), &code);
    if (reject.class == class_other)
        reject.class = class_of_text(general_texts, COUNT(general_texts), &words);
    return reject;
}
