/* exporter/serve/top_query.c and what is answered where no list can be: each parameter, right and wrong. */
#include "exporter/serve/top_query.h"

#include "exporter/serve/top_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 8 };

/* "name=value&name", without decoding. */
static size_t split(char *text, struct parameter *parameters)
{
    size_t count = 0;
    for (char *part = strsep(&text, "&"); part != NULL && count < MOST; part = strsep(&text, "&")) {
        char *value = strchr(part, '=');
        if (value != NULL)
            *value++ = '\0';
        if (*part != '\0')
            parameters[count++] = (struct parameter){part, value};
    }
    return count;
}

static const struct {
    const char *text;
    struct top_query query;
} right[] = {
    {"set=client", {top_client, top_by_messages, 1, 100}},
    {"set=unknown_recipient", {top_unknown_recipient, top_by_refused, 1, 100}},
    {"set=deferred_domain", {top_deferred_domain, top_by_recipients, 1, 100}},
    {"by=spam&limit=1000&hours=24&set=helo", {top_helo, top_by_spam, 24, 1000}},
    {"set=user&by=messages&limit=1&hours=001", {top_user, top_by_messages, 1, 1}},
};

#define SETS                                                                                                           \
    "set is one of client, sender_domain, recipient_domain, user, unknown_recipient, helo, deferred_domain, "          \
    "refusing_provider"

static const struct {
    const char *text, *wrong;
} wrong_rows[] = {
    {"", SETS},
    {"hours=1", SETS},
    {"set", SETS},
    {"set=clients", SETS},
    {"set=client&set=helo", "set is there twice"},
    {"set=client&instance=mx1", "there is no such parameter; they are set, hours, by and limit"},
    {"set=client&by=", "by is one of messages, recipients, refused, spam"},
    {"set=client&by=Messages", "by is one of messages, recipients, refused, spam"},
    {"set=client&hours=0", "hours is a whole number from 1 to 24"},
    {"set=client&hours=25", "hours is a whole number from 1 to 24"},
    {"set=client&hours=", "hours is a whole number from 1 to 24"},
    {"set=client&hours=1.5", "hours is a whole number from 1 to 24"},
    {"set=client&hours=-1", "hours is a whole number from 1 to 24"},
    {"set=client&hours=4294967297", "hours is a whole number from 1 to 24"},
    {"set=client&limit=1001", "limit is a whole number from 1 to 1000"},
    {"set=client&limit=+1", "limit is a whole number from 1 to 1000"},
};

static void test_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct parameter parameters[MOST];
        struct top_query query;
        char wrong[TOP_WRONG_MAX] = "", *copy = strdup(right[i].text);
        if (!top_query_read(parameters, split(copy, parameters), &query, wrong) ||
            memcmp(&query, &right[i].query, sizeof query) != 0)
            fail_msg("%s: %s", right[i].text, wrong);
        free(copy);
    }
}

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong_rows / sizeof wrong_rows[0]; i++) {
        struct parameter parameters[MOST];
        char *copy = strdup(wrong_rows[i].text), *said, expected[TOP_WRONG_MAX + 32];
        size_t length, count = split(copy, parameters);
        FILE *out = open_memstream(&said, &length);
        assert_int_equal(top_answer(out, NULL, parameters, count), 400);
        fclose(out);
        snprintf(expected, sizeof expected, "{\n \"error\": \"%s\"\n}\n", wrong_rows[i].wrong);
        assert_string_equal(said, expected);
        free(said);
        free(copy);
    }
}

static void test_no_lists(void **state)
{
    const struct parameter set = {"set", "client"};
    char *said;
    size_t length;
    (void)state;
    FILE *out = open_memstream(&said, &length);
    assert_int_equal(top_answer(out, NULL, &set, 1), 503);
    fclose(out);
    assert_non_null(strstr(said, "top lists are only in Redis"));
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_right), cmocka_unit_test(test_wrong),
                                       cmocka_unit_test(test_no_lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
