/* Settings in force: a small table with a count of holders each. */
#include "milter/filter/current.h"

#include <pthread.h>

enum { GENERATIONS = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const struct settings *settings;
    unsigned holders;
} generations[GENERATIONS];
static int in_force = -1;

const struct settings *current_take(void)
{
    const struct settings *settings = NULL;
    pthread_mutex_lock(&lock);
    if (in_force >= 0) {
        settings = generations[in_force].settings;
        generations[in_force].holders++;
    }
    pthread_mutex_unlock(&lock);
    return settings;
}

void current_release(const struct settings *settings)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < GENERATIONS; i++) {
        if (generations[i].settings == settings && generations[i].holders > 0)
            generations[i].holders--;
    }
    pthread_mutex_unlock(&lock);
}

bool current_replace(const struct settings *settings)
{
    int free_place = -1;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < GENERATIONS && free_place < 0; i++) {
        if (generations[i].settings == NULL)
            free_place = i;
    }
    if (free_place >= 0) {
        generations[free_place].settings = settings;
        generations[free_place].holders = 0;
        in_force = free_place;
    }
    pthread_mutex_unlock(&lock);
    return free_place >= 0;
}

/* One generation that nobody needs any more, taken out of the table; NULL: none. */
static const struct settings *take_unused(void)
{
    const struct settings *settings = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < GENERATIONS && settings == NULL; i++) {
        if (i != in_force && generations[i].settings != NULL && generations[i].holders == 0) {
            settings = generations[i].settings;
            generations[i].settings = NULL;
        }
    }
    pthread_mutex_unlock(&lock);
    return settings;
}

void current_reap(void)
{
    const struct settings *settings;
    while ((settings = take_unused()) != NULL)
        settings_unmap(settings);
}
