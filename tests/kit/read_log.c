/* What a delivery log says, in text format: read-log CONFIGURATION KIND FILE. */
#include "conf/lib/exposition.h"
#include "conf/lib/options.h"
#include "exporter/collect/read_log.h"

#include <stdlib.h>
#include <string.h>

int main(int count, char **words)
{
    static const char *const kinds[] = {"auto", "postfix", "sendmail", "exim"};
    static struct settings settings;
    static struct snapshot snapshot;
    struct failure failure;
    struct exposition_part part = {NULL, &snapshot};
    unsigned kind = 0;
    if (count != 4)
        return EX_USAGE;
    while (kind < 4 && strcmp(words[2], kinds[kind]) != 0)
        kind++;
    if (kind == 4 || !options_read(words[1], &settings, &failure) ||
        !read_log(words[3], (enum mta_kind)kind, &settings, &snapshot, &failure)) {
        fprintf(stderr, "read-log: %s\n", kind == 4 ? "KIND is auto, postfix, sendmail or exim" : failure.text);
        return kind == 4 ? EX_USAGE : failure.status;
    }
    exposition_write(stdout, exposition_text, &part, 1);
    return EXIT_SUCCESS;
}
