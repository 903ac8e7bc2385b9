internal import Crypto
public import FXSystem
internal import SystemPackage

/// The bytes of an upload; readable any number of times, so that a retry is possible by type.
public protocol UploadContent: Sendable {
    /// What tells whether another name is the same file; nil when it is no local file.
    var identity: FileIdentity? { get }
    /// Fills `buffer` from `offset`, short only at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int
    /// The MD5 of a range, 16 bytes. Asked again for the same range it is made of the bytes as they are read then.
    /// - Throws: what `read` throws; `verificationMismatch` when the content is shorter than the range.
    func md5(of range: Range<UInt64>) throws(RemoteError) -> [UInt8]
    /// Gives the file a further name in `directory`, never replacing. Throws `.notSupported` when it is no local file.
    func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError)
}

extension UploadContent {
    public func md5(of range: Range<UInt64>) throws(RemoteError) -> [UInt8] { try hashMD5(range) }

    /// The MD5 of one range by itself.
    func hashMD5(_ range: Range<UInt64>) throws(RemoteError) -> [UInt8] {
        var md5 = Insecure.MD5()
        try unsafe forEachPiece(of: range) { bytes in unsafe md5.update(bufferPointer: bytes) }
        return Array(md5.finalize())
    }

    /// Reads a range from its start to its end.
    /// - Throws: `verificationMismatch` when the content is shorter than it was said to be: sending it would hang until
    ///   the service gives up.
    func forEachPiece(of range: Range<UInt64>, _ take: (UnsafeRawBufferPointer) -> Void) throws(RemoteError) {
        // In the cache of the processor, and few system calls.
        var piece = [UInt8](repeating: 0, count: 256 << 10)
        var position = range.lowerBound
        while position < range.upperBound {
            let wanted = min(piece.count, Int(clamping: range.upperBound - position))
            try unsafe piece.withUnsafeMutableBufferPointer { space throws(RemoteError) in
                let place = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(space)[..<wanted])
                try unsafe fill(place, at: position)
                unsafe take(UnsafeRawBufferPointer(place))
            }
            position += UInt64(wanted)
        }
    }

    /// Fills all of `buffer`.
    func fill(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) {
        var done = 0
        while done < buffer.count {
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = try unsafe read(into: rest, at: offset + UInt64(done))
            if count == 0 { throw .verificationMismatch }
            done += count
        }
    }
}

/// The bytes of a committed file.
public protocol CommittedContent: Sendable {
    /// Fills `buffer` from `offset`, short only at the end. Any thread.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int
    /// What the service says it has, asked when it was opened; nil when only reading tells.
    var knownSize: ByteCount? { get }
}

extension CommittedContent {
    public var knownSize: ByteCount? { nil }

    /// Copies everything into an empty file; returns the size. Local contents override it with something cheaper.
    func copy(to target: borrowing OwnedDescriptor) throws(RemoteError) -> ByteCount {
        if let local = self as? any LocalContent { return try local.cloneContent(to: target) }
        return try copyThroughMemory(to: target)
    }

    private func copyThroughMemory(to target: borrowing OwnedDescriptor) throws(RemoteError) -> ByteCount {
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        var position: UInt64 = 0
        while true {
            var count = 0
            try unsafe buffer.withUnsafeMutableBufferPointer { space throws(RemoteError) in
                let raw = UnsafeMutableRawBufferPointer(space)
                count = try unsafe read(into: raw, at: position)
                do throws(Errno) {
                    try unsafe target.write(UnsafeRawBufferPointer(rebasing: raw[..<count]), at: position)
                } catch {
                    throw RemoteError.local(error, during: .spool)
                }
            }
            if count == 0 { return ByteCount(position) }
            position += UInt64(count)
        }
    }
}

/// Takes bytes in order, on the thread of whoever has them; must not block.
public protocol ByteSink: Sendable {
    /// False ends the fetch: nothing more is wanted.
    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool
}

/// A range of a committed file on its way.
public struct Fetch: Sendable {
    private let cancelBody: @Sendable () -> Void

    public init(cancel: @escaping @Sendable () -> Void) { cancelBody = cancel }

    /// Ends it with `.interrupted` unless it has ended; returns at once.
    public func cancel() { cancelBody() }
}

/// Content that comes from a network without holding a thread while it is on its way.
public protocol FetchedContent: CommittedContent {
    /// Begins to bring a range, which lies in the file, to `sink`, in order and each byte once.
    ///
    /// - Parameter completion: called exactly once, after the last byte, on any thread; must not block. Success means
    ///   that all of the range was given; `.changed` that the service has another content under this name now.
    func fetch(
        _ range: Range<UInt64>, into sink: any ByteSink,
        _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) -> Fetch
}

/// Content in a local file, which the kernel can copy or share.
protocol LocalContent {
    func cloneContent(to target: borrowing OwnedDescriptor) throws(RemoteError) -> ByteCount
}
