// Small-file rates: smallfiles DIRECTORY COUNT. Prints "create N stat N open N list N", each in files a second. A new subdirectory each run.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (double)t.tv_sec + (double)t.tv_nsec / 1e9; }
static void stop(const char *what) { perror(what); exit(1); }

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int count = atoi(argv[2]);
    char root[3000], path[3100], bytes[4096];
    struct stat status;
    memset(bytes, 'x', sizeof bytes);
    snprintf(root, sizeof root, "%s/small-%d", argv[1], (int)getpid());
    if (mkdir(root, 0755) < 0) stop(root);
#define EACH(i) for (int i = 0; i < count && snprintf(path, sizeof path, "%s/f%d", root, i); i++)
    double begin = now();
    EACH(i) {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (fd < 0 || write(fd, bytes, sizeof bytes) != sizeof bytes || close(fd) < 0) stop(path);
    }
    double created = now();
    EACH(i) if (stat(path, &status) < 0 || status.st_size != sizeof bytes) stop(path);
    double stated = now();
    EACH(i) {
        int fd = open(path, O_RDONLY);
        if (fd < 0 || read(fd, bytes, sizeof bytes) != sizeof bytes || close(fd) < 0) stop(path);
    }
    double opened = now();
    // What `ls -l` does: the entries, and the status of each.
    int listed = 0;
    for (int round = 0; round < 3; round++) {
        DIR *directory = opendir(root);
        if (!directory) stop(root);
        for (struct dirent *entry; (entry = readdir(directory)); listed++)
            if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0) stop(entry->d_name);
        closedir(directory);
    }
    double end = now();
    printf("create %.0f stat %.0f open %.0f list %.0f\n", count / (created - begin), count / (stated - created), count / (opened - stated),
           listed / (end - opened));
    return 0;
}
