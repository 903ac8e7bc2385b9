public import FXSystem
internal import Synchronization
internal import SystemPackage

/// The bytes of a download while they arrive: a file without a name, which nobody sees.
///
/// One thread writes at a time. Let go before `FileExchange.download(_:to:)`, nothing of it remains.
public final class Download: Sendable {
    let transfer: Transfer
    private let limit: ByteCount?
    private let size = Mutex(ByteCount.zero)
    /// Nil once it is finished.
    private let file: Mutex<UnnamedFile?>

    init(_ file: UnnamedFile, _ transfer: Transfer, limit: ByteCount?) {
        self.file = Mutex(file)
        self.transfer = transfer
        self.limit = limit
    }

    /// How much has arrived.
    public var received: ByteCount { size.withLock { $0 } }

    /// Ends the writing: what has arrived, as a file that nobody can write to.
    func finish() throws(ExchangeError) -> UnnamedFile {
        let file = try writable()
        self.file.withLock { $0 = nil }
        do throws(Errno) { return try file.finished() } catch { throw .system("the file", error) }
    }

    private func writable() throws(ExchangeError) -> UnnamedFile {
        guard let file = file.withLock({ $0 }), !transfer.isCancelled else { throw .cancelled("the file") }
        return file
    }

    /// Ends it; the next `write` throws `cancelled`.
    public func cancel() { transfer.cancel() }

    /// Adds bytes at the end.
    /// - Throws: `tooLarge` before a byte over the limit is written; `cancelled`; `system` with ENOSPC and the like. The download can
    ///   only be let go then.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(ExchangeError) {
        let start = received
        let end = start + ByteCount(UInt64(bytes.count))
        if let limit, end > limit { throw .tooLarge(limit: limit) }
        let file = try writable()
        do throws(Errno) { try unsafe file.descriptor.write(bytes, at: start.rawValue) } catch {
            throw .system("the file", error)
        }
        size.withLock { $0 = end }
        transfer.advance(to: end)
    }

    /// Adds bytes at the end, as the other `write`.
    public func write(_ bytes: [UInt8]) throws(ExchangeError) {
        try unsafe bytes.withUnsafeBufferPointer { buffer throws(ExchangeError) in
            try unsafe write(UnsafeRawBufferPointer(buffer))
        }
    }

    /// Makes this, which is still empty, a copy of `source` in the cheapest way there is.
    /// - Throws: as `write`.
    public func fill(from source: borrowing OwnedDescriptor) throws(ExchangeError) {
        let transfer = transfer
        let file = try writable()
        do throws(Errno) {
            let size = try source.status().size
            if let limit, size > limit { throw Errno.fileTooLarge }
            transfer.addTotal(size)
            let copied = try file.descriptor.copyContent(from: source, onProgress: { transfer.advance(to: $0) }) {
                transfer.isCancelled
            }
            self.size.withLock { $0 = copied }
            transfer.advance(to: copied)
        } catch {
            switch error {
            case .interrupted: throw .cancelled("the file")
            case .fileTooLarge: throw .tooLarge(limit: limit ?? .zero)
            default: throw .system("the file", error)
            }
        }
    }
}

/// A file that is being read by the application: an open descriptor and what is known of the file.
///
/// What was opened is what is read, whatever its name becomes meanwhile. Any thread may read.
public final class Upload: Sendable {
    /// As it was opened.
    public let entry: FileEntry
    /// Open for reading.
    public let descriptor: OwnedDescriptor
    private let transfer: Transfer
    /// Nil where nobody is to be told.
    private let notices: (any TransferNotices)?

    init(
        _ entry: FileEntry, _ descriptor: consuming OwnedDescriptor, _ transfer: Transfer,
        _ notices: (any TransferNotices)?
    ) {
        self.entry = entry
        self.descriptor = descriptor
        self.transfer = transfer
        self.notices = notices
    }

    /// How many bytes there are; promised to whoever reads.
    public var size: ByteCount { entry.size }

    /// The next bytes from `offset`: at most `count`, fewer only at the end, none past `size`.
    /// - Throws: `cancelled`; `system`, with ESTALE when the file has become shorter since it was opened.
    public func read(_ count: Int, at offset: ByteCount) throws(ExchangeError) -> [UInt8] {
        if transfer.isCancelled { throw .cancelled(entry.name) }
        let wanted = min(UInt64(max(count, 0)), (size - offset).rawValue)
        do throws(Errno) {
            let bytes = try descriptor.read(Int(wanted), at: offset.rawValue)
            if bytes.count < Int(wanted) { throw Errno.staleNFSFileHandle }
            transfer.advance(to: offset + ByteCount(UInt64(bytes.count)))
            return bytes
        } catch { throw .system(entry.name, error) }
    }

    /// For whoever moves the bytes by the descriptor: how far it is.
    public func advance(to done: ByteCount) { transfer.advance(to: done) }

    /// Everything has reached the application. Without it the transfer counts as cut short.
    public func finish() {
        if let record = transfer.succeed() { notices?.tell(record) }
    }
}
