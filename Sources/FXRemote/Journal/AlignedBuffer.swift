/// Memory at a place that writes past the page cache want.
///
/// `@unchecked Sendable`: one thread at a time uses it.
@safe
final class AlignedBuffer: @unchecked Sendable {
    private let alignment: Int
    private var memory: UnsafeMutableRawBufferPointer

    init(alignment: Int) {
        self.alignment = alignment
        unsafe memory = .allocate(byteCount: 16 * alignment, alignment: alignment)
    }

    deinit { unsafe memory.deallocate() }

    /// `bytes`, and zeros up to `count`; valid until the next call.
    func fill(with bytes: [UInt8], upTo count: Int) -> UnsafeRawBufferPointer {
        if unsafe memory.count < count {
            unsafe memory.deallocate()
            unsafe memory = .allocate(byteCount: count, alignment: alignment)
        }
        unsafe memory.copyBytes(from: bytes)
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[bytes.count..<count])
        _ = unsafe rest.initializeMemory(as: UInt8.self, repeating: 0)
        return unsafe UnsafeRawBufferPointer(rebasing: memory[..<count])
    }
}
