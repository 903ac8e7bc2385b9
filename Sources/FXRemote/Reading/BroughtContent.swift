internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// A whole content of a service without ranges, on this machine: for who reads all of it, one piece after the other, and
/// would have it brought as often as there are pieces else. In a file without a name, which goes with its reader.
struct BroughtContent: CommittedContent, LocalContent {
    private let file: SharedFile
    let size: ByteCount

    /// Brings all of it; waits.
    /// - Throws: ENOSPC when there is no room, before anything is brought; why the service did not give it.
    init(
        _ content: any FetchedContent, size: ByteCount, in directory: StagingDirectory
    ) throws(RemoteError) {
        self.size = size
        file = SharedFile(try directory.makeFile(size: size))
        let sink = FileSink(file)
        let outcome = Monitor<Result<Void, RemoteError>?>(nil)
        _ = content.fetch(0..<size.rawValue, into: sink) { result in outcome.withLock { $0 = result } }
        let result = outcome.wait { $0 } ?? .failure(.interrupted)
        if let refusal = sink.refusal { throw refusal }
        try result.get()
    }

    var knownSize: ByteCount? { size }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        do throws(Errno) { return try unsafe file.descriptor.read(into: buffer, at: offset) } catch {
            throw .local(error, during: .cache)
        }
    }

    func cloneContent(to target: borrowing OwnedDescriptor) throws(RemoteError) -> ByteCount {
        do throws(Errno) { return try target.copyContent(from: file.descriptor) } catch {
            throw .local(error, during: .spool)
        }
    }
}

private final class SharedFile: Sendable {
    let descriptor: OwnedDescriptor

    init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }
}

/// Writes what comes behind what has come.
private final class FileSink: ByteSink {
    private let file: SharedFile
    private let state = Mutex<(position: UInt64, refusal: RemoteError?)>((0, nil))

    init(_ file: SharedFile) { self.file = file }

    /// Why the disk did not take it.
    var refusal: RemoteError? { state.withLock { $0.refusal } }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let position = state.withLock { $0.position }
        do throws(Errno) { try unsafe file.descriptor.write(bytes, at: position) } catch {
            state.withLock { $0.refusal = .local(error, during: .cache) }
            return false
        }
        state.withLock { $0.position += UInt64(bytes.count) }
        return true
    }
}
