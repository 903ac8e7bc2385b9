internal import CFuse3
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// The bytes of a WRITE request, in memory or in a pipe of libfuse. Valid only inside the handler.
@safe
struct WriteData: ~Copyable {
    private let vector: UnsafeMutablePointer<fuse_bufvec>

    init(_ vector: UnsafeMutablePointer<fuse_bufvec>) { unsafe self.vector = vector }

    /// In bytes.
    var count: Int { unsafe fuse_buf_size(vector) }

    /// Moves the bytes into a file, without passing through Swift; returns how many the file took.
    func copy(to descriptor: borrowing OwnedDescriptor, at offset: UInt64) throws(Errno) -> Int {
        var target = fx_bufvec(count)
        unsafe target.buf.flags = fuse_buf_flags(FUSE_BUF_IS_FD.rawValue | FUSE_BUF_FD_SEEK.rawValue)
        unsafe target.buf.fd = descriptor.rawValue
        unsafe target.buf.pos = off_t(offset)
        let copied = unsafe fuse_buf_copy(&target, vector, fuse_buf_copy_flags(rawValue: 0))
        if copied < 0 { throw Errno(rawValue: Int32(-copied)) }
        return copied
    }

    /// Lends the bytes as one piece of memory.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws(Errno) -> Result) throws(Errno) -> Result {
        let count = count
        let first = unsafe vector.pointee.buf
        if unsafe vector.pointee.count == 1, unsafe first.flags.rawValue & FUSE_BUF_IS_FD.rawValue == 0 {
            return try unsafe body(UnsafeRawBufferPointer(start: first.mem, count: count))
        }
        return try unsafe withUnsafeTemporaryAllocation(byteCount: max(count, 1), alignment: 16) {
            memory throws(Errno) in
            var target = fx_bufvec(count)
            unsafe target.buf.mem = memory.baseAddress
            let copied = unsafe fuse_buf_copy(&target, vector, fuse_buf_copy_flags(rawValue: 0))
            if copied < 0 { throw Errno(rawValue: Int32(-copied)) }
            return try unsafe body(UnsafeRawBufferPointer(rebasing: memory[..<copied]))
        }
    }
}
