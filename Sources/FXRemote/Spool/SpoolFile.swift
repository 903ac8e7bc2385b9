internal import CLinux
internal import Crypto
internal import FXSystem
internal import SystemPackage

/// An open spool file. Any thread; what it holds is guarded by the revision it belongs to.
final class SpoolFile: Sendable, UploadContent, CommittedContent, LocalContent {
    let name: Name
    let descriptor: OwnedDescriptor
    /// It counts in them as long as it is open.
    let uses: SpoolUses

    /// - Parameter uses: of its content, and `begin` was called already; nil for one that nobody else opens.
    init(name: Name, descriptor: consuming OwnedDescriptor, uses: SpoolUses? = nil) {
        self.name = name
        self.descriptor = descriptor
        self.uses = uses ?? SpoolUses(1)
    }

    deinit { uses.end() }

    var identity: FileIdentity? { (try? descriptor.status())?.identity }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        do throws(Errno) { return try unsafe descriptor.read(into: buffer, at: offset) } catch {
            throw .local(error, during: .spool)
        }
    }

    /// All of a small file.
    /// - Throws: EIO when it is not of this size: somebody changed the spool from outside.
    func bytes(_ size: UInt64) throws(RemoteError) -> [UInt8] {
        do throws(Errno) {
            let bytes = try descriptor.read(Int(clamping: size), at: 0)
            if UInt64(bytes.count) != size { throw .ioError }
            return bytes
        } catch { throw .local(error, during: .spool) }
    }

    func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError) {
        do throws(Errno) { try descriptor.linkOpenFile(as: name, in: directory) } catch {
            switch error {
            // Another file system, or one without links: the store copies then.
            case .improperLink, .notPermitted, .notSupportedOnSocket, .notSupported, .tooManyLinks: throw .notSupported
            case .fileExists: throw .exists
            default: throw .local(error, during: .store)
            }
        }
    }

    func cloneContent(to target: borrowing OwnedDescriptor) throws(RemoteError) -> ByteCount {
        do throws(Errno) { return try target.copyContent(from: descriptor) } catch {
            throw .local(error, during: .spool)
        }
    }

    /// Reserves space for a range without changing the size, so that a later write of it cannot run out of it.
    ///
    /// A file system without `fallocate` reserves nothing; there `write` undoes what it could not finish.
    func reserve(_ range: Range<UInt64>) throws(Errno) {
        do throws(Errno) {
            try descriptor.allocate(
                mode: Int32(FX_FALLOC_KEEP_SIZE), offset: range.lowerBound, length: range.upperBound - range.lowerBound)
        } catch {
            if error != .notSupportedOnSocket && error != .noFunction && error != .notSupported { throw error }
        }
    }

    /// Reserves space for a range and makes the file reach to its end; never makes it shorter.
    func extend(_ range: Range<UInt64>, sizeBefore size: UInt64) throws(Errno) {
        do throws(Errno) {
            try descriptor.allocate(mode: 0, offset: range.lowerBound, length: range.upperBound - range.lowerBound)
        } catch {
            if error != .notSupportedOnSocket && error != .noFunction && error != .notSupported { throw error }
            if range.upperBound > size { try descriptor.truncate(to: ByteCount(range.upperBound)) }
        }
    }

    /// Adds a range of the file to a hash, in pieces of constant size.
    func hash(_ range: Range<UInt64>, into hasher: inout SHA256) throws(Errno) {
        // 256 KiB stays in the second-level cache between the read and the hash.
        let pieceSize = 256 << 10
        var buffer = [UInt8](repeating: 0, count: Int(min(UInt64(pieceSize), range.upperBound - range.lowerBound)))
        var position = range.lowerBound
        while position < range.upperBound {
            let wanted = Int(min(UInt64(buffer.count), range.upperBound - position))
            var count = 0
            try unsafe buffer.withUnsafeMutableBufferPointer { space throws(Errno) in
                let raw = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: unsafe UnsafeMutableRawBufferPointer(space)[..<wanted])
                count = try unsafe descriptor.read(into: raw, at: position)
                unsafe hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: raw[..<count]))
            }
            // Shorter than it should be: somebody changed the spool from outside.
            if count == 0 { throw .ioError }
            position += UInt64(count)
        }
    }
}
