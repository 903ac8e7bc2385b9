public import Glibc

/// Bytes that a read is answered with, where they came to lie.
public struct ReadBytes: Sendable {
    /// Parts of blocks, in order.
    private var parts: [(block: Block, range: Range<Int>)] = []

    /// None: the end of the file.
    public init() {}

    mutating func append(_ block: Block, _ range: Range<Int>) { parts.append((block, range)) }

    public var count: Int { parts.reduce(0) { $0 + $1.range.count } }

    /// Lends the bytes as writev(2) takes them.
    public func withVectors(_ body: (UnsafeBufferPointer<iovec>) -> Void) {
        unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: max(1, parts.count)) { vectors in
            for (index, part) in parts.enumerated() {
                let bytes = unsafe part.block.bytes(part.range)
                unsafe vectors.initializeElement(
                    at: index, to: iovec(iov_base: bytes.baseAddress, iov_len: bytes.count))
            }
            unsafe body(UnsafeBufferPointer(rebasing: vectors[..<parts.count]))
        }
    }

    /// Copies them to the start of `buffer`, which is large enough; returns how many.
    func copy(to buffer: UnsafeMutableRawBufferPointer) -> Int {
        var position = 0
        for part in parts {
            unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[position...]).copyMemory(
                from: UnsafeRawBufferPointer(part.block.bytes(part.range)))
            position += part.range.count
        }
        return position
    }
}
