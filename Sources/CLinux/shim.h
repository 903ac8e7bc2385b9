// What Swift cannot express about the Linux system-call interface. No logic here: each function is one call.
// Every function returns what the call returns and leaves errno as the call set it.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <linux/openat2.h>

// Macros hidden behind _GNU_SOURCE, which the Glibc module is built without.
enum {
    FX_O_PATH = 010000000,
    FX_O_TMPFILE = 020000000 | 0200000,
    FX_O_NOATIME = 01000000,
    FX_O_DIRECT = 040000,
    FX_AT_EMPTY_PATH = 0x1000,
    FX_AT_SYMLINK_NOFOLLOW = 0x100,
    FX_AT_EACCESS = 0x200,
    FX_AT_FDCWD = -100,
    FX_SEEK_DATA = 3,
    FX_SEEK_HOLE = 4,
    FX_FALLOC_KEEP_SIZE = 0x01,
    FX_FALLOC_PUNCH_HOLE = 0x02,
    FX_FALLOC_COLLAPSE_RANGE = 0x08,
    FX_FALLOC_ZERO_RANGE = 0x10,
    FX_FALLOC_INSERT_RANGE = 0x20,
    FX_FALLOC_UNSHARE_RANGE = 0x40,
    FX_RENAME_NOREPLACE = 1,
    FX_RENAME_EXCHANGE = 2,
    FX_RENAME_WHITEOUT = 4,
    FX_F_OFD_GETLK = 36,
    FX_F_OFD_SETLK = 37,
    FX_F_OFD_SETLKW = 38,
    FX_STATX_BASIC_BTIME_MNT = 0x07ff | 0x0800 | 0x1000,
    FX_STATX_BTIME = 0x0800,
    FX_STATX_MNT_ID = 0x1000,
    FX_RESOLVE_NO_XDEV = 0x01,
    FX_RESOLVE_NO_MAGICLINKS = 0x02,
    FX_RESOLVE_NO_SYMLINKS = 0x04,
    FX_RESOLVE_BENEATH = 0x08,
};

// struct statx of linux/stat.h under a name of its own: glibc's spelling needs _GNU_SOURCE.
struct fx_statx_timestamp { int64_t tv_sec; uint32_t tv_nsec; int32_t reserved; };
struct fx_statx {
    uint32_t mask, blksize; uint64_t attributes; uint32_t nlink, uid, gid; uint16_t mode, spare0;
    uint64_t ino, size, blocks, attributes_mask;
    struct fx_statx_timestamp atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mnt_id; uint32_t dio_mem_align, dio_offset_align; uint64_t spare3[12];
};
struct fx_dirent64 { uint64_t ino; int64_t off; uint16_t reclen; uint8_t type; char name[1]; };

// Variadic in libc.
static inline int fx_openat(int directory, const char *path, int flags, unsigned mode) { return openat(directory, path, flags, mode); }
static inline int fx_ioctl_pointer(int fd, unsigned long request, void *argument) { return ioctl(fd, request, argument); }
static inline int fx_ioctl_int(int fd, unsigned long request, int argument) { return ioctl(fd, request, argument); }
static inline int fx_fcntl_int(int fd, int command, int argument) { return fcntl(fd, command, argument); }
static inline int fx_set_direct(int fd, int isDirect) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? flags : fcntl(fd, F_SETFL, isDirect ? flags | FX_O_DIRECT : flags & ~FX_O_DIRECT);
}
static inline int fx_fcntl_flock(int fd, int command, struct flock *lock) { return fcntl(fd, command, lock); }

// No glibc wrapper, or one behind _GNU_SOURCE.
static inline int fx_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = { .flags = flags, .mode = mode, .resolve = resolve };
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}
static inline int fx_statx(int directory, const char *path, int flags, unsigned mask, struct fx_statx *out) {
    return (int)syscall(SYS_statx, directory, path, flags, mask, out);
}
static inline int fx_renameat2(int from, const char *name, int to, const char *newname, unsigned flags) {
    return (int)syscall(SYS_renameat2, from, name, to, newname, flags);
}
static inline ssize_t fx_getdents64(int fd, void *buffer, size_t length) { return syscall(SYS_getdents64, fd, buffer, length); }
static inline int fx_fallocate(int fd, int mode, int64_t offset, int64_t length) { return (int)syscall(SYS_fallocate, fd, mode, offset, length); }
static inline ssize_t fx_copy_file_range(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t length, unsigned flags) {
    return syscall(SYS_copy_file_range, in, in_offset, out, out_offset, length, flags);
}
// FICLONE is a macro with a sizeof in it.
static inline int fx_ficlone(int out, int in) { return ioctl(out, 0x40049409, in); }
static inline int fx_faccessat2(int directory, const char *path, int mode, int flags) { return (int)syscall(439, directory, path, mode, flags); }
static inline int fx_fchmodat2(int directory, const char *path, unsigned mode, int flags) { return (int)syscall(452, directory, path, mode, flags); }
static inline int fx_start_writeback(int fd, int64_t offset, int64_t length) { return (int)syscall(SYS_sync_file_range, fd, offset, length, 2); }
/* SYNC_FILE_RANGE_WAIT_BEFORE */
static inline int fx_await_writeback(int fd) { return (int)syscall(SYS_sync_file_range, fd, (int64_t)0, (int64_t)0, 1); }
/* Signal 0 (kill(2)): only whether there is such a thread in such a process. */
static inline int fx_probe_thread(int process, int thread) { return (int)syscall(SYS_tgkill, process, thread, 0); }
static inline int fx_syncfs(int fd) { return (int)syscall(SYS_syncfs, fd); }
static inline int fx_gettid(void) { return (int)syscall(SYS_gettid); }

// sys/xattr.h is not part of the Glibc module.
static inline ssize_t fx_fgetxattr(int fd, const char *name, void *value, size_t size) { return syscall(SYS_fgetxattr, fd, name, value, size); }
static inline int fx_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags) { return (int)syscall(SYS_fsetxattr, fd, name, value, size, flags); }
static inline ssize_t fx_flistxattr(int fd, char *list, size_t size) { return syscall(SYS_flistxattr, fd, list, size); }
static inline int fx_fremovexattr(int fd, const char *name) { return (int)syscall(SYS_fremovexattr, fd, name); }
static inline ssize_t fx_getxattr(const char *path, const char *name, void *value, size_t size) { return syscall(SYS_getxattr, path, name, value, size); }
static inline ssize_t fx_lgetxattr(const char *path, const char *name, void *value, size_t size) { return syscall(SYS_lgetxattr, path, name, value, size); }
static inline int fx_setxattr(const char *path, const char *name, const void *value, size_t size, int flags) { return (int)syscall(SYS_setxattr, path, name, value, size, flags); }
static inline ssize_t fx_listxattr(const char *path, char *list, size_t size) { return syscall(SYS_listxattr, path, list, size); }
static inline ssize_t fx_llistxattr(const char *path, char *list, size_t size) { return syscall(SYS_llistxattr, path, list, size); }
static inline int fx_removexattr(const char *path, const char *name) { return (int)syscall(SYS_removexattr, path, name); }

// Credentials of one thread. The libc wrappers change the whole process; the raw calls change the calling thread.
static inline int fx_thread_setfsuid(unsigned uid) { return (int)syscall(SYS_setfsuid, uid); }
static inline int fx_thread_setfsgid(unsigned gid) { return (int)syscall(SYS_setfsgid, gid); }
struct fx_cap_header { uint32_t version; int pid; };
struct fx_cap_data { uint32_t effective, permitted, inheritable; };
static inline int fx_capget(struct fx_cap_data data[2]) { struct fx_cap_header h = { 0x20080522, 0 }; return (int)syscall(SYS_capget, &h, data); }
static inline int fx_capset(const struct fx_cap_data data[2]) { struct fx_cap_header h = { 0x20080522, 0 }; return (int)syscall(SYS_capset, &h, data); }
// CLONE_FS = 0x200: gives the calling thread a umask of its own.
static inline int fx_unshare_fs(void) { return (int)syscall(SYS_unshare, 0x200); }
// pthread_setname_np is behind _GNU_SOURCE; PR_SET_NAME = 15 names the calling thread.
static inline int fx_name_thread(const char *name) { return (int)syscall(SYS_prctl, 15, name, 0, 0, 0); }

// sys/mount.h is not part of the Glibc module.
static inline int fx_umount2(const char *path, int flags) { return (int)syscall(SYS_umount2, path, flags); }
