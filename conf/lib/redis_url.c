/* Reading redis.url: redis://host[:port][/db], redis://[v6]:port/db, unix:///path[?db=N],
 * sentinel://host[:port][,host[:port]]…/name[?db=N]. */
#include "conf/lib/redis_url.h"

#include "conf/lib/redis.h"

#include <stdlib.h>
#include <string.h>

static const char too_long[] = "too long";
static const char credentials[] = "holds an @; user and password belong in redis.user and redis.password_file";
static const char host_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%";
static const char name_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
static const char wrong_database[] = "the number of the database is to be from 0 to 65535";

/* Copies `length` bytes and a NUL into `to`; false where there is not the room. */
static bool copy(char *to, size_t size, const char *from, size_t length)
{
    if (length >= size)
        return false;
    memcpy(to, from, length);
    to[length] = '\0';
    return true;
}

/* A decimal number up to `maximum`, without sign, in at most five digits. */
static bool is_number(const char *text, size_t length, long minimum, long maximum)
{
    char digits[6];
    if (length == 0 || strspn(text, "0123456789") < length || !copy(digits, sizeof digits, text, length))
        return false;
    long number = strtol(digits, NULL, 10);
    return number >= minimum && number <= maximum;
}

static const char *parse_database(const char *text, struct redis_url *parsed)
{
    size_t length = strlen(text);
    if (!is_number(text, length, 0, 65535) || !copy(parsed->database, sizeof parsed->database, text, length))
        return wrong_database;
    return NULL;
}

/* What may follow where a slash cannot say it: ?db=N. */
static const char *parse_query(const char *text, struct redis_url *parsed)
{
    if (*text == '\0')
        return NULL;
    return strncmp(text, "?db=", 4) == 0 ? parse_database(text + 4, parsed) : "at the end only ?db=N is known";
}

static const char *parse_unix(const char *rest, struct redis_url *parsed)
{
    size_t length = strcspn(rest, "?");
    if (length < 2 || rest[0] != '/')
        return "unix:// is followed by the absolute path of a socket, as in unix:///run/redis/redis.sock";
    if (!copy(parsed->path, sizeof parsed->path, rest, length))
        return "the path of a Unix socket ends after 107 bytes";
    return parse_query(rest + length, parsed);
}

/* Splits "host:port", "[v6]:port" or one of them without port. */
static const char *parse_host(const char *text, size_t length, struct redis_url *parsed)
{
    const char *host = text;
    size_t host_length = strcspn(text, ":/");
    if (text[0] == '[') {
        host++;
        host_length = strcspn(host, "]/");
        if (host[host_length] != ']')
            return "an IPv6 address ends in ]";
    }
    if (host_length == 0)
        return "has no host";
    if (!copy(parsed->host, sizeof parsed->host, host, host_length))
        return too_long;
    if (strspn(parsed->host, host_characters) != host_length)
        return "the host is to be a name or an address";
    const char *port = host + host_length + (text[0] == '[' ? 1 : 0);
    if (port == text + length)
        return NULL;
    size_t port_length = length - (size_t)(port - text) - 1;
    if (*port != ':' || !is_number(port + 1, port_length, 1, 65535) ||
        !copy(parsed->port, sizeof parsed->port, port + 1, port_length))
        return "the port is to be a number from 1 to 65535, and an IPv6 address stands in [ ]";
    return NULL;
}

static const char *parse_tcp(const char *rest, struct redis_url *parsed)
{
    size_t length = strcspn(rest, "/");
    if (memchr(rest, '@', length) != NULL)
        return credentials;
    const char *wrong = parse_host(rest, length, parsed);
    if (wrong != NULL || rest[length] == '\0' || rest[length + 1] == '\0')
        return wrong;
    return parse_database(rest + length + 1, parsed);
}

/* Splits "host:port,host:port,…". */
static const char *parse_hosts(const char *text, size_t length, struct redis_sentinel_list *sentinels)
{
    char host[SETTINGS_PATH_MAX];
    for (const char *end = text + length, *next; text <= end; text = next + 1) {
        next = memchr(text, ',', (size_t)(end - text));
        if (next == NULL)
            next = end;
        if (sentinels->count == REDIS_SENTINELS_MAX)
            return "names more than 16 sentinels";
        struct redis_url *parsed = &sentinels->list[sentinels->count++];
        *parsed = (struct redis_url){.port = "26379", .database = "0"};
        if (!copy(host, sizeof host, text, (size_t)(next - text)))
            return too_long;
        const char *wrong = parse_host(host, strlen(host), parsed);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

static const char *parse_sentinels(const char *rest, struct redis_url *parsed, struct redis_sentinel_list *sentinels)
{
    size_t length = strcspn(rest, "/?");
    if (memchr(rest, '@', length) != NULL)
        return credentials;
    const char *wrong = parse_hosts(rest, length, sentinels);
    if (wrong != NULL)
        return wrong;
    const char *name = rest + length + 1;
    size_t name_length = rest[length] == '/' ? strspn(name, name_characters) : 0;
    if (name_length == 0 || (name[name_length] != '?' && name[name_length] != '\0'))
        return "after the sentinels comes what they call the master, as in sentinel://host1:26379,host2:26379/mymaster";
    if (!copy(sentinels->master, sizeof sentinels->master, name, name_length))
        return too_long;
    return parse_query(name + name_length, parsed);
}

const char *redis_url_parse(const char *url, struct redis_url *parsed, struct redis_sentinel_list *sentinels)
{
    *parsed = (struct redis_url){.port = "6379", .database = "0"};
    sentinels->count = 0;
    if (strlen(url) >= SETTINGS_URL_MAX)
        return too_long;
    if (strncmp(url, "unix://", 7) == 0)
        return parse_unix(url + 7, parsed);
    if (strncmp(url, "redis://", 8) == 0)
        return parse_tcp(url + 8, parsed);
    if (strncmp(url, "sentinel://", 11) == 0)
        return parse_sentinels(url + 11, parsed, sentinels);
    return "starts with neither redis:// nor unix:// nor sentinel://";
}

const char *redis_check_url(const char *url)
{
    struct redis_url parsed;
    struct redis_sentinel_list sentinels;
    return redis_url_parse(url, &parsed, &sentinels);
}

bool redis_url_move(struct redis_url *url, const char *host, const char *port)
{
    size_t host_length = strlen(host), port_length = strlen(port);
    if (host_length == 0 || host_length >= sizeof url->host || strspn(host, host_characters) != host_length ||
        !is_number(port, port_length, 1, 65535))
        return false;
    return copy(url->host, sizeof url->host, host, host_length) && copy(url->port, sizeof url->port, port, port_length);
}

void redis_url_text(const struct redis_url *url, char *text, size_t size)
{
    bool bracket = strchr(url->host, ':') != NULL;
    if (url->path[0] != '\0')
        snprintf(text, size, "unix://%s", url->path);
    else
        snprintf(text, size, "redis://%s%s%s:%s", bracket ? "[" : "", url->host, bracket ? "]" : "", url->port);
}
