/* milter/filter/spam.c: what spam headers say, and which of several of one name is believed. */
#include "milter/filter/spam.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LONG_255                                                                                                       \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901" \
    "2345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123" \
    "456789012345678901234567890123"

static const struct {
    const char *headers[6][2];
    enum label_spam verdict;
} rows[] = {
    {{{NULL}}, spam_unscanned},
    {{{"Subject", "Yes"}}, spam_unscanned},
    {{{"X-Spam-Flag", "YES"}}, spam_spam},
    {{{"X-Spam-Flag", "NO"}}, spam_clean},
    {{{"x-SPAM-flag", "yes"}}, spam_spam},
    {{{"X-Spam-Status", "Yes, score=7.1 required=5.0 tests=A,B"}}, spam_spam},
    {{{"X-Spam-Status", "No, score=-1.9"}}, spam_clean},
    {{{"X-Spam-Status", "yEs"}}, spam_spam},
    /* white space before, and folded */
    {{{"X-Spam-Status", "  \t Yes, score=7"}}, spam_spam},
    {{{"X-Spam-Status", "\n\tNo,\n\tscore=7"}}, spam_clean},
    {{{"X-Spam-Status", "\v\f\r\nYes"}}, spam_spam},
    /* the word and no other */
    {{{"X-Spam-Status", "Yesterday"}}, spam_unscanned},
    {{{"X-Spam-Status", "Nobody"}}, spam_unscanned},
    {{{"X-Spam-Status", "Yes1"}}, spam_unscanned},
    {{{"X-Spam-Status", "Yes\xc3\xa4"}}, spam_spam},
    {{{"X-Spam-Status", "Yes;"}}, spam_spam},
    {{{"X-Spam-Status", "\"Yes\""}}, spam_unscanned},
    {{{"X-Spam-Status", "\xa0Yes"}}, spam_unscanned},
    {{{"X-Spam-Status", "Y"}}, spam_unscanned},
    {{{"X-Spam-Status", ""}}, spam_unscanned},
    {{{"X-Spam-Status", " "}}, spam_unscanned},
    {{{"X-Spam-Status", "score=9 Yes"}}, spam_unscanned},
    {{{"X-Spam-Status", "\xff\xfe"}}, spam_unscanned},
    /* names that only look like it */
    {{{"X-Spam-Statu", "Yes"}}, spam_unscanned},
    {{{"X-Spam-Status-", "Yes"}}, spam_unscanned},
    {{{" X-Spam-Status", "Yes"}}, spam_unscanned},
    {{{"X-Spam-Status ", "Yes"}}, spam_unscanned},
    {{{"", "Yes"}}, spam_unscanned},
    {{{LONG_255, "Yes"}}, spam_unscanned},
    {{{"X-Sp\xc4\x80m-Flag", "Yes"}}, spam_unscanned},
    /* several of one name: the scanner's is the last, the sender's stand above */
    {{{"X-Spam-Status", "No, forged"}, {"Subject", "x"}, {"X-Spam-Status", "Yes, score=9"}}, spam_spam},
    {{{"X-Spam-Status", "Yes, forged"}, {"X-Spam-Status", "No, score=1"}}, spam_clean},
    {{{"X-Spam-Status", "Yes"}, {"X-Spam-Status", "No"}, {"x-spam-status", "Yes"}}, spam_spam},
    {{{"X-Spam-Status", "Yes, forged"}, {"X-Spam-Status", "garbage"}}, spam_unscanned},
    {{{"X-Spam-Flag", "NO"}, {"X-Spam-Flag", ""}}, spam_unscanned},
    /* of different names spam goes before clean, and clean before nothing */
    {{{"X-Spam-Flag", "NO"}, {"X-Spam-Status", "Yes"}}, spam_spam},
    {{{"X-Spam-Flag", "YES"}, {"X-Spam-Status", "No"}}, spam_spam},
    {{{"X-Spam-Flag", "?"}, {"X-Spam-Status", "No"}}, spam_clean},
    {{{"X-Spam-Flag", "NO"}, {"X-Spam-Status", "?"}}, spam_clean},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct spam_state spam;
        memset(&spam, 0xff, sizeof spam);
        spam_reset(&spam);
        for (size_t j = 0; j < 6 && rows[i].headers[j][0] != NULL; j++)
            spam_header(&spam, rows[i].headers[j][0], rows[i].headers[j][1]);
        if (spam_verdict(&spam) != rows[i].verdict)
            fail_msg("row %zu, \"%s: %s\": %d", i, rows[i].headers[0][0], rows[i].headers[0][1],
                     (int)spam_verdict(&spam));
    }
}

/* Only the first SPAM_VALUE_MAX bytes are looked at, however much there is; no byte beyond the value. */
static void test_long_values(void **state)
{
    enum { LONG = 1 << 20 };
    (void)state;
    for (size_t space = SPAM_VALUE_MAX - 6; space < SPAM_VALUE_MAX + 6; space++) {
        struct spam_state spam;
        char *value = malloc(space + 4);
        memset(value, ' ', space);
        memcpy(value + space, "Yes", 4);
        spam_reset(&spam);
        spam_header(&spam, "X-Spam-Flag", value);
        assert_int_equal(spam_verdict(&spam), space + 3 < SPAM_VALUE_MAX ? spam_spam : spam_unscanned);
        free(value);
    }
    static const char *const words[] = {"Yes,", "No ", "    ", "yyyy"};
    static const enum label_spam verdicts[] = {spam_spam, spam_clean, spam_unscanned, spam_unscanned};
    for (size_t i = 0; i < 4; i++) {
        struct spam_state spam;
        char *value = malloc(LONG);
        memset(value, words[i][3] == ' ' ? ' ' : 'y', LONG);
        memcpy(value, words[i], strlen(words[i]));
        value[LONG - 1] = '\0';
        spam_reset(&spam);
        spam_header(&spam, "X-Spam-Status", value);
        assert_int_equal(spam_verdict(&spam), verdicts[i]);
        free(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_long_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
