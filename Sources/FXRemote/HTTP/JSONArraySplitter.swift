/// Cuts a JSON array (RFC 8259) into its elements while it arrives; `null` counts as an empty array. A pure value.
///
/// It looks at quotes and brackets only and holds one element at most. Whether an element is JSON is found out by
/// whoever parses it.
struct JSONArraySplitter: Sendable {
    enum Failure: Error, Sendable, Equatable {
        /// Neither an array nor `null`.
        case noArray
        /// An element that is longer than it may be.
        case elementTooLarge
        /// A comma without an element, or a bracket that closes nothing.
        case malformed
        /// Something comes after the end.
        case garbage
    }

    private enum Place: Sendable { case before, null, inside, behind }

    /// In bytes, white space around it included.
    private let largestElement: Int
    private var place = Place.before
    /// What has come of the element under way, or of the word `null`.
    private var element: [UInt8] = []
    /// Brackets open in the element.
    private var depth = 0
    private var isQuoted = false
    private var isEscaped = false
    private var count = 0

    private static let quote: UInt8 = 0x22
    private static let backslash: UInt8 = 0x5c

    init(largestElement: Int) { self.largestElement = largestElement }

    /// True when the array has come to its end; before that an answer that is over was truncated.
    var isWhole: Bool { if case .behind = place { true } else { false } }

    /// Takes the next piece of the text.
    /// - Returns: the elements that end in it, without the commas between them.
    /// - Throws: why it is not an array. Nothing can be taken after that.
    mutating func take(_ piece: [UInt8]) throws(Failure) -> [[UInt8]] {
        var found: [[UInt8]] = []
        // The beginning of what is not held yet: stretches are copied, not bytes.
        var start = 0
        for index in piece.indices {
            let byte = piece[index]
            if isQuoted {
                lookAtText(byte)
            } else if case .inside = place {
                if try !isEnd(byte) { continue }
                try hold(piece[start..<index])
                start = index + 1
                if let element = try endElement(isLast: byte == UInt8(ascii: "]")) { found.append(element) }
            } else {
                try lookAround(byte)
                start = index + 1
            }
        }
        if case .inside = place { try hold(piece[start...]) }
        return found
    }

    private mutating func hold(_ part: ArraySlice<UInt8>) throws(Failure) {
        if part.count > largestElement - element.count { throw .elementTooLarge }
        element += part
    }

    /// In a string nothing counts but its end.
    private mutating func lookAtText(_ byte: UInt8) {
        if isEscaped {
            isEscaped = false
        } else if byte == JSONArraySplitter.quote {
            isQuoted = false
        } else if byte == JSONArraySplitter.backslash {
            isEscaped = true
        }
    }

    /// Whether the element under way ends before this byte.
    private mutating func isEnd(_ byte: UInt8) throws(Failure) -> Bool {
        switch byte {
        case JSONArraySplitter.quote: isQuoted = true
        case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
        case UInt8(ascii: ","), UInt8(ascii: "]"):
            if depth == 0 { return true }
            if byte == UInt8(ascii: "]") { depth -= 1 }
        case UInt8(ascii: "}"):
            if depth == 0 { throw .malformed }
            depth -= 1
        default: break
        }
        return false
    }

    /// nil for the nothing that is in an empty array.
    private mutating func endElement(isLast: Bool) throws(Failure) -> [UInt8]? {
        defer { element = [] }
        if isLast { place = .behind }
        if element.allSatisfy(JSONArraySplitter.isSpace) {
            if isLast, count == 0 { return nil }
            throw .malformed
        }
        count += 1
        return element
    }

    /// What is not in the array.
    private mutating func lookAround(_ byte: UInt8) throws(Failure) {
        switch place {
        case .before where byte == UInt8(ascii: "["): place = .inside
        case .before where byte == UInt8(ascii: "n"):
            place = .null
            element = [byte]
        case .before: if !JSONArraySplitter.isSpace(byte) { throw .noArray }
        case .null:
            element.append(byte)
            if !"null".utf8.starts(with: element) { throw .noArray }
            if element.count == 4 {
                place = .behind
                element = []
            }
        case .behind: if !JSONArraySplitter.isSpace(byte) { throw .garbage }
        case .inside: break
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09
    }
}
