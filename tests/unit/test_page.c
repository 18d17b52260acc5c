/* exporter/serve/page.c: what the page for people says in each state, every figure at its place, nothing of a name or an error taken as
 * HTML. */
#include "exporter/serve/page.h"

#include "exporter/serve/fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *page; /* the one written last */

static void write_page(const char *instance, const struct view *view)
{
    size_t length;
    free(page);
    FILE *out = open_memstream(&page, &length);
    assert_non_null(out);
    page_write(out, instance, view, NULL);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(strlen(page), length);
}

static void expect(const char *text)
{
    if (strstr(page, text) == NULL)
        fail_msg("\"%s\" is not on the page:\n%s", text, page);
}

static void expect_not(const char *text)
{
    if (strstr(page, text) != NULL)
        fail_msg("\"%s\" is on the page:\n%s", text, page);
}

static struct view *live_view(void)
{
    static struct view view;
    view = (struct view){.ready = true, .from = "Redis"};
    snapshot_clear(&view.values);
    view.values.has_totals = true;
    view.values.gauges[gauge_up] = 1;
    return &view;
}

static int end(void **state)
{
    (void)state;
    free(page);
    page = NULL;
    return 0;
}

static void test_state(void **state)
{
    (void)state;
    struct view *view = live_view();
    view->values.gauges[gauge_sessions_active] = 1;
    write_page("mx1", view);
    expect("<title>milterscope: mx1</title>");
    expect("<h1>milterscope: mx1</h1>");
    expect("<p>Live, from Redis. 1 SMTP session open.</p>\n");
    expect_not("trouble>");
    view->values.gauges[gauge_sessions_active] = 0;
    write_page("mx1", view);
    expect(" 0 SMTP sessions open.");
    view->values.gauges[gauge_sessions_active] = GAUGE_ABSENT;
    view->values.gauges[gauge_up] = 0;
    view->from = "the tally of this host";
    strcpy(view->trouble, "milterscope does not run on this host");
    write_page("mx1", view);
    expect("<p><strong>Not live</strong>, from the tally of this host.</p>\n"
           "<p class=trouble>milterscope does not run on this host</p>\n");
    expect_not("SMTP session");
}

static void test_nothing_is_html(void **state)
{
    (void)state;
    struct view *view = live_view();
    strcpy(view->trouble, "\"<b>\" & '</p>'");
    write_page("<script>\"&'", view);
    expect("<title>milterscope: &lt;script&gt;&quot;&amp;&#39;</title>");
    expect("<h1>milterscope: &lt;script&gt;&quot;&amp;&#39;</h1>");
    expect("<p class=trouble>&quot;&lt;b&gt;&quot; &amp; &#39;&lt;/p&gt;&#39;</p>");
    expect_not("<script>");
    expect_not("<b>");
}

/* Each value is another, so that none can stand at the place of another. */
static void test_figures(void **state)
{
    (void)state;
    struct view *view = live_view();
    char cell[64];
    view->values.totals[SERIES_1(connections_total, client_internal)] = 1234567;
    for (unsigned i = 0; i < verdict_COUNT; i++)
        view->values.totals[SERIES_2(messages_total, source_bounce, i)] = 100 + i;
    view->values.totals[SERIES_2(spam_verdicts_total, source_local, spam_clean)] = UINT64_MAX;
    write_page("mx1", view);
    expect("<h2>Connections by client</h2>\n<table>\n<tr><th>client</th><th>total</th></tr>\n"
           "<tr><td>local</td><td class=zero>0</td></tr>\n<tr><td>internal</td><td>1234567</td></tr>\n"
           "<tr><td>external</td><td class=zero>0</td></tr>\n</table>\n");
    expect("<tr><td>bounce</td><td>100</td><td>101</td><td>102</td>");
    snprintf(cell, sizeof cell, "<td>%u</td></tr>\n<tr><td>external</td>", 100u + verdict_COUNT - 1);
    expect(cell);
    expect("<td>18446744073709551615</td>");
    expect("<h2>Refused recipients by reason</h2>");
    view->values.has_totals = false;
    write_page("mx1", view);
    expect_not("<table>");
    expect("href=\"/metrics\"");
}

/* As in /metrics: what the filter cannot see is not there, until it has been counted. */
static void test_hidden(void **state)
{
    (void)state;
    struct view *view = live_view();
    view->values.gauges[gauge_observable + (unsigned)part_early_refusals] = 0;
    view->values.gauges[gauge_observable + (unsigned)part_spam] = 0;
    view->values.totals[SERIES_2(rejects_total, class_policy, reply_5xx)] = 7;
    write_page("sm1", view);
    expect("<tr><td>user_unknown</td><td class=zero>0</td><td class=zero>0</td></tr>\n"
           "<tr><td>policy</td><td></td><td>7</td></tr>\n</table>");
    expect_not("relay_denied");
    expect_not("spam verdict");
}

/* What the collector sees: each thing where it is there, as people read it. */
static void test_node(void **state)
{
    (void)state;
    struct view *view = live_view();
    struct snapshot *values = &view->values;
    write_page("mx1", view);
    expect_not("Queues");
    expect_not("Disk");
    expect_not("Listeners");
    expect_not("delivery");
    values->gauges[gauge_queue_messages + (unsigned)queue_deferred] = 1234;
    values->gauges[gauge_queue_oldest_seconds + (unsigned)queue_deferred] = INT64_C(90061) * 1000000;
    values->gauges[gauge_queue_tried_messages + (unsigned)queue_deferred] = 77;
    values->gauges[gauge_queue_messages + (unsigned)queue_own_0 + 1] = 0;
    values->gauges[gauge_queue_oldest_seconds + (unsigned)queue_own_0 + 1] = INT64_C(125) * 1000000;
    strcpy(values->places.names[places_queue + 1], "mqueue<in");
    values->gauges[gauge_mta_up] = 1;
    values->gauges[gauge_milter_attached] = 0;
    strcpy(values->places.names[places_listener], "127.0.0.1:25");
    values->gauges[gauge_filesystem_free_bytes + (unsigned)filesystem_state] = INT64_C(1536) << 20;
    values->gauges[gauge_filesystem_size_bytes + (unsigned)filesystem_state] = 1000;
    write_page("mx1", view);
    expect("<h2>Queues</h2>\n<table>\n<tr><th>queue</th><th>messages</th><th>oldest</th><th>tried in vain</th>"
           "<th>bounces</th></tr>\n"
           "<tr><td>deferred</td><td>1234</td><td>1 d 1 h</td><td>77</td><td></td></tr>\n"
           "<tr><td>mqueue&lt;in</td><td class=zero>0</td><td>2 min</td><td></td><td></td></tr>\n</table>\n");
    expect("<tr><td>127.0.0.1:25</td><td>yes</td><td><strong>no</strong></td></tr>\n</table>\n");
    expect("<tr><td>state</td><td>1.5 GiB</td><td>1000 bytes</td><td></td></tr>\n</table>\n");
    expect_not("delivery");
    values->has_totals = false;
    values->has_node = true;
    values->totals[SERIES_2(deliveries_total, destination_external, status_deferred)] = 31;
    write_page("mx1", view);
    expect("<h2>Attempts at delivery by destination and result</h2>\n<table>\n<tr><th>destination</th><th>sent</th>");
    expect("<tr><td>external</td><td class=zero>0</td><td>31</td>");
    expect_not("Connections");
}

/* What nobody understood, whoever wrote it: as text, without the names of people, and no more than there is room for. */
static void test_unparsed(void **state)
{
    static const struct {
        const char *line, *shown;
    } rows[] = {
        {"postfix/smtp: 4F2A: to=<joe.doe+x@example.org>, <b>", "to=&lt;\xe2\x80\xa6@example.org&gt;, &lt;b&gt;"},
        {"from=a=b@c.example", "<bdi>\xe2\x80\xa6@c.example</bdi>"},
        {"<\"quoted @ name\"@example.org>", "<bdi>&lt;\xe2\x80\xa6@example.org&gt;</bdi>"},
        {"to=<\"joe \\\"doe\\\"\"@example.org>", "<bdi>to=&lt;\xe2\x80\xa6@example.org&gt;</bdi>"},
        {"<\"@\"@x> a@b@c", "<bdi>\xe2\x80\xa6@x&gt; \xe2\x80\xa6@\xe2\x80\xa6@c</bdi>"},
        {"end\"@x", "<bdi>\xe2\x80\xa6@x</bdi>"},
        {"@, @@ x@", "<bdi>@, @@ \xe2\x80\xa6@</bdi>"},
        {"none", "<bdi>none</bdi>"},
    };
    struct view *view = live_view();
    (void)state;
    write_page("mx1", view);
    expect_not("not understood");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(view->unparsed, sizeof view->unparsed, "%s\nlast\n", rows[i].line);
        write_page("mx1", view);
        expect("<h2>Lines of the log that were not understood, the last ones</h2>\n<pre>\n<bdi>");
        expect(rows[i].shown);
        expect("<bdi>last</bdi>\n</pre>\n");
    }
    for (size_t i = 0; i < sizeof view->unparsed - 1; i++)
        view->unparsed[i] = i % 200 == 199 ? '\n' : "a@"[i % 2];
    view->unparsed[sizeof view->unparsed - 1] = '\0';
    write_page("mx1", view);
    expect("</pre>");
}

/* Messages in all queues of an instance, where it has a collector. */
static void test_fleet_queued(void **state)
{
    (void)state;
    struct view *view = live_view();
    struct fleet_view *fleet = calloc(1, sizeof *fleet + 2 * sizeof fleet->rows[0]);
    assert_non_null(fleet);
    fleet->count = 2;
    for (unsigned i = 0; i < 2; i++) {
        fleet->rows[i].up = true;
        snapshot_clear(&fleet->rows[i].values);
        fleet->rows[i].values.has_totals = true;
    }
    fleet->rows[0].values.gauges[gauge_queue_messages + (unsigned)queue_deferred] = 40;
    fleet->rows[0].values.gauges[gauge_queue_messages + (unsigned)queue_active] = 2;
    view->is_fleet = true;
    view->fleet = fleet;
    write_page("", view);
    expect("<th>recipients refused</th><th>queued</th></tr>\n");
    expect("<td class=zero>0</td><td>42</td></tr>\n<tr>");
    expect("<td class=zero>0</td></tr>\n</table>");
    free(fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_state),       cmocka_unit_test(test_nothing_is_html),
                                       cmocka_unit_test(test_figures),     cmocka_unit_test(test_hidden),
                                       cmocka_unit_test(test_node),        cmocka_unit_test(test_unparsed),
                                       cmocka_unit_test(test_fleet_queued)};
    return cmocka_run_group_tests(tests, NULL, end);
}
