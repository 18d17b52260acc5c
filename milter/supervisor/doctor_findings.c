/* Findings, in the order in which they were found. */
#include "milter/supervisor/doctor_findings.h"

#include "milter/supervisor/doctor_memory.h"

#include <ctype.h>
#include <string.h>

struct finding {
    struct finding *next;
    struct cure cure;
    char text[1024];
};

void findings_begin(struct findings *findings)
{
    *findings = (struct findings){.blind = {EX_OK, ""}};
    findings->end = &findings->first;
}

/* What others have written, a configuration or a server, must not reach the terminal as anything but text. A tab, which a list may
 * have between words, is a blank: the line is pasted. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if (iscntrl((unsigned char)*text))
            *text = *text == '\t' ? ' ' : '?';
    }
}

void findings_add(struct findings *findings, struct cure cure, const char *format, ...)
{
    struct finding *finding = memory_take(sizeof *finding);
    char *line = memory_copy(cure.line, strlen(cure.line));
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
    make_printable(finding->text);
    make_printable(line);
    finding->cure = (struct cure){cure.where, line};
    *findings->end = finding;
    findings->end = &finding->next;
    findings->count++;
}

void findings_blind(struct findings *findings, int status, const char *format, ...)
{
    va_list arguments;
    if (findings->blind.status != EX_OK)
        return;
    va_start(arguments, format);
    findings->blind.status = status;
    vsnprintf(findings->blind.text, sizeof findings->blind.text, format, arguments);
    va_end(arguments);
    make_printable(findings->blind.text);
}

static bool same_cure(const struct cure *one, const struct cure *other)
{
    return strcmp(one->where, other->where) == 0 && strcmp(one->line, other->line) == 0;
}

void findings_print(const struct findings *findings, FILE *out)
{
    for (const struct finding *finding = findings->first; finding != NULL; finding = finding->next) {
        if (finding->next != NULL && same_cure(&finding->cure, &finding->next->cure))
            fprintf(out, "%s.\n", finding->text);
        else
            fprintf(out, "%s. %s:\n    %s\n", finding->text, finding->cure.where, finding->cure.line);
    }
}

struct cure cure_run(const char *line)
{
    return (struct cure){"Run", line};
}

const char *shell_word(const char *text)
{
    if (*text != '\0' &&
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/.,:=@%+_-") == strlen(text))
        return text;
    size_t length = strlen(text);
    char *word = memory_take(4 * length + 3);
    char *end = word;
    *end++ = '\'';
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            end = stpcpy(end, "'\\'");
        *end++ = *text;
    }
    *end = '\'';
    return word;
}
