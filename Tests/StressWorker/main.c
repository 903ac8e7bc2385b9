// One of many processes working on a mount at once: stress-worker ROOT SHARED ID SECONDS SEED.
// Everything it writes carries its id, so it can tell its own bytes from anybody else's. Exits 1 with a sentence when a byte is wrong.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static uint64_t state;
static unsigned pick(unsigned below) {
    state ^= state << 13; state ^= state >> 7; state ^= state << 17;
    return (unsigned)(state % below);
}
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (double)t.tv_sec + (double)t.tv_nsec / 1e9; }
static int fail(const char *what, const char *path) { fprintf(stderr, "%s: %s: %s\n", path, what, strerror(errno)); return 1; }

enum { FILES = 40, BLOCK = 65536 };
static char buffer[BLOCK], expected[BLOCK];
static int sizes[FILES], marks[FILES];

static void fill(char *to, int id, int file, int mark, int size) {
    for (int i = 0; i < size; i++) to[i] = (char)(id * 31 + file * 7 + mark * 3 + i);
}
static int rewrite(const char *path, int id, int file, int mark, int size) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return fail("open", path);
    fill(buffer, id, file, mark, size);
    for (int done = 0; done < size;) {
        ssize_t n = write(fd, buffer + done, (size_t)(size - done));
        if (n < 0) return fail("write", path);
        done += (int)n;
    }
    return close(fd) < 0 ? fail("close", path) : 0;
}
static int verify(const char *path, int id, int file, int mark, int size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail("open for reading", path);
    int have = 0;
    for (ssize_t n; have < BLOCK && (n = read(fd, buffer + have, (size_t)(BLOCK - have))) != 0; have += (int)n)
        if (n < 0) return fail("read", path);
    close(fd);
    fill(expected, id, file, mark, size);
    if (have != size || memcmp(buffer, expected, (size_t)size)) {
        fprintf(stderr, "%s: %d bytes, %d expected, or other bytes\n", path, have, size);
        return 1;
    }
    return 0;
}
int main(int argc, char **argv) {
    if (argc != 6) return 2;
    const char *root = argv[1], *shared = argv[2];
    int id = atoi(argv[3]);
    double end = now() + atof(argv[4]);
    state = strtoull(argv[5], NULL, 10) * 2654435761u + (unsigned)id * 40503u + 1;
    char own[3000], path[4000], other[4000];
    snprintf(own, sizeof own, "%s/w%d", root, id);
    if (mkdir(own, 0755) < 0 && errno != EEXIST) return fail("mkdir", own);
    long operations = 0;
    while (now() < end) {
        int file = (int)pick(FILES);
        struct stat status;
        snprintf(path, sizeof path, "%s/f%d", own, file);
        operations++;
        switch (pick(10)) {
        case 0: case 1: case 2:
            marks[file]++; sizes[file] = 1 + (int)pick(pick(8) ? 5000 : BLOCK - 1);
            if (rewrite(path, id, file, marks[file], sizes[file])) return 1;
            break;
        case 3: case 4: case 5:
            if (marks[file] && verify(path, id, file, marks[file], sizes[file])) return 1;
            break;
        case 6:
            if (stat(path, &status) == 0 ? status.st_size != sizes[file] : (marks[file] || errno != ENOENT)) return fail("stat", path);
            break;
        case 7:
            snprintf(other, sizeof other, "%s/t%d.part", own, file);
            marks[file]++; sizes[file] = 1 + (int)pick(3000);
            if (rewrite(other, id, file, marks[file], sizes[file])) return 1;
            if (rename(other, path) < 0) return fail("rename", path);
            break;
        case 8: {
            DIR *d = opendir(pick(2) ? own : shared);
            if (!d) return fail("opendir", own);
            while (readdir(d)) {}
            closedir(d);
            break;
        }
        default: {
            // Everybody appends whole lines to one file of all.
            snprintf(other, sizeof other, "%s/log", shared);
            int fd = open(other, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
            if (fd < 0) return fail("open log", other);
            char line[64];
            int n = snprintf(line, sizeof line, "%06d %012ld\n", id, operations);
            if (write(fd, line, (size_t)n) != n) return fail("append", other);
            close(fd);
            if (pick(4) == 0 && unlink(path) == 0) { fprintf(stderr, "%s: unlink succeeded\n", path); return 1; }
        }
        }
    }
    for (int file = 0; file < FILES; file++) {
        snprintf(path, sizeof path, "%s/f%d", own, file);
        if (marks[file] && verify(path, id, file, marks[file], sizes[file])) return 1;
    }
    printf("%ld\n", operations);
    return 0;
}
