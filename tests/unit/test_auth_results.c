/* milter/filter/auth_results.c: the examples of RFC 8601, headers as filters write them, hostile ones, and which of several is believed. */
#include "milter/filter/auth_results.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct authserv_ids trusted = {.count = 2, .list = {"example.com", "mx.example.org"}};

/* What was found as "spf=pass dkim=fail dkim=fail", in the order of the catalogue. */
static const char *found(const struct auth_results *results)
{
    static char text[4096];
    const struct label_set *const *labels = catalogue[metric_auth_results_total].labels;
    size_t length = 0;
    text[0] = '\0';
    for (unsigned method = 0; method < method_COUNT; method++) {
        for (unsigned result = 0; result < result_COUNT; result++) {
            for (unsigned n = 0; n < results->counts[method][result]; n++)
                length += (size_t)sprintf(text + length, "%s%s=%s", length > 0 ? " " : "", labels[0]->values[method],
                                          labels[1]->values[result]);
        }
    }
    return text;
}

enum { HEADERS = 4 };
static const struct {
    const char *title, *headers[HEADERS], *found;
} rows[] = {
    /* RFC 8601, appendix B */
    {"B.2 nearly trivial", {"example.org 1; none"}, ""},
    {"B.2 of ours", {"example.com 1; none"}, ""},
    {"B.3 service provided", {"example.com;\n          spf=pass smtp.mailfrom=example.net"}, "spf=pass"},
    {"B.4 several methods",
     {"example.com;\n auth=pass (cram-md5) smtp.auth=sender@example.net;\n spf=pass smtp.mailfrom=example.net"},
     "spf=pass"},
    {"B.4 in two headers",
     {"example.com; iprev=pass\n policy.iprev=192.0.2.200", "example.com;\n dkim=pass header.d=example.com"},
     "dkim=pass iprev=pass"},
    {"B.5 by another server",
     {"example.com;\n dkim=pass (good signature) header.d=example.com",
      "example.com;\n auth=pass (cram-md5) "
      "smtp.auth=sender@example.com;\n spf=fail smtp.mailfrom=example.com"},
     "spf=fail dkim=pass"},
    {"B.6 several signatures",
     {"example.com;\n dkim=pass reason=\"good signature\"\n header.i=@mail-router.example.net;\n dkim=fail "
      "reason=\"bad "
      "signature\"\n header.i=@newyork.example.com"},
     "dkim=pass dkim=fail"},
    {"B.7 comments",
     {"foo.example.net (foobar) 1 (baz);\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\n policy (A dot "
      "can go here) . (like that) expired\n (this surprised me) = (as I wasn't expecting it) 1362471462"},
     ""},
    {"B.7 of ours",
     {"example.com (foobar) 1 (baz);\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\n policy (A dot can "
      "go here) . (like that) expired\n (this surprised me) = (as I wasn't expecting it) 1362471462"},
     "dkim=fail"},
    /* as filters write it */
    {"opendkim",
     {"mx.example.org;\n\tdkim=pass (2048-bit key; unprotected) header.d=a.b header.i=@a.b header.a=rsa-sha256 "
      "header.s=x header.b=\"dyzM/3/P\";\n\tdkim-atps=neutral"},
     "dkim=pass"},
    {"opendmarc", {"mx.example.org; dmarc=fail (p=none dis=none) header.from=a.b"}, "dmarc=fail"},
    {"rspamd",
     {"mx.example.org;\n\tdkim=pass header.d=a.b header.s=x header.b=abc;\n\tspf=pass (mx.example.org: domain of x@a.b "
      "designates 192.0.2.1 as permitted sender) smtp.mailfrom=x@a.b;\n\tdmarc=pass (policy=none) header.from=a.b"},
     "spf=pass dkim=pass dmarc=pass"},
    {"gmail",
     {"example.com;\n       dkim=pass header.i=@a.b header.s=s1;\n       arc=pass (i=2 spf=pass spfdomain=a.b);\n      "
      " "
      "spf=softfail (domain of transitioning x@a.b does not designate 192.0.2.1) smtp.mailfrom=x@a.b"},
     "spf=softfail dkim=pass arc=pass"},
    {"Exchange, without an authserv-id", {"spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=a.b; dkim=none"}, ""},
    /* results and methods */
    {"all results",
     {"example.com; dkim=pass; dkim=fail; dkim=softfail; dkim=neutral; dkim=none; dkim=temperror; dkim=permerror; "
      "dkim=policy; dkim=bestguesspass; dkim=other; dkim=hardfail"},
     "dkim=pass dkim=fail dkim=softfail dkim=neutral dkim=none dkim=temperror dkim=permerror dkim=policy dkim=other "
     "dkim=other dkim=other"},
    {"capitals", {"EXAMPLE.com; SPF=Pass; Dkim=FAIL"}, "spf=pass dkim=fail"},
    {"unknown methods", {"example.com; x-tls=pass; sender-id=pass; dkim-adsp=fail; dkim-atps=pass; s=pass"}, ""},
    {"version of a method",
     {"example.com; dkim/2=pass; spf/1=pass; dmarc / 1 = fail; arc/=pass"},
     "spf=pass dmarc=fail"},
    {"version of the header", {"example.com 2; dkim=pass", "example.com 1; dkim=fail"}, "dkim=fail"},
    {"a long result", {"example.com; dkim=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; spf=pass"}, "spf=pass dkim=other"},
    {"no result", {"example.com; dkim=; spf = ; dmarc"}, "spf=other dkim=other"},
    {"not a whole result", {"example.com; dkim=pass!; spf=pass@x"}, "spf=other dkim=other"},
    {"spaces", {" \t example.com \n ; \n spf \n = \n pass \n ; \n "}, "spf=pass"},
    {"semicolons", {"example.com;;; ; spf=pass;;"}, "spf=pass"},
    {"quoted id", {"\"example.com\"; spf=pass"}, "spf=pass"},
    {"quoted id with a backslash", {"\"exam\\ple.com\"; spf=pass"}, "spf=pass"},
    /* what stands in reasons, properties and comments is not a result */
    {"in a reason", {"example.com; spf=fail reason=\"; dkim=pass\"; dmarc=none"}, "spf=fail dmarc=none"},
    {"in a reason, escaped", {"example.com; spf=fail reason=\"\\\"; dkim=pass\"; dmarc=none"}, "spf=fail dmarc=none"},
    {"in a comment", {"example.com; spf=fail (; dkim=pass); dmarc=none"}, "spf=fail dmarc=none"},
    {"in nested comments", {"example.com; spf=fail (a (b) ; dkim=pass (c)); dmarc=none"}, "spf=fail dmarc=none"},
    {"in a comment, escaped", {"example.com; spf=fail (\\) ; dkim=pass); dmarc=none"}, "spf=fail dmarc=none"},
    {"open comment", {"example.com; spf=fail (; dkim=pass; dmarc=none"}, "spf=fail"},
    {"open quotes", {"example.com; spf=fail reason=\"; dkim=pass"}, "spf=fail"},
    {"backslash at the end", {"example.com; spf=fail (\\"}, "spf=fail"},
    {"properties", {"example.com; spf=pass smtp.mailfrom=dkim=pass policy.dkim=fail"}, "spf=pass"},
    /* nothing of ours */
    {"empty", {""}, ""},
    {"blank", {" \t\n"}, ""},
    {"semicolon", {";"}, ""},
    {"no id", {"; spf=pass"}, ""},
    {"another's", {"example.com.evil.test; spf=pass"}, ""},
    {"the beginning of ours", {"example.co; spf=pass"}, ""},
    {"open quoted id", {"\"example.com; spf=pass"}, ""},
    {"two words", {"example.com spf=pass; dkim=pass"}, ""},
    {"id in a comment", {"(example.com); spf=pass"}, ""},
    /* several headers: the topmost of each method, and nothing below one of somebody else */
    {"forged below", {"example.com; dkim=fail", "example.com; dkim=pass"}, "dkim=fail"},
    {"forged below, method by method",
     {"example.com; dkim=none", "mx.example.org; spf=softfail", "example.com; spf=pass; dkim=pass"},
     "spf=softfail dkim=none"},
    {"forged below another's", {"example.com; dkim=fail", "evil.test; none", "example.com; spf=pass"}, "dkim=fail"},
    {"forged above another's", {"evil.test; dkim=pass", "example.com; dkim=fail"}, ""},
    {"forged around",
     {"example.com; spf=fail", "example.com; spf=pass", "example.com; spf=fail; spf=fail"},
     "spf=fail"},
    {"below nonsense", {"example.com; dkim=fail", "?", "example.com; spf=pass"}, "dkim=fail"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct auth_results results = {.over = false};
        for (int j = 0; j < HEADERS && rows[i].headers[j] != NULL; j++) {
            char *exact = strdup(rows[i].headers[j]); /* no byte beyond it is read: make sanitize */
            auth_results_header(&results, &trusted, exact);
            free(exact);
        }
        if (strcmp(found(&results), rows[i].found) != 0)
            fail_msg("%s: %s, expected %s", rows[i].title, found(&results), rows[i].found);
    }
}

/* Nobody is trusted by default. */
static void test_nobody(void **state)
{
    static const struct authserv_ids nobody;
    struct auth_results results = {.over = false};
    (void)state;
    auth_results_header(&results, &nobody, "example.com; spf=pass");
    assert_string_equal(found(&results), "");
}

/* What is too long is read up to a point; counts end at 255. */
static void test_long(void **state)
{
    static char text[3 * AUTH_RESULTS_VALUE_MAX];
    struct auth_results results = {.over = false};
    (void)state;
    strcpy(text, "example.com");
    for (size_t length = strlen(text); length + 16 < sizeof text; length += 11)
        strcpy(text + length, "; dkim=fail");
    auth_results_header(&results, &trusted, text);
    assert_int_equal(results.counts[method_dkim][result_fail], UINT8_MAX);
    results = (struct auth_results){.over = false};
    memset(text, ' ', sizeof text - 1);
    memcpy(text, "example.com;", 12);
    memcpy(text + AUTH_RESULTS_VALUE_MAX - 8, "spf=pass;dkim=pass", 18);
    auth_results_header(&results, &trusted, text);
    assert_string_equal(found(&results), "spf=pass");
    results = (struct auth_results){.over = false};
    memset(text, 'a', sizeof text - 1); /* an authserv-id without an end */
    auth_results_header(&results, &trusted, text);
    assert_true(results.over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_nobody),
                                       cmocka_unit_test(test_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
