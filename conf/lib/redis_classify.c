/* What a reply that is an error means for us, by its first words: one row for each that Redis 5 to 8 and Valkey say. */
#include "conf/lib/redis.h"

#include <string.h>

/* The first row whose text the reply starts with counts. */
static const struct {
    const char *start;
    enum label_error error;
} rows[] = {
    {"WRONGPASS", error_auth},
    {"NOAUTH", error_auth},
    {"ERR invalid password", error_auth},                     /* before 6.0 */
    {"ERR AUTH", error_auth},                                 /* a password where the server has none */
    {"ERR Client sent AUTH", error_auth},                     /* the same before 6.0 */
    {"ERR wrong number of arguments for 'auth'", error_auth}, /* a user name before 6.0 */
    {"NOPERM", error_noperm},
    {"ERR ACL failure in script", error_noperm},               /* 7.2 and newer, and Valkey */
    {"ERR The user executing the script can't", error_noperm}, /* 7.0 */
    {"The user executing the script can't", error_noperm},     /* before 7.0 */
    {"READONLY", error_readonly},
    {"MASTERDOWN", error_readonly},
    {"OOM", error_oom},
    {"MISCONF", error_misconf},
    {"NOREPLICAS", error_misconf},
    {"LOADING", error_loading},
    {"BUSY ", error_loading}, /* a script runs; not BUSYGROUP, BUSYKEY */
    {"MOVED", error_moved},
    {"ASK ", error_moved},
    {"CLUSTERDOWN", error_moved},
    {"TRYAGAIN", error_moved},
    {"NOSCRIPT", error_noscript},
    {"WRONGTYPE", error_wrongtype},
    {"FENCED", error_fenced},  /* our own script */
    {"DENIED", error_connect}, /* protected mode: the server serves loopback only */
    {"ERR max number of clients", error_connect},
};

/* Before 7.0 what a command in a script says comes wrapped: "ERR Error running script (call to f_…): @user_script:9: WRONGTYPE …", or
 * "…@user_script: 9: -READONLY …". */
static const char *unwrapped(const char *text)
{
    static const char begin[] = "ERR Error running script", place[] = "@user_script:";
    const char *inner = NULL;
    if (strncmp(text, begin, strlen(begin)) != 0)
        return text;
    for (const char *at = text; (at = strstr(at, place)) != NULL; at += strlen(place))
        inner = at + strlen(place);
    return inner == NULL ? text : inner + strspn(inner, " 0123456789:-");
}

enum label_error redis_classify(const char *text)
{
    text = unwrapped(text);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strncmp(text, rows[i].start, strlen(rows[i].start)) == 0)
            return rows[i].error;
    }
    return error_other;
}
