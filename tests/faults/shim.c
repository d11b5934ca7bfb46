/* Lets the n-th write, fsync, rename or large allocation of a process fail, once: loaded before libc (LD_PRELOAD).
 *
 * Counted are those on files below the folder given to fault_arm, in any thread and any library; and allocations of
 * at least 64 KiB: smaller ones fail on no machine that overcommits, and libc++ ends the process where one does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE, FSYNC, RENAME, ALLOCATION, KINDS };
static const size_t LARGE = 64 * 1024;
static volatile long counts[KINDS];
static volatile long fails_at; /* 0: none fails */
static volatile int fails = -1, armed;
static char folder[4096];

void fault_arm(const char *below, int kind, long n) {
    snprintf(folder, sizeof folder, "%s", below);
    fails = kind;
    fails_at = n;
    armed = 1;
}

long fault_count(int kind) { return counts[kind]; }

static int is_due(int kind) {
    return armed && __sync_add_and_fetch(&counts[kind], 1) == fails_at && kind == fails;
}

static int is_below(const char *path) { return armed && path && !strncmp(path, folder, strlen(folder)); }

static int is_file_below(int fd) {
    char link[64], path[4096];
    if (!armed) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_IF(due, number) if (due) { errno = number; return -1; }

ssize_t write(int fd, const void *data, size_t size) {
    FAIL_IF(is_file_below(fd) && is_due(WRITE), ENOSPC)
    return REAL(write)(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    FAIL_IF(is_file_below(fd) && is_due(WRITE), ENOSPC)
    return REAL(pwrite64)(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    FAIL_IF(is_file_below(fd) && is_due(WRITE), ENOSPC)
    return REAL(pwrite)(fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    FAIL_IF(is_file_below(fd) && is_due(WRITE), ENOSPC)
    return REAL(writev)(fd, parts, count);
}

int fsync(int fd) {
    FAIL_IF(is_file_below(fd) && is_due(FSYNC), EIO)
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    FAIL_IF(is_file_below(fd) && is_due(FSYNC), EIO)
    return REAL(fdatasync)(fd);
}

int rename(const char *from, const char *to) {
    FAIL_IF((is_below(from) || is_below(to)) && is_due(RENAME), EIO)
    return REAL(rename)(from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    FAIL_IF((is_below(from) || is_below(to)) && is_due(RENAME), EIO)
    return REAL(renameat2)(from_folder, from, to_folder, to, flags);
}

int link(const char *from, const char *to) {
    FAIL_IF(is_below(to) && is_due(RENAME), EIO)
    return REAL(link)(from, to);
}

extern void *__libc_malloc(size_t size);

void *malloc(size_t size) {
    if (size >= LARGE && is_due(ALLOCATION)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(size);
}
