/* exporter/collect/processes.c and what it is made of: /proc made up, and this one. */
#include "exporter/collect/processes.h"

#include "exporter/collect/postfix_limits.h"
#include "exporter/collect/process.h"
#include "exporter/collect/process_role.h"
#include "tests/unit/collect_stage.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* ---- a /proc ---- */

static void put_process(int pid, int parent, char state, const char *name, const char *title, const char *numbers)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "proc/%d/stat", pid);
    snprintf(text, sizeof text,
             "%d (%s) %c %d 1 1 0 -1 4194560 9 0 0 0 1 2 3 4 20 0 1 0 %d 1000 20 18446744073709551615 1 1 0\n", pid,
             name, state, parent, pid * 100);
    stage_put(path, text);
    snprintf(path, sizeof path, "proc/%d/status", pid);
    snprintf(text, sizeof text, "Name:\tx\nNSpid:\t%s\nVmPeak: 12 kB\n", numbers);
    stage_put(path, text);
    size_t length = (size_t)snprintf(text, sizeof text, "%s", title) + 1;
    for (size_t i = 0; i < length; i++)
        text[i] = text[i] == ' ' ? '\0' : text[i];
    snprintf(path, sizeof path, "proc/%d/cmdline", pid);
    stage_put_bytes(path, text, length);
}

static void put_proc(void)
{
    put_process(1, 0, 'S', "systemd", "/sbin/init", "1");
    put_process(2, 0, 'S', "kthreadd", "", "2");
}

/* Runs the collector once over proc/ of the stage. */
static bool run_once(void)
{
    void *self = processes_open_at("proc", &stage.settings, &stage.tally, &stage.failure);
    assert_non_null(self);
    bool good = collect_processes.run(self, &stage.failure);
    collect_processes.close(self);
    return good;
}

static void test_roles(void **state)
{
    static const struct {
        const char *name, *parent, *title;
        int role;
    } rows[] = {
        {"master", "systemd", "/usr/lib/postfix/sbin/master -w", role_master},
        {"master", "systemd", "/usr/libexec/postfix/master -w", role_master},
        {"master", "systemd", "/usr/lib/cyrus/bin/master -d", -1},
        {"smtpd", "master", "smtpd -n smtp -t inet -u", role_smtpd},
        {"smtpd", "systemd", "smtpd: lookup", -1}, /* OpenSMTPD */
        {"postscreen", "master", "postscreen -l", role_postscreen},
        {"oqmgr", "master", "", role_qmgr},
        {"local", "bash", "local", -1},
        {"anvil", "master", "anvil -l -t unix -u", -1},
        {"sendmail", "systemd", "sendmail: accepting connections", role_sendmail_daemon},
        {"sendmail-mta", "systemd", "sendmail: rejecting connections on daemon MTA: load average: 90",
         role_sendmail_daemon},
        {"sendmail-mta", "systemd", "sendmail: MTA: delaying connections on daemon MTA: load average=13 >= 12",
         role_sendmail_daemon},
        {"sendmail", "systemd", "sendmail: deferring connections on daemon MTA: 3 per second", role_sendmail_daemon},
        {"sendmail", "sendmail", "sendmail: server a.test [192.0.2.1] cmd read", -1},
        {"sendmail", "sendmail", "sendmail: server sendmail: accepting connections [192.0.2.1] cmd read", -1},
        {"sendmail", "systemd", "sendmail: Queue runner@01:00:00 for /var/spool/mqueue-client", role_sendmail_runner},
        {"sendmail", "sendmail", "sendmail: running queue: /var/spool/mqueue", role_sendmail_runner},
        {"sendmail", "sendmail", "sendmail: ./5AK-12 user@a.test Queue runner@: from queue", -1},
        {"sendmail-mta", "systemd", "sendmail: MTA: accepting connections", role_sendmail_daemon},
        {"sendmail-mta", "systemd", "sendmail: MTA: rejecting connections on daemon MTA: load average: 90",
         role_sendmail_daemon},
        {"sendmail-mta", "systemd", "sendmail: MSP: Queue runner@00:20:00 for /var/spool/mqueue-client",
         role_sendmail_runner},
        {"sendmail-mta", "sendmail-mta", "sendmail: mx-2_b: running queue: /var/spool/mqueue", role_sendmail_runner},
        {"sendmail-mta", "sendmail-mta", "sendmail: MTA: MTA: accepting connections", -1},
        {"sendmail-mta", "sendmail-mta", "sendmail: [192.0.2.1]: accepting connections", -1},
        {"sendmail-mta", "sendmail-mta", "sendmail: MTA: a.test [192.0.2.1]: accepting connections", -1},
        {"sendmail-mta", "sendmail-mta", "sendmail: MTA: [192.0.2.1]: accepting connections", -1},
        {"sendmail-mta", "sendmail-mta", "sendmail: MTA: 5AK1234567 [192.0.2.1]: accepting connections", -1},
        {"sendmail", "bash", "sendmail: : accepting connections", -1},
        {"sendmail", "bash", "sendmail: MTA", -1},
        {"sendmail", "bash", "sendmail: MTA:", -1},
        {"sendmail", "bash", "accepting connections", -1},
        {"grep", "bash", "grep sendmail: accepting connections", -1},
        {"bash", "bash", "sendmail: accepting connections", -1},
        {"exim4", "systemd", "/usr/sbin/exim4 -bd -q30m", role_exim_daemon},
        {"exim4", "exim4", "/usr/sbin/exim4 -bd -q30m", -1},
        {"exim", "init", "/usr/sbin/exim -bdf", role_exim_daemon},
        {"exim4", "exim4", "/usr/sbin/exim4 -Mc 1abcde-0000AB-CD", role_exim_delivery},
        {"exim4", "exim4", "/usr/sbin/exim4 -qG", role_exim_delivery},
        {"exim4", "bash", "/usr/sbin/exim4 -bp", -1},
        {"", "", "", -1},
        {"sendmail", "", "sendmail: \xff\xfe*[", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int expected = rows[i].role < 0 ? (int)role_COUNT : rows[i].role;
        int found = (int)process_role(rows[i].name, rows[i].parent, rows[i].title);
        if (found != expected)
            fail_msg("%s below %s, %s: %d", rows[i].name, rows[i].parent, rows[i].title, found);
        if (expected != role_COUNT)
            assert_true(process_role_likely(rows[i].name));
    }
}

static void test_servers(void **state)
{
    (void)state;
    for (int role = 0; role < role_COUNT; role++)
        assert_int_equal(process_role_server((enum label_role)role) == server_COUNT, role >= (int)role_own_0);
}

static void test_parse(void **state)
{
    struct process process;
    char line[] = "17 (a) R 1 (b) S 4 1 1 0 -1 2097216 9 0 0 0 1 2 3 4 20 0 1 0 777 1000 20 1 1\n";
    (void)state;
    assert_true(process_parse(line, sizeof line - 1, &process));
    assert_int_equal(process.pid, 17);
    assert_string_equal(process.name, "a) R 1 (b");
    assert_int_equal(process.state, 'S');
    assert_int_equal(process.parent, 4);
    assert_int_equal(process.started, 777);
    assert_true(process.is_kernel);
    static const char *const wrong[] = {"", "17", "17 (a", "17 )a(", "17 (a)", "17 (a) S 1 1 1 0 -1 9 0 0 0", "()"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(process_parse(wrong[i], strlen(wrong[i]), &process));
    assert_false(process_is_nested("Name:\tx\nNSpid:\t1234\n", 20));
    assert_true(process_is_nested("Name:\tx\nNSpid:\t1234\t56\n", 23));
    assert_true(process_is_nested("Name:\tx\nNSpid:\t1234\t56", 22));
    assert_false(process_is_nested("Name:\tNSpid: 1 2\n", 17));
    assert_false(process_is_nested("", 0));
}

/* Every kind of process; the age is that of the oldest. */
static void test_counts(void **state)
{
    (void)state;
    put_proc();
    put_process(100, 1, 'S', "master", "/usr/lib/postfix/sbin/master -w", "100");
    put_process(300, 100, 'S', "smtpd", "smtpd -n smtp", "300");
    put_process(200, 100, 'R', "smtpd", "smtpd -n submission", "200");
    put_process(201, 100, 'Z', "smtpd", "", "201");                                  /* waits for its parent alone */
    put_process(202, 1, 'S', "smtpd", "smtpd", "202");                               /* somebody else's */
    put_process(400, 1, 'S', "master", "/usr/lib/postfix/sbin/master -i", "400\t1"); /* in a container */
    put_process(401, 400, 'S', "smtpd", "smtpd -n smtp", "401\t9");
    put_process(500, 1, 'S', "perl", "MailScanner: waiting for messages", "500\t7");
    stage_put("proc/12x/stat", "no process");
    stage_put("proc/600/status", "no stat: it has just gone");
    struct own_roles *own = &stage.settings.collector_processes;
    own->count = 2;
    own->list[0] = (struct own_role){.name = "scanner", .match = "MailScanner", .most = 50};
    own->list[1] = (struct own_role){.name = "none", .match = "kthreadd or anything"};
    assert_true(run_once());
    assert_gauge(processes, role_master, 1);
    assert_gauge(processes, role_smtpd, 2);
    assert_gauge(processes, role_qmgr, 0);
    assert_gauge(process_oldest_seconds, role_qmgr, GAUGE_ABSENT);
    assert_gauge(processes, role_sendmail_daemon, GAUGE_ABSENT);
    assert_gauge(processes, role_own_0, 1);
    assert_gauge(processes_limit, role_own_0, 50);
    assert_gauge(processes, role_own_1, 0);
    assert_gauge(processes_limit, role_own_1, GAUGE_ABSENT);
    assert_gauge(processes, role_own_2, GAUGE_ABSENT);
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    int64_t age = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - 20000 * (1000000 / sysconf(_SC_CLK_TCK));
    int64_t found = stage_gauge((unsigned)gauge_process_oldest_seconds + (unsigned)role_smtpd);
    assert_true(age < 0 || (found <= age && found > age - 60 * 1000000));
}

/* The MTA that is configured has its roles at 0 before it runs; one that was seen keeps them when it has gone. */
static void test_shown(void **state)
{
    (void)state;
    put_proc();
    stage.settings.mta_kind = mta_kind_exim;
    put_process(100, 1, 'S', "sendmail", "sendmail: accepting connections", "100");
    void *self = processes_open_at("proc", &stage.settings, &stage.tally, &stage.failure);
    assert_non_null(self);
    assert_true(collect_processes.run(self, &stage.failure));
    assert_gauge(processes, role_exim_daemon, 0);
    assert_gauge(processes, role_sendmail_daemon, 1);
    assert_gauge(processes, role_sendmail_runner, 0);
    assert_gauge(processes, role_smtpd, GAUGE_ABSENT);
    put_process(100, 1, 'S', "bash", "bash", "100");
    assert_true(collect_processes.run(self, &stage.failure));
    assert_gauge(processes, role_sendmail_daemon, 0);
    collect_processes.close(self);
}

/* An unprivileged process that is shown no others knows nothing. */
static void test_hidden(void **state)
{
    (void)state;
    put_process(100, 1, 'S', "sendmail", "sendmail: accepting connections", "100");
    stage.settings.mta_kind = mta_kind_sendmail;
    assert_false(run_once());
    assert_non_null(strstr(stage.failure.text, "hidepid"));
    assert_gauge(processes, role_sendmail_daemon, GAUGE_ABSENT);
}

/* Real ones: children that come and go while we look. */
static void test_this_proc(void **state)
{
    int ready[2];
    char byte;
    (void)state;
    struct own_roles *own = &stage.settings.collector_processes;
    own->count = 1;
    snprintf(own->list[0].match, sizeof own->list[0].match, "scope-%d", getpid());
    void *self = collect_processes.open(&stage.settings, &stage.tally, &stage.failure);
    assert_non_null(self);
    assert_int_equal(pipe(ready), 0);
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            prctl(PR_SET_NAME, own->list[0].match);
            _exit(write(ready[1], "x", 1) != 1 || pause());
        }
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(read(ready[0], &byte, 1), 1);
    for (int left = 3; left >= 0; left--) {
        assert_true(collect_processes.run(self, &stage.failure));
        assert_gauge(processes, role_own_0, left);
        if (left == 0)
            break;
        int64_t age = stage_gauge((unsigned)gauge_process_oldest_seconds + (unsigned)role_own_0);
        assert_in_range(age, 0, 600 * 1000000);
        kill(children[left - 1], SIGKILL);
        siginfo_t info;
        waitid(P_PID, (id_t)children[left - 1], &info, WEXITED | WNOWAIT); /* it is a zombie now */
    }
    for (int i = 0; i < 3; i++)
        waitpid(children[i], NULL, 0);
    close(ready[0]);
    close(ready[1]);
    collect_processes.close(self);
}

/* ---- limits ---- */

static void test_limits(void **state)
{
    (void)state;
    stage.settings.mta_kind = mta_kind_postfix;
    strcpy(stage.settings.mta_config, stage.folder);
    put_proc();
    stage_put("main.cf", "# default_process_limit = 1\ndefault_process_limit = 30\ndefault_process_limitx = "
                         "5\ndefault_process_limit = 30\nDefault_process_limit = 6\n"
                         "default_process_limit =\n# between\n   40\n");
    stage_put("master.cf", "# service type private unpriv chroot wakeup maxproc command\n"
                           "smtp inet n - y - - smtpd\n"
                           "submission inet n - y - 7 smtpd\n  -o syslog_name=x\n#smtps inet n - y - 9 smtpd\n"
                           "pickup unix n - y 60 1 pickup\n"
                           "cleanup unix n - y - 0 cleanup\n"
                           "pre-cleanup unix n - n - 5 cleanup\n"
                           "smtp unix - - y - -\n   smtp\n"
                           "relay unix - - y - x smtp\n"
                           "local unix - n n - 1000001 local\n"
                           "short unix - n n\n"
                           "qmgr unix n - n 300 2 qmgr");
    assert_true(run_once());
    assert_gauge(processes_limit, role_smtpd, 47);
    assert_gauge(processes_limit, role_pickup, 1);
    assert_gauge(processes_limit, role_qmgr, 2);
    assert_gauge(processes_limit, role_cleanup, GAUGE_ABSENT); /* as many as are needed */
    assert_gauge(processes_limit, role_smtp, GAUGE_ABSENT);    /* a part of it is not known */
    assert_gauge(processes_limit, role_local, GAUGE_ABSENT);
    assert_gauge(processes_limit, role_postscreen, GAUGE_ABSENT);
    assert_gauge(processes_limit, role_master, GAUGE_ABSENT);
    assert_gauge(processes, role_smtpd, 0);
    stage_put("main.cf", "default_process_limit = $own\n");
    assert_true(run_once());
    assert_gauge(processes_limit, role_smtpd, GAUGE_ABSENT);
    stage_put("main.cf", "");
    assert_true(run_once());
    assert_gauge(processes_limit, role_smtpd, 107);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_servers),
        cmocka_unit_test(test_parse),
        cmocka_unit_test_setup_teardown(test_counts, stage_set_up, stage_tear_down),
        cmocka_unit_test_setup_teardown(test_shown, stage_set_up, stage_tear_down),
        cmocka_unit_test_setup_teardown(test_hidden, stage_set_up, stage_tear_down),
        cmocka_unit_test_setup_teardown(test_this_proc, stage_set_up, stage_tear_down),
        cmocka_unit_test_setup_teardown(test_limits, stage_set_up, stage_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
