/* Where everything about messages is counted: one line a metric. */
#include "milter/filter/message.h"

#include <string.h>

void message_reset(struct message *message)
{
    memset(message, 0, sizeof *message);
}

uint32_t message_refused(const struct message *message)
{
    return message->refused > message->refused_told ? message->refused : message->refused_told;
}

void message_count_scan(const struct message *message, const struct tally *tally, const struct settings *settings,
                        enum spam_scanner here)
{
    int64_t score = spam_score(&message->spam);
    if (settings->spam_scanner != (int64_t)here)
        return;
    tally_add(tally, SERIES_2(spam_verdicts_total, message->source, spam_verdict(&message->spam)), 1);
    if (score >= 0)
        tally_observe(tally, metric_spam_score, 0, (uint64_t)score);
    if (spam_infected(&message->spam))
        tally_add(tally, SERIES_1(infected_total, message->source), 1);
}

static void count_auth_results(const struct tally *tally, const struct auth_results *results)
{
    for (unsigned method = 0; method < method_COUNT; method++) {
        for (unsigned result = 0; results->methods[method] && result < result_COUNT; result++) {
            if (results->counts[method][result] > 0)
                tally_add(tally, SERIES_2(auth_results_total, method, result), results->counts[method][result]);
        }
    }
}

static void count_passed(const struct message *message, const struct tally *tally, const struct settings *settings,
                         uint64_t lasted_us)
{
    uint64_t bytes = settings->milter_body ? message->counted_bytes : message->declared_bytes;
    if (bytes > 0)
        tally_observe(tally, metric_message_bytes, message->source, bytes);
    tally_observe(tally, metric_message_recipients, 0, message->accepted);
    tally_observe(tally, metric_message_seconds, 0, lasted_us);
    tally_observe(tally, metric_received_hops, 0, message->received);
    count_auth_results(tally, &message->auth_results);
}

static void count_rejects(const struct tally *tally, const struct message *message)
{
    for (unsigned class = 0; class < class_COUNT; class ++) {
        for (unsigned reply = 0; reply < reply_COUNT; reply++) {
            if (message->rejects[class][reply] > 0)
                tally_add(tally, SERIES_2(rejects_total, class, reply), message->rejects[class][reply]);
        }
    }
    for (unsigned code = 0; code < code_COUNT; code++) {
        if (message->codes[code] > 0)
            tally_add(tally, SERIES_1(reject_codes_total, code), message->codes[code]);
    }
}

void message_count(const struct message *message, const struct tally *tally, const struct settings *settings,
                   enum label_verdict verdict, uint64_t lasted_us)
{
    uint32_t refused = message_refused(message);
    tally_add(tally, SERIES_2(messages_total, message->source, verdict), 1);
    by_domain_count(&message->by_domain, tally, verdict);
    if (message->null_sender)
        tally_add(tally, SERIES_1(null_sender_total, message->source), 1);
    if (message->accepted > 0)
        tally_add(tally, SERIES_2(recipients_total, message->source, outcome_accepted), message->accepted);
    if (refused > 0)
        tally_add(tally, SERIES_2(recipients_total, message->source, outcome_refused), refused);
    count_rejects(tally, message);
    if (verdict == verdict_passed)
        count_passed(message, tally, settings, lasted_us);
}
