/* Greeting a Redis server. */
#include "conf/lib/redis_greeting.h"

#include "conf/lib/redis.h"

#include <errno.h>
#include <string.h>

enum { PASSWORD_MAX = 1024 };

__attribute__((format(printf, 3, 4))) static bool refuse(struct redis_refusal *refusal, enum label_error error,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    refusal->error = error;
    vsnprintf(refusal->text, sizeof refusal->text, format, arguments);
    va_end(arguments);
    return false;
}

/* The first line of the password file. NULL, or what is wrong. */
static const char *read_password(const char *file, char *password)
{
    FILE *in = fopen(file, "re");
    if (in == NULL)
        return strerror(errno);
    const char *got = fgets(password, PASSWORD_MAX, in);
    fclose(in);
    size_t length = got == NULL ? 0 : strcspn(password, "\r\n");
    if (length == 0)
        return "its first line is empty";
    if (length == PASSWORD_MAX - 1)
        return "its first line is too long";
    password[length] = '\0';
    return NULL;
}

static void greet(struct redis_greeting *greeting, const char *what, size_t count, const char *const *arguments)
{
    greeting->what[greeting->pipeline.commands % REDIS_GREETINGS_MAX] = what;
    redis_pipeline_add(&greeting->pipeline, count, arguments, NULL);
}

bool redis_greeting_prepare(struct redis_greeting *greeting, const struct settings *settings, const char *database,
                            const char *name, bool role, struct redis_refusal *refusal)
{
    char password[PASSWORD_MAX];
    redis_pipeline_clear(&greeting->pipeline);
    if (settings->redis_password_file[0] != '\0') {
        const char *wrong = read_password(settings->redis_password_file, password);
        if (wrong != NULL)
            return refuse(refusal, error_auth, "redis.password_file %.200s: %s", settings->redis_password_file, wrong);
        if (settings->redis_user[0] != '\0')
            greet(greeting, "AUTH", 3, (const char *[]){"AUTH", settings->redis_user, password});
        else
            greet(greeting, "AUTH", 2, (const char *[]){"AUTH", password});
    }
    if (strcmp(database, "0") != 0)
        greet(greeting, "SELECT", 2, (const char *[]){"SELECT", database});
    greet(greeting, "CLIENT", 3, (const char *[]){"CLIENT", "SETNAME", name});
    if (role)
        greet(greeting, "ROLE", 1, (const char *[]){"ROLE"});
    return !greeting->pipeline.broken || refuse(refusal, error_other, "no memory");
}

/* CLIENT need not succeed, but a server that turns us away says so in reply to whatever comes first. */
bool redis_greeting_accepted(const struct redis_greeting *greeting, struct redis_refusal *refusal)
{
    for (size_t i = 0; i < greeting->pipeline.replied; i++) {
        const struct redis_reply *reply = greeting->pipeline.replies[i];
        const char *what = greeting->what[i];
        const char *text = redis_reply_text(reply, NULL);
        enum label_error error = redis_classify(text);
        if (redis_reply_kind(reply) != redis_error_reply)
            continue;
        if (strcmp(what, "CLIENT") == 0 && error != error_auth && error != error_connect)
            continue;
        if (strcmp(what, "AUTH") == 0 && error == error_other)
            error = error_auth;
        /* "ERR unknown command 'AUTH', with args beginning with: …" would put the password into the log. */
        if (strcmp(what, "AUTH") == 0 && strstr(text, "with args") != NULL)
            return refuse(refusal, error, "the server does not know AUTH");
        return refuse(refusal, error, "%s: %s", what, text);
    }
    return true;
}

bool redis_greeting_by_replica(const struct redis_greeting *greeting)
{
    size_t last = greeting->pipeline.replied - 1;
    return strcmp(greeting->what[last], "ROLE") == 0 &&
           strcmp(redis_reply_text(redis_reply_item(greeting->pipeline.replies[last], 0), NULL), "master") != 0;
}
