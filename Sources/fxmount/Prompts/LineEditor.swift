internal import FXSystem

/// A line being typed. Pure: bytes in, what to do out.
struct LineEditor: Sendable, Equatable {
    enum Reaction: Sendable, Equatable {
        /// Nothing to see.
        case none
        /// The text is another one.
        case changed
        case complete
        case done
        case cancelled
    }

    private enum Escape: Sendable, Equatable { case none, started, sequence }

    private(set) var bytes: [UInt8] = []
    private var escape = Escape.none

    /// No path is longer (PATH_MAX).
    static let maximumLength = 4095

    var text: String { String(decoding: bytes, as: UTF8.self) }

    mutating func replace(by text: String) { bytes = Array(text.utf8.prefix(LineEditor.maximumLength)) }

    mutating func feed(_ byte: UInt8) -> Reaction {
        switch escape {
        case .started:
            escape = byte == UInt8(ascii: "[") || byte == UInt8(ascii: "O") ? .sequence : .none
            return .none
        // Arrow keys and the like: parameters, then one final byte (ECMA-48).
        case .sequence:
            if (0x40...0x7e).contains(byte) { escape = .none }
            return .none
        case .none: break
        }
        switch byte {
        case 0x0a, 0x0d: return .done
        case 0x03: return .cancelled
        // Ctrl-D ends an empty line only, as in a shell.
        case 0x04: return bytes.isEmpty ? .cancelled : .none
        case 0x09: return .complete
        case 0x08, 0x7f: return remove { $0.removeLastScalar() }
        // Ctrl-U: all of it; Ctrl-W: the last component.
        case 0x15: return remove { $0.bytes = [] }
        case 0x17: return remove { $0.removeLastComponent() }
        case 0x1b:
            escape = .started
            return .none
        case 0..<0x20: return .none
        default:
            if bytes.count >= LineEditor.maximumLength { return .none }
            bytes.append(byte)
            return .changed
        }
    }

    private mutating func remove(_ change: (inout LineEditor) -> Void) -> Reaction {
        if bytes.isEmpty { return .none }
        change(&self)
        return .changed
    }

    private mutating func removeLastScalar() {
        // Continuation bytes of UTF-8 go with the byte that leads them.
        while let last = bytes.popLast(), last & 0xc0 == 0x80 {}
    }

    private mutating func removeLastComponent() {
        if bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        while let last = bytes.last, last != UInt8(ascii: "/") { bytes.removeLast() }
    }
}

/// Completes the path of a directory as far as it is sure.
enum PathCompletion {
    struct Result: Sendable, Equatable {
        var text: String
        /// More than one only when it is undecided.
        var candidates: [String]
    }

    /// - Parameter directories: the names of the directories in a directory whose path ends in `/`.
    static func complete(_ text: String, _ directories: (String) -> [String]) -> Result {
        let cut = text.lastIndex(of: "/").map { text.index(after: $0) } ?? text.startIndex
        let (place, begun) = (String(text[..<cut]), String(text[cut...]))
        let found = directories(place).filter {
            $0.utf8.starts(with: begun.utf8) && (begun.hasPrefix(".") || !$0.hasPrefix("."))
        }.sorted()
        guard let first = found.first else { return Result(text: text, candidates: []) }
        if found.count == 1 { return Result(text: place + first + "/", candidates: [first]) }
        let common = found.dropFirst().reduce(first) { $0.commonPrefix(with: $1) }
        return Result(text: place + (common.utf8.count > begun.utf8.count ? common : begun), candidates: found)
    }
}

extension String {
    fileprivate func commonPrefix(with other: String) -> String {
        String(zip(self, other).prefix { $0 == $1 }.map(\.0))
    }
}
