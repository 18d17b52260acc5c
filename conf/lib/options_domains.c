/* The option type of domains. The only file that includes idn2.h.
 *
 * A domain may be given in any script: it is kept as A-labels (RFC 5890), which is how DNS, Redis and Prometheus get it, and as U-labels
 * beside them, which is how it stands in addresses of SMTPUTF8. */
#include "conf/lib/options_types.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text > 0x7f)
            return false;
    }
    return true;
}

/* Lower case, and without a point at the end. */
static void lower(char *text)
{
    size_t length = strlen(text);
    if (length > 1 && text[length - 1] == '.')
        text[length - 1] = '\0';
    for (; *text != '\0'; text++)
        *text = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
}

/* The domain as A-labels, in `name`; NULL, or what is wrong. */
static const char *write_name(const char *text, char name[DOMAIN_BYTES])
{
    char *converted = NULL;
    if (!is_ascii(text)) {
        int error = idn2_to_ascii_8z(text, &converted, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
        if (error != IDN2_OK)
            return error == IDN2_MALLOC ? "no memory" : idn2_strerror(error);
        text = converted;
    }
    bool fits = strlen(text) <= DOMAIN_MAX;
    if (fits) {
        strcpy(name, text);
        lower(name);
    }
    idn2_free(converted);
    if (!fits)
        return "longer than 128 bytes";
    return domains_is_name(name, strlen(name)) ? NULL : "";
}

/* The other spelling of the domain; empty where there is none, or none that fits into an address. */
static void write_utf8(const char *name, char utf8[OWN_DOMAIN_TEXT_BYTES])
{
    char *converted = NULL;
    utf8[0] = '\0';
    if (idn2_to_unicode_8z8z(name, &converted, 0) == IDN2_OK && strlen(converted) < OWN_DOMAIN_TEXT_BYTES &&
        !is_ascii(converted))
        strcpy(utf8, converted);
    idn2_free(converted);
}

static const char *read_domains(const struct option *option, const char *text, void *field)
{
    struct own_domains *domains = field;
    char name[DOMAIN_BYTES], utf8[OWN_DOMAIN_TEXT_BYTES];
    const char *wrong = write_name(text, name);
    (void)option;
    if (wrong != NULL)
        return wrong;
    write_utf8(name, utf8);
    return own_domains_add(domains, name, utf8);
}

static void print_domains(FILE *out, const void *field)
{
    const struct own_domains *domains = field;
    fputc('[', out);
    for (uint32_t i = 0; i < domains->count; i++) {
        fputs(i == 0 ? "" : ", ", out);
        option_print_text(out, domains->list[i].name);
    }
    fputc(']', out);
}

const struct option_type option_domains = {
    .expected = "domains such as example.org", .is_list = true, .read = read_domains, .print = print_domains};
