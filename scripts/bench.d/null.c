// What a round trip costs on this machine: a file system in memory that does next to nothing for each request, in one thread.
// null [-s MICROSECONDS] MOUNTPOINT, in the foreground. -s: look for the next request that long before sleeping.
#define _GNU_SOURCE
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { capacity = 1 << 20, buckets = 1 << 20 };
struct node { char name[64]; fuse_ino_t parent; mode_t mode; off_t size; unsigned next; };
static struct node nodes[capacity]; // the index is the inode number; 1 is the root
static unsigned heads[buckets], count = 1;

static unsigned bucket(fuse_ino_t parent, const char *name) {
    unsigned hash = (unsigned)parent * 2654435761u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash % buckets;
}
static unsigned find(fuse_ino_t parent, const char *name) {
    for (unsigned i = heads[bucket(parent, name)]; i; i = nodes[i].next)
        if (nodes[i].parent == parent && strcmp(nodes[i].name, name) == 0) return i;
    return 0;
}
static struct stat status(fuse_ino_t i) {
    return (struct stat){ .st_ino = i, .st_mode = nodes[i].mode, .st_nlink = 1, .st_size = nodes[i].size, .st_blksize = 4096, .st_blocks = (nodes[i].size + 511) / 512 };
}
static struct fuse_entry_param entry(fuse_ino_t i) {
    return (struct fuse_entry_param){ .ino = i, .attr = status(i), .attr_timeout = 1, .entry_timeout = 1 };
}
static unsigned make(fuse_ino_t parent, const char *name, mode_t mode) {
    if (count + 1 >= capacity || strlen(name) >= sizeof nodes->name) return 0;
    unsigned i = ++count, at = bucket(parent, name);
    nodes[i] = (struct node){ .parent = parent, .mode = mode, .next = heads[at] };
    strcpy(nodes[i].name, name);
    heads[at] = i;
    return i;
}
static void init(void *data, struct fuse_conn_info *connection) {
    (void)data;
    connection->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE);
}
static void lookup(fuse_req_t request, fuse_ino_t parent, const char *name) {
    unsigned i = find(parent, name);
    if (!i) { fuse_reply_err(request, ENOENT); return; }
    struct fuse_entry_param e = entry(i);
    fuse_reply_entry(request, &e);
}
static void getattr(fuse_req_t request, fuse_ino_t i, struct fuse_file_info *info) {
    (void)info;
    struct stat s = status(i);
    fuse_reply_attr(request, &s, 1);
}
static void setattr(fuse_req_t request, fuse_ino_t i, struct stat *s, int which, struct fuse_file_info *info) {
    if (which & FUSE_SET_ATTR_SIZE) nodes[i].size = s->st_size;
    getattr(request, i, info);
}
static void makedir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode) {
    unsigned i = make(parent, name, S_IFDIR | mode);
    if (!i) { fuse_reply_err(request, ENOSPC); return; }
    struct fuse_entry_param e = entry(i);
    fuse_reply_entry(request, &e);
}
static void create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info) {
    unsigned i = make(parent, name, mode);
    if (!i) { fuse_reply_err(request, ENOSPC); return; }
    struct fuse_entry_param e = entry(i);
    fuse_reply_create(request, &e, info);
}
static void open_(fuse_req_t request, fuse_ino_t i, struct fuse_file_info *info) { (void)i; info->noflush = (info->flags & O_ACCMODE) == O_RDONLY; fuse_reply_open(request, info); }
static void opendir_(fuse_req_t request, fuse_ino_t i, struct fuse_file_info *info) { (void)i; fuse_reply_open(request, info); }
static char zeros[1 << 20];
static void read_(fuse_req_t request, fuse_ino_t i, size_t size, off_t offset, struct fuse_file_info *info) {
    (void)info;
    off_t rest = nodes[i].size > offset ? nodes[i].size - offset : 0;
    fuse_reply_buf(request, zeros, (off_t)size < rest ? size : (size_t)rest);
}
static void write_(fuse_req_t request, fuse_ino_t i, const char *bytes, size_t size, off_t offset, struct fuse_file_info *info) {
    (void)bytes; (void)info;
    if (nodes[i].size < offset + (off_t)size) nodes[i].size = offset + (off_t)size;
    fuse_reply_write(request, size);
}
static void done(fuse_req_t request, fuse_ino_t i, struct fuse_file_info *info) { (void)i; (void)info; fuse_reply_err(request, 0); }
static void listing(fuse_req_t request, fuse_ino_t parent, size_t size, off_t offset, int plus) {
    char *buffer = malloc(size);
    size_t used = 0;
    for (unsigned i = (unsigned)offset + 1; i <= count; i++) {
        if (nodes[i].parent != parent) continue;
        struct fuse_entry_param e = entry(i);
        size_t needed = plus ? fuse_add_direntry_plus(request, buffer + used, size - used, nodes[i].name, &e, i)
                             : fuse_add_direntry(request, buffer + used, size - used, nodes[i].name, &e.attr, i);
        if (needed > size - used) break;
        used += needed;
    }
    fuse_reply_buf(request, buffer, used);
    free(buffer);
}
static void readdir_(fuse_req_t r, fuse_ino_t i, size_t size, off_t offset, struct fuse_file_info *info) { (void)info; listing(r, i, size, offset, 0); }
static void readdirplus(fuse_req_t r, fuse_ino_t i, size_t size, off_t offset, struct fuse_file_info *info) { (void)info; listing(r, i, size, offset, 1); }

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3; }

int main(int argc, char **argv) {
    double spin = 0;
    int at = 1;
    if (argc > 3 && strcmp(argv[1], "-s") == 0) { spin = atof(argv[2]); at = 3; }
    if (at != argc - 1) return 2;
    nodes[1] = (struct node){ .mode = S_IFDIR | 0755 };
    struct fuse_lowlevel_ops operations = { .init = init, .lookup = lookup, .getattr = getattr, .setattr = setattr, .mkdir = makedir, .create = create,
        .open = open_, .opendir = opendir_, .read = read_, .write = write_, .flush = done, .release = done, .releasedir = done, .readdir = readdir_,
        .readdirplus = readdirplus };
    char *words[] = { "null", "-o", "fsname=null" };
    struct fuse_args arguments = FUSE_ARGS_INIT(3, words);
    struct fuse_session *session = fuse_session_new(&arguments, &operations, sizeof operations, NULL);
    if (!session || fuse_set_signal_handlers(session) != 0 || fuse_session_mount(session, argv[at]) != 0) return 1;
    struct fuse_buf buffer = { 0 };
    int fd = fuse_session_fd(session);
    if (spin > 0) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    double until = 0;
    while (!fuse_session_exited(session)) {
        int length = fuse_session_receive_buf(session, &buffer);
        if (length == -EINTR) continue;
        if (length == -EAGAIN) {
            if (now() < until) continue;
            struct pollfd waiting = { .fd = fd, .events = POLLIN };
            poll(&waiting, 1, -1);
            continue;
        }
        if (length <= 0) break;
        fuse_session_process_buf(session, &buffer);
        if (spin > 0) until = now() + spin;
    }
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    free(buffer.mem);
    return 0;
}
