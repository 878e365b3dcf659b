/* A disk that fails: preloaded, it counts calls that write below a folder, in Python and in C++, and
   lets the n-th fail with an error number, or kills the process where that is 0.

   cc -shared -fPIC -o disk.so disk.c -ldl */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX];
static long at;
static int number;
static long *count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void semad_fault(const char *folder, long event, int error, long *counter) {
    snprintf(root, sizeof root, "%s/", folder);
    at = event, number = error, count = counter;
}

static int fails(void) {
    pthread_mutex_lock(&lock);
    int now = ++*count == at;
    pthread_mutex_unlock(&lock);
    if (now && !number) kill(getpid(), SIGKILL);
    if (now) errno = number;
    return now;
}

static int path_fails(const char *path) {
    char whole[PATH_MAX];
    if (!count || !path) return 0;
    if (path[0] == '/') return !strncmp(path, root, strlen(root)) && fails();
    if (!getcwd(whole, sizeof whole)) return 0;
    size_t length = strlen(whole);
    snprintf(whole + length, sizeof whole - length, "/%s", path);
    return !strncmp(whole, root, strlen(root)) && fails();
}

static int file_fails(int file) {
    char link[64], path[PATH_MAX];
    if (!count) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return !strncmp(path, root, strlen(root)) && fails();
}

#define NEXT(name) static __typeof__(&name) next; if (!next) next = dlsym(RTLD_NEXT, #name)

ssize_t write(int file, const void *data, size_t size) {
    NEXT(write);
    return file_fails(file) ? -1 : next(file, data, size);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
    NEXT(pwrite);
    return file_fails(file) ? -1 : next(file, data, size, offset);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) {
    NEXT(pwrite64);
    return file_fails(file) ? -1 : next(file, data, size, offset);
}
ssize_t writev(int file, const struct iovec *parts, int size) {
    NEXT(writev);
    return file_fails(file) ? -1 : next(file, parts, size);
}
int fsync(int file) {
    NEXT(fsync);
    return file_fails(file) ? -1 : next(file);
}
int rename(const char *path, const char *other) {
    NEXT(rename);
    return path_fails(path) ? -1 : next(path, other);
}
int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir);
    return path_fails(path) ? -1 : next(path, mode);
}
int unlink(const char *path) {
    NEXT(unlink);
    return path_fails(path) ? -1 : next(path);
}
