/* Fuzzes the reader of the baseline's file: the input is what stands behind the magic, version and size of a signal, as often as there are
 * signals of it, under a checksum that is right; and the same as it is. Whatever is taken over can be counted on, shown and written. */
#include "exporter/collect/baseline_file.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIGNALS = 3, ROOM = LEAST_BYTES + 4 * sizeof(struct baseline_signal) };

static struct baseline_signal signals[SIGNALS];

static void require(bool good)
{
    if (!good)
        abort();
}

static void begin(void)
{
    static const char *const names[SIGNALS] = {"hold", "a", ""};
    memset(signals, 0, sizeof signals);
    for (unsigned i = 0; i < SIGNALS; i++)
        strcpy(signals[i].name, names[i]);
}

/* Days go on from whatever day it was. */
static void live(struct baseline_signal *signal)
{
    struct baseline_time now = signal->now;
    struct baseline_usual usual;
    for (int hour = 0; hour < 3; hour++) {
        baseline_add(signal, now, hour);
        if (baseline_usual(signal, now, &usual))
            require(usual.median >= 0 && usual.median <= usual.p95 && usual.p95 <= UINT32_MAX * INT64_C(1000000));
        now.hour = (now.hour + 1) % BASELINE_HOURS;
    }
}

static void read_it(const char *bytes, size_t length)
{
    begin();
    if (baseline_read(bytes, length, signals, SIGNALS) != NULL)
        require(signals[0].now.day == 0 && signals[0].count == 0 && signals[1].count == 0);
    for (unsigned i = 0; i < SIGNALS; i++) {
        require(strlen(signals[i].name) < sizeof signals[i].name);
        live(&signals[i]);
    }
}

/* A file with up to four signals that begin as the input says, and are full of its last bytes. */
static size_t make(const uint8_t *data, size_t size, char *bytes)
{
    struct header header = {.version = VERSION, .signal_bytes = sizeof(struct baseline_signal)};
    size_t each = sizeof(struct baseline_signal);
    memcpy(header.magic, magic, sizeof magic);
    header.signals = size > 0 ? data[0] % 5 : 0;
    size_t length = LEAST_BYTES + header.signals * each, part = header.signals > 0 ? (size - 1) / header.signals : 0;
    memcpy(bytes, &header, sizeof header);
    for (unsigned i = 0; i < header.signals; i++) {
        char *signal = bytes + sizeof header + i * each;
        for (size_t at = 0; at<each; at += part> 0 ? part : each)
            memcpy(signal + at, data + 1 + i * part, part < each - at ? part : each - at);
    }
    uint64_t checksum = fnv1a(FNV1A_BEGINS, bytes, length - sizeof checksum);
    memcpy(bytes + length - sizeof checksum, &checksum, sizeof checksum);
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char made[ROOM];
    char *bytes = malloc(size + 1);
    require(bytes != NULL);
    memcpy(bytes, data, size);
    read_it(bytes, size);
    free(bytes);
    memset(made, 0, sizeof made);
    read_it(made, make(data, size, made));
    return 0;
}
