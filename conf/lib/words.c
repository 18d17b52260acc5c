/* Many literal texts against one: see words.h. */
#include "conf/lib/words.h"

void words_read(struct words *words, const char *text, size_t length)
{
    size_t n = 0;
    memset(words->groups, 0, sizeof words->groups);
    words->text[n++] = ' ';
    for (size_t i = 0; i < length && i < WORDS_MAX; i++)
        words->text[n++] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + ('a' - 'A')) : text[i];
    words->text[n++] = ' ';
    for (size_t i = 0; i + WORDS_GROUP <= n; i++)
        words->groups[words_group(words->text + i)] = 1;
    words->length = n;
}
