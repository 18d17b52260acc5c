/* conf/lib/options_types.c: every option with its values at the edge and one beyond; printed and read again; kept at a reload. */
#include "tests/unit/options_file.h"

/* "section.name" and a value as the text of a file. */
static const char *file_with(const char *path, const char *value)
{
    static char text[4096];
    const char *dot = strchr(path, '.');
    if (dot == NULL)
        snprintf(text, sizeof text, "mta: {kind: exim}\n%s: %s\n", path, value);
    else
        snprintf(text, sizeof text, "%s%.*s: {%s: %s}\n", strncmp(path, "mta.", 4) == 0 ? "" : "mta: {kind: exim}\n",
                 (int)(dot - path), path, dot + 1, value);
    return text;
}

/* The printed value of an option. */
static const char *printed(const struct settings *settings, const char *path)
{
    static char value[1024];
    char head[96] = "", key[96];
    const char *dot = strchr(path, '.');
    snprintf(key, sizeof key, "%s%s: ", dot == NULL ? "" : "  ", dot == NULL ? path : dot + 1);
    if (dot != NULL)
        snprintf(head, sizeof head, "%.*s:\n", (int)(dot - path), path);
    const char *section = strstr(options_text(settings), head);
    assert_non_null(section);
    const char *begin = strstr(section, key);
    assert_non_null(begin);
    begin += strlen(key);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(begin, "\n"), begin);
    return value;
}

#define NAME_64      "mx-0123456789.abcdefghijklmnopqrstuvwxyz_ABCDEFGHIJKLMNOPQRSTUVW"
#define PATH_64      "/23456789012345678901234567890123456789012345678901234567890123/"
#define PATH_255     PATH_64 PATH_64 PATH_64 "/23456789012345678901234567890123456789012345678901234567890123"
#define AUTHSERV_255 USER_64 USER_64 USER_64 "012345678901234567890123456789012345678901234567890123456789012"
#define DOMAIN_128                                                                                                     \
    "012345678901234567890123456789012345678901234567890123456789012."                                                 \
    "01234567890123456789012345678901234567890123456789012345678901.a"
#define USER_64 "0123456789012345678901234567890123456789012345678901234567890123"

/* Values that are right, as a file gives them, and as they are printed. */
static const struct {
    const char *path, *value, *printed;
} right_rows[] = {
    {"instance", "mx1", "\"mx1\""},
    {"instance", NAME_64, "\"" NAME_64 "\""},
    {"instance", "\"-\"", "\"-\""},
    {"instance", "7", "\"7\""},
    {"state_directory", "/", "\"/\""},
    {"state_directory", PATH_255, "\"" PATH_255 "\""},
    {"run_directory", "'/a b/\"c\"\\d'", "\"/a b/\\\"c\\\"\\\\d\""},
    {"run_directory", "/\xc3\xa4", "\"/\xc3\xa4\""},
    {"trusted_networks", "[]", "[]"},
    {"trusted_networks", "10.0.0.0/8", "[\"10.0.0.0/8\"]"},
    {"trusted_networks", "[0.0.0.0/0, \"::/0\", 192.0.2.1/32]", "[\"0.0.0.0/0\", \"::/0\", \"192.0.2.1\"]"},
    {"log.level", "error", "error"},
    {"log.level", "warning", "warning"},
    {"log.level", "info", "info"},
    {"log.level", "\"debug\"", "debug"},
    {"log.to", "stderr", "stderr"},
    {"log.to", "syslog", "syslog"},
    {"exporter.scope", "fleet", "fleet"},
    {"exporter.scope", "node", "node"},
    {"top.sets", "helo", "[helo]"},
    {"top.sets", "[helo, client, helo]", "[client, helo]"},
    {"top.sets", "[]", "[]"},
    {"mta.kind", "auto", "auto"},
    {"mta.kind", "postfix", "postfix"},
    {"mta.kind", "sendmail", "sendmail"},
    {"mta.kind", "exim", "exim"},
    {"mta.config", "auto", "\"auto\""},
    {"mta.config", "/", "\"/\""},
    {"mta.config", PATH_255, "\"" PATH_255 "\""},
    {"milter.socket", "unix:/s", "\"unix:/s\""},
    {"milter.socket", "inet:1@localhost", "\"inet:1@localhost\""},
    {"milter.socket", "\"inet6:65535@::1\"", "\"inet6:65535@::1\""},
    {"milter.socket_mode", "0", "0000"},
    {"milter.socket_mode", "0777", "0777"},
    {"milter.socket_mode", "777", "0777"},
    {"milter.socket_mode", "00600", "0600"},
    {"milter.socket_group", "mail", "\"mail\""},
    {"milter.socket_group", "\"\"", "\"\""},
    {"milter.max_sessions", "0", "0"},
    {"milter.max_sessions", "1", "1"},
    {"milter.max_sessions", "1000000", "1000000"},
    {"milter.max_sessions", "010", "10"},
    {"milter.drain", "0", "0"},
    {"milter.drain", "3600", "3600"},
    {"milter.drain", "0.000001", "0.000001"},
    {"milter.drain", "1234.5678", "1234.5678"},
    {"milter.drain", "3599.999999", "3599.999999"},
    {"milter.body", "true", "true"},
    {"milter.body", "false", "false"},
    {"milter.reinjection", "127.0.0.1:1", "[\"127.0.0.1:1\"]"},
    {"milter.reinjection", "[\"[::1]:65535\", 10.0.0.1:025]", "[\"[::1]:65535\", \"10.0.0.1:25\"]"},
    {"milter.reinjection", "[]", "[]"},
    {"spam.scanner", "milter", "milter"},
    {"spam.scanner", "log", "log"},
    {"spam.scanner", "none", "none"},
    {"spam.authserv_ids", "mx.example.org", "[\"mx.example.org\"]"},
    {"spam.authserv_ids", "[a, 'b\"', \"" AUTHSERV_255 "\"]", "[\"a\", \"b\\\"\", \"" AUTHSERV_255 "\"]"},
    {"spam.headers", "[]", "[]"},
    {"spam.headers", "{name: X-A, spam: 'Yes'}", "[{name: \"X-A\", spam: \"Yes\", place: bottom}]"},
    {"spam.headers", "[{score_after: '', place: top, name: A}, {name: B, spam: x y, score_after: \"=\"}]",
     "[{name: \"A\", score_after: \"\", place: top}, {name: \"B\", spam: \"x y\", score_after: \"=\", place: bottom}]"},
    {"domains", "[]", "[]"},
    {"domains", "example.org", "[\"example.org\"]"},
    {"domains", "[Example.ORG., corp, a_b.c-d, 1.example]", "[\"example.org\", \"corp\", \"a_b.c-d\", \"1.example\"]"},
    {"domains", "M\xc3\x9cNCHEN.Example", "[\"xn--mnchen-3ya.example\"]"},
    {"domains",
     "'m\xc3\xbcnchen\xe3\x80\x82"
     "example'",
     "[\"xn--mnchen-3ya.example\"]"},
    {"domains", "[xn--mnchen-3ya.example, xn--99999999.org]", "[\"xn--mnchen-3ya.example\", \"xn--99999999.org\"]"},
    {"domains", DOMAIN_128, "[\"" DOMAIN_128 "\"]"},
    {"reject_texts", "[]", "[]"},
    {"reject_texts", "{class: dnsbl, text: Listed AT our.list}", "[{class: dnsbl, text: \"listed at our.list\"}]"},
    {"reject_texts", "[{text: abcd, class: other}, {class: rate, text: \"a\\\\b\\\"c\"}]",
     "[{class: other, text: \"abcd\"}, {class: rate, text: \"a\\\\b\\\"c\"}]"},
    {"redis.url", "unix:///run/redis.sock", "\"unix:///run/redis.sock\""},
    {"redis.user", "ms", "\"ms\""},
    {"redis.user", "\"\"", "\"\""},
    {"redis.user", "\"" USER_64 "\"", "\"" USER_64 "\""},
    {"redis.password_file", "/dev/null", "\"/dev/null\""},
    {"redis.password_file", "\"\"", "\"\""},
    {"redis.push_interval", "0.1", "0.1"},
    {"redis.push_interval", "60", "60"},
    {"redis.push_interval", "60.000000", "60"},
    {"redis.timeout", "0.10", "0.1"},
    {"redis.timeout", "59.5", "59.5"},
    {"collector.logs", "auto", "auto"},
    {"collector.logs", "[auto]", "auto"},
    {"collector.logs", "journal", "[journal]"},
    {"collector.logs", "[/var/log/mail.log, journal, '/a b']", "[journal, \"/var/log/mail.log\", \"/a b\"]"},
    {"collector.logs", PATH_255, "[\"" PATH_255 "\"]"},
    {"collector.processes", "[]", "[]"},
    {"collector.processes", "{role: a.b-c_D, match: Mai}", "[{role: \"a.b-c_D\", match: \"Mai\", min: 0, max: 0}]"},
    {"collector.processes",
     "[{role: " NAME_64 ", match: 'x \"y\"', min: 1, max: 1}, {max: 1000000, role: b, match: abc}]",
     "[{role: \"" NAME_64 "\", match: \"x \\\"y\\\"\", min: 1, max: 1}, "
     "{role: \"b\", match: \"abc\", min: 0, max: 1000000}]"},
    {"collector.filesystems", "[]", "[]"},
    {"collector.filesystems", "[/, /var/log]", "[\"/\", \"/var/log\"]"},
    {"collector.filesystems", PATH_64 PATH_64, "[\"" PATH_64 PATH_64 "\"]"},
    {"exporter.listen", "0.0.0.0:1", "[\"0.0.0.0:1\"]"},
    {"exporter.listen", "[127.0.0.1:65535, \"[::]:19154\"]", "[\"127.0.0.1:65535\", \"[::]:19154\"]"},
};

static void test_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof right_rows / sizeof right_rows[0]; i++) {
        struct settings settings;
        const char *wrong = options_try(file_with(right_rows[i].path, right_rows[i].value), &settings);
        if (*wrong != '\0')
            fail_msg("%s: %s: %s", right_rows[i].path, right_rows[i].value, wrong);
        assert_string_equal(printed(&settings, right_rows[i].path), right_rows[i].printed);
    }
}

#define EXPECT(why, expected) "\" is wrong" why ": expected " expected
#define EXPECT_NAME           EXPECT("", "letters, digits, point, underscore and hyphen, 64 at most")
#define EXPECT_LISTEN(why)    EXPECT(why, "addresses such as 127.0.0.1:19154 or [::1]:19154")
#define EXPECT_LISTENERS(why) EXPECT(why, "addresses such as 127.0.0.1:10025 or [::1]:10025")
#define EXPECT_SPAM_HEADERS                                                                                            \
    "mappings such as {name: X-Our-Filter, spam: \"Yes\", score_after: \"score=\", place: bottom}"
#define EXPECT_REJECT_TEXTS "mappings such as {class: dnsbl, text: listed at our.list}"
#define EXPECT_SOCKET       EXPECT("", "auto, unix:/path or inet:port@address")
#define EXPECT_SECONDS      EXPECT("", "seconds, such as 2 or 0.5")
#define EXPECT_NUMBER       EXPECT("", "a whole number in decimal digits")
#define EXPECT_OCTAL        EXPECT("", "octal digits from 0000 to 0777")
#define EXPECT_LOGS(why)    EXPECT(why, "auto, or journal and absolute paths of files, 8 at most")
#define EXPECT_PROCESSES    "mappings such as {role: scanner, match: MailScanner, min: 1, max: 50}"
#define ROLE(name)          "{role: " name ", match: abc}, "
#define EXPECT_PATHS(why)   EXPECT(why, "absolute paths such as /var/log, of printable ASCII without blanks and quotes")
#define SETS                                                                                                           \
    "client, sender_domain, recipient_domain, user, unknown_recipient, helo, deferred_domain or refusing_provider"
#define EXPECT_NETWORKS(why) EXPECT(why, "networks such as 10.0.0.0/8 or fd00::/8")

/* Values that are wrong, and the end of what is said of them. */
static const struct {
    const char *path, *value, *said;
} wrong_rows[] = {
    {"instance", "\"\"", EXPECT_NAME},
    {"instance", "mx 1", EXPECT_NAME},
    {"instance", "mx/1", EXPECT_NAME},
    {"instance", "\"{mx1}\"", EXPECT_NAME},
    {"instance", NAME_64 "x", "(too long): expected letters, digits, point, underscore and hyphen, 64 at most"},
    {"state_directory", "var/lib", EXPECT("", "an absolute path")},
    {"state_directory", "\"\"", EXPECT("", "an absolute path")},
    {"state_directory", PATH_255 "x", "(too long): expected an absolute path"},
    {"run_directory", "\"/a\\nb\"", "(holds a control character): expected an absolute path"},
    {"run_directory", "\"/a\\x7f\"", "(holds a control character): expected an absolute path"},
    {"trusted_networks", "\"\"", EXPECT_NETWORKS(" (not an address)")},
    {"trusted_networks", "10.0.0.0/33", EXPECT_NETWORKS(" (the prefix is not a number from 0 to 32)")},
    {"trusted_networks", "\"fe80::/129\"", EXPECT_NETWORKS(" (the prefix is not a number from 0 to 128)")},
    {"log.level", "Info", EXPECT("", "error, warning, info or debug")},
    {"log.level", "\"\"", EXPECT("", "error, warning, info or debug")},
    {"log.level", "2", EXPECT("", "error, warning, info or debug")},
    {"log.to", "file", EXPECT("", "stderr or syslog")},
    {"exporter.scope", "all", EXPECT("", "node or fleet")},
    {"top.sets", "Client", EXPECT("", SETS)},
    {"top.sets", "[client, domain]", EXPECT("", SETS)},
    {"mta.kind", "qmail", EXPECT("", "auto, postfix, sendmail or exim")},
    {"mta.config", "etc/postfix", EXPECT("", "auto, or an absolute path")},
    {"mta.config", "\"\"", EXPECT("", "auto, or an absolute path")},
    {"milter.socket", "/run/s", EXPECT_SOCKET},
    {"milter.socket", "unix:s", EXPECT_SOCKET},
    {"milter.socket", "\"inet:0@localhost\"", EXPECT_SOCKET},
    {"milter.socket", "\"inet:65536@localhost\"", EXPECT_SOCKET},
    {"milter.socket", "\"inet:99999999999999999999999@localhost\"", EXPECT_SOCKET},
    {"milter.socket", "\"inet:1\"", EXPECT_SOCKET},
    {"milter.socket", "\"inet:1@\"", EXPECT_SOCKET},
    {"milter.socket", "\"inet:-1@localhost\"", EXPECT_SOCKET},
    {"milter.socket", "\"inet:smtp@localhost\"", EXPECT_SOCKET},
    {"milter.socket", "Auto", EXPECT_SOCKET},
    {"milter.socket_mode", "0800", EXPECT_OCTAL},
    {"milter.socket_mode", "1000", EXPECT_OCTAL},
    {"milter.socket_mode", "000660", EXPECT_OCTAL},
    {"milter.socket_mode", "-1", EXPECT_OCTAL},
    {"milter.socket_mode", "0o660", EXPECT_OCTAL},
    {"milter.socket_mode", "\"\"", EXPECT_OCTAL},
    {"milter.socket_group", "\"a b\"", EXPECT("", "auto, the name of a group, or nothing (\"\") to leave it as it is")},
    {"milter.max_sessions", "1000001", "milter.max_sessions: 1000001 is out of range: from 0 to 1000000"},
    {"milter.max_sessions", "99999999999999999999", "is out of range: from 0 to 1000000"},
    {"milter.max_sessions", "-1", EXPECT_NUMBER},
    {"milter.max_sessions", "+1", EXPECT_NUMBER},
    {"milter.max_sessions", "1e3", EXPECT_NUMBER},
    {"milter.max_sessions", "0x10", EXPECT_NUMBER},
    {"milter.max_sessions", "1.0", EXPECT_NUMBER},
    {"milter.max_sessions", "\" 1\"", EXPECT_NUMBER},
    {"milter.drain", "3600.000001", "milter.drain: 3600.000001 is out of range: from 0 to 3600"},
    {"milter.drain", "-1", EXPECT_SECONDS},
    {"milter.drain", "0.0000001", EXPECT_SECONDS},
    {"milter.drain", "5.", EXPECT_SECONDS},
    {"milter.drain", ".5", EXPECT_SECONDS},
    {"milter.drain", "1e1", EXPECT_SECONDS},
    {"milter.drain", "30s", EXPECT_SECONDS},
    {"milter.drain", "\"\"", EXPECT_SECONDS},
    {"milter.body", "yes", EXPECT("", "true or false")},
    {"milter.body", "True", EXPECT("", "true or false")},
    {"milter.body", "1", EXPECT("", "true or false")},
    {"milter.reinjection", "127.0.0.1", EXPECT_LISTENERS("")},
    {"milter.reinjection", "localhost:25", EXPECT_LISTENERS("")},
    {"milter.reinjection", "\"::1:25\"", EXPECT_LISTENERS("")},
    {"milter.reinjection", "10.0.0.0/8:25", EXPECT_LISTENERS("")},
    {"milter.reinjection", "\":25\"", EXPECT_LISTENERS("")},
    {"milter.reinjection", "127.0.0.1:0", EXPECT_LISTENERS(" (the port is not a number from 1 to 65535)")},
    {"milter.reinjection", "127.0.0.1:65536", EXPECT_LISTENERS(" (the port is not a number from 1 to 65535)")},
    {"milter.reinjection", "\"127.0.0.1:\"", EXPECT_LISTENERS(" (the port is not a number from 1 to 65535)")},
    {"milter.reinjection", "127.0.0.1:25x", EXPECT_LISTENERS(" (the port is not a number from 1 to 65535)")},
    {"mta.listeners", "[\"[::1]:25\", \"[0::1]:25\"]", EXPECT_LISTENERS(" (stands there twice)")},
    {"spam.scanner", "amavis", EXPECT("", "milter, reinjection, log or none")},
    {"spam.authserv_ids", "\"\"", EXPECT("", "names such as mx.example.org, 255 bytes at most")},
    {"spam.authserv_ids", "a b", EXPECT("", "names such as mx.example.org, 255 bytes at most")},
    {"spam.authserv_ids", "\"" AUTHSERV_255 "x\"",
     "(too long): expected names such as mx.example.org, 255 bytes at most"},
    {"domains", "a b", EXPECT("", "domains such as example.org")},
    {"domains", "\"\"", EXPECT("", "domains such as example.org")},
    {"domains", ".", EXPECT("", "domains such as example.org")},
    {"domains", "a..b", EXPECT("", "domains such as example.org")},
    {"domains", "-a.org", EXPECT("", "domains such as example.org")},
    {"domains", "user@example.org", EXPECT("", "domains such as example.org")},
    {"domains", "'*.example.org'", EXPECT("", "domains such as example.org")},
    {"domains", "'a\"b'", EXPECT("", "domains such as example.org")},
    {"domains", "192.0.2.1", EXPECT("", "domains such as example.org")},
    {"domains", "\xc3\xbc..b", EXPECT("", "domains such as example.org")},
    {"domains", "x" DOMAIN_128, EXPECT(" (longer than 128 bytes)", "domains such as example.org")},
    {"domains",
     "\xf0\x9f\x92\xa9"
     "a\xc2\xa0"
     "b.org",
     "domains such as example.org"},
    {"domains", "[a.org, {b: c}]", "domains: needs a value: domains such as example.org"},
    {"domains", "[a.org, A.org.]", EXPECT(" (is given twice)", "domains such as example.org")},
    {"domains", "[m\xc3\xbcnchen.example, xn--mnchen-3ya.example]",
     EXPECT(" (is given twice)", "domains such as example.org")},
    {"spam.headers", "X-A", "spam.headers: expected " EXPECT_SPAM_HEADERS},
    {"spam.headers", "{}", "name is to be the name of a header: expected " EXPECT_SPAM_HEADERS},
    {"spam.headers", "{name: X-A}", "spam or score_after is needed: expected " EXPECT_SPAM_HEADERS},
    {"spam.headers", "{name: 'X A', spam: x}", "name is to be the name of a header: expected " EXPECT_SPAM_HEADERS},
    {"spam.headers", "{name: 'X:', spam: x}", "name is to be the name of a header: expected " EXPECT_SPAM_HEADERS},
    {"spam.headers", "{name: X, spam: ''}", "spam is empty: expected " EXPECT_SPAM_HEADERS},
    {"spam.headers", "{name: X, spam: x, place: middle}", "place is bottom or top: expected " EXPECT_SPAM_HEADERS},
    {"spam.headers", "{name: X, spam: x, colour: red}", "spam.headers: expected " EXPECT_SPAM_HEADERS},
    {"spam.headers", "{name: X, spam: x, name: Y}", "spam.headers: name is given twice; keep one"},
    {"spam.headers", "{name: X, spam: [x]}", "spam.headers: needs a value: " EXPECT_SPAM_HEADERS},
    {"spam.headers", "{name: X, spam: }", "spam.headers: needs a value: " EXPECT_SPAM_HEADERS},
    {"spam.headers", "{name: X, spam: \"a\\0b\"}", "spam.headers: holds a NUL"},
    {"spam.headers", "{name: X, spam: \"a\\nb\"}", "holds a control character: expected " EXPECT_SPAM_HEADERS},
    {"spam.headers", "{name: X, spam: " USER_64 "}", "too long: expected " EXPECT_SPAM_HEADERS},
    {"reject_texts", "{class: colour, text: abcd}",
     "class is to be a class of milterscope_rejects_total: expected " EXPECT_REJECT_TEXTS},
    {"reject_texts", "{text: abcd}",
     "class is to be a class of milterscope_rejects_total: expected " EXPECT_REJECT_TEXTS},
    {"reject_texts", "{class: spam, text: abc}", "text is to have 4 bytes at least: expected " EXPECT_REJECT_TEXTS},
    {"reject_texts", "{class: spam}", "text is to have 4 bytes at least: expected " EXPECT_REJECT_TEXTS},
    {"reject_texts", "{class: spam, text: " USER_64 USER_64 "}", "too long: expected " EXPECT_REJECT_TEXTS},
    {"redis.url", "http://localhost",
     "expected redis://host:port/db, unix:///path or sentinel://host:port,host:port/name"},
    {"redis.user", "\"" USER_64 "x\"", "(too long): expected a text"},
    {"redis.password_file", "/nonexistent/password", "(the file cannot be read): expected an absolute path of a file"},
    {"redis.password_file", "password", EXPECT("", "an absolute path of a file")},
    {"redis.push_interval", "0.099999", "redis.push_interval: 0.099999 is out of range: from 0.1 to 60"},
    {"redis.push_interval", "0", "redis.push_interval: 0 is out of range: from 0.1 to 60"},
    {"redis.push_interval", "60.000001", "redis.push_interval: 60.000001 is out of range: from 0.1 to 60"},
    {"redis.timeout", "0.099999", "redis.timeout: 0.099999 is out of range: from 0.1 to 60"},
    {"redis.timeout", "60.1", "redis.timeout: 60.1 is out of range: from 0.1 to 60"},
    {"collector.logs", "mail.log", EXPECT_LOGS("")},
    {"collector.logs", "\"\"", EXPECT_LOGS("")},
    {"collector.logs", "[journal, auto]", EXPECT_LOGS(" (auto stands alone)")},
    {"collector.logs", "[auto, /var/log/mail.log]", EXPECT_LOGS(" (auto stands alone)")},
    {"collector.logs", "[/a, /b, /a]", EXPECT_LOGS(" (stands there twice)")},
    {"collector.logs", "\"/a\\nb\"", EXPECT_LOGS("")},
    {"collector.logs", PATH_255 "x", EXPECT_LOGS(" (too long)")},
    {"collector.logs", "[]",
     "collector.logs: needs at least 1: auto, or journal and absolute paths of files, 8 at most"},
    {"collector.logs", "[/a, /b, /c, /d, /e, /f, /g, /h, /i]", EXPECT_LOGS(" (more than 8 files)")},
    {"collector.processes", "scanner", "collector.processes: expected " EXPECT_PROCESSES},
    {"collector.processes", "{match: abc}",
     "role is to be a name of letters, digits, point, underscore and hyphen, 64 at most: expected " EXPECT_PROCESSES},
    {"collector.processes", "{role: a b, match: abc}",
     "role is to be a name of letters, digits, point, underscore and hyphen, 64 at most: expected " EXPECT_PROCESSES},
    {"collector.processes", "{role: smtpd, match: abc}",
     "role is one of the MTA's, which is counted anyhow: expected " EXPECT_PROCESSES},
    {"collector.processes", "[{role: a, match: abc}, {role: a, match: abd}]",
     "role stands there twice: expected " EXPECT_PROCESSES},
    {"collector.processes", "{role: a}", "match is to be a text of 3 bytes at least: expected " EXPECT_PROCESSES},
    {"collector.processes", "{role: a, match: ab}",
     "match is to be a text of 3 bytes at least: expected " EXPECT_PROCESSES},
    {"collector.processes", "{role: a, match: \"ab\\n\"}",
     "match is to be a text of 3 bytes at least: expected " EXPECT_PROCESSES},
    {"collector.processes", "{role: a, match: " USER_64 USER_64 "}", "match is too long: expected " EXPECT_PROCESSES},
    {"collector.processes", "{role: a, match: abc, min: -1}",
     "min and max are numbers from 0 to 1000000: expected " EXPECT_PROCESSES},
    {"collector.processes", "{role: a, match: abc, max: 1000001}",
     "min and max are numbers from 0 to 1000000: expected " EXPECT_PROCESSES},
    {"collector.processes", "{role: a, match: abc, max: 1e3}",
     "min and max are numbers from 0 to 1000000: expected " EXPECT_PROCESSES},
    {"collector.processes", "{role: a, match: abc, min: 2, max: 1}",
     "max is less than min: expected " EXPECT_PROCESSES},
    {"collector.processes",
     "[" ROLE("a") ROLE("b") ROLE("c") ROLE("d") ROLE("e") ROLE("f") ROLE("g") ROLE("h") ROLE("i") ROLE("j") ROLE("k")
         ROLE("l") ROLE("m") ROLE("o") ROLE("p") ROLE("q") ROLE("r") "]",
     "more than 16 roles: expected " EXPECT_PROCESSES},
    {"collector.filesystems", "var", EXPECT_PATHS("")},
    {"collector.filesystems", "\"/a\\nb\"", EXPECT_PATHS("")},
    {"collector.filesystems", "/a b", EXPECT_PATHS("")},
    {"collector.filesystems", "[/a, /a]", EXPECT_PATHS(" (stands there twice)")},
    {"collector.filesystems", PATH_64 PATH_64 "x", EXPECT_PATHS(" (longer than 128 bytes)")},
    {"collector.filesystems", "[/1, /2, /3, /4, /5, /6, /7, /8, /9]", EXPECT_PATHS(" (more than 8 file systems)")},
    {"exporter.listen", "127.0.0.1", EXPECT_LISTEN("")},
    {"exporter.listen", "\":19154\"", EXPECT_LISTEN("")},
    {"exporter.listen", "localhost:19154", EXPECT_LISTEN("")},
    {"exporter.listen", "\"::1:19154\"", EXPECT_LISTEN("")},
    {"exporter.listen", "\"[127.0.0.1]:19154\"", EXPECT_LISTEN("")},
    {"exporter.listen", "\"[::1:19154\"", EXPECT_LISTEN("")},
    {"exporter.listen", "\"[]:1\"", EXPECT_LISTEN("")},
    {"exporter.listen", "\"]:1\"", EXPECT_LISTEN("")},
    {"exporter.listen", "10.0.0.0/8:1", EXPECT_LISTEN("")},
    {"exporter.listen", "127.0.0.1:0", EXPECT_LISTEN(" (the port is not a number from 1 to 65535)")},
    {"exporter.listen", "127.0.0.1:65536", EXPECT_LISTEN(" (the port is not a number from 1 to 65535)")},
    {"exporter.listen", "\"127.0.0.1:\"", EXPECT_LISTEN(" (the port is not a number from 1 to 65535)")},
    {"exporter.listen",
     "\"127.0.0.1:\x20"
     "1\"",
     EXPECT_LISTEN(" (the port is not a number from 1 to 65535)")},
};

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong_rows / sizeof wrong_rows[0]; i++) {
        struct settings settings;
        const char *said = options_try(file_with(wrong_rows[i].path, wrong_rows[i].value), &settings);
        size_t length = strlen(said), end = strlen(wrong_rows[i].said);
        char begin[96];
        snprintf(begin, sizeof begin, "%s: ", wrong_rows[i].path);
        if (length < end || strcmp(said + length - end, wrong_rows[i].said) != 0 || strstr(said, begin) == NULL)
            fail_msg("%s: %s: said \"%s\"", wrong_rows[i].path, wrong_rows[i].value, said);
    }
}

/* Paths of sockets, and lists, at their longest and one beyond. */
static void test_lengths(void **state)
{
    struct settings settings;
    char text[NETWORKS_MAX * 16 + 64];
    (void)state;
    for (int length = 107; length <= 108; length++) {
        snprintf(text, sizeof text, "milter: {socket: 'unix:/%0*d'}", length - 1, 0);
        const char *said = options_try(text, &settings);
        if (length == 107)
            assert_string_equal(said, "");
        else
            assert_non_null(
                strstr(said, "is wrong (the path of a Unix socket has 107 bytes at most): expected auto, unix:"));
    }
    for (int count = NETWORKS_MAX; count <= NETWORKS_MAX + 1; count++) {
        char *end = stpcpy(text, "trusted_networks: [");
        for (int i = 0; i < count; i++)
            end += sprintf(end, "10.0.%d.%d, ", i / 256, i % 256);
        strcpy(end, "]");
        const char *said = options_try(text, &settings);
        if (count == NETWORKS_MAX)
            assert_string_equal(said, "");
        else
            assert_non_null(strstr(said, "\"10.0.1.0\" is wrong (more than 256 networks)"));
    }
    assert_int_equal(settings.trusted_networks.count, NETWORKS_MAX);
    static const struct {
        const char *section, *element;
        int most;
    } lists[] = {{"spam: {headers: [", "{name: X, spam: x}, ", SPAM_HEADERS_OWN_MAX},
                 {"spam: {authserv_ids: [", "x, ", AUTHSERV_IDS_MAX},
                 {"{reject_texts: [", "{class: spam, text: abcd}, ", REJECT_TEXTS_OWN_MAX}};
    for (size_t list = 0; list < sizeof lists / sizeof lists[0]; list++) {
        for (int count = lists[list].most; count <= lists[list].most + 1; count++) {
            char *end = stpcpy(text, lists[list].section);
            for (int i = 0; i < count; i++)
                end = stpcpy(end, lists[list].element);
            strcpy(end, "]}");
            const char *said = options_try(text, &settings);
            if (count == lists[list].most)
                assert_string_equal(said, "");
            else
                assert_non_null(strstr(said, "more than "));
        }
    }
}

static void test_limits_of_addresses(void **state)
{
    static const struct {
        const char *section, *wrong;
    } lists[] = {{"exporter: {listen: [", "\"127.0.0.1:17\" is wrong (more than 16 addresses)"},
                 {"mta: {listeners: [", "\"127.0.0.1:17\" is wrong (more than 16 listeners)"},
                 {"milter: {reinjection: [", "\"127.0.0.1:17\" is wrong (more than 16 listeners)"}};
    static struct settings settings;
    char text[1024];
    (void)state;
    for (size_t list = 0; list < sizeof lists / sizeof lists[0]; list++) {
        for (int count = 16; count <= 17; count++) {
            char *end = stpcpy(text, lists[list].section);
            for (int i = 0; i < count; i++)
                end += sprintf(end, "127.0.0.1:%d, ", i + 1);
            strcpy(end, "]}");
            const char *said = options_try(text, &settings);
            if (count == 16)
                assert_string_equal(said, "");
            else
                assert_non_null(strstr(said, lists[list].wrong));
        }
    }
}

/* What is printed is read as what it was. */
static void test_print_and_read(void **state)
{
    static const char *const files[] = {
        "",
        "mta: {kind: exim}",
        "mta: {kind: postfix}\nlog: {level: debug, to: syslog}\ninstance: mx1\n",
        "milter: {socket: \"inet6:1@::1\", socket_mode: 7, socket_group: \"\", max_sessions: 7, drain: 0.000001, body: "
        "true}",
        "redis: {url: 'unix:///a b', user: \"a\\\"b\\\\c\xc3\xa4: [#\", password_file: /dev/null, push_interval: "
        "12.345678, timeout: 0.1}",
        "trusted_networks: [\"::ffff:0:0/96\", \"::/0\", 1.2.3.4, \"2001:db8::/33\"]\nexporter: {listen: [\"[::1]:1\", "
        "0.0.0.0:2]}",
        "spam: {scanner: reinjection, headers: [{name: '\"\\', spam: '\"\\: [#'}, {name: B, score_after: ''}], "
        "authserv_ids: ['\"\\']}\n"
        "milter: {reinjection: [\"[::1]:1\", 1.2.3.4:5]}\nreject_texts: [{class: 'spam', text: '\"\\: [# \xc3\x84'}]",
        "trusted_networks: []\nstate_directory: '/it''s'\nrun_directory: \"/\\\\\"\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct settings first, second;
        assert_string_equal(options_try(files[i], &first), "");
        const char *text = options_text(&first);
        const char *wrong = options_try(text, &second);
        if (*wrong != '\0')
            fail_msg("printed from \"%s\":\n%s\n%s", files[i], text, wrong);
        assert_string_equal(options_text(&second), text);
        second.read_at = first.read_at;
        assert_memory_equal(&first, &second, sizeof first);
    }
}

/* A reload puts the live options in force and keeps the others, and names the first that was changed in vain. */
static void test_keep(void **state)
{
    static const struct {
        const char *change, *kept; /* NULL: it takes effect */
    } rows[] = {
        {"instance: mx2", "instance"},
        {"state_directory: /x", "state_directory"},
        {"run_directory: /x", "run_directory"},
        {"trusted_networks: []", NULL},
        {"log: {level: error}", NULL},
        {"log: {to: syslog}", NULL},
        {"mta: {kind: postfix}", "mta.kind"},
        {"milter: {socket: 'inet:1@h'}", "milter.socket"},
        {"milter: {socket_mode: 0666}", "milter.socket_mode"},
        {"milter: {socket_group: mail}", "milter.socket_group"},
        {"milter: {max_sessions: 7}", NULL},
        {"milter: {drain: 7}", NULL},
        {"milter: {body: true}", "milter.body"},
        {"milter: {reinjection: 127.0.0.1:1}", NULL},
        {"spam: {scanner: none}", NULL},
        {"spam: {headers: {name: X, spam: x}}", NULL},
        {"spam: {authserv_ids: x}", NULL},
        {"reject_texts: {class: spam, text: spam}", NULL},
        {"redis: {url: 'unix:///x'}", NULL},
        {"redis: {user: x}", NULL},
        {"redis: {password_file: /dev/null}", NULL},
        {"redis: {push_interval: 7}", NULL},
        {"redis: {timeout: 7}", NULL},
        {"exporter: {listen: [127.0.0.1:1]}", "exporter.listen"},
        {"run_directory: /x\nmilter: {body: true, drain: 7}\ninstance: mx2", "instance"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct settings in_force, fresh, before;
        char option[64] = "untouched";
        assert_string_equal(options_try("", &in_force), "");
        assert_string_equal(options_try(rows[i].change, &fresh), "");
        before = fresh;
        assert_int_equal(options_keep(&in_force, &fresh, option), rows[i].kept != NULL);
        assert_string_equal(option, rows[i].kept != NULL ? rows[i].kept : "untouched");
        if (rows[i].kept == NULL) {
            assert_memory_equal(&before, &fresh, sizeof fresh);
            continue;
        }
        assert_false(options_keep(&in_force, &fresh, option));
        fresh.read_at = in_force.read_at;
        if (strchr(rows[i].change, '\n') == NULL)
            assert_memory_equal(&in_force, &fresh, sizeof fresh);
        else
            assert_int_equal(fresh.milter_drain, 7000000);
    }
    /* Nothing, and what auto stands for where there is no MTA, are the same group. */
    struct settings nothing, automatic;
    char option[64];
    assert_string_equal(options_try("mta: {kind: exim}\nmilter: {socket_group: \"\"}", &nothing), "");
    assert_string_equal(options_try("mta: {kind: exim}", &automatic), "");
    assert_false(options_keep(&nothing, &automatic, option));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),          cmocka_unit_test(test_wrong), cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_print_and_read), cmocka_unit_test(test_keep),  cmocka_unit_test(test_limits_of_addresses),
    };
    return cmocka_run_group_tests(tests, options_set_up, options_tear_down);
}
