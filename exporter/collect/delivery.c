/* Counts attempts at delivery, and says where they went. */
#include "exporter/collect/delivery.h"

#include "exporter/collect/failed_sets.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct delivery delivery_begin(const struct settings *settings, const struct hop *hop, enum label_status status)
{
    struct delivery delivery = {.hop = *hop,
                                .destination = delivery_destination(settings, hop),
                                .status = status,
                                .delay_us = DELIVERY_UNKNOWN};
    for (int stage = 0; stage < stage_COUNT; stage++)
        delivery.stages_us[stage] = DELIVERY_UNKNOWN;
    return delivery;
}

static void count_failed(const struct counting *counting, const struct delivery *delivery)
{
    enum label_failing failing = delivery->status == status_bounced ? failing_bounced : failing_deferred;
    enum label_problem problem = delivery_problem(delivery->text);
    tally_add(counting->tally, SERIES_2(delivery_problems_total, problem, failing), 1);
    if (counting->failed != NULL)
        failed_sets_count(counting->failed, counting->time_us, delivery, problem);
}

void delivery_count(const struct counting *counting, const struct delivery *delivery)
{
    const struct tally *tally = counting->tally;
    static const enum label_final finals[status_COUNT] = {
        [status_sent] = final_sent, [status_deferred] = final_deferred, [status_bounced] = final_bounced};
    if (delivery->destination == destination_COUNT)
        return;
    tally_add(tally, SERIES_2(deliveries_total, delivery->destination, delivery->status), 1);
    if (delivery->status == status_expired)
        return;
    struct span code = delivery->code.length > 0 ? delivery->code : delivery->text;
    tally_add(tally, SERIES_2(delivery_codes_total, delivery_code(code), finals[delivery->status]), 1);
    if (delivery->status != status_sent) {
        count_failed(counting, delivery);
        return;
    }
    if (delivery->delay_us >= 0)
        tally_observe(tally, metric_delivery_seconds, delivery->destination, (uint64_t)delivery->delay_us);
    for (unsigned stage = 0; stage < stage_COUNT; stage++) {
        if (delivery->stages_us[stage] >= 0)
            tally_observe(tally, metric_delivery_stage_seconds, stage, (uint64_t)delivery->stages_us[stage]);
    }
}

/* ---- where it went ---- */

/* A text of an address; AF_UNSPEC: it is none. */
static struct sockaddr_storage read_address(struct span text)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    char copy[INET6_ADDRSTRLEN + 8];
    span_take(&text, SPAN("IPv6:"));
    if (text.length == 0 || text.length >= sizeof copy || *text.at == '/')
        return address;
    memcpy(copy, text.at, text.length);
    copy[text.length] = '\0';
    if (inet_pton(AF_INET, copy, &((struct sockaddr_in *)&address)->sin_addr) == 1)
        address.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, copy, &((struct sockaddr_in6 *)&address)->sin6_addr) == 1)
        address.ss_family = AF_INET6;
    return address;
}

/* Is the text this name, in lower case, or below it (".example.org")? */
static bool has_name(struct span text, const char *name)
{
    size_t length = strlen(name);
    text.length -= text.length > 0 && text.at[text.length - 1] == '.';
    if (text.length < length || (text.length > length && *name != '.'))
        return false;
    return strncasecmp(text.at + text.length - length, name, length) == 0;
}

static bool is_among(const struct destinations *list, const struct hop *hop, const struct sockaddr_storage *address)
{
    for (uint32_t i = 0; i < list->count; i++) {
        uint16_t port = list->list[i].port;
        if (port != 0 && port != hop->port)
            continue;
        if (list->list[i].is_network) {
            if (network_contains(&list->list[i].network, (const struct sockaddr *)address))
                return true;
        } else if (has_name(hop->host, list->list[i].name) || has_name(hop->address, list->list[i].name) ||
                   (port == 0 && has_name(hop->domain, list->list[i].name))) {
            return true;
        }
    }
    return false;
}

/* Postfix names Unix sockets as they stand in its configuration: "private/dovecot-lmtp", "/run/dovecot/lmtp". */
static bool is_path(struct span address)
{
    return address.length > 0 && memchr(address.at, '/', address.length) != NULL;
}

enum label_destination delivery_destination(const struct settings *settings, const struct hop *hop)
{
    const struct sockaddr_storage address = read_address(hop->address);
    if (is_among(&settings->collector_destinations_ignore, hop, &address))
        return destination_COUNT;
    if (is_among(&settings->collector_destinations_local, hop, &address))
        return destination_local;
    if (is_among(&settings->collector_destinations_internal, hop, &address))
        return destination_internal;
    if (hop->local || is_path(hop->address))
        return destination_local;
    if (networks_contain(&settings->trusted_networks, (const struct sockaddr *)&address) ||
        own_domains_find(&settings->domains, hop->domain.at, hop->domain.length) != NULL)
        return destination_internal;
    return destination_external;
}
