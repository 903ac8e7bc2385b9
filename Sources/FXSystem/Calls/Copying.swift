internal import CLinux
internal import Glibc
public import SystemPackage

extension OwnedDescriptor {
    /// Makes this empty file a copy of `source` in the cheapest way there is, and returns the number of bytes it holds.
    ///
    /// FICLONE where the file system shares blocks; else `copy_file_range`, else read and write, hole by hole, so that
    /// a sparse file stays sparse. Not durable until synced. Data only: no times, owners or attributes.
    /// - Throws: what the copy met: ENOSPC, EIO, EDQUOT. The target may then hold a part.
    ///   EINTR when `isGivenUp`, which is asked after every 64 MiB, says so.
    /// - Parameter onProgress: told after every 64 MiB up to where the target is filled.
    public borrowing func copyContent(
        from source: borrowing OwnedDescriptor, onProgress: (ByteCount) -> Void = { _ in },
        isGivenUp: () -> Bool = { false }
    ) throws(Errno) -> ByteCount {
        do throws(Errno) {
            try clone(from: source)
            return try source.status().size
        } catch {
            switch error {
            case .noSpace, .ioError, .quotaExceeded: throw error
            default: break
            }
        }
        let size = try source.status().size
        try copyExtents(from: source, size: size.rawValue) { position in
            onProgress(ByteCount(position))
            return isGivenUp()
        }
        try truncate(to: size)
        return size
    }

    private borrowing func copyExtents(
        from source: borrowing OwnedDescriptor, size: UInt64, _ isGivenUp: (UInt64) -> Bool
    ) throws(Errno) {
        var position: UInt64 = 0
        while position < size {
            guard let extent = try source.extent(from: position, size: size) else { return }
            try copy(extent, from: source, isGivenUp)
            position = extent.upperBound
        }
    }

    /// The next run of data at or after `position`; nil when only a hole is left.
    private borrowing func extent(from position: UInt64, size: UInt64) throws(Errno) -> Range<UInt64>? {
        do throws(Errno) {
            let start = UInt64(try seek(Int64(position), whence: Int32(FX_SEEK_DATA)))
            // A file that grows meanwhile has data past the end we copy to.
            if start >= size { return nil }
            let end = min(UInt64(try seek(Int64(start), whence: Int32(FX_SEEK_HOLE))), size)
            return start < end ? start..<end : nil
        } catch {
            if error == .noSuchAddressOrDevice { return nil }
            // No SEEK_DATA here (EINVAL, EOPNOTSUPP): all of it counts as data.
            return position..<size
        }
    }

    private borrowing func copy(
        _ extent: Range<UInt64>, from source: borrowing OwnedDescriptor, _ isGivenUp: (UInt64) -> Bool
    ) throws(Errno) {
        var position = extent.lowerBound
        while position < extent.upperBound {
            // 64 MiB take a tenth of a second: soon enough for somebody who wants to give up.
            let wanted = Int(min(extent.upperBound - position, 64 << 20))
            var count = 0
            do throws(Errno) {
                count = try source.copyRange(at: position, to: self, at: position, count: wanted)
            } catch {
                switch error {
                case .improperLink, .invalidArgument, .notSupported, .notSupportedOnSocket, .noFunction:
                    count = try copyThroughMemory(from: source, at: position, count: wanted)
                default: throw error
                }
            }
            if count == 0 { return }
            position += UInt64(count)
            if isGivenUp(position) && position < extent.upperBound { throw .interrupted }
        }
    }

    private borrowing func copyThroughMemory(
        from source: borrowing OwnedDescriptor, at position: UInt64, count: Int
    ) throws(Errno) -> Int {
        // 256 KiB: past it the call overhead no longer shows.
        let bytes = try source.read(min(count, 256 << 10), at: position)
        try write(bytes, at: position)
        return bytes.count
    }

    /// True when both files hold the same bytes. Open for reading; compared up to the first difference.
    public borrowing func hasSameContent(
        as other: borrowing OwnedDescriptor, isGivenUp: () -> Bool = { false }
    ) throws(Errno) -> Bool {
        let size = try status().size
        if try other.status().size != size { return false }
        var position: UInt64 = 0
        while position < size.rawValue {
            // 1 MiB: what a disk reads ahead.
            let mine = try read(1 << 20, at: position)
            if mine.isEmpty { return false }
            if try other.read(mine.count, at: position) != mine { return false }
            position += UInt64(mine.count)
            if isGivenUp() { throw .interrupted }
        }
        return true
    }
}
