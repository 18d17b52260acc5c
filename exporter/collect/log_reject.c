/* Counts refusals: see log_reject.h. */
#include "exporter/collect/log_reject.h"

#include "conf/lib/reject.h"

void log_reject_count(const struct settings *settings, const struct tally *tally, enum label_where where,
                      struct span reply, enum label_class otherwise)
{
    char copy[512]; /* of a longer one the end is left out: reject_classify reads no more */
    size_t length = reply.length < sizeof copy - 1 ? reply.length : sizeof copy - 1;
    memcpy(copy, reply.at, length);
    copy[length] = '\0';
    enum label_class class = reject_classify(&settings->reject_texts, NULL, copy).class;
    if (class == class_other)
        class = otherwise;
    tally_add(tally, SERIES_2(log_rejects_total, where, class), 1);
    if (class == class_rate)
        tally_add(tally, SERIES_0(log_limits_total), 1);
}
