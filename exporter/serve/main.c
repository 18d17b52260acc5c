/* milterscope-exporter: reads the configuration, starts reading, then serves until it is told to stop. */
#include "conf/lib/command_line.h"
#include "conf/lib/log.h"
#include "conf/lib/notify.h"
#include "conf/lib/options.h"
#include "exporter/serve/http.h"
#include "exporter/serve/scrape.h"
#include "exporter/serve/tops.h"
#include "exporter/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

static const char program[] = "milterscope-exporter";

static void reload(const char *file, struct settings *settings, struct source *source, struct tops *tops)
{
    static struct settings fresh;
    struct failure failure;
    char option[64];
    notify_reloading();
    bool good = options_read(file, &fresh, &failure);
    if (good) {
        if (options_keep(settings, &fresh, option))
            log_warning("reload: %s has changed and needs a restart; all that can be reloaded was", option);
        *settings = fresh;
        log_open(program, (enum log_level)fresh.log_level, (enum log_target)fresh.log_target);
        log_info("configuration reloaded");
    } else {
        log_error("reload: %s; the configuration before stays in force", failure.text);
    }
    source_reload(source, settings, good);
    if (good)
        tops_reload(tops, settings);
    notify_ready("serving");
}

/* Prints one scrape. It is a failure if there is nothing to show. */
static int print_once(struct source *source)
{
    struct view view;
    source_wait(source);
    source_read(source, &view);
    bool written = scrape_write(stdout, exposition_text, &view);
    source_release(&view);
    if (!written || fflush(stdout) != 0) {
        log_error("standard output: %s", strerror(errno));
        return EX_IOERR;
    }
    if (!view.ready)
        log_error("no values: %s", view.trouble);
    return view.ready ? EX_OK : EX_UNAVAILABLE;
}

static int serve(const char *file, struct settings *settings, struct source *source, const sigset_t *signals)
{
    const struct timespec second = {.tv_sec = 1};
    struct routes routes = {.source = source};
    struct failure failure;
    memcpy(routes.instance, settings->instance, sizeof routes.instance);
    routes.tops = tops_open(settings, &failure);
    struct http *http = routes.tops == NULL ? NULL : http_open(&settings->exporter_listen, &routes, &failure);
    if (http == NULL) {
        log_error("%s", failure.text);
        return failure.status;
    }
    bool is_fleet = settings->exporter_scope == scope_fleet;
    log_info("serving %s%s on %s%s", is_fleet ? "all instances" : "instance ", is_fleet ? "" : settings->instance,
             settings->exporter_listen.list[0], settings->exporter_listen.count > 1 ? " and other addresses" : "");
    notify_ready("serving");
    for (int number = 0; number != SIGTERM && number != SIGINT;) {
        number = sigtimedwait(signals, NULL, &second);
        if (number == SIGUSR1 || number == SIGHUP)
            reload(file, settings, source, routes.tops);
        http_expire(http);
        if (source_alive(source))
            notify_watchdog();
    }
    log_info("stopping");
    notify_stopping();
    http_close(http);
    tops_close(routes.tops);
    return EX_OK;
}

int main(int argc, char **argv)
{
    static struct settings settings;
    static bool once;
    static const struct command_flag flags[] = {
        {.name = "once", .set = &once, .help = "print one scrape in text format, and end"},
    };
    const char *file;
    sigset_t signals;
    struct failure failure;
    int status =
        command_line(argc, argv, program, "Shows what milterscope counts, over HTTP; see milterscope-exporter(8).",
                     flags, sizeof flags / sizeof flags[0], &settings, &file);
    if (status != COMMAND_GO_ON)
        return status;
    log_open(program, (enum log_level)settings.log_level, (enum log_target)settings.log_target);
    signals_block(&signals);
    struct source *source = source_open(&settings, &failure);
    if (source == NULL) {
        log_error("%s", failure.text);
        return failure.status;
    }
    status = once ? print_once(source) : serve(file, &settings, source, &signals);
    source_close(source);
    return status;
}
