/// Why a text is not a staging pattern.
public enum PatternFault: Error, Equatable, Sendable {
    case empty, containsNUL
    /// More than one slash, or nothing on one side of it.
    case badParent
    /// A `[` without its `]`.
    case openSet
    /// A range such as `z-a`.
    case reversedRange
    /// A backslash with nothing after it.
    case trailingBackslash
    /// More than 255 bytes, so that no name could need it; carries the length.
    case tooLong(Int)
    /// Stars only: every file would be a draft and nothing would be protected.
    case matchesEverything

    /// The rule that was broken, for a person.
    public var message: String {
        switch self {
        case .empty: "it is empty"
        case .containsNUL: "it contains a NUL"
        case .badParent: "at most one slash, with a name on both sides, is allowed"
        case .openSet: "a [ has no ]"
        case .reversedRange: "a range runs backwards"
        case .trailingBackslash: "a backslash has nothing after it"
        case .tooLong(let length): "it has \(length) bytes, more than 255"
        case .matchesEverything: "it matches every name, so nothing would be protected"
        }
    }
}

/// A shell pattern over the bytes of one name: `*`, `?`, `[a-z]`, `[!a-z]`, `\x`. A leading dot is not special.
struct Glob: Sendable, Equatable {
    private enum Token: Sendable, Equatable {
        case byte(UInt8)
        case any
        case star
        case set(ByteSet)
    }

    private let tokens: [Token]

    init(_ bytes: some Collection<UInt8>) throws(PatternFault) {
        if bytes.isEmpty { throw .empty }
        if bytes.count > 255 { throw .tooLong(bytes.count) }
        if bytes.contains(0) { throw .containsNUL }
        var tokens: [Token] = []
        var rest = Array(bytes)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "*"): if tokens.last != .star { tokens.append(.star) }
            case UInt8(ascii: "?"): tokens.append(.any)
            case UInt8(ascii: "["): tokens.append(.set(try ByteSet(parsing: &rest)))
            case UInt8(ascii: "\\"):
                guard let literal = rest.popFirst() else { throw .trailingBackslash }
                tokens.append(.byte(literal))
            default: tokens.append(.byte(byte))
            }
        }
        if tokens == [.star] { throw .matchesEverything }
        self.tokens = tokens
    }

    /// True when the whole of `name` fits.
    ///
    /// Greedy with one point of return, the last star: an earlier star never has to give back, because whatever it
    /// could skip the later one can skip too. So the work is at most pattern × name, never exponential.
    func matches(_ name: ArraySlice<UInt8>) -> Bool {
        var token = 0
        var position = name.startIndex
        var retry: (token: Int, position: Int)?
        while position < name.endIndex {
            if token < tokens.count, tokens[token] == .star {
                retry = (token + 1, position)
                token += 1
            } else if token < tokens.count, accepts(tokens[token], name[position]) {
                token += 1
                position += 1
            } else if let last = retry {
                retry = (last.token, last.position + 1)
                token = last.token
                position = last.position + 1
            } else {
                return false
            }
        }
        return tokens[token...].allSatisfy { $0 == .star }
    }

    private func accepts(_ token: Token, _ byte: UInt8) -> Bool {
        switch token {
        case .byte(let wanted): wanted == byte
        case .any: true
        case .set(let set): set.contains(byte)
        case .star: false
        }
    }
}

/// A set of byte values: 256 bits.
struct ByteSet: Sendable, Equatable {
    private var words: SIMD4<UInt64> = .zero

    /// Reads up to and with the closing `]`; a `]` that comes first is a member, as glob(7) says.
    init(parsing rest: inout ArraySlice<UInt8>) throws(PatternFault) {
        let isNegated = rest.first == UInt8(ascii: "!") || rest.first == UInt8(ascii: "^")
        if isNegated { rest.removeFirst() }
        var isFirst = true
        while true {
            guard let low = rest.popFirst() else { throw .openSet }
            if low == UInt8(ascii: "]"), !isFirst { break }
            isFirst = false
            if rest.first == UInt8(ascii: "-"), let high = rest.dropFirst().first, high != UInt8(ascii: "]") {
                if high < low { throw .reversedRange }
                rest.removeFirst(2)
                for byte in low...high { insert(byte) }
            } else {
                insert(low)
            }
        }
        if isNegated { words = ~words }
    }

    private mutating func insert(_ byte: UInt8) { words[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }
    func contains(_ byte: UInt8) -> Bool { words[Int(byte >> 6)] >> UInt64(byte & 63) & 1 != 0 }
}
