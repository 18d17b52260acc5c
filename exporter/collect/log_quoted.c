/* Finds marks outside of quotes: see log_quoted.h. */
#include "exporter/collect/log_quoted.h"

static bool opens(char c)
{
    return c == '"' || c == '<' || c == '(';
}

/* Where a group that begins at `i` ends; the length where it does not. In brackets there may be strings, in these any byte behind a
 * backslash. */
static size_t end_of_group(struct span text, size_t i)
{
    const char close = text.at[i] == '"' ? '"' : text.at[i] == '<' ? '>' : ')';
    for (i++; i < text.length && text.at[i] != close; i++) {
        if (text.at[i] == '\\')
            i++;
        else if (text.at[i] == '"') /* no deeper than this: in a string that is its end */
            i = end_of_group(text, i);
    }
    return i < text.length ? i : text.length;
}

size_t quoted_find(struct span text, struct span mark)
{
    for (size_t i = 0; i < text.length; i++) {
        if (span_begins(span_behind(text, i), mark))
            return i;
        if (!opens(text.at[i]))
            continue;
        i = end_of_group(text, i);
        if (i == text.length) {
            ptrdiff_t at = span_find(text, mark);
            return at >= 0 ? (size_t)at : text.length;
        }
    }
    return text.length;
}

struct span quoted_before(struct span *text, struct span mark)
{
    struct span before = {text->at, quoted_find(*text, mark)};
    *text = span_behind(*text, before.length);
    span_take(text, mark);
    return before;
}
