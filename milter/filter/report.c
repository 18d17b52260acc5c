/* Reports. Recipients of a message wait in a buffer of the session until the message ends, since what comes of it is theirs, too. One for
 * which there is no room goes into the ring at once, and knows no verdict. */
#include "milter/filter/report.h"

#include "conf/lib/top.h"
#include "milter/filter/mailbox.h"

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static struct {
    bool on;
    struct ring_header *ring; /* NULL: none */
    const struct tally *tally;
    _Atomic uint64_t messages;
} self;

void report_open(int fd, const struct tally *tally)
{
    self.on = true;
    self.ring = ring_attach(fd);
    self.tally = tally;
    if (self.ring != NULL)
        close(fd);
}

/* ---- what is kept ---- */

void report_begin(struct report *report)
{
    report->sets = 0;
    report->family = 0;
    memset(report->address, 0, sizeof report->address);
    report->helo.length = report->sender.length = report->user.length = 0;
    report->recipients = report->used = 0;
}

static void set_name(struct report_name *name, const char *text, size_t length)
{
    name->length = (uint8_t)(length < REPORT_NAME_MAX ? length : REPORT_NAME_MAX);
    memcpy(name->text, text, name->length);
}

void report_client(struct report *report, int64_t sets, const struct sockaddr *address)
{
    report->sets = sets;
    if (address == NULL)
        return;
    if (address->sa_family == AF_INET) {
        report->family = 4;
        memcpy(report->address, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        report->family = 6;
        memcpy(report->address, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
    }
}

void report_helo(struct report *report, const char *name)
{
    if (top_has(report->sets, top_helo))
        set_name(&report->helo, name, strnlen(name, REPORT_NAME_MAX));
}

void report_sender(struct report *report, const char *path)
{
    size_t length;
    const char *mailbox = mailbox_of(path, &length);
    report->recipients = report->used = 0;
    report->user.length = 0;
    if (length == 0) {
        set_name(&report->sender, "<>", 2);
        return;
    }
    const char *domain = mailbox_domain(mailbox, &length);
    set_name(&report->sender, domain, length);
}

void report_user(struct report *report, const char *name)
{
    if (name != NULL && top_has(report->sets, top_user))
        set_name(&report->user, name, strnlen(name, REPORT_NAME_MAX));
}

/* ---- records ---- */

static bool take(unsigned count, uint64_t *place)
{
    if (self.ring != NULL && ring_take(self.ring, count, place))
        return true;
    if (self.on)
        tally_add(self.tally, SERIES_0(ring_dropped_total), count);
    return false;
}

static void publish(uint64_t place)
{
    ring_publish(self.ring, place);
    tally_add(self.tally, SERIES_0(ring_records_total), 1);
}

static struct ring_record *begin_record(const struct report *report, uint64_t place, enum ring_kind kind,
                                        uint64_t message)
{
    struct ring_record *record = ring_at(self.ring, place);
    memset(record, 0, offsetof(struct ring_record, text));
    record->kind = (uint8_t)kind;
    record->family = report->family;
    memcpy(record->address, report->address, sizeof record->address);
    record->message = message;
    return record;
}

static void write_recipient(const struct report *report, uint64_t place, uint64_t message, unsigned flags,
                            const char *address, size_t length)
{
    unsigned used = 0;
    struct ring_record *record = begin_record(report, place, ring_recipient, message);
    record->flags = (uint8_t)flags;
    ring_add_text(record, &used, ring_recipient_address, address, length);
    publish(place);
}

void report_recipient(struct report *report, const char *path, unsigned flags)
{
    size_t length;
    uint64_t place;
    const char *address = mailbox_of(path != NULL ? path : "", &length);
    bool whole = (flags & ring_unknown_user) != 0 && top_has(report->sets, top_unknown_recipient);
    if (!whole || length > REPORT_NAME_MAX)
        address = mailbox_domain(address, &length);
    length = length < REPORT_NAME_MAX ? length : REPORT_NAME_MAX;
    if (report->recipients < REPORT_RECIPIENTS_MAX && report->used + 2 + length <= sizeof report->buffer) {
        char *entry = report->buffer + report->used;
        entry[0] = (char)flags;
        entry[1] = (char)(uint8_t)length;
        memcpy(entry + 2, address, length);
        report->used += 2 + (unsigned)length;
        report->recipients++;
    } else if (take(1, &place)) {
        write_recipient(report, place, 0, flags, address, length);
    }
}

static void write_message(const struct report *report, uint64_t place, uint64_t message, uint32_t recipients,
                          uint32_t refused, unsigned flags)
{
    unsigned used = 0;
    struct ring_record *record = begin_record(report, place, ring_message, message);
    record->flags = (uint8_t)flags;
    record->recipients = recipients;
    record->refused = refused;
    ring_add_text(record, &used, ring_message_sender, report->sender.text, report->sender.length);
    ring_add_text(record, &used, ring_message_helo, report->helo.text, report->helo.length);
    ring_add_text(record, &used, ring_message_user, report->user.text, report->user.length);
    publish(place);
}

void report_message(struct report *report, uint32_t recipients, uint32_t refused, unsigned flags)
{
    uint64_t place;
    if (!take(1 + report->recipients, &place))
        return;
    uint64_t message = atomic_fetch_add_explicit(&self.messages, 1, memory_order_relaxed) + 1;
    write_message(report, place, message, recipients, refused, flags);
    const char *entry = report->buffer;
    for (unsigned i = 0; i < report->recipients; i++) {
        size_t length = (uint8_t)entry[1];
        write_recipient(report, ++place, message, (uint8_t)entry[0] | (flags & ring_spam), entry + 2, length);
        entry += 2 + length;
    }
}

void report_session(const struct report *report)
{
    uint64_t place;
    unsigned used = 0;
    if (!take(1, &place))
        return;
    struct ring_record *record = begin_record(report, place, ring_session, 0);
    ring_add_text(record, &used, ring_session_helo, report->helo.text, report->helo.length);
    publish(place);
}
