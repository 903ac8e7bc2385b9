/// Fills the buffer of a call that waits.
///
/// @unchecked: the buffer belongs to that call, which returns after the completion of the fetch, and nothing is received
/// after that; `position` is changed by `receive` only, which the transport calls on one thread.
@safe
final class BufferSink: ByteSink, @unchecked Sendable {
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
