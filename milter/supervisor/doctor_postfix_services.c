/* What else in main.cf and master.cf decides about our filter: no_milters, listeners where mail goes to a content filter before the queue
 * or comes back from one, and which refusals are shown. */
#include "milter/supervisor/doctor_checks.h"
#include "milter/supervisor/doctor_memory.h"

#include <stdlib.h>
#include <string.h>

/* 127.0.0.1:10025, [::1]:10025, localhost:10025; a service without a host is open to others. */
static bool is_on_loopback(const struct postfix_service *service)
{
    static const char *const hosts[] = {"127.", "[127.", "[::1]:", "::1:", "localhost:"};
    size_t length = strlen(service->name);
    if (length < 5 || strcmp(service->name + length - 5, "/inet") != 0)
        return true; /* a Unix socket or a pipe */
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        if (strncmp(service->name, hosts[i], strlen(hosts[i])) == 0)
            return true;
    }
    return false;
}

bool doctor_reinjects(const struct doctor *doctor, const char *host, const char *port)
{
    const struct listeners *known = &doctor->settings->milter_reinjection;
    struct network network;
    if (network_parse(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &network) != NULL)
        return false;
    for (uint32_t i = 0; i < known->count; i++) {
        if (memcmp(network.address, known->list[i].address.address, sizeof network.address) == 0 &&
            strtoul(port, NULL, 10) == known->list[i].port)
            return true;
    }
    return false;
}

static bool is_known(const struct doctor *doctor, const struct postfix_service *service)
{
    const char *colon = strrchr(service->name, ':');
    if (colon == NULL)
        return false;
    size_t bracket = service->name[0] == '[' && colon[-1] == ']';
    const char *host = memory_copy(service->name + bracket, (size_t)(colon - service->name) - 2 * bracket);
    return doctor_reinjects(doctor, host, colon + 1);
}

bool doctor_before_queue(const struct doctor *doctor, const struct postfix_service *service)
{
    return strcmp(service->command, "smtpd") == 0 &&
           postfix_value(doctor->postfix, service, "smtpd_proxy_filter")[0] != '\0';
}

/* Does mail come back from filters before the queue alone? Then a listener that has no content_filter is nothing special. */
static bool only_before_queue(const struct doctor *doctor)
{
    bool before = false;
    for (const struct postfix_service *service = doctor->postfix->services; service != NULL; service = service->next) {
        if (postfix_value(doctor->postfix, service, "content_filter")[0] != '\0')
            return false;
        before = before || doctor_before_queue(doctor, service);
    }
    return before;
}

bool doctor_comes_back(const struct doctor *doctor, const struct postfix_service *service)
{
    const struct postfix_setting *filter = postfix_own(doctor->postfix, service, "content_filter");
    if (is_known(doctor, service))
        return doctor->settings->spam_scanner != scanner_reinjection; /* where its headers are read */
    return filter != NULL && filter->value != NULL && filter->value[0] == '\0' && is_on_loopback(service) &&
           !only_before_queue(doctor);
}

bool doctor_any_chrooted(const struct postfix *postfix, const char *command)
{
    for (const struct postfix_service *service = postfix->services; service != NULL; service = service->next) {
        if (strcmp(service->command, command) == 0 && postfix_chrooted(postfix, service))
            return true;
    }
    return false;
}

/* ---- no_milters ---- */

static bool is_not_no_milters(const struct filter *word, const void *context)
{
    (void)context;
    return strcmp(word->text, "no_milters") != 0;
}

static bool has_no_milters(const char *value)
{
    for (const struct filter *word = list_split(value); word != NULL; word = word->next) {
        if (!is_not_no_milters(word, NULL))
            return true;
    }
    return false;
}

/* Of a service, or of main.cf (NULL). */
static void look_at_no_milters(struct doctor *doctor, const struct postfix_service *service)
{
    static const char name[] = "receive_override_options";
    const struct postfix_setting *setting = postfix_own(doctor->postfix, service, name);
    if (setting == NULL || setting->value == NULL || !has_no_milters(setting->value))
        return;
    const char *written = setting->raw != NULL && has_no_milters(setting->raw) ? setting->raw : setting->value;
    const char *rest = list_join(list_split(written), is_not_no_milters, NULL, NULL, service != NULL);
    const char *line =
        service != NULL ? memory_print("%s/%s=%s", service->name, name, rest) : memory_print("%s = %s", name, rest);
    findings_add(
        &doctor->findings,
        cure_run(memory_print("%s -%c %s", doctor->postfix->postconf, service != NULL ? 'P' : 'e', shell_word(line))),
        "%s%s: no_milters keeps mail from all filters, also from milterscope", name,
        service != NULL ? memory_print(" of %s in master.cf", service->name) : "");
}

/* ---- content filters ---- */

struct place {
    const struct doctor *doctor;
    bool chrooted;
};

static bool is_foreign(const struct filter *entry, const void *context)
{
    const struct place *place = context;
    return doctor_entry(place->doctor, entry, place->chrooted) == entry_other;
}

/* Is our filter shown what the service takes? If so, *without is the line that ends it. */
static bool is_shown(const struct doctor *doctor, const struct postfix_service *service, struct cure *without)
{
    const struct postfix *postfix = doctor->postfix;
    const struct place place = {doctor, postfix_chrooted(postfix, service)};
    const struct filter *entries = list_split(postfix_value(postfix, service, "smtpd_milters")), *entry = entries;
    while (entry != NULL && is_foreign(entry, &place))
        entry = entry->next;
    if (entry == NULL || has_no_milters(postfix_value(postfix, service, "receive_override_options")))
        return false;
    const char *others = list_join(entries, is_foreign, &place, NULL, true);
    *without = cure_run(memory_print("%s -P %s", postfix->postconf,
                                     shell_word(memory_print("%s/smtpd_milters=%s", service->name, others))));
    return true;
}

static void look_at_return(struct doctor *doctor, const struct postfix_service *service)
{
    struct cure without;
    if (!is_known(doctor, service) && is_shown(doctor, service, &without))
        findings_add(&doctor->findings, without,
                     "%s in master.cf: mail that a content filter hands back is shown to milterscope again, and "
                     "counted twice",
                     service->name);
}

static void look_at_before_queue(struct doctor *doctor, const struct postfix_service *service)
{
    const char *filter = postfix_value(doctor->postfix, service, "smtpd_proxy_filter");
    struct cure without;
    if (is_shown(doctor, service, &without))
        findings_add(
            &doctor->findings, without,
            "smtpd_proxy_filter of %s in master.cf: the content goes to %s and not to milterscope, so a message "
            "counts as lost there, and again where that hands it back; without milterscope there it counts "
            "once, but the sessions of clients, and recipients that are refused to them, do not (CAVEATS in "
            "milterscope(8))",
            service->name, filter);
}

void doctor_postfix_services(struct doctor *doctor)
{
    static const char *const commands[] = {"smtpd", "pickup"};
    look_at_no_milters(doctor, NULL);
    for (const struct postfix_service *service = doctor->postfix->services; service != NULL; service = service->next) {
        if (strcmp(service->command, "smtpd") == 0 && doctor_comes_back(doctor, service)) {
            look_at_return(doctor, service);
            continue;
        }
        if (doctor_before_queue(doctor, service)) {
            look_at_before_queue(doctor, service);
            continue;
        }
        for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
            if (strcmp(service->command, commands[i]) == 0)
                look_at_no_milters(doctor, service);
        }
    }
}

/* ---- which refusals are shown ---- */

static void look_at_delay(struct doctor *doctor, const struct postfix_service *service)
{
    static const char name[] = "smtpd_delay_reject";
    const struct postfix_setting *setting = postfix_own(doctor->postfix, service, name);
    if (setting == NULL || setting->value == NULL || strcmp(setting->value, "no") != 0)
        return;
    const char *line = service != NULL
                           ? memory_print("%s -P %s/%s=yes", doctor->postfix->postconf, shell_word(service->name), name)
                           : memory_print("%s -e '%s = yes'", doctor->postfix->postconf, name);
    findings_add(&doctor->findings, cure_run(line),
                 "%s%s is no, so what is refused at connect, HELO or MAIL is not shown to filters, nor why", name,
                 service != NULL ? memory_print(" of %s in master.cf", service->name) : "");
}

void doctor_postfix_refusals(struct doctor *doctor)
{
    look_at_delay(doctor, NULL);
    for (const struct postfix_service *service = doctor->postfix->services; service != NULL; service = service->next) {
        if (strcmp(service->command, "smtpd") == 0 && !doctor_comes_back(doctor, service))
            look_at_delay(doctor, service);
    }
}
