/* Accounts. As in Postfix' own chroot_uid, groups are looked up before the root changes, and the user comes last. */
#include "milter/supervisor/doctor_account.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

static bool fill(const struct passwd *entry, struct account *account)
{
    if (entry == NULL)
        return false;
    account->uid = entry->pw_uid;
    account->gid = entry->pw_gid;
    snprintf(account->name, sizeof account->name, "%s", entry->pw_name);
    const struct group *group = getgrgid(account->gid);
    if (group != NULL)
        snprintf(account->group, sizeof account->group, "%s", group->gr_name);
    else
        snprintf(account->group, sizeof account->group, "%u", (unsigned)account->gid);
    return true;
}

bool account_named(const char *name, struct account *account)
{
    return fill(getpwnam(name), account);
}

void account_numbered(uid_t uid, struct account *account)
{
    if (fill(getpwuid(uid), account))
        return;
    *account = (struct account){.uid = uid, .gid = (gid_t)uid};
    snprintf(account->group, sizeof account->group, "%u", (unsigned)uid);
}

bool account_allowed(const struct account *account, const char *root)
{
    return geteuid() == 0 || (account->uid == geteuid() && root == NULL);
}

bool account_become(const struct account *account, const char *root, const char *folder)
{
    if (geteuid() == 0) {
        bool grouped =
            account->name[0] != '\0' ? initgroups(account->name, account->gid) == 0 : setgroups(1, &account->gid) == 0;
        if (!grouped || setgid(account->gid) != 0)
            return false;
    }
    if (root != NULL && (chroot(root) != 0 || chdir("/") != 0))
        return false;
    if (folder != NULL && chdir(folder) != 0)
        return false;
    return account->uid == geteuid() || setuid(account->uid) == 0;
}
