/* Fuzzes what the doctor reads: what postconf prints, a list of filters, a lookup table, sendmail.cf. The first byte of the input chooses. A list that is
 * written again is read as the same; a word for the shell holds all that was put in. */
#include "milter/supervisor/doctor_findings.h"
#include "milter/supervisor/doctor_list.h"
#include "milter/supervisor/doctor_memory.h"
#include "milter/supervisor/doctor_postfix.h"
#include "milter/supervisor/doctor_sendmail.h"
#include "milter/supervisor/doctor_tables.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool right)
{
    if (!right)
        abort();
}

static bool keep_all(const struct filter *filter, const void *context)
{
    (void)context;
    return filter->text[0] != '\0';
}

/* Endpoints stay, whether blanks are kept or not; what has braces in it is none. */
static void read_list(const char *text)
{
    const struct filter *filters = list_split(text);
    for (int compact = 0; compact < 2; compact++) {
        const char *written = list_join(filters, keep_all, NULL, NULL, compact);
        const struct filter *again = list_split(written);
        expect(!compact || strpbrk(written, " \t\r\n") == NULL);
        for (const struct filter *filter = filters; filter != NULL; filter = filter->next, again = again->next) {
            bool plain = strpbrk(filter->endpoint, "{}") == NULL;
            expect(again != NULL && (!plain || strcmp(filter->endpoint, again->endpoint) == 0));
            list_setting(filter, "default_action");
        }
        expect(again == NULL);
    }
    list_seconds(text);
    expect(strlen(shell_word(text)) >= strlen(text) && *shell_word(text) != '\0');
}

static void read_postconf(const char *text)
{
    struct postfix postfix = {.postconf = ""};
    postfix_take_settings(&postfix, text, postfix_raw);
    postfix_take_settings(&postfix, text, postfix_expanded);
    postfix_take_services(&postfix, text);
    postfix_take_own(&postfix, text, postfix_expanded);
    for (const struct postfix_service *service = postfix.services; service != NULL; service = service->next) {
        postfix_chrooted(&postfix, service);
        postfix_process_limit(&postfix, service);
        expect(postfix_value(&postfix, service, "smtpd_milters") != NULL);
    }
}

static void read_table(const char *text)
{
    for (int patterns = 0; patterns < 2; patterns++) {
        const struct table_entry *entry = table_entries(text, patterns);
        for (; entry != NULL; entry = entry->next)
            expect(entry->key[0] != '\0' && entry->value[0] != '\0' && strpbrk(entry->key, "\n") == NULL);
    }
}

static void read_sendmail_cf(const char *text, size_t length)
{
    const struct sendmail *sendmail = sendmail_parse(text, length);
    for (const struct sendmail_filter *filter = sendmail->filters; filter != NULL; filter = filter->next) {
        expect(filter->connect >= 0 && filter->write >= 0 && filter->read >= 0 && filter->content >= 0);
        expect(sendmail_filter(sendmail, filter->name) != NULL && strpbrk(filter->name, ", \t\n") == NULL);
    }
    for (const struct sendmail_listener *listener = sendmail->listeners; listener != NULL; listener = listener->next)
        expect(listener->has_filters || listener->filters == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = memory_copy((const char *)data + 1, size - 1);
    if (data[0] == 'l')
        read_list(text);
    else if (data[0] == 'p')
        read_postconf(text);
    else if (data[0] == 't')
        read_table(text);
    else
        read_sendmail_cf(text, size - 1);
    memory_free();
    return 0;
}
