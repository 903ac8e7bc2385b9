#define _GNU_SOURCE
#include "csyscalls.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define R(call) do { long r_ = (long)(call); return r_ < 0 ? -(long)errno : r_; } while (0)

long cs_open(const char *path, int flags, unsigned mode) { R(open(path, flags | O_CLOEXEC, mode)); }
long cs_openat(int d, const char *path, int flags, unsigned mode) { R(openat(d, path, flags | O_CLOEXEC, mode)); }
long cs_openat2_beneath(int d, const char *path, int flags) {
    struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_BENEATH };
    R(syscall(SYS_openat2, d, path, &how, sizeof how));
}
long cs_close(int fd) { R(close(fd)); }
long cs_pipe(int ends[2]) { R(pipe2(ends, O_CLOEXEC)); }
long cs_pread(int fd, void *b, size_t n, int64_t o) { R(pread(fd, b, n, o)); }
long cs_pwrite(int fd, const void *b, size_t n, int64_t o) { R(pwrite(fd, b, n, o)); }
long cs_read(int fd, void *b, size_t n) { R(read(fd, b, n)); }
long cs_write(int fd, const void *b, size_t n) { R(write(fd, b, n)); }
long cs_truncate(const char *p, int64_t n) { R(truncate(p, n)); }
long cs_ftruncate(int fd, int64_t n) { R(ftruncate(fd, n)); }
long cs_unlink(const char *p) { R(unlink(p)); }
long cs_rmdir(const char *p) { R(rmdir(p)); }
long cs_mkdir(const char *p, unsigned m) { R(mkdir(p, m)); }
long cs_rename(const char *a, const char *b) { R(rename(a, b)); }
long cs_renameat2(const char *a, const char *b, unsigned f) { R(syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, f)); }
long cs_link(const char *a, const char *b) { R(link(a, b)); }
long cs_symlink(const char *t, const char *p) { R(symlink(t, p)); }
long cs_readlink(const char *p, char *b, size_t n) { R(readlink(p, b, n)); }
long cs_mkfifo(const char *p, unsigned m) { R(mkfifo(p, m)); }
long cs_mknod(const char *p, unsigned m, uint64_t d) { R(mknod(p, m, d)); }
long cs_chmod(const char *p, unsigned m) { R(chmod(p, m)); }
long cs_chown(const char *p, unsigned u, unsigned g) { R(lchown(p, u, g)); }
long cs_utime(const char *p, int64_t s, long ns) {
    struct timespec t[2] = { { s, ns }, { s, ns } };
    R(utimensat(AT_FDCWD, p, t, AT_SYMLINK_NOFOLLOW));
}
static long status_of(int d, const char *p, struct cs_status *o, int flags) {
    struct statx x;
    if (statx(d, p, flags, STATX_BASIC_STATS | STATX_BTIME, &x) < 0) return -errno;
    *o = (struct cs_status){
        .device = ((uint64_t)x.stx_dev_major << 32) | x.stx_dev_minor, .inode = x.stx_ino, .links = x.stx_nlink,
        .size = x.stx_size, .blocks = x.stx_blocks, .mode = x.stx_mode, .uid = x.stx_uid, .gid = x.stx_gid, .mask = x.stx_mask,
        .atime = x.stx_atime.tv_sec, .atime_ns = x.stx_atime.tv_nsec, .mtime = x.stx_mtime.tv_sec, .mtime_ns = x.stx_mtime.tv_nsec,
        .ctime = x.stx_ctime.tv_sec, .ctime_ns = x.stx_ctime.tv_nsec, .btime = x.stx_btime.tv_sec, .attributes = x.stx_attributes };
    return 0;
}
long cs_stat(const char *p, struct cs_status *o, int follow) { return status_of(AT_FDCWD, p, o, follow ? 0 : AT_SYMLINK_NOFOLLOW); }
long cs_fstat(int fd, struct cs_status *o) { return status_of(fd, "", o, AT_EMPTY_PATH); }
long cs_statfs_type(const char *p) { struct statfs s; if (statfs(p, &s) < 0) return -errno; return (long)(uint32_t)s.f_type; }
long cs_statfs(const char *p, uint64_t *total, uint64_t *available) {
    struct statfs s;
    if (statfs(p, &s) < 0) return -errno;
    uint64_t unit = s.f_frsize ? (uint64_t)s.f_frsize : (uint64_t)s.f_bsize;
    *total = s.f_blocks * unit; *available = s.f_bavail * unit;
    return 0;
}
long cs_access(const char *p, int m) { R(access(p, m)); }
long cs_fallocate(int fd, int m, int64_t o, int64_t n) { R(fallocate(fd, m, o, n)); }
long cs_copy_file_range(int a, int64_t ao, int b, int64_t bo, size_t n) { loff_t x = ao, y = bo; R(copy_file_range(a, &x, b, &y, n, 0)); }
long cs_ficlone(int to, int from) { R(ioctl(to, 0x40049409, from)); }
long cs_lseek(int fd, int64_t o, int w) { R(lseek(fd, o, w)); }
long cs_fsync(int fd) { R(fsync(fd)); }
long cs_fdatasync(int fd) { R(fdatasync(fd)); }
long cs_flock(int fd, int op) { R(flock(fd, op)); }
static struct flock lock_of(int type, int64_t s, int64_t n) {
    short types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
    return (struct flock){ .l_type = types[type], .l_whence = SEEK_SET, .l_start = s, .l_len = n };
}
long cs_record_lock(int fd, int type, int64_t s, int64_t n, int ofd) {
    struct flock l = lock_of(type, s, n);
    R(fcntl(fd, ofd ? F_OFD_SETLK : F_SETLK, &l));
}
long cs_record_lock_test(int fd, int type, int64_t s, int64_t n, int ofd) {
    struct flock l = lock_of(type, s, n);
    if (fcntl(fd, ofd ? F_OFD_GETLK : F_GETLK, &l) < 0) return -errno;
    return l.l_type == F_RDLCK ? 0 : l.l_type == F_WRLCK ? 1 : 2;
}
long cs_setxattr(const char *p, const char *n, const void *v, size_t l, int f) { R(lsetxattr(p, n, v, l, f)); }
long cs_getxattr(const char *p, const char *n, void *v, size_t l) { R(lgetxattr(p, n, v, l)); }
long cs_listxattr(const char *p, char *v, size_t l) { R(llistxattr(p, v, l)); }
long cs_removexattr(const char *p, const char *n) { R(lremovexattr(p, n)); }
long cs_mmap_store(int fd, int64_t o, size_t n, unsigned char byte, int sync) {
    int64_t page = o & ~4095L;
    size_t length = (size_t)(o - page) + n;
    char *m = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page);
    if (m == MAP_FAILED) return -errno;
    memset(m + (o - page), byte, n);
    long r = sync ? (msync(m, length, MS_SYNC) < 0 ? -errno : 0) : 0;
    munmap(m, length);
    return r;
}
long cs_count_entries(const char *path, int seek) {
    DIR *d = opendir(path);
    if (!d) return -errno;
    long count = 0, cookie = -1, at = 0;
    char remembered[300] = "";
    struct dirent *e;
    errno = 0;
    while ((e = readdir(d))) {
        count++;
        if (count == 5000) { cookie = telldir(d); at = count; remembered[0] = 0; }
        else if (cookie >= 0 && count == at + 1) snprintf(remembered, sizeof remembered, "%s", e->d_name);
    }
    long failure = errno;
    if (!failure && seek && cookie >= 0) {
        seekdir(d, cookie);
        long again = 0;
        while ((e = readdir(d))) { if (!again && strcmp(e->d_name, remembered)) failure = EILSEQ; again++; }
        if (again != count - at) failure = EILSEQ;
    }
    closedir(d);
    return failure ? -failure : count;
}
long cs_lists(const char *path, const char *name) {
    DIR *d = opendir(path);
    if (!d) return -errno;
    struct dirent *e;
    long found = 0;
    while ((e = readdir(d))) if (!strcmp(e->d_name, name)) found = 1;
    closedir(d);
    return found;
}
long cs_getuid(void) { return getuid(); }
unsigned cs_umask(unsigned m) { return umask(m); }
long cs_spawn(char *const argv[], char *const envp[], const char *cwd, int in, int out, int err, unsigned uid, unsigned gid) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid_t pid = fork();
    if (pid == 0) {
        struct sigaction plain = { .sa_handler = SIG_DFL };
        for (int s = 1; s < 65; s++) sigaction(s, &plain, NULL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        if (in >= 0) dup2(in, 0); else { int n = open("/dev/null", O_RDONLY); dup2(n, 0); }
        dup2(out, 1);
        dup2(err, 2);
        syscall(SYS_close_range, 3, ~0U, 0);
        if (uid != 0xffffffffu) {
            if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) _exit(126);
        }
        if (cwd && chdir(cwd) < 0) _exit(125);
        execve(argv[0], argv, envp);
        _exit(127);
    }
    int failure = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return pid < 0 ? -failure : pid;
}
int cs_pidfd_open(int pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }
long cs_wait(int pid, int milliseconds) {
    int status;
    int fd = cs_pidfd_open(pid);
    if (fd >= 0) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int r;
        do { r = poll(&p, 1, milliseconds); } while (r < 0 && errno == EINTR);
        close(fd);
        if (r == 0) return -ETIMEDOUT;
    }
    pid_t r = waitpid(pid, &status, WNOHANG);
    if (r < 0) return -errno;
    return r == 0 ? -ETIMEDOUT : status;
}
long cs_kill(int pid, int sig) { R(kill(pid, sig)); }
int64_t cs_now_ms(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000 + t.tv_nsec / 1000000; }
void cs_sleep_ms(int ms) { struct timespec t = { ms / 1000, (ms % 1000) * 1000000L }; nanosleep(&t, NULL); }
const char *cs_errno_name(int n) { const char *s = n ? strerrorname_np(n) : "0"; return s ? s : "?"; }
