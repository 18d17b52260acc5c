/* One behind the other, each whole. */
#include "exporter/collect/failures.h"

#include <string.h>

bool failures_add(struct failure *all, const struct failure *one)
{
    static const char more[] = "; and more";
    size_t length = strlen(all->text), room = sizeof all->text - sizeof more;
    if (all->status == EX_OK)
        *all = *one;
    else if (length + strlen("; ") + strlen(one->text) <= room)
        strcat(strcat(all->text, "; "), one->text);
    else if (length <= room && strstr(all->text, more) == NULL)
        strcpy(all->text + length, more);
    return false;
}
