internal import CLinux
internal import Glibc
public import SystemPackage

extension OwnedDescriptor {
    /// Fills `buffer` from `offset` as far as the file goes; returns the number of bytes, short only at the end of the
    /// file.
    public borrowing func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno) -> Int {
        let number = rawValue
        var done = 0
        while done < buffer.count {
            let count = try retryingOnInterrupt {
                unsafe pread(
                    number, buffer.baseAddress.unsafelyUnwrapped + done, buffer.count - done,
                    off_t(clamping: offset) + done)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Reads at most `count` bytes from `offset`; fewer only at the end of the file.
    public borrowing func read(_ count: Int, at offset: UInt64) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        done = try unsafe bytes.withUnsafeMutableBufferPointer { buffer throws(Errno) in
            try unsafe read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
        bytes.removeLast(count - done)
        return bytes
    }

    /// Writes all of `buffer` at `offset`. After an error an unknown part of it may have been written.
    public borrowing func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        let number = rawValue
        var done = 0
        while done < buffer.count {
            done += try retryingOnInterrupt {
                unsafe pwrite(
                    number, buffer.baseAddress.unsafelyUnwrapped + done, buffer.count - done,
                    off_t(clamping: offset) + done)
            }
        }
    }

    /// Writes all of `bytes` at `offset`.
    public borrowing func write(_ bytes: [UInt8], at offset: UInt64) throws(Errno) {
        try unsafe bytes.withUnsafeBufferPointer { buffer throws(Errno) in
            try unsafe write(UnsafeRawBufferPointer(buffer), at: offset)
        }
    }

    /// Makes data and metadata of the open file durable. For a directory: its entries.
    public borrowing func sync() throws(Errno) {
        let number = rawValue
        _ = try retryingOnInterrupt { fsync(number) }
    }

    /// Makes the data durable and of the metadata what is needed to read it.
    public borrowing func syncData() throws(Errno) {
        let number = rawValue
        _ = try retryingOnInterrupt { fdatasync(number) }
    }

    /// Asks the kernel to begin writing a range to the disk (sync_file_range(2), SYNC_FILE_RANGE_WRITE); promises nothing.
    ///
    /// An error of the disk is kept for the next `sync` or `syncData`; a file system without the call writes when it
    /// likes.
    public borrowing func startWriteback(of range: Range<UInt64>) {
        let number = rawValue
        _ = fx_start_writeback(
            number, Int64(clamping: range.lowerBound), Int64(clamping: range.upperBound - range.lowerBound))
    }

    /// Waits for what is being written to the disk right now, and begins nothing (sync_file_range(2)).
    /// - Throws: what has gone wrong with the file's earlier writes to the disk, once for each open file.
    public borrowing func awaitWriteback() throws(Errno) {
        let number = rawValue
        _ = try retryingOnInterrupt { fx_await_writeback(number) }
    }

    /// Whether reading and writing go past the page cache from now on (O_DIRECT): memory, place and length are multiples of
    /// the disk's blocks then.
    /// - Throws: EINVAL on a file system that knows no such thing.
    public borrowing func setDirect(_ isDirect: Bool) throws(Errno) {
        let number = rawValue
        _ = try retryingOnInterrupt { fx_set_direct(number, isDirect ? 1 : 0) }
    }

    /// Makes the whole file system of the open file durable (syncfs(2)).
    public borrowing func syncFileSystem() throws(Errno) {
        let number = rawValue
        _ = try retryingOnInterrupt { fx_syncfs(number) }
    }

    public borrowing func truncate(to size: ByteCount) throws(Errno) {
        let number = rawValue
        _ = try retryingOnInterrupt { ftruncate(number, off_t(clamping: size.rawValue)) }
    }

    /// `fallocate(2)` with its mode bits.
    public borrowing func allocate(mode: Int32 = 0, offset: UInt64, length: UInt64) throws(Errno) {
        let number = rawValue
        _ = try retryingOnInterrupt {
            fx_fallocate(number, mode, Int64(bitPattern: offset), Int64(bitPattern: length))
        }
    }

    /// `lseek(2)`; moves the descriptor's own position.
    public borrowing func seek(_ offset: Int64, whence: Int32) throws(Errno) -> Int64 {
        let number = rawValue
        return Int64(try retryingOnInterrupt { lseek(number, off_t(offset), whence) })
    }

    /// Asks the kernel to copy up to `count` bytes to `target` (`copy_file_range(2)`); returns what it copied.
    public borrowing func copyRange(
        at offset: UInt64, to target: borrowing OwnedDescriptor, at targetOffset: UInt64, count: Int
    ) throws(Errno) -> Int {
        let number = rawValue
        let other = target.rawValue
        var from = Int64(bitPattern: offset)
        var to = Int64(bitPattern: targetOffset)
        return try retryingOnInterrupt { unsafe fx_copy_file_range(number, &from, other, &to, count, 0) }
    }

    /// Makes this file share all blocks of `source` (FICLONE).
    /// - Throws: EOPNOTSUPP, EXDEV or EINVAL where the file systems cannot.
    public borrowing func clone(from source: borrowing OwnedDescriptor) throws(Errno) {
        let number = rawValue
        let other = source.rawValue
        _ = try retryingOnInterrupt { fx_ficlone(number, other) }
    }
}
