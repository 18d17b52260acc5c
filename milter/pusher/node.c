/* The node's tally, opened again whenever a collector has made it anew. One that is damaged is as none: the collector and the exporter say
 * so. */
#include "milter/pusher/node.h"

#include <stdlib.h>
#include <string.h>

struct node {
    char run_directory[SETTINGS_PATH_MAX];
    struct tally_view *view; /* NULL: there is none */
    char id[33];
};

struct node *node_open(const char *run_directory)
{
    struct node *node = calloc(1, sizeof *node);
    if (node != NULL)
        snprintf(node->run_directory, sizeof node->run_directory, "%s", run_directory);
    return node;
}

static void look(struct node *node)
{
    struct failure failure;
    if (node->view != NULL && !tally_view_outdated(node->view, node->run_directory))
        return;
    if (node->view != NULL)
        tally_view_close(node->view);
    node->view = tally_view_open_node(node->run_directory, &failure);
}

bool node_add(struct node *node, struct snapshot *snapshot, char id[33])
{
    static struct snapshot seen; /* large, and only one thread pushes */
    look(node);
    id[0] = '\0';
    if (node->view != NULL && tally_view_read(node->view, &seen)) {
        tally_view_id(node->view, id);
        snapshot_add_node(snapshot, &seen);
    }
    bool changed = strcmp(id, node->id) != 0;
    memcpy(node->id, id, sizeof node->id);
    return changed;
}
