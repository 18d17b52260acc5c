/* Reading redis.url: redis://host[:port][/db], redis://[v6]:port/db, unix:///path[?db=N]. */
#include "conf/lib/redis_url.h"

#include "conf/lib/redis.h"

#include <stdlib.h>
#include <string.h>

static const char too_long[] = "too long";
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

static const char *parse_unix(const char *rest, struct redis_url *parsed)
{
    size_t length = strcspn(rest, "?");
    if (length < 2 || rest[0] != '/')
        return "unix:// is followed by the absolute path of a socket, as in unix:///run/redis/redis.sock";
    if (!copy(parsed->path, sizeof parsed->path, rest, length))
        return "the path of a Unix socket ends after 107 bytes";
    if (rest[length] == '\0')
        return NULL;
    return strncmp(rest + length, "?db=", 4) == 0 ? parse_database(rest + length + 4, parsed)
                                                  : "after the path only ?db=N is known";
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
    if (strspn(parsed->host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%") != host_length)
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
        return "holds an @; user and password belong in redis.user and redis.password_file";
    const char *wrong = parse_host(rest, length, parsed);
    if (wrong != NULL || rest[length] == '\0' || rest[length + 1] == '\0')
        return wrong;
    return parse_database(rest + length + 1, parsed);
}

const char *redis_url_parse(const char *url, struct redis_url *parsed)
{
    *parsed = (struct redis_url){.port = "6379", .database = "0"};
    if (strlen(url) >= SETTINGS_PATH_MAX)
        return too_long;
    if (strncmp(url, "unix://", 7) == 0)
        return parse_unix(url + 7, parsed);
    if (strncmp(url, "redis://", 8) == 0)
        return parse_tcp(url + 8, parsed);
    return "starts with neither redis:// nor unix://";
}

const char *redis_check_url(const char *url)
{
    struct redis_url parsed;
    return redis_url_parse(url, &parsed);
}
