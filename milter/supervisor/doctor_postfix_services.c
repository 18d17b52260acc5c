/* What else in main.cf and master.cf decides about our filter: no_milters, listeners where mail comes back from a content filter, and
 * which refusals are shown. */
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

/* Does milter.reinjection name it? */
static bool is_known(const struct doctor *doctor, const struct postfix_service *service)
{
    const struct listeners *known = &doctor->settings->milter_reinjection;
    const char *colon = strrchr(service->name, ':');
    struct network network;
    if (colon == NULL)
        return false;
    size_t bracket = service->name[0] == '[' && colon[-1] == ']';
    const char *host = memory_copy(service->name + bracket, (size_t)(colon - service->name) - 2 * bracket);
    if (network_parse(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &network) != NULL)
        return false;
    for (uint32_t i = 0; i < known->count; i++) {
        if (memcmp(network.address, known->list[i].address.address, sizeof network.address) == 0 &&
            strtoul(colon + 1, NULL, 10) == known->list[i].port)
            return true;
    }
    return false;
}

bool doctor_comes_back(const struct doctor *doctor, const struct postfix_service *service)
{
    const struct postfix_setting *filter = postfix_own(doctor->postfix, service, "content_filter");
    if (is_known(doctor, service))
        return doctor->settings->spam_scanner != scanner_reinjection; /* where its headers are read */
    return filter != NULL && filter->value != NULL && filter->value[0] == '\0' && is_on_loopback(service);
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

/* ---- mail that comes back ---- */

static void look_at_return(struct doctor *doctor, const struct postfix_service *service)
{
    const struct postfix *postfix = doctor->postfix;
    bool chrooted = postfix_chrooted(postfix, service);
    if (is_known(doctor, service) || has_no_milters(postfix_value(postfix, service, "receive_override_options")))
        return;
    for (const struct filter *entry = list_split(postfix_value(postfix, service, "smtpd_milters")); entry != NULL;
         entry = entry->next) {
        if (doctor_entry(doctor, entry, chrooted) == entry_other)
            continue;
        findings_add(
            &doctor->findings,
            cure_run(memory_print("%s -P %s", postfix->postconf,
                                  shell_word(memory_print("%s/smtpd_milters=", service->name)))),
            "%s in master.cf: mail that a content filter hands back is shown to milterscope again, and counted "
            "twice",
            service->name);
        return;
    }
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
