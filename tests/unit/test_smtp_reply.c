/* exporter/collect/smtp_reply.c: replies, whole and in pieces, and what is none. */
#include "exporter/collect/smtp_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct smtp_reply take(const char *bytes, size_t count, size_t piece)
{
    struct smtp_reply reply = SMTP_REPLY_NONE;
    for (size_t at = 0; at < count; at += piece) {
        size_t length = count - at < piece ? count - at : piece;
        if (smtp_reply_take(&reply, bytes + at, length) < length)
            break;
    }
    return reply;
}

static const struct {
    const char *bytes;
    enum smtp_reply_state state;
    int code;
    bool starttls;
    const char *text;
} cases[] = {
    {"220 mx.example.test ESMTP\r\n", smtp_reply_whole, 220, false, "mx.example.test ESMTP"},
    {"220 line feed alone\n", smtp_reply_whole, 220, false, "line feed alone"},
    {"220\r\n", smtp_reply_whole, 220, false, ""},
    {"220 \r\n", smtp_reply_whole, 220, false, ""},
    {"220-one\r\n220-two\r\n220 three\r\n", smtp_reply_whole, 220, false, "three"},
    {"250-here\r\n250-starttls\r\n250 HELP\r\n", smtp_reply_whole, 250, true, "HELP"},
    {"250-here\r\n250 STARTTLS\r\n", smtp_reply_whole, 250, true, "STARTTLS"},
    {"250-STARTTLS2\r\n250-XSTARTTLS\r\n250 STARTTL\r\n", smtp_reply_whole, 250, false, "STARTTL"},
    {"554 5.7.1 no\xc3\xb6 \x1b[2J\r\n", smtp_reply_whole, 554, false, "5.7.1 no?? ?[2J"},
    {"220 not yet", smtp_reply_begun, 0, false, ""},
    {"220-not yet\r\n", smtp_reply_begun, 220, false, "not yet"},
    {"", smtp_reply_begun, 0, false, ""},
    {"\r\n", smtp_reply_broken, 0, false, ""},
    {"22\r\n", smtp_reply_broken, 0, false, ""},
    {"22a x\r\n", smtp_reply_broken, 0, false, ""},
    {"120 x\r\n", smtp_reply_broken, 0, false, ""},
    {"600 x\r\n", smtp_reply_broken, 0, false, ""},
    {"2200 x\r\n", smtp_reply_broken, 0, false, ""},
    {"220_x\r\n", smtp_reply_broken, 0, false, ""},
    {" 220 x\r\n", smtp_reply_broken, 0, false, ""},
    {"220-x\r\n221 y\r\n", smtp_reply_broken, 220, false, "x"},
    {"220-x\r\ny\r\n", smtp_reply_broken, 220, false, "x"},
};

static void test_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t piece = 1; piece < 64; piece++) {
            struct smtp_reply reply = take(cases[i].bytes, strlen(cases[i].bytes), piece);
            assert_int_equal(reply.state, cases[i].state);
            assert_int_equal(reply.code, cases[i].code);
            assert_int_equal(reply.starttls, cases[i].starttls);
            assert_string_equal(reply.text, cases[i].text);
        }
    }
}

static void test_what_stands_behind(void **state)
{
    struct smtp_reply reply = SMTP_REPLY_NONE;
    (void)state;
    assert_int_equal(smtp_reply_take(&reply, "220 a\r\n250 b\r\n", 14), 7);
    assert_int_equal(smtp_reply_take(&reply, "250 b\r\n", 7), 0);
    assert_int_equal(reply.code, 220);
}

static void test_nul(void **state)
{
    struct smtp_reply reply = SMTP_REPLY_NONE;
    (void)state;
    smtp_reply_take(&reply, "220 a\0b\r\n", 9);
    assert_int_equal(reply.state, smtp_reply_broken);
}

/* The longest line and the most lines, and one byte or one line more. */
static void test_limits(void **state)
{
    char line[SMTP_REPLY_LINE_MAX + 2];
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        size_t length = SMTP_REPLY_LINE_MAX + more;
        memset(line, 'x', sizeof line);
        memcpy(line, "220 ", 4);
        line[length] = '\n';
        struct smtp_reply reply = take(line, length + 1, 100);
        assert_int_equal(reply.state, more == 0 ? smtp_reply_whole : smtp_reply_broken);
        assert_int_equal(strlen(reply.text), more == 0 ? SMTP_REPLY_TEXT_MAX - 1 : 0);
        reply = SMTP_REPLY_NONE;
        for (size_t i = 1; i < SMTP_REPLY_LINES_MAX + more; i++)
            smtp_reply_take(&reply, "220-x\n", 6);
        smtp_reply_take(&reply, "220 x\n", 6);
        assert_int_equal(reply.state, more == 0 ? smtp_reply_whole : smtp_reply_broken);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_replies), cmocka_unit_test(test_what_stands_behind),
                                       cmocka_unit_test(test_nul), cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
