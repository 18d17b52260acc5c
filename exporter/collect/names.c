/* From lists of the configuration to places. */
#include "exporter/collect/names.h"

#include <string.h>

void names_fill(const struct settings *settings, struct places *places)
{
    memset(places, 0, sizeof *places);
    for (uint32_t i = 0; i < settings->collector_processes.count; i++)
        strcpy(places->names[places_role + i], settings->collector_processes.list[i].name);
    for (uint32_t i = 0; i < settings->collector_filesystems.count; i++)
        strcpy(places->names[places_filesystem + i], settings->collector_filesystems.list[i]);
    for (uint32_t i = 0; i < settings->mta_listeners.count; i++)
        settings_listener_text(&settings->mta_listeners, i, places->names[places_listener + i]);
    const struct own_queues *queues = &settings->collector_queues;
    for (uint32_t i = 0; i < queues->count; i++)
        strcpy(places->names[places_queue + i], queues->list[i].name);
}
