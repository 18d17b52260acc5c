/* What the text of a failed delivery tells: the class of the failure, and the enhanced status code. */
#include "conf/lib/words.h"
#include "exporter/collect/delivery.h"

struct text {
    enum label_problem class;
    size_t length;
    const char *text;
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define TEXT(class, literal) {problem_##class, sizeof(literal) - 1, literal},
#define CODE(class, detail)
#define GENERAL(class, literal)
static const struct text texts[] = {
#include "conf/tables/delivery_texts.def"
};
#undef TEXT
#undef CODE
#undef GENERAL

#define TEXT(class, literal)
#define CODE(class, detail) {problem_##class, sizeof(detail) - 1, detail},
#define GENERAL(class, literal)
static const struct text codes[] = {
#include "conf/tables/delivery_texts.def"
};
#undef TEXT
#undef CODE
#undef GENERAL

#define TEXT(class, literal)
#define CODE(class, detail)
#define GENERAL(class, literal) {problem_##class, sizeof(literal) - 1, literal},
static const struct text general_texts[] = {
#include "conf/tables/delivery_texts.def"
};
#undef TEXT
#undef CODE
#undef GENERAL

#define TEXT(class, literal) _Static_assert(sizeof(literal) > WORDS_GROUP, "shorter than a group: " literal);
#define CODE(class, detail)
#define GENERAL(class, literal) TEXT(class, literal)
#include "conf/tables/delivery_texts.def"
#undef TEXT
#undef CODE
#undef GENERAL

/* ---- enhanced status codes ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A point and one to three digits: how long they are, else 0. */
static size_t part_length(struct span text, size_t at)
{
    size_t length = 1;
    if (at >= text.length || text.at[at] != '.')
        return 0;
    while (length <= 3 && at + length < text.length && is_digit(text.at[at + length]))
        length++;
    return length > 1 ? length : 0;
}

/* The length of the code that begins at `at`, else 0: no part of an address, a version, a longer number. */
static size_t code_length(struct span text, size_t at)
{
    char before = at > 0 ? text.at[at - 1] : ' ';
    if (is_digit(before) || before == '.' || (before >= 'a' && before <= 'z') || (before >= 'A' && before <= 'Z'))
        return 0;
    size_t subject = part_length(text, at + 1);
    size_t detail = subject > 0 ? part_length(text, at + 1 + subject) : 0;
    size_t end = at + 1 + subject + detail;
    if (detail == 0 || (end < text.length && is_digit(text.at[end])) || part_length(text, end) > 0)
        return 0;
    return end - at;
}

/* The first code in a text; empty: none. */
static struct span find_code(struct span text)
{
    for (size_t i = 0; i + 5 <= text.length; i++) {
        if (text.at[i + 1] != '.' || (text.at[i] != '2' && text.at[i] != '4' && text.at[i] != '5'))
            continue;
        size_t length = code_length(text, i);
        if (length > 0)
            return (struct span){text.at + i, length};
    }
    return (struct span){text.at, 0};
}

enum label_delivery_code delivery_code(struct span text)
{
    const char *const *values = catalogue[metric_delivery_codes_total].labels[0]->values;
    struct span code = find_code(text);
    if (code.length == 0)
        return delivery_code_other;
    for (unsigned i = *code.at == '2' ? 0 : delivery_code_c4_0_0; i < delivery_code_other; i++) {
        if (values[i][0] == *code.at && strncmp(values[i], code.at, code.length) == 0 && values[i][code.length] == '\0')
            return i;
    }
    return delivery_code_other;
}

/* ---- classes ---- */

/* What a server said, without its name, which could be anything: "host NAME said: ...", "host NAME refused to talk to me: ...". */
static struct span words_of(struct span text)
{
    static const struct span marks[] = {SPAN_TEXT(" said: "), SPAN_TEXT(" refused to talk to me: ")};
    span_take(&text, SPAN("delivery temporarily suspended: "));
    for (size_t i = 0; i < COUNT(marks) && span_begins(text, SPAN("host ")); i++) {
        ptrdiff_t at = span_find(text, marks[i]);
        if (at >= 0)
            return span_behind(text, (size_t)at + marks[i].length);
    }
    return text;
}

static enum label_problem class_of_text(const struct text *rows, size_t count, const struct words *words)
{
    for (size_t i = 0; i < count; i++) {
        if (words_have(words, rows[i].text, rows[i].length))
            return rows[i].class;
    }
    return problem_other;
}

static enum label_problem class_of_code(struct span code)
{
    for (size_t i = 0; i < COUNT(codes) && code.length > 2; i++) {
        if (span_is(span_behind(code, 2), (struct span){codes[i].text, codes[i].length}))
            return codes[i].class;
    }
    return problem_other;
}

enum label_problem delivery_problem(struct span text)
{
    struct words words;
    struct span said = words_of(text);
    words_read(&words, said.at, said.length);
    enum label_problem class = class_of_text(texts, COUNT(texts), &words);
    if (class == problem_other)
        class = class_of_code(find_code(said));
    return class != problem_other ? class : class_of_text(general_texts, COUNT(general_texts), &words);
}
