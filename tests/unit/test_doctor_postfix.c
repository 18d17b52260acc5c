/* milter/supervisor/doctor_postfix.c: what postconf prints, taken in; what is in force for a service. */
#include "milter/supervisor/doctor_memory.h"
#include "milter/supervisor/doctor_postfix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As Postfix 3.7 prints it. */
static const char raw[] =
    "compatibility_level = 3.6\n"
    "smtpd_milters = inet:127.0.0.1:11332, { unix:milterscope/milter.sock, default_action=accept }\n"
    "non_smtpd_milters = $smtpd_milters\n"
    "receive_override_options =\n"
    "default_process_limit = 100\n";
static const char expanded[] =
    "compatibility_level = 3.6\n"
    "smtpd_milters = inet:127.0.0.1:11332, { unix:milterscope/milter.sock, default_action=accept }\n"
    "non_smtpd_milters = inet:127.0.0.1:11332, { unix:milterscope/milter.sock, default_action=accept }\n"
    "receive_override_options =\n"
    "default_process_limit = 100\n";
static const char fields[] = "smtp/inet/service = smtp\n"
                             "smtp/inet/type = inet\n"
                             "smtp/inet/chroot = y\n"
                             "smtp/inet/process_limit = -\n"
                             "smtp/inet/command = smtpd\n"
                             "127.0.0.1:10025/inet/service = 127.0.0.1:10025\n"
                             "127.0.0.1:10025/inet/chroot = -\n"
                             "127.0.0.1:10025/inet/process_limit = 20\n"
                             "127.0.0.1:10025/inet/command = smtpd -o content_filter= -o {smtpd_milters=a, b}\n"
                             "cleanup/unix/chroot = n\n"
                             "cleanup/unix/process_limit = 0\n"
                             "cleanup/unix/command = cleanup\n";
static const char own_raw[] = "127.0.0.1:10025/inet/content_filter =\n"
                              "127.0.0.1:10025/inet/smtpd_milters = $mine\n";
static const char own[] = "127.0.0.1:10025/inet/content_filter =\n"
                          "127.0.0.1:10025/inet/smtpd_milters = unix:a, { unix:x = y }\n";

static struct postfix postfix;

static int set_up(void **state)
{
    (void)state;
    postfix = (struct postfix){.postconf = ""};
    postfix_take_settings(&postfix, raw, postfix_raw);
    postfix_take_settings(&postfix, expanded, postfix_expanded);
    postfix_take_services(&postfix, fields);
    postfix_take_own(&postfix, own_raw, postfix_raw);
    postfix_take_own(&postfix, own, postfix_expanded);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    memory_free();
    return 0;
}

static void test_settings(void **state)
{
    const struct postfix_setting *setting = postfix_own(&postfix, NULL, "non_smtpd_milters");
    (void)state;
    assert_string_equal(setting->raw, "$smtpd_milters");
    assert_string_equal(setting->value, postfix_value(&postfix, NULL, "smtpd_milters"));
    assert_string_equal(postfix_value(&postfix, NULL, "receive_override_options"), "");
    assert_string_equal(postfix_value(&postfix, NULL, "unknown"), "");
    assert_null(postfix_own(&postfix, NULL, "unknown"));
}

static void test_services(void **state)
{
    const struct postfix_service *smtp = postfix.services, *again = smtp->next, *cleanup = again->next;
    (void)state;
    assert_null(cleanup->next);
    assert_string_equal(smtp->name, "smtp/inet");
    assert_string_equal(smtp->command, "smtpd");
    assert_true(postfix_chrooted(&postfix, smtp));
    assert_int_equal(postfix_process_limit(&postfix, smtp), 100);
    assert_string_equal(postfix_value(&postfix, smtp, "smtpd_milters"), postfix_value(&postfix, NULL, "smtpd_milters"));
    assert_string_equal(again->name, "127.0.0.1:10025/inet");
    assert_string_equal(again->command, "smtpd");
    assert_false(postfix_chrooted(&postfix, again));
    assert_int_equal(postfix_process_limit(&postfix, again), 20);
    assert_string_equal(postfix_value(&postfix, again, "smtpd_milters"), "unix:a, { unix:x = y }");
    assert_string_equal(postfix_own(&postfix, again, "smtpd_milters")->raw, "$mine");
    assert_string_equal(postfix_own(&postfix, again, "content_filter")->value, "");
    assert_null(postfix_own(&postfix, smtp, "content_filter"));
    assert_false(postfix_chrooted(&postfix, cleanup));
    assert_int_equal(postfix_process_limit(&postfix, cleanup), 0);
}

/* "-" in the chroot's column meant yes before Postfix 3.0, and does still where main.cf does not say that it is newer. */
static void test_old_chroot(void **state)
{
    static const char *const levels[] = {"0", "", "1", "2", "3.6", "9999"};
    (void)state;
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        postfix_take_settings(&postfix, memory_print("compatibility_level = %s\n", levels[i]), postfix_expanded);
        assert_int_equal(postfix_chrooted(&postfix, postfix.services->next), i < 2);
        assert_true(postfix_chrooted(&postfix, postfix.services));
        assert_false(postfix_chrooted(&postfix, postfix.services->next->next));
    }
}

/* Whatever it prints, nothing breaks, and what can be read is. */
static void test_hostile(void **state)
{
    static const char *const texts[] = {"",
                                        "\n\n",
                                        " = ",
                                        "=",
                                        "a",
                                        "a =",
                                        "a = b",
                                        "/ = /",
                                        "a/b = c",
                                        "a/b/c",
                                        "/// = x",
                                        "a/chroot = y\na/command =\na/process_limit = 99999999999999999999",
                                        "a/command = \t \na/chroot = yes\n\n= x\n = y\n"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        postfix = (struct postfix){.postconf = ""};
        postfix_take_settings(&postfix, texts[i], postfix_expanded);
        postfix_take_services(&postfix, texts[i]);
        postfix_take_own(&postfix, texts[i], postfix_raw);
        for (const struct postfix_service *service = postfix.services; service != NULL; service = service->next) {
            postfix_chrooted(&postfix, service);
            postfix_process_limit(&postfix, service);
            assert_non_null(postfix_value(&postfix, service, "chroot"));
        }
    }
    assert_string_equal(postfix_value(&postfix, NULL, "a/chroot"), "yes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_services, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_old_chroot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
