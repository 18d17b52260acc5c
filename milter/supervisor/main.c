/* milterscope: reads the configuration, then supervises. */
#include "conf/lib/command_line.h"
#include "milter/supervisor/doctor.h"
#include "milter/supervisor/dump.h"
#include "milter/supervisor/supervisor.h"

int main(int argc, char **argv)
{
    static struct settings settings;
    static bool want_dump, want_doctor;
    static const struct command_flag flags[] = {
        {.name = "check-mta",
         .set = &want_doctor,
         .help = "say what is wrong with the MTA's use of milterscope, and how to cure it, and end"},
        {.name = "dump", .set = &want_dump, .help = "print the tallies in text format, and end"},
    };
    const char *file;
    int status = command_line(argc, argv, "milterscope", "Observes SMTP as a milter and counts; see milterscope(8).",
                              flags, sizeof flags / sizeof flags[0], &settings, &file);
    if (status != COMMAND_GO_ON)
        return status;
    if (want_doctor)
        return doctor(file, &settings);
    return want_dump ? dump(&settings) : supervisor_run(file, &settings, argv);
}
