public import FXSystem
internal import SystemPackage

/// The bytes of an upload; readable any number of times, so that a retry is possible by type.
public protocol UploadContent: Sendable {
    /// What tells whether another name is the same file; nil when it is no local file.
    var identity: FileIdentity? { get }
    /// Fills `buffer` from `offset`, short only at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int
    /// Gives the file a further name in `directory`, never replacing. Throws `.notSupported` when it is no local file.
    func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError)
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
