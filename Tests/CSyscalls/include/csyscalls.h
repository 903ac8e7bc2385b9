// System calls as the tests make them: each returns the call's result, or minus errno.
#pragma once
#include <stdint.h>
#include <stddef.h>

struct cs_status {
    uint64_t device, inode, links, size, blocks;
    uint32_t mode, uid, gid, mask;
    int64_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns, btime;
    uint64_t attributes;
};

enum {
    CS_O_DIRECT = 040000, CS_O_PATH = 010000000, CS_O_TMPFILE = 020000000 | 0200000,
    CS_PUNCH = 0x03, CS_ZERO = 0x10, CS_COLLAPSE = 0x08, CS_INSERT = 0x20,
    CS_NOREPLACE = 1, CS_EXCHANGE = 2, CS_WHITEOUT = 4,
    CS_SEEK_DATA = 3, CS_SEEK_HOLE = 4,
};

long cs_open(const char *path, int flags, unsigned mode);
long cs_openat(int directory, const char *path, int flags, unsigned mode);
long cs_openat2_beneath(int directory, const char *path, int flags);
long cs_close(int fd);
// Both ends are closed on exec.
long cs_pipe(int ends[2]);
long cs_pread(int fd, void *buffer, size_t length, int64_t offset);
long cs_pwrite(int fd, const void *buffer, size_t length, int64_t offset);
long cs_read(int fd, void *buffer, size_t length);
long cs_write(int fd, const void *buffer, size_t length);
long cs_truncate(const char *path, int64_t length);
long cs_ftruncate(int fd, int64_t length);
long cs_unlink(const char *path);
long cs_rmdir(const char *path);
long cs_mkdir(const char *path, unsigned mode);
long cs_rename(const char *from, const char *to);
long cs_renameat2(const char *from, const char *to, unsigned flags);
long cs_link(const char *from, const char *to);
long cs_symlink(const char *target, const char *path);
long cs_readlink(const char *path, char *buffer, size_t length);
long cs_mkfifo(const char *path, unsigned mode);
long cs_mknod(const char *path, unsigned mode, uint64_t device);
long cs_chmod(const char *path, unsigned mode);
long cs_chown(const char *path, unsigned uid, unsigned gid);
long cs_utime(const char *path, int64_t seconds, long nanoseconds);
long cs_stat(const char *path, struct cs_status *out, int follow);
long cs_fstat(int fd, struct cs_status *out);
long cs_statfs_type(const char *path);
long cs_statfs(const char *path, uint64_t *total, uint64_t *available);
long cs_access(const char *path, int mode);
long cs_fallocate(int fd, int mode, int64_t offset, int64_t length);
long cs_copy_file_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t length);
long cs_ficlone(int to, int from);
long cs_lseek(int fd, int64_t offset, int whence);
long cs_fsync(int fd);
long cs_fdatasync(int fd);
long cs_flock(int fd, int operation);
// Sets a POSIX record lock (type: 0 read, 1 write, 2 unlock); owner 0 = process, 1 = open file description.
long cs_record_lock(int fd, int type, int64_t start, int64_t length, int ofd);
// Asks who holds a conflicting lock: the lock's type, 2 when none.
long cs_record_lock_test(int fd, int type, int64_t start, int64_t length, int ofd);
long cs_setxattr(const char *path, const char *name, const void *value, size_t length, int flags);
long cs_getxattr(const char *path, const char *name, void *value, size_t length);
long cs_listxattr(const char *path, char *list, size_t length);
long cs_removexattr(const char *path, const char *name);
// Stores `length` times `byte` at `offset` through a shared mapping of an open descriptor.
long cs_mmap_store(int fd, int64_t offset, size_t length, unsigned char byte, int sync);
// Counts the entries of a directory with getdents64; with `seek`, rewinds to a remembered cookie halfway and counts
// the second half again: the answer is the number of entries, minus EILSEQ when the second half was different.
long cs_count_entries(const char *path, int seek);
// Whether the kernel of this directory lists `name`.
long cs_lists(const char *path, const char *name);
long cs_getuid(void);
unsigned cs_umask(unsigned mask);

// Starts a program. Descriptors above 2 are closed in it. Answers its process id. `group`: new session.
// uid 0xffffffff: as we are. A working directory may be NULL.
long cs_spawn(char *const argv[], char *const envp[], const char *cwd, int in, int out, int err, unsigned uid, unsigned gid);
// Waits up to `milliseconds`; answers the status of wait(2), or -ETIMEDOUT.
long cs_wait(int pid, int milliseconds);
long cs_kill(int pid, int sig);
int64_t cs_now_ms(void);
void cs_sleep_ms(int milliseconds);
const char *cs_errno_name(int number);
int cs_pidfd_open(int pid);
