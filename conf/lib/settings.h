/* The settings that all programs run with: plain data of fixed size, filled from the configuration file by options.c, checked, and
 * handed on as it is, in a sealed read-only memfd, to the processes that must not parse anything. */
#ifndef CONF_LIB_SETTINGS_H
#define CONF_LIB_SETTINGS_H

#include "conf/lib/catalogue.h"
#include "conf/lib/failure.h"
#include "conf/lib/log.h"
#include "conf/lib/networks.h"
#include "conf/lib/own_domains.h"
#include "conf/lib/places.h"
#include "conf/lib/places.h"

#include <stdint.h>

enum { SETTINGS_PATH_MAX = 256, SETTINGS_NAME_MAX = 65, SETTINGS_URL_MAX = 512, SETTINGS_LISTEN_MAX = 16 };

enum {
    LISTENERS_MAX = 16,
    SPAM_HEADERS_OWN_MAX = 16,
    SPAM_TEXT_MAX = 64,
    AUTHSERV_IDS_MAX = 8,
    AUTHSERV_ID_MAX = 256,
    REJECT_TEXTS_OWN_MAX = 32,
    REJECT_TEXT_MAX = 128,
    DESTINATIONS_MAX = 16,
    DESTINATION_MAX = 128,
    OWN_ROLES_MAX = 16,
    ROLE_MATCH_MAX = 128,
    FILESYSTEMS_MAX = 8,
    LOG_FILES_MAX = 8
};

enum spam_scanner { scanner_milter, scanner_reinjection, scanner_log, scanner_none };
enum spam_place { spam_place_bottom, spam_place_top };
enum exporter_scope { scope_node, scope_fleet };
enum mta_kind { mta_kind_auto, mta_kind_postfix, mta_kind_sendmail, mta_kind_exim };

struct listen_addresses {
    uint32_t count;
    char list[SETTINGS_LISTEN_MAX][64]; /* "127.0.0.1:19154", "[::1]:19154" */
};

/* Where an MTA listens: as the macros {daemon_addr} and {daemon_port} tell it. */
struct listeners {
    uint32_t count;
    struct {
        struct network address; /* a network of one */
        uint16_t port;
    } list[LISTENERS_MAX];
};

/* A header in which the operator's own scanner speaks. */
struct spam_header {
    char name[SPAM_TEXT_MAX];
    char
        spam[SPAM_TEXT_MAX]; /* the value begins with this when it is spam, and is clean otherwise; empty: no verdict */
    char score_after[SPAM_TEXT_MAX]; /* the score follows this */
    int64_t has_score;               /* boolean: score_after may be empty */
    int64_t place;                   /* enum spam_place */
};

struct spam_headers {
    uint32_t count;
    struct spam_header list[SPAM_HEADERS_OWN_MAX];
};

struct authserv_ids {
    uint32_t count;
    char list[AUTHSERV_IDS_MAX][AUTHSERV_ID_MAX];
};

struct reject_text {
    int64_t class;              /* enum label_class */
    char text[REJECT_TEXT_MAX]; /* in lower case */
};

struct reject_texts {
    uint32_t count;
    struct reject_text list[REJECT_TEXTS_OWN_MAX];
};

enum { OWN_QUEUES_MAX = queue_own_7 - queue_own_0 + 1 };
enum queue_form { queue_form_postfix, queue_form_sendmail, queue_form_exim };

/* The operator's queues besides the MTA's; the i-th is shown in place own_i of the label `queue`. */
struct own_queues {
    uint32_t count;
    struct own_queue {
        char name[SETTINGS_NAME_MAX];
        char directory[SETTINGS_PATH_MAX];
        int64_t format; /* enum queue_form */
    } list[OWN_QUEUES_MAX];
};

/* Where deliveries go to: names that the operator gives. */
struct destinations {
    uint32_t count;
    struct {
        char text[DESTINATION_MAX]; /* as it was given, in lower case: what is printed */
        char name
            [DESTINATION_MAX];  /* without port; of a relay or of a domain, or a path; ".example.org": all below it */
        struct network network; /* in place of a name */
        uint16_t port;          /* 0: any */
        uint16_t is_network;    /* boolean */
    } list[DESTINATIONS_MAX];
};

/* Processes of the operator's that are counted, as those of the MTA are. */
struct own_role {
    char name[SETTINGS_NAME_MAX];
    char match[ROLE_MATCH_MAX]; /* stands in the name or the command line */
    int64_t least, most;        /* most: 0 for no limit */
};

struct own_roles {
    uint32_t count;
    struct own_role list[OWN_ROLES_MAX];
};

struct filesystems {
    uint32_t count;
    char list[FILESYSTEMS_MAX][PLACE_BYTES]; /* a path, which is the label, too */
};

/* Where the MTA writes its log. */
struct log_places {
    int64_t automatic; /* boolean: where this host has it; nothing else is set then */
    int64_t journal;   /* boolean */
    uint32_t count;    /* of files */
    char files[LOG_FILES_MAX][SETTINGS_PATH_MAX];
};

struct settings {
    uint64_t size;    /* of this struct: settings of another build are refused */
    uint64_t version; /* hash of MILTERSCOPE_VERSION, for the same reason */
    int64_t read_at;  /* when the file was read: microseconds since the Unix epoch */
    char instance[SETTINGS_NAME_MAX];
    char state_directory[SETTINGS_PATH_MAX];
    char run_directory[SETTINGS_PATH_MAX];
    struct networks trusted_networks;
    struct own_domains domains;
    int64_t log_level;                     /* enum log_level */
    int64_t log_target;                    /* enum log_target */
    int64_t mta_kind;                      /* enum mta_kind */
    char mta_config[SETTINGS_PATH_MAX];    /* "auto", or where the doctor looks */
    struct listeners mta_listeners;        /* that the collector checks */
    char milter_socket[SETTINGS_PATH_MAX]; /* "unix:/path" or "inet:port@host"; auto is resolved */
    int64_t milter_socket_mode;
    char milter_socket_group[SETTINGS_NAME_MAX]; /* empty: leave as it is; auto is resolved */
    int64_t milter_max_sessions;                 /* 0: from the limit of open files */
    int64_t milter_drain;                        /* microseconds */
    int64_t milter_body;                         /* boolean */
    struct listeners milter_reinjection;         /* whose mail was counted before */
    int64_t spam_scanner;                        /* enum spam_scanner */
    struct spam_headers spam_headers;            /* besides those in conf/tables/spam_headers.def */
    struct authserv_ids spam_authserv_ids;
    struct reject_texts reject_texts; /* before those in conf/tables/reject_texts.def */
    char redis_url[SETTINGS_URL_MAX];
    char redis_user[SETTINGS_NAME_MAX];
    char redis_password_file[SETTINGS_PATH_MAX]; /* empty: no password */
    int64_t redis_push_interval;                 /* microseconds */
    int64_t redis_timeout;                       /* microseconds */
    struct destinations collector_destinations_local, collector_destinations_internal, collector_destinations_ignore;
    struct listen_addresses exporter_listen;
    int64_t exporter_scope; /* enum exporter_scope */
    struct own_roles collector_processes;
    struct filesystems collector_filesystems; /* besides those of queue and state */
    struct log_places collector_logs;
    struct own_queues collector_queues;
    int64_t collector_queue_interval; /* microseconds */
    int64_t privacy;                  /* boolean */
    int64_t top_sets;                 /* a bit for each of enum top_set, see top.h */
    int64_t top_size;
    int64_t top_hours;
};

/* Fills size and version. */
void settings_stamp(struct settings *settings);

/* May an instance be called so: letters, digits, point, underscore, hyphen, 64 at most? */
bool settings_is_name(const char *text, size_t length);

/* A sealed, read-only memfd that holds *settings; -1 with *failure filled. The caller closes it. */
int settings_seal(const struct settings *settings, struct failure *failure);

/* Maps the settings in descriptor `fd` read-only, after checking seals, size and version; NULL with *failure filled. The mapping
 * stays valid after `fd` is closed, until settings_unmap. */
const struct settings *settings_map(int fd, struct failure *failure);
void settings_unmap(const struct settings *settings);

/* "127.0.0.1:25", "[::1]:25"; into `text` of at least 64 bytes. */
void settings_listener_text(const struct listeners *listeners, uint32_t number, char *text);

#endif
