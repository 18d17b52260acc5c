/* What milterscope itself needs on this host: open files, its folders, Redis. */
#include "milter/handover.h"
#include "conf/lib/tally.h"
#include "milter/supervisor/doctor_checks.h"
#include "milter/supervisor/doctor_command.h"
#include "milter/supervisor/doctor_memory.h"
#include "milter/supervisor/doctor_reach.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- open files ---- */

/* Sessions that the filter that runs takes at a time; 0: none runs, or it cannot be seen. */
static unsigned long sessions_limit(const struct doctor *doctor)
{
    static struct snapshot snapshot;
    struct failure failure;
    struct tally_view *view = tally_view_open(doctor->settings->run_directory, &failure);
    bool read = view != NULL && tally_view_read(view, &snapshot);
    if (view != NULL)
        tally_view_close(view);
    return read && snapshot.gauges[gauge_sessions_limit] > 0 ? (unsigned long)snapshot.gauges[gauge_sessions_limit] : 0;
}

/* Sessions that the MTA may have at a time, a process each; 0: it sets no limit. */
static unsigned long sessions_of_mta(const struct doctor *doctor)
{
    unsigned long sum = 0;
    if (doctor->sendmail != NULL)
        return doctor->sendmail->children;
    for (const struct postfix_service *service = doctor->postfix->services; service != NULL; service = service->next) {
        if (strcmp(service->command, "smtpd") != 0 || doctor_comes_back(doctor, service))
            continue;
        unsigned long limit = postfix_process_limit(doctor->postfix, service);
        sum = sum > ULONG_MAX / 2 || limit > ULONG_MAX / 2 ? ULONG_MAX : sum + limit;
    }
    return sum;
}

void doctor_open_files(struct doctor *doctor)
{
    enum { FILES_USUAL = 65536, FILES_SPARE = 256 };
    unsigned long most = sessions_limit(doctor), wanted = sessions_of_mta(doctor);
    if (most == 0 || wanted <= most)
        return;
    unsigned long files = wanted + FILES_SPARE > FILES_USUAL ? wanted + FILES_SPARE : FILES_USUAL;
    const char *line =
        memory_print("mkdir -p /etc/systemd/system/milterscope.service.d && printf '[Service]\\nLimitNOFILE=%lu\\n' "
                     ">/etc/systemd/system/milterscope.service.d/files.conf && systemctl daemon-reload && systemctl "
                     "restart milterscope",
                     files);
    bool set =
        doctor->settings->milter_max_sessions != 0 && (unsigned long)doctor->settings->milter_max_sessions <= most;
    findings_add(
        &doctor->findings, set ? doctor_set(doctor, "milter: {max_sessions: 0}") : cure_run(line),
        "the MTA may have %lu sessions at a time, milterscope takes %lu%s: beyond that sessions pass unobserved",
        wanted, most, set ? " (milter.max_sessions)" : ", as its limit of open files allows");
}

/* ---- folders ---- */

struct cure doctor_close(const struct doctor *doctor, const char *folder, mode_t mode, const char *change,
                         const char *line)
{
    const mode_t shared = S_IWOTH | S_ISVTX;
    return (mode & shared) == shared ? doctor_set(doctor, line)
                                     : cure_run(memory_print("chmod %s %s", change, shell_word(folder)));
}

static void look_at_folder(struct doctor *doctor, const char *option, const char *folder, const char *usual)
{
    struct reached reached;
    struct failure failure;
    struct stat status;
    const struct account *own = &doctor->own;
    const char *path = shell_word(folder);
    const char *make =
        memory_print("install -d -o %s -g %s -m 0750 %s", shell_word(own->name), shell_word(own->group), path);
    if (!reach_folder(&(struct reach){own, NULL, NULL, folder}, &reached, &failure)) {
        findings_blind(&doctor->findings, failure.status, "%s", failure.text);
        return;
    }
    if (reached.end == reach_missing)
        findings_add(&doctor->findings, cure_run(make), "%s %s does not exist", option, folder);
    else if (reached.end == reach_closed && reached.at < strlen(folder))
        findings_add(&doctor->findings,
                     cure_run(memory_print("chmod o+x %s", shell_word(memory_copy(folder, reached.at)))),
                     "%s %s: milterscope runs as %s, which may not enter %s", option, folder, own->name,
                     memory_copy(folder, reached.at));
    else if (reached.end != reach_good)
        findings_add(&doctor->findings, cure_run(make), "%s %s: milterscope runs as %s, which cannot write there: %s",
                     option, folder, own->name, strerror(reached.error));
    else if (stat(folder, &status) == 0 && (status.st_mode & S_IWOTH) != 0)
        findings_add(&doctor->findings,
                     doctor_close(doctor, folder, status.st_mode, "o-w", memory_print("%s: %s", option, usual)),
                     "%s %s is writable to everybody: every account on this host can replace the totals", option,
                     folder);
}

void doctor_folders(struct doctor *doctor)
{
    look_at_folder(doctor, "run_directory", doctor->settings->run_directory, "/run/milterscope");
    look_at_folder(doctor, "state_directory", doctor->settings->state_directory, "/var/lib/milterscope");
}

/* ---- Redis ---- */

/* redis-cli, told where the server is. */
static const char *redis_cli(const struct settings *settings)
{
    const char *url = settings->redis_url;
    if (strncmp(url, "unix://", 7) == 0)
        return memory_print("redis-cli -s %s", shell_word(memory_copy(url + 7, strcspn(url + 7, "?"))));
    return strncmp(url, "redis://", 8) == 0 ? memory_print("redis-cli -u %s", shell_word(url)) : "redis-cli";
}

static bool is_on_this_host(const char *url)
{
    static const char *const begins[] = {"unix://", "redis://127.", "redis://localhost", "redis://[::1]"};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        if (strncmp(url, begins[i], strlen(begins[i])) == 0)
            return true;
    }
    return false;
}

static struct cure password_cure(const struct doctor *doctor, const char *user)
{
    const struct settings *settings = doctor->settings;
    const char *file = settings->redis_password_file;
    if (*file != '\0')
        return cure_run(memory_print("%s ACL SETUSER %s on \">$(head -n 1 %s)\"", redis_cli(settings), shell_word(user),
                                     shell_word(file)));
    const char *slash = strrchr(doctor->file, '/');
    const char *folder = slash != NULL ? memory_copy(doctor->file, (size_t)(slash - doctor->file)) : ".";
    return doctor_set(doctor, memory_print("redis: {password_file: %s/redis.password}", folder));
}

/* What cures an error of this class. `hint`: the address of the master for readonly, a key for wrongtype. */
static struct cure redis_cure(const struct doctor *doctor, const char *class, const char *hint)
{
    const struct settings *settings = doctor->settings;
    const char *client = redis_cli(settings);
    const char *user = settings->redis_user[0] != '\0' ? settings->redis_user : "default";
    if (strcmp(class, "auth") == 0)
        return password_cure(doctor, user);
    if (strcmp(class, "noperm") == 0)
        return cure_run(
            memory_print("%s ACL SETUSER %s '~ms1:{%s}:*' '~ms1:instances' '+client|setname' '+script|load' "
                         "+evalsha +time +info +hget +hmget +hgetall +hlen +hset +del +expire +zadd "
                         "+zremrangebyscore +set +getrange +xadd%s",
                         client, shell_word(user), settings->instance,
                         strncmp(settings->redis_url, "sentinel:", 9) == 0 ? " +role" : ""));
    if (strcmp(class, "readonly") == 0 && *hint != '\0')
        return doctor_set(doctor, memory_print("redis: {url: \"redis://%s\"}", hint));
    if (strcmp(class, "wrongtype") == 0)
        return cure_run(
            memory_print("%s RENAME %s %s", client, shell_word(hint), shell_word(memory_print("not-%s", hint))));
    if (strcmp(class, "oom") == 0)
        return (struct cure){"Run, or name a limit that suffices", memory_print("%s CONFIG SET maxmemory 0", client)};
    if (is_on_this_host(settings->redis_url) && (strcmp(class, "connect") == 0 || strcmp(class, "timeout") == 0))
        return cure_run("systemctl restart redis-server");
    return (struct cure){"See what Redis says", memory_print("%s PING", client)};
}

/* Three lines: class, hint, sentence. */
static void say_redis(struct doctor *doctor, const char *out)
{
    const char *lines[3];
    for (size_t i = 0; i < 3; i++) {
        size_t length = strcspn(out, "\n");
        lines[i] = memory_copy(out, length);
        out += length + (out[length] == '\n');
    }
    findings_add(&doctor->findings, redis_cure(doctor, lines[0], lines[1]),
                 "Redis %s; counting goes on, but exporters on other hosts see nothing of it", lines[2]);
}

/* The pusher asks Redis for us: here nothing is linked that speaks with it. */
void doctor_redis(struct doctor *doctor)
{
    char program[PATH_MAX];
    struct failure failure = {EX_OK, ""};
    struct command_result result;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    const char *slash = strrchr(program, '/');
    const char *pusher = memory_print("%.*s/milterscope-pusher", slash != NULL ? (int)(slash - program) : 0, program);
    const char *const arguments[] = {pusher, "--check-redis", NULL};
    struct command command = {.arguments = arguments, .as = account_allowed(&doctor->own, NULL) ? &doctor->own : NULL};
    command.deadline_ms = (int)(doctor->settings->redis_timeout / 1000) + 10 * 1000;
    if (access(pusher, X_OK) != 0) {
        findings_blind(&doctor->findings, EX_OSFILE, "%s is missing, which asks Redis; it belongs beside milterscope",
                       pusher);
        return;
    }
    command.descriptor = settings_seal(doctor->settings, &failure);
    bool ran = command.descriptor >= 0 && command_run(&command, &result, &failure);
    if (command.descriptor >= 0)
        close(command.descriptor);
    if (ran && result.status == EX_UNAVAILABLE)
        say_redis(doctor, result.out);
    else if (!ran || result.status != EX_OK)
        findings_blind(&doctor->findings, ran ? EX_UNAVAILABLE : failure.status, "Redis could not be asked: %s",
                       ran ? result.err : failure.text);
}
