internal import FXSystem
internal import SystemPackage

/// Where the sending of a body has come to; it can go back, so that a request can be sent again.
struct BodyReader {
    private let body: HTTPBody
    private var position: UInt64 = 0

    init(_ body: HTTPBody) { self.body = body }

    /// Goes to `position`; false when there is no such place.
    mutating func move(to position: UInt64) -> Bool {
        if position > body.count { return false }
        self.position = position
        return true
    }

    /// Fills `buffer` with what comes next; 0 at the end only.
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(RemoteError) -> Int {
        var count = 0
        switch body {
        case .none: return 0
        case .bytes(let bytes):
            count = unsafe BodyReader.copy(bytes, from: position, into: buffer)
        case .content(let content, let range, let prefix, let suffix):
            let start = UInt64(prefix.count)
            let end = start + (range.upperBound - range.lowerBound)
            if position < start {
                count = unsafe BodyReader.copy(prefix, from: position, into: buffer)
            } else if position < end {
                let wanted = Int(min(end - position, UInt64(buffer.count)))
                let place = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
                count = try unsafe content.read(into: place, at: range.lowerBound + (position - start))
                // The length was promised to the service already.
                if count == 0 { throw .local(.ioError, during: .spool) }
            } else {
                count = unsafe BodyReader.copy(suffix, from: position - end, into: buffer)
            }
        }
        position += UInt64(count)
        return count
    }

    private static func copy(
        _ bytes: [UInt8], from start: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        let piece = bytes.dropFirst(Int(clamping: start)).prefix(buffer.count)
        unsafe buffer.copyBytes(from: piece)
        return piece.count
    }
}
