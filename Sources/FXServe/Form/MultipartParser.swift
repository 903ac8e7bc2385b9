internal import Glibc

/// Splits a multipart body (RFC 2046 section 5.1, RFC 7578) as it comes in, in pieces of any size.
///
/// Keeps a part's head, and of its content at most the beginning of what may be a delimiter: memory is bounded whatever
/// is sent. A value; what it finds goes to `sink` before `consume` returns.
struct MultipartParser: Sendable {
    /// What is wrong with a body.
    enum Fault: Error, Equatable, Sendable {
        case noBoundary, headTooLong, malformedHead, tooManyParts, malformedDelimiter, truncated
    }

    @unsafe enum Event {
        case partBegan(PartHead)
        /// Valid until the sink returns.
        case content(UnsafeRawBufferPointer)
        case partEnded
    }

    /// A browser's is below 200 bytes.
    static let longestHead = 8 << 10
    /// A path of components of one letter each, and the other fields.
    static let mostParts = 1100
    /// RFC 2046: 1 to 70 characters.
    static let longestBoundary = 70

    private enum State: Equatable { case preamble, afterDelimiter, head, content, epilogue }

    /// CRLF, two hyphens, the boundary.
    private let delimiter: [UInt8]
    private var state = State.preamble
    /// Read and not decided yet. Begins with the line end that the first delimiter needs and a body does not have.
    private var held: [UInt8] = [13, 10]
    private var parts = 0

    /// - Throws: `noBoundary`.
    init(contentType: String) throws(Fault) {
        guard let boundary = HeaderParameters(contentType)["boundary"],
            (1...MultipartParser.longestBoundary).contains(boundary.utf8.count),
            boundary.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f })
        else { throw .noBoundary }
        delimiter = Array("\r\n--\(boundary)".utf8)
    }

    /// True once the closing delimiter was seen.
    var isFinished: Bool { state == .epilogue }

    /// - Throws: what is wrong with the body, or what `sink` throws.
    mutating func consume(
        _ input: UnsafeRawBufferPointer, _ sink: (Event) throws -> Void
    ) throws {
        if state == .epilogue { return }
        if held.isEmpty {
            let used = try unsafe advance(input, sink)
            unsafe held.append(contentsOf: input[used...])
        } else {
            unsafe held.append(contentsOf: input)
            let joined = held
            held = []
            let used = try unsafe joined.withUnsafeBytes { try unsafe advance($0, sink) }
            held.append(contentsOf: joined[used...])
        }
        if state == .epilogue { held = [] }
    }

    /// - Throws: `truncated` unless the closing delimiter was there.
    func finish() throws(Fault) {
        if state != .epilogue { throw .truncated }
    }

    /// Goes as far as it can; what is left has to be shown again with more behind it. A step that answers nil needs more;
    /// one that answers 0 has changed the state.
    private mutating func advance(
        _ bytes: UnsafeRawBufferPointer, _ sink: (Event) throws -> Void
    ) throws -> Int {
        var position = 0
        while true {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[position...])
            let used: Int?
            switch state {
            case .preamble: used = unsafe passPreamble(rest)
            case .afterDelimiter: used = try unsafe passDelimiterEnd(rest)
            case .head: used = try unsafe passHead(rest, sink)
            case .content: used = try unsafe passContent(rest, sink)
            case .epilogue: return bytes.count
            }
            guard let used else { return position }
            position += used
        }
    }

    /// nil: nothing more can be said. Otherwise how far it came.
    private mutating func passPreamble(_ bytes: UnsafeRawBufferPointer) -> Int? {
        if let start = unsafe find(delimiter, in: bytes) {
            state = .afterDelimiter
            return start + delimiter.count
        }
        let kept = unsafe openEnd(of: bytes)
        let used = bytes.count - kept
        return used == 0 ? nil : used
    }

    private mutating func passDelimiterEnd(_ bytes: UnsafeRawBufferPointer) throws(Fault) -> Int? {
        guard bytes.count >= 2 else { return nil }
        if unsafe bytes[0] == 45, unsafe bytes[1] == 45 {
            state = .epilogue
            return 2
        }
        // "transport padding": spaces and tabs, for which 64 are plenty.
        var position = 0
        while position < bytes.count, unsafe bytes[position] == 32 || bytes[position] == 9 { position += 1 }
        guard position <= 64 else { throw .malformedDelimiter }
        guard position + 1 < bytes.count else { return nil }
        guard unsafe bytes[position] == 13, unsafe bytes[position + 1] == 10 else { throw .malformedDelimiter }
        parts += 1
        if parts > MultipartParser.mostParts { throw .tooManyParts }
        state = .head
        // The line end stays: a head without fields ends with it at once.
        return position
    }

    private mutating func passHead(
        _ bytes: UnsafeRawBufferPointer, _ sink: (Event) throws -> Void
    ) throws -> Int? {
        // From the line end of the delimiter to the empty line.
        guard let end = unsafe find([13, 10, 13, 10], in: bytes) else {
            if bytes.count > MultipartParser.longestHead { throw Fault.headTooLong }
            return nil
        }
        guard end <= MultipartParser.longestHead else { throw Fault.headTooLong }
        let text = unsafe String(validating: UnsafeRawBufferPointer(rebasing: bytes[..<end]), as: UTF8.self)
        guard let text, let head = PartHead(text) else { throw Fault.malformedHead }
        state = .content
        try unsafe sink(.partBegan(head))
        // The last line end may begin the next delimiter: content may be empty.
        return end + 4
    }

    private mutating func passContent(
        _ bytes: UnsafeRawBufferPointer, _ sink: (Event) throws -> Void
    ) throws -> Int? {
        if let start = unsafe find(delimiter, in: bytes) {
            if start > 0 { try unsafe sink(.content(UnsafeRawBufferPointer(rebasing: bytes[..<start]))) }
            state = .afterDelimiter
            try unsafe sink(.partEnded)
            return start + delimiter.count
        }
        let open = unsafe openEnd(of: bytes)
        let sure = bytes.count - open
        if sure == 0 { return nil }
        try unsafe sink(.content(UnsafeRawBufferPointer(rebasing: bytes[..<sure])))
        return sure
    }

    /// How many bytes at the end may be the beginning of a delimiter.
    private func openEnd(of bytes: UnsafeRawBufferPointer) -> Int {
        var length = min(delimiter.count - 1, bytes.count)
        while length > 0 {
            let start = bytes.count - length
            if unsafe bytes[start] == 13, unsafe startsDelimiter(bytes, at: start) { return length }
            length -= 1
        }
        return 0
    }

    private func startsDelimiter(_ bytes: UnsafeRawBufferPointer, at start: Int) -> Bool {
        for index in start..<bytes.count where unsafe bytes[index] != delimiter[index - start] { return false }
        return true
    }

    /// Where `pattern`, which begins with a carriage return, begins.
    private func find(_ pattern: [UInt8], in bytes: UnsafeRawBufferPointer) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        var position = 0
        while position + pattern.count <= bytes.count {
            let span = bytes.count - pattern.count - position + 1
            guard let hit = unsafe memchr(base + position, 13, span) else { return nil }
            position = unsafe UnsafeRawPointer(hit) - base
            if unsafe memcmp(base + position, pattern, pattern.count) == 0 { return position }
            position += 1
        }
        return nil
    }
}
