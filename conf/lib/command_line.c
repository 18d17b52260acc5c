/* The command line: getopt_long over a table made of the common flags and the program's own. */
#include "conf/lib/command_line.h"

#include "conf/lib/options.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

enum { FLAGS_MAX = 16, flag_check = 256, flag_print, flag_version, flag_help, flag_own };

static void usage(FILE *out, const char *program, const char *summary, const struct command_flag *flags, size_t count)
{
    fprintf(out, "usage: %s [-c FILE] [OPTION]\n%s\n\n", program, summary);
    fprintf(out, "  -c, --config FILE   configuration (%s)\n", OPTIONS_DEFAULT_FILE);
    fprintf(out, "      --check-config  say whether the configuration is sound, and end\n");
    fprintf(out, "      --print-config  print the configuration with all defaults, and end\n");
    fprintf(out, "      --version       print the version, and end\n");
    fprintf(out, "      --help          print this, and end\n");
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s%s", flags[i].name, flags[i].value == NULL ? "" : " ",
                 flags[i].value == NULL ? "" : flags[i].argument);
        fprintf(out, "      --%-13s %s\n", name, flags[i].help);
    }
}

/* Where standard input, output or error is closed, the next file that is opened would get its number, and the log would be written into
 * the tally. */
static void open_standard_files(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int command_line(int argc, char **argv, const char *program, const char *summary, const struct command_flag *flags,
                 size_t count, struct settings *settings, const char **file)
{
    struct option longs[FLAGS_MAX] = {
        {"config", required_argument, NULL, 'c'},        {"check-config", no_argument, NULL, flag_check},
        {"print-config", no_argument, NULL, flag_print}, {"version", no_argument, NULL, flag_version},
        {"help", no_argument, NULL, flag_help},
    };
    for (size_t i = 0; i < count; i++)
        longs[5 + i] = (struct option){flags[i].name, flags[i].value == NULL ? no_argument : required_argument, NULL,
                                       flag_own + (int)i};
    bool check = false, print = false;
    struct failure failure;
    open_standard_files();
    *file = OPTIONS_DEFAULT_FILE;
    for (int flag; (flag = getopt_long(argc, argv, "c:", longs, NULL)) != -1;) {
        if (flag == 'c')
            *file = optarg;
        else if (flag == flag_check)
            check = true;
        else if (flag == flag_print)
            print = true;
        else if (flag == flag_version)
            return printf("%s %s\n", program, MILTERSCOPE_VERSION) > 0 ? EX_OK : EX_IOERR;
        else if (flag == flag_help)
            return usage(stdout, program, summary, flags, count), EX_OK;
        else if (flag >= flag_own && flags[flag - flag_own].value != NULL)
            *flags[flag - flag_own].value = optarg;
        else if (flag >= flag_own)
            *flags[flag - flag_own].set = true;
        else
            return fprintf(stderr, "%s --help lists the options\n", program), EX_USAGE;
    }
    if (optind < argc)
        return fprintf(stderr, "%s: unexpected argument %s; %s --help lists the options\n", program, argv[optind],
                       program),
               EX_USAGE;
    if (!options_read(*file, settings, &failure))
        return fprintf(stderr, "%s: %s\n", program, failure.text), failure.status;
    if (print)
        options_print(stdout, settings);
    else if (check)
        printf("%s: sound\n", *file);
    return check || print ? EX_OK : COMMAND_GO_ON;
}
