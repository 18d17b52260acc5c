/* Who failed and why, into the table of its set and hour. */
#include "exporter/collect/failed_sets.h"

#include "conf/lib/log.h"
#include "conf/lib/member.h"
#include "exporter/collect/saved_file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct failed_sets {
    const struct settings *settings;
    struct node_sets *sets;
    struct heavy *heavy[NODE_SETS_TABLES];
    int64_t hour; /* the one that runs */
    bool changed; /* since they were handed over */
};

struct failed_sets *failed_sets_open(struct node_sets *sets, const struct settings *settings)
{
    struct failed_sets *failed = calloc(1, sizeof *failed);
    bool good = failed != NULL;
    if (sets->privacy != (uint64_t)settings->privacy) { /* what a run before left may hold addresses */
        memset(sets, 0, sizeof *sets);
        sets->privacy = (uint64_t)settings->privacy;
    }
    for (unsigned i = 0; good && i < NODE_SETS_TABLES; i++) {
        failed->heavy[i] = heavy_new(&sets->tables[i].sum, sets->tables[i].entries, NODE_SETS_PLACES);
        good = failed->heavy[i] != NULL;
    }
    if (!good) {
        failed_sets_close(failed);
        return NULL;
    }
    failed->settings = settings;
    failed->sets = sets;
    failed->changed = true; /* run_directory may be empty */
    if (!member_prepare(settings->privacy != 0))
        log_warning("no list of public suffixes: domains are not reduced to the registered ones");
    return failed;
}

void failed_sets_close(struct failed_sets *failed)
{
    for (unsigned i = 0; failed != NULL && i < NODE_SETS_TABLES; i++)
        heavy_free(failed->heavy[i]);
    free(failed);
}

void failed_sets_tick(struct failed_sets *failed, int64_t now_us)
{
    failed->hour = top_hour(now_us / 1000000);
}

/* One of a future that a clock has taken back is worth nothing, else the older is worth less. */
static int64_t worth(const struct failed_sets *failed, unsigned i)
{
    return failed->sets->tables[i].hour > failed->hour ? 0 : failed->sets->tables[i].hour;
}

/* The table of a set for an hour: the one that has it, or the one that is worth least, emptied. */
static unsigned table_for(struct failed_sets *failed, enum top_set set, int64_t hour)
{
    unsigned chosen = NODE_SETS_TABLES;
    for (unsigned i = 0; i < NODE_SETS_TABLES; i++) {
        if (node_sets_of(i) != set)
            continue;
        if (failed->sets->tables[i].hour == hour)
            return i;
        if (chosen == NODE_SETS_TABLES || worth(failed, i) < worth(failed, chosen))
            chosen = i;
    }
    struct node_sets_table *table = &failed->sets->tables[chosen];
    memset(table, 0, sizeof *table);
    hyperloglog_begin(table->sketch);
    heavy_index(failed->heavy[chosen]);
    table->hour = hour;
    return chosen;
}

/* A domain, a host's name, an address: no path and no command, which logs have in their place, and which tell of people. */
static bool is_name(struct span text)
{
    for (size_t i = 0; i < text.length; i++) {
        const unsigned char byte = (unsigned char)text.at[i];
        if (byte < 0x80 && !isalnum(byte) && strchr("-._[]:", byte) == NULL)
            return false;
    }
    return text.length > 0;
}

/* The name of the server; where it has none, also where sendmail writes "[192.0.2.1]" in its place, its address, the same from any MTA. */
static struct span server_of(const struct hop *hop)
{
    struct span address = hop->address;
    span_take(&address, SPAN("IPv6:")); /* sendmail's */
    return is_name(hop->host) && *hop->host.at != '[' ? hop->host : address;
}

/* "DOMAIN CLASS". One that is too long to be a domain is left out. */
static void add(struct failed_sets *failed, enum top_set set, int64_t hour, struct span name,
                enum label_problem problem, bool refused)
{
    const char *class = catalogue[metric_delivery_problems_total].labels[0]->values[problem];
    const uint64_t counts[top_by_COUNT] = {[top_by_recipients] = 1, [top_by_refused] = refused};
    struct member member;
    if (!top_has(failed->settings->top_sets, set) || !is_name(name))
        return;
    member_registered(name.at, name.length, &member);
    if (member.length == 0 || member.length + 1 + strlen(class) > TOP_MEMBER_MAX)
        return;
    member.length += (size_t)sprintf(member.text + member.length, " %s", class);
    unsigned i = table_for(failed, set, hour);
    hyperloglog_add(failed->sets->tables[i].sketch, top_hash(member.text, member.length));
    heavy_add(failed->heavy[i], member.text, member.length, counts);
    failed->changed = true;
}

/* Is it us whom the server does not want, whoever the recipient is? One that bids us come again, as to anybody, does not refuse. */
static bool is_of_us(enum label_problem problem)
{
    static const bool of_us[problem_COUNT] = {
        [problem_blocklisted] = true,    [problem_sender_verify] = true, [problem_no_rdns] = true,
        [problem_refused_policy] = true, [problem_refused_spam] = true,
    };
    return of_us[problem];
}

void failed_sets_count(struct failed_sets *failed, int64_t time_us, const struct delivery *delivery,
                       enum label_problem problem)
{
    const struct hop *hop = &delivery->hop;
    int64_t hour = time_us == 0 ? failed->hour : top_hour(time_us / 1000000);
    if (hour > failed->hour) /* by a clock that is ahead of ours */
        hour = failed->hour;
    if (hour <= failed->hour - NODE_SETS_HOURS)
        return;
    if (delivery->status == status_deferred)
        add(failed, top_deferred_domain, hour, is_name(hop->domain) ? hop->domain : SPAN("localhost"), problem, false);
    if (delivery->destination == destination_external && is_of_us(problem))
        add(failed, top_refusing_provider, hour, server_of(hop), problem, delivery->status == status_bounced);
}

bool failed_sets_hand_over(struct failed_sets *failed, struct failure *failure)
{
    struct node_sets_head head;
    if (!failed->changed)
        return true;
    node_sets_describe(&head, failed->sets);
    const struct iovec parts[] = {{&head, sizeof head}, {failed->sets, sizeof *failed->sets}};
    failed->changed = !saved_file_write(failed->settings->run_directory, NODE_SETS_FILE, parts, 2, false, failure);
    return !failed->changed;
}
