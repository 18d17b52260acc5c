/* conf/lib/own_domains.c and the option that fills it: what is taken for a domain, and the addresses in which it is found again. */
#include "tests/unit/options_file.h"

static const struct own_domain *find(const struct settings *settings, const char *text)
{
    return own_domains_find(&settings->domains, text, strlen(text));
}

static void test_found(void **state)
{
    static struct settings settings;
    (void)state;
    assert_string_equal(
        options_try("domains: [Example.ORG, m\xc3\xbcnchen.example., xn--bcher-kva.example, corp]", &settings), "");
    static const struct {
        const char *text;
        int domain;
    } rows[] = {
        {"example.org", 0},
        {"EXAMPLE.org", 0},
        {"example.org.", 0},
        {"m\xc3\xbcnchen.example", 1},
        {"M\xc3\xbcNCHEN.Example.", 1},
        {"xn--mnchen-3ya.example", 1},
        {"XN--MNCHEN-3YA.example", 1},
        {"b\xc3\xbc"
         "cher.example",
         2},
        {"xn--bcher-kva.example", 2},
        {"corp", 3},
        {"", -1},
        {".", -1},
        {"example.org..", -1},
        {"sub.example.org", -1},
        {"xample.org", -1},
        {"example.or", -1},
        {"example", -1},
        {"munchen.example", -1},
        {"m\xc3\xbc", -1},
        {"org", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct own_domain *domain = find(&settings, rows[i].text);
        int found = domain == NULL ? -1 : (int)(domain - settings.domains.list);
        if (found != rows[i].domain)
            fail_msg("%s: %d", rows[i].text, found);
    }
    for (unsigned i = 0; i < settings.domains.count; i++)
        assert_int_equal(settings.domains.list[i].place, -1);
    char text[4096];
    memset(text, 'a', sizeof text);
    for (size_t length = 1; length < sizeof text; length++)
        assert_null(own_domains_find(&settings.domains, text, length));
    memset(&settings.domains, 0, sizeof settings.domains);
    assert_null(find(&settings, "example.org"));
}

/* As many as there can be, each with two spellings, and none is taken for another. */
static void test_full(void **state)
{
    static struct settings settings;
    char text[8192] = "domains: [", name[64];
    (void)state;
    for (int i = 0; i < OWN_DOMAINS_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\xc3\xa4%d.example", i == 0 ? "" : ", ", i);
    size_t length = strlen(text);
    strcpy(text + length, "]");
    assert_string_equal(options_try(text, &settings), "");
    assert_int_equal(settings.domains.count, OWN_DOMAINS_MAX);
    for (int i = 0; i < OWN_DOMAINS_MAX; i++) {
        const struct own_domain *domain = &settings.domains.list[i];
        snprintf(name, sizeof name, "\xc3\xa4%d.example", i);
        assert_ptr_equal(find(&settings, name), domain);
        assert_string_equal(domain->utf8, name);
        assert_ptr_equal(find(&settings, domain->name), domain);
        assert_memory_equal(domain->name, "xn--", 4);
        snprintf(name, sizeof name, "\xc3\xa4%d.example", i + OWN_DOMAINS_MAX);
        assert_null(find(&settings, name));
    }
    strcpy(text + length, ", one.more]");
    assert_non_null(strstr(options_try(text, &settings), "more than 64 domains"));
}

/* A name that is longer as U-labels than an address can be has one spelling. */
static void test_long_utf8(void **state)
{
    static struct settings settings;
    char text[512] = "domains: [", label[64 * 4] = "";
    (void)state;
    for (int i = 0; i < 40; i++)
        strcat(label, "\xf0\xa0\x80\x80"); /* U+20000 */
    for (int i = 0; i < 2; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s.", label);
    strcat(text, "a]");
    assert_string_equal(options_try(text, &settings), "");
    assert_string_equal(settings.domains.list[0].utf8, "");
    assert_ptr_equal(find(&settings, settings.domains.list[0].name), &settings.domains.list[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_found), cmocka_unit_test(test_full),
                                       cmocka_unit_test(test_long_utf8)};
    return cmocka_run_group_tests(tests, options_set_up, options_tear_down);
}
