/* The tally: totals in shared memory that survive kill -9, with the names of all series beside them.
 *
 * A file on tmpfs (a store to a file on a disk can block for seconds while the file system is frozen), mapped by the filter, the pusher
 * and the supervisor, and read-only by the exporter. The supervisor makes it anew at each start, carrying totals over *by name* from
 * the tally before or from the copy in the state directory; totals that this build does not know are kept behind its own. The
 * pusher copies it to the state directory.
 *
 *     header | domains | totals[total_count] | kept[total_count] | processes[TALLY_PROCESSES] | names, NUL-terminated
 *
 * Domains of the operator's are known at run time alone: the table says which name is in which place of the catalogue's label `domain`. A
 * place that was given to a name keeps it as long as the file lives, so that neither a reload nor a session that began before it can
 * count one domain for another; those that are not configured any more are not shown. At the next start those that are come
 * first, then those that have counts, as long as there are places; the rest is kept like totals that the build does not know. Where a
 * name was known when the file was made it stands in the names, too.
 *
 * Totals are 64-bit slots, added to with relaxed atomics. Gauges belong to a live process: each has a block of its own, and readers
 * join the blocks of those that live; a dead process' gauges are absent. Behind the gauges a block has a slot without a name, which only
 * the supervisor reads: how many callbacks a filter has finished.
 *
 * The node's tally has the same form and is the collector's, who makes it at each start. In the table of domains stand the names of
 * places.h, in their order. Its totals are those from total_node on. */
#ifndef CONF_LIB_TALLY_H
#define CONF_LIB_TALLY_H

#include "conf/lib/failure.h"
#include "conf/lib/own_domains.h"
#include "conf/lib/snapshot.h"

#include <stdatomic.h>
#include <sys/types.h>

#define TALLY_FILE      "conversation.tally"
#define TALLY_NODE_FILE "node.tally"
enum {
    TALLY_VERSION = 2,
    TALLY_PROCESSES = 16,       /* supervisor, pusher, filters that drain */
    TALLY_STALE_MS = 10 * 1000, /* a heartbeat older than this is not a live process */
    TALLY_ALONE_MS = 20 * 1000, /* nothing was kept for so long: there is no pusher that could */
    TALLY_SETTLE_MS = 60 * 1000 /* how long totals may wait for Redis after a power failure */
};

enum tally_state {
    tally_running = 1,
    tally_settling, /* begun from a copy that may be older than what Redis holds: totals are absent until the pusher decides */
};

/* What a reader may show. A total that was shown must not be lower after a power failure, so readers show only the part that is *kept*
 * elsewhere; while Redis is away for long they show all, and the copy on the disk bears a mark of it first. */
enum tally_ahead {
    tally_kept_only = 0,
    tally_is_ahead, /* readers show the totals themselves: the next boot after a power failure begins a new tally id */
    tally_ahead_ends, /* readers show what is kept, which is all that they have shown; Redis does not hold all of it yet */
};

struct tally_header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes;
    uint64_t catalogue; /* catalogue_hash of the build that made it */
    uint64_t bytes;     /* of the whole file */
    uint32_t total_count, gauge_count;
    uint64_t domains_at, totals_at, kept_at, processes_at, names_at; /* offsets; no domains: 0 */
    uint64_t process_bytes;                                          /* stride of the process blocks */
    uint64_t names_checksum;
    char boot_id[40];
    uint64_t checksum; /* of all above */

    /* From here on values change while the file lives. */
    _Atomic uint64_t id[2];   /* tally id, 128 random bits */
    _Atomic uint32_t state;   /* enum tally_state */
    _Atomic uint32_t starts;  /* starts of the pusher: the epoch of its writes */
    _Atomic int64_t begun_ms; /* CLOCK_BOOTTIME when the supervisor made this file */
    _Atomic uint64_t server;  /* the Redis server that keeps the totals, in this life of it; 0: not known */
    _Atomic int64_t kept_ms;  /* CLOCK_BOOTTIME when totals were last kept */
    _Atomic uint32_t ahead;   /* enum tally_ahead */
    uint32_t anonymous;       /* 1: in memory without a file, which no reader finds */

    /* Only in a copy. */
    uint32_t clean; /* 1: made at a clean stop, nothing was counted since */
    uint32_t unused;
    uint64_t copy_checksum; /* of totals and names */

    uint64_t run;        /* random: tells this run from any other, also from one that took over a copy of this file */
    uint64_t run_before; /* the run whose totals these were */
};

/* Written by the supervisor alone. A name is there before it is counted, and does not change then. */
struct tally_domains {
    _Atomic uint64_t shown; /* a bit for each place: configured now */
    _Atomic uint32_t count; /* places from the first one on that have a name */
    uint32_t unused;
    struct tally_domain {
        uint32_t check; /* a hash of the name: one that does not fit is none */
        char name[DOMAIN_BYTES];
    } list[DOMAINS_MAX];
};

struct tally_process {
    _Atomic int64_t pid;          /* 0: the block is free */
    _Atomic int64_t heartbeat_ms; /* CLOCK_BOOTTIME */
    _Atomic int64_t gauges[];     /* gauge_count of them, and the progress */
};

struct tally {
    struct tally_header *header;
    struct tally_header form; /* as it was: where everything lies is read here, since others can write to the file */
    _Atomic uint64_t *totals;
    _Atomic uint64_t
        *kept; /* the part of each total that a power failure cannot take: Redis holds it, or the copy did */
    struct tally_process *self; /* this process' block, or NULL */
    int fd;
};

/* ---- in the hot path: memory operations only, from any thread ---- */

static inline void tally_add(const struct tally *tally, unsigned total, uint64_t n)
{
    atomic_fetch_add_explicit(&tally->totals[total], n, memory_order_relaxed);
}

/* Observes `value` (in the unit that is counted) in series `series` of a histogram. */
void tally_observe(const struct tally *tally, enum metric_id histogram, unsigned series, uint64_t value);

static inline void tally_gauge_set(const struct tally *tally, unsigned gauge, int64_t value)
{
    atomic_store_explicit(&tally->self->gauges[gauge], value, memory_order_relaxed);
}

static inline void tally_gauge_add(const struct tally *tally, unsigned gauge, int64_t n)
{
    atomic_fetch_add_explicit(&tally->self->gauges[gauge], n, memory_order_relaxed);
}

/* ---- when the file is cut or overwritten under the mapping ---- */

/* From now on a store to a page that the file has lost goes to private memory instead of ending the process with SIGBUS: the mail path
 * goes on, what it counts is lost. For one tally a process; before threads are started. */
bool tally_guard(const struct tally *tally, struct failure *failure);

/* The same for one more mapping of a file that others can write, which turns to zeros. After tally_guard, before threads are started. */
void tally_guard_also(void *map, size_t bytes);

/* Has the file lost pages? Then what is in memory must not be shown or copied any more. A system call. */
bool tally_is_cut(const struct tally *tally);

/* What somebody has done to the file, as far as it can be told: "was cut" or "was overwritten" (a header that is another, implausible
 * totals or process ids); else NULL. For every second or so. */
const char *tally_harm(const struct tally *tally);

/* ---- supervisor ---- */

/* Makes the tally of this run. run_directory must be on tmpfs: where it is not, or the file cannot be made, the tally lives in anonymous
 * memory, *persistent is false and *warning (not empty) says why. Damaged files are moved aside under a dated name and said in
 * *warning too. false with *failure only when not even anonymous memory is to be had. The caller must hold the lock on
 * run_directory (see supervisor). tally->fd can be handed to children. `own`: the domains that get places first, and are shown. */
bool tally_make(const char *run_directory, const char *state_directory, const struct own_domains *own,
                struct tally *tally, bool *persistent, struct failure *warning, struct failure *failure);

/* Gives each of these domains its place in the tally, or a free one; returns how many have none, since all are taken. */
unsigned tally_place_domains(const struct tally *tally, struct own_domains *own);

/* From now on the series of these, which have their places, are shown, and of no others. */
void tally_show_domains(const struct tally *tally, const struct own_domains *own);

/* Takes a free process block for `pid` with all gauges absent and returns its number; -1 when all are taken. */
int tally_process_add(const struct tally *tally, pid_t pid);
void tally_process_set_pid(const struct tally *tally, int process, pid_t pid);
void tally_process_remove(const struct tally *tally, int process);
/* Makes that block this process' own, as tally_attach does. */
void tally_use(struct tally *tally, int process);
int64_t tally_process_heartbeat(const struct tally *tally, int process);
/* What it has told of its progress; 0: nothing yet. */
uint64_t tally_process_progress(const struct tally *tally, int process);

/* ---- collector ---- */

/* Makes the tally of the node in run_directory, with this process in its first block, and maps it. Its totals are those of [total_node,
 * total_COUNT) in `totals`, its id is `id`; `places`: the names of the operator's. The same form and the same rules for the
 * place as tally_make; nothing is carried over and nothing copied here, since whoever counts keeps its totals itself. */
bool tally_make_node(const char *run_directory, const uint64_t id[2], const uint64_t *totals,
                     const struct places *places, struct tally *tally, struct failure *warning,
                     struct failure *failure);

/* Gives a place (places.h) another name. Readers see none while it is written. */
void tally_set_place(const struct tally *tally, unsigned place, const char *name);

/* ---- children ---- */

/* Maps the tally in descriptor `fd` that the supervisor of this very build made; `process` is the block to use. */
bool tally_attach(int fd, int process, struct tally *tally, struct failure *failure);

/* Tells that this process is alive; to be called every second. */
void tally_beat(const struct tally *tally);

/* Tells how many callbacks this process has finished, beside the heartbeat: one whose number grows is busy, not hung. */
void tally_progress(const struct tally *tally, uint64_t finished);

/* ---- pusher ---- */

/* Writes a copy to the state directory: temporary file, fsync, rename. May block for as long as the disk does: own thread. `clean`
 * only when nothing can be counted any more; `ahead`: readers show, or are about to show, more than is kept. */
struct tally_marks {
    bool clean, ahead;
};
bool tally_copy(const struct tally *tally, const char *state_directory, struct tally_marks marks,
                struct failure *failure);

/* Puts the mark `ahead` on the copy that is there, in place, so that it works on a full disk too. May block. true also where there is no
 * copy. */
bool tally_mark_ahead(const char *state_directory, struct failure *failure);

/* `totals` are kept elsewhere: Redis has taken them. All: a clean copy holds them. */
void tally_keep(const struct tally *tally, const uint64_t *totals);
void tally_keep_all(const struct tally *tally);

/* Lets readers show the totals themselves, and no more: then all that they can have shown counts as kept, until Redis has it. */
void tally_go_ahead(const struct tally *tally);
void tally_end_ahead(const struct tally *tally);

/* The names of domains, as they are now. */
void tally_domains(const struct tally *tally, struct domains *domains);

/* The values of the tally that this process has mapped: as tally_view_read, memory operations only. */
void tally_snapshot(const struct tally *tally, struct snapshot *snapshot);

/* Ends settling. tally_raise: `known` are the totals of the same tally id that Redis holds; each total is raised by what they hold more
 * than the copy did. tally_reset: a new tally id, and only what was counted since the start. Both lose nothing that the filter
 * counts meanwhile. */
void tally_raise(const struct tally *tally, const uint64_t *known);
void tally_reset(const struct tally *tally);

/* The tally id as 32 hexadecimal digits and a NUL. */
void tally_id_text(const struct tally *tally, char text[33]);

/* ---- readers: exporter, --dump, and the pusher ---- */

/* A tally of any build, opened read-only. */
struct tally_view;

/* Opens the tally in a run directory, or the copy in a state directory; NULL with *failure. Reads with pread, so that a file that is cut
 * under it is an error and not a signal. */
struct tally_view *tally_view_open(const char *directory, struct failure *failure);
void tally_view_close(struct tally_view *view);

/* The tally of the collector in a run directory: of its values has_node is true. Else as tally_view_open. */
struct tally_view *tally_view_open_node(const char *run_directory, struct failure *failure);

/* The copy in a state directory, for readers that find no tally: what is shown of it are the totals of a clean stop. One of an earlier
 * boot that is not clean has no totals to be shown, and neither has Redis, before milterscope has settled them. One of a
 * tally without a file tells nothing: NULL, as where there is none, with *failure. */
struct tally_view *tally_view_open_copy(const char *state_directory, struct failure *failure);

/* Has the file been replaced since it was opened (a new supervisor)? Then open it again. */
bool tally_view_outdated(const struct tally_view *view, const char *directory);

/* Reads all values, by name, as the series of this build. has_totals is false while settling. false when the file was cut. */
bool tally_view_read(const struct tally_view *view, struct snapshot *snapshot);

/* The same with the totals that may be shown: their kept part, or all where the tally is ahead (enum tally_ahead), or where nothing
 * was kept for TALLY_ALONE_MS while a process of it lives. */
bool tally_view_read_kept(const struct tally_view *view, struct snapshot *snapshot);

/* Does a process of it live (heartbeat not older than TALLY_STALE_MS)? */
bool tally_view_alive(const struct tally_view *view);
void tally_view_id(const struct tally_view *view, char text[33]);
const char *tally_view_boot_id(const struct tally_view *view);
/* The process that block `process` belongs to, or 0. */
pid_t tally_view_pid(const struct tally_view *view, unsigned process);
uint32_t tally_view_starts(const struct tally_view *view);

/* Totals that this build does not know: calls `each` with name and value of every one. */
void tally_view_unknown(const struct tally_view *view, void (*each)(void *context, const char *name, uint64_t value),
                        void *context);

/* CLOCK_BOOTTIME in milliseconds: the clock of heartbeats. */
int64_t tally_clock_ms(void);

#endif
