// libfuse as Swift can call it. No logic in C: only what is a macro or a bit field in some version, one line of reason each.
#pragma once
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

// fuse_session_new is a macro from libfuse 3.17 on.
static inline struct fuse_session *fx_session_new(struct fuse_args *args, const struct fuse_lowlevel_ops *ops, void *userdata) {
    return fuse_session_new(args, ops, sizeof(struct fuse_lowlevel_ops), userdata);
}

// The bit field came with libfuse 3.11; without it the kernel flushes, which is only slower.
static inline void fx_set_noflush(struct fuse_file_info *info) {
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 11)
    info->noflush = 1;
#else
    (void)info;
#endif
}

#if FUSE_VERSION < FUSE_MAKE_VERSION(3, 13)
// Its declaration, so that the callers compile.
struct fuse_custom_io {
    ssize_t (*writev)(int, struct iovec *, int, void *);
    ssize_t (*read)(int, void *, size_t, void *);
    ssize_t (*splice_receive)(int, off_t *, int, off_t *, size_t, unsigned, void *);
    ssize_t (*splice_send)(int, off_t *, int, off_t *, size_t, unsigned, void *);
};
#endif
// fuse_session_custom_io came with libfuse 3.13 and is a macro in later ones; without it there is no passthrough.
static inline int fx_session_custom_io(struct fuse_session *session, const struct fuse_custom_io *io, int fd) {
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 13)
    return fuse_session_custom_io(session, io, fd);
#else
    (void)session; (void)io; (void)fd;
    return -ENOSYS;
#endif
}
static inline ssize_t fx_splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned flags) {
#ifdef SYS_splice
    return syscall(SYS_splice, in, in_offset, out, out_offset, length, flags);
#else
    return splice(in, in_offset, out, out_offset, length, flags);
#endif
}

// fcntl is variadic; F_SETFL keeps the flags that are there.
static inline void fx_set_blocking(int fd, int blocks) {
    (void)fcntl(fd, F_SETFL, blocks ? fcntl(fd, F_GETFL) & ~O_NONBLOCK : fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// FUSE_DEV_IOC_BACKING_OPEN and _CLOSE of linux/fuse.h (Linux 6.9), newer than Debian 12's header.
struct fx_backing_map { int32_t fd; uint32_t flags; uint64_t padding; };
static inline int fx_backing_open(int device, int fd) {
    struct fx_backing_map map = { fd, 0, 0 };
    return ioctl(device, _IOW(229, 1, struct fx_backing_map), &map);
}
static inline int fx_backing_close(int device, uint32_t id) { return ioctl(device, _IOW(229, 2, uint32_t), &id); }

// A fuse_bufvec ends in a flexible array of one: a whole-struct initialiser is a macro in libfuse.
static inline struct fuse_bufvec fx_bufvec(size_t size) {
    struct fuse_bufvec vector = { .count = 1, .idx = 0, .off = 0, .buf = { { .size = size } } };
    return vector;
}
