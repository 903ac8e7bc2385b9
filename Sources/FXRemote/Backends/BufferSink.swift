internal import FXSystem

extension FetchedContent {
    /// Fills a buffer by one fetch, and waits for it.
    /// - Parameter size: of the content, in bytes.
    func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, byFetchingOf size: UInt64
    ) throws(RemoteError) -> Int {
        let end = min(size, offset.addingReportingOverflow(UInt64(buffer.count)).partialValue)
        if offset >= end { return 0 }
        let sink = unsafe BufferSink(buffer)
        let outcome = Monitor<Result<Void, RemoteError>?>(nil)
        _ = fetch(offset..<end, into: sink) { result in outcome.withLock { $0 = result } }
        try (outcome.wait { $0 } ?? .failure(.interrupted)).get()
        return Int(end - offset)
    }
}

/// Fills the buffer of a call that waits.
///
/// @unchecked: the buffer belongs to that call, which returns after the completion of the fetch, and nothing is received
/// after that; `position` is changed by `receive` only, which the transport calls on one thread.
@safe
private final class BufferSink: ByteSink, @unchecked Sendable {
    private let buffer: UnsafeMutableRawBufferPointer
    private var position = 0

    init(_ buffer: UnsafeMutableRawBufferPointer) { unsafe self.buffer = unsafe buffer }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard unsafe bytes.count <= buffer.count - position else { return false }
        unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[position...]).copyMemory(from: bytes)
        position += bytes.count
        return true
    }
}
