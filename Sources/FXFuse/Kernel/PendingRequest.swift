internal import CFuse3
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// A request of the kernel that has to be answered exactly once; dropping it answers EIO.
///
/// Nobody else holds the C pointer. `@unchecked Sendable`: libfuse allows a reply from any thread, and being
/// noncopyable the value is in one place at a time.
@safe
struct PendingRequest: ~Copyable, @unchecked Sendable {
    private let raw: fuse_req_t

    init(_ raw: fuse_req_t) { unsafe self.raw = raw }

    /// Who asks.
    var caller: Caller {
        guard let context = unsafe fuse_req_ctx(raw)?.pointee else { return Caller(uid: 0, gid: 0, thread: 0) }
        return Caller(uid: context.uid, gid: context.gid, thread: context.pid, umask: context.umask)
    }

    /// A number for the interrupt callback: see `InterruptWatch`.
    func onInterrupt(_ token: InterruptToken) {
        unsafe fuse_req_interrupt_func(raw, InterruptWatch.callback, token.pointer)
    }

    consuming func fail(_ error: Errno) {
        let raw = unsafe take()
        _ = unsafe fuse_reply_err(raw, error.rawValue)
    }

    consuming func succeed() {
        let raw = unsafe take()
        _ = unsafe fuse_reply_err(raw, 0)
    }

    /// For FORGET, which has no answer.
    consuming func finishWithoutAnswer() {
        let raw = unsafe take()
        unsafe fuse_reply_none(raw)
    }

    /// False when the kernel did not take it (the caller was killed): the lookup was then not counted.
    consuming func answer(entry: EntryReply) -> Bool {
        let raw = unsafe take()
        var parameter = entry.parameter
        return unsafe fuse_reply_entry(raw, &parameter) == 0
    }

    consuming func answer(attributes: FileStatus, timeout: Double) {
        let raw = unsafe take()
        var attributes = attributes.stat
        _ = unsafe fuse_reply_attr(raw, &attributes, timeout)
    }

    /// False when the kernel did not take it: it will not release the handle then.
    consuming func answer(open reply: OpenReply, handle: UInt64) -> Bool {
        let raw = unsafe take()
        var info = reply.info(handle: handle)
        return PassthroughWire.announcing(reply.backing) { unsafe fuse_reply_open(raw, &info) } == 0
    }

    /// False when the kernel did not take it: neither lookup nor handle count then.
    consuming func answer(created entry: EntryReply, open reply: OpenReply, handle: UInt64) -> Bool {
        let raw = unsafe take()
        var parameter = entry.parameter
        var info = reply.info(handle: handle)
        return PassthroughWire.announcing(reply.backing) { unsafe fuse_reply_create(raw, &parameter, &info) } == 0
    }

    consuming func answer(bytes: [UInt8]) {
        let raw = unsafe take()
        unsafe bytes.withUnsafeBytes {
            _ = unsafe fuse_reply_buf(raw, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
        }
    }

    /// Answers with the bytes that `lend` lends, from several places.
    consuming func answer(lending lend: ((UnsafeBufferPointer<iovec>) -> Void) -> Void) {
        let raw = unsafe take()
        unsafe lend { _ = unsafe fuse_reply_iov(raw, $0.baseAddress, Int32($0.count)) }
    }

    /// Answers with what `fill` puts into a buffer of at most `capacity` bytes, or with its error.
    consuming func answer(
        upTo capacity: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(Errno) -> Int
    ) {
        let raw = unsafe take()
        unsafe withUnsafeTemporaryAllocation(byteCount: max(capacity, 1), alignment: 16) { buffer in
            do throws(Errno) {
                let count = try unsafe fill(UnsafeMutableRawBufferPointer(rebasing: buffer[..<capacity]))
                _ = unsafe fuse_reply_buf(raw, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), count)
            } catch {
                _ = unsafe fuse_reply_err(raw, error.rawValue)
            }
        }
    }

    /// Answers with a part of a file that libfuse splices to the kernel, so that the data never enters our memory.
    consuming func answer(from descriptor: borrowing OwnedDescriptor, at offset: UInt64, count: Int) {
        let raw = unsafe take()
        var vector = fx_bufvec(count)
        unsafe vector.buf.flags = fuse_buf_flags(FUSE_BUF_IS_FD.rawValue | FUSE_BUF_FD_SEEK.rawValue)
        unsafe vector.buf.fd = descriptor.rawValue
        unsafe vector.buf.pos = off_t(offset)
        _ = unsafe fuse_reply_data(raw, &vector, FUSE_BUF_SPLICE_MOVE)
    }

    consuming func answer(written count: Int) {
        let raw = unsafe take()
        _ = unsafe fuse_reply_write(raw, count)
    }

    consuming func answer(linkTarget bytes: [UInt8]) {
        let raw = unsafe take()
        let terminated = bytes + [0]
        unsafe terminated.withUnsafeBytes {
            _ = unsafe fuse_reply_readlink(raw, $0.baseAddress?.assumingMemoryBound(to: CChar.self))
        }
    }

    consuming func answer(space: FileSystemSpace) {
        let raw = unsafe take()
        var out = statvfs()
        out.f_bsize = UInt(space.blockSize)
        out.f_frsize = UInt(space.fragmentSize)
        out.f_blocks = fsblkcnt_t(space.blocks)
        out.f_bfree = fsblkcnt_t(space.freeBlocks)
        out.f_bavail = fsblkcnt_t(space.availableBlocks)
        out.f_files = fsfilcnt_t(space.files)
        out.f_ffree = fsfilcnt_t(space.freeFiles)
        out.f_favail = fsfilcnt_t(space.freeFiles)
        out.f_namemax = UInt(Name.maximumLength)
        _ = unsafe fuse_reply_statfs(raw, &out)
    }

    /// Answers GETXATTR and LISTXATTR: the size when `capacity` is 0, the bytes when they fit, else ERANGE
    /// (getxattr(2)).
    consuming func answer(attribute bytes: [UInt8], capacity: Int) {
        if capacity == 0 {
            let raw = unsafe take()
            _ = unsafe fuse_reply_xattr(raw, bytes.count)
        } else if bytes.count > capacity {
            fail(.outOfRange)
        } else {
            answer(bytes: bytes)
        }
    }

    consuming func answer(position: Int64) {
        let raw = unsafe take()
        _ = unsafe fuse_reply_lseek(raw, off_t(position))
    }

    /// Packs listing entries while they fit into `capacity` bytes and answers with them.
    ///
    /// False when the kernel did not take it (the caller was killed): what was packed was not looked up then.
    consuming func answer(
        listing capacity: Int, _ enumerate: (inout ListingBuffer) throws(Errno) -> Void
    ) -> Bool {
        let raw = unsafe take()
        return unsafe withUnsafeTemporaryAllocation(byteCount: max(capacity, 1), alignment: 16) { memory in
            var buffer = unsafe ListingBuffer(raw, UnsafeMutableRawBufferPointer(rebasing: memory[..<capacity]))
            var failure: Errno?
            do throws(Errno) { try enumerate(&buffer) } catch { failure = error }
            // What was packed has been counted; an error then waits for the next call.
            if let failure, buffer.count == 0 { return unsafe fuse_reply_err(raw, failure.rawValue) == 0 }
            return unsafe fuse_reply_buf(raw, memory.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count)
                == 0
        }
    }

    private consuming func take() -> fuse_req_t {
        let raw = unsafe raw
        discard self
        return unsafe raw
    }

    deinit { _ = unsafe fuse_reply_err(raw, EIO) }
}

/// What an entry reply tells the kernel.
struct EntryReply {
    var inode: Inode
    var status: FileStatus
    /// Seconds, for entry and attributes.
    var timeout: Double

    var parameter: fuse_entry_param {
        var parameter = fuse_entry_param()
        parameter.ino = inode.rawValue
        parameter.attr = status.stat
        parameter.attr_timeout = timeout
        parameter.entry_timeout = timeout
        return parameter
    }
}

extension OpenReply {
    fileprivate func info(handle: UInt64) -> fuse_file_info {
        var info = fuse_file_info()
        info.fh = handle
        info.direct_io = directIO ? 1 : 0
        info.keep_cache = keepsCache ? 1 : 0
        if needsNoFlush { unsafe fx_set_noflush(&info) }
        return info
    }
}

extension FileStatus {
    /// For libfuse; `device` is the kernel's own number for the mount and not ours to say.
    var stat: stat {
        var out = Glibc.stat()
        out.st_ino = ino_t(inode)
        out.st_mode = mode
        out.st_nlink = nlink_t(linkCount)
        out.st_uid = owner
        out.st_gid = group
        out.st_rdev = dev_t(
            (specialDevice & 0xffff_ffff) & 0xff | (specialDevice >> 32) << 8 | ((specialDevice & 0xffff_ff00) << 12))
        out.st_size = off_t(clamping: size.rawValue)
        out.st_blksize = blksize_t(blockSize)
        out.st_blocks = blkcnt_t(clamping: blocks)
        out.st_atim = timespec(tv_sec: Int(accessed.seconds), tv_nsec: Int(accessed.nanoseconds))
        out.st_mtim = timespec(tv_sec: Int(modified.seconds), tv_nsec: Int(modified.nanoseconds))
        out.st_ctim = timespec(tv_sec: Int(changed.seconds), tv_nsec: Int(changed.nanoseconds))
        return out
    }
}
