/* Accounts: who the MTA is, who milterscope is, and to be one of them in a child, as far as we may. */
#ifndef MILTER_SUPERVISOR_DOCTOR_ACCOUNT_H
#define MILTER_SUPERVISOR_DOCTOR_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

struct account {
    char name[64]; /* empty: the number alone is known */
    char group[64];
    uid_t uid;
    gid_t gid;
};

bool account_named(const char *name, struct account *account);
void account_numbered(uid_t uid, struct account *account);

/* May this process become that account, inside that root (NULL: where we are)? */
bool account_allowed(const struct account *account, const char *root);

/* In a child that was forked for this: takes on the account with all its groups, works in `root` (NULL: as we do) and in `folder` of
 * it (NULL: as we do). false with errno. */
bool account_become(const struct account *account, const char *root, const char *folder);

#endif
