internal import Crypto
internal import FXSystem

/// Makes safe, unique file names of what a service calls its entries. Pure.
///
/// A name that is a file name already, and stands alone, is shown as it is. What could not be a file name, or could
/// deceive who reads it, is written as `%` and two hexadecimal digits, byte by byte, so that it can be seen and typed.
/// Of several entries with one name the newest has it; the others, and names that are too long, get a tag of their own
/// identity, which does not depend on what else is listed.
struct ServerNames {
    /// One entry to be named.
    struct Entry: Sendable {
        /// As the service has it.
        var name: [UInt8]
        /// Unique among the entries.
        var remoteID: String
        var modified: Timestamp?
        /// The name it has here for good; nothing else gets it.
        var kept: Name?
    }

    /// The names of all entries, in their order: different from each other, and from what is `taken` unless they are kept.
    /// The same for the same set of entries, whatever the order.
    static func names(of entries: [Entry], taken: Set<Name>) -> [Name] {
        var names = [Name?](repeating: nil, count: entries.count)
        var used = taken
        var kept = Set<Name>()
        // Who wants which name; almost always one.
        var wanted: [Name: Int] = [:]
        var losers: [Int] = []
        wanted.reserveCapacity(entries.count)
        for (index, entry) in entries.enumerated() {
            if let own = entry.kept, kept.insert(own).inserted {
                names[index] = own
                used.insert(own)
                continue
            }
            let shown = shown(entry.name)
            guard let name = shown.name else {
                losers.append(index)
                continue
            }
            guard let other = wanted[name] else {
                wanted[name] = index
                continue
            }
            let isBetter = entries[other].isOlder(than: entry)
            wanted[name] = isBetter ? index : other
            losers.append(isBetter ? other : index)
        }
        for (name, index) in wanted {
            if used.contains(name) { losers.append(index) } else { names[index] = name }
        }
        used.formUnion(wanted.keys)
        for index in losers.sorted(by: { entries[$0].remoteID < entries[$1].remoteID }) {
            let name = tagged(entries[index], used)
            used.insert(name)
            names[index] = name
        }
        return names.map { $0 ?? ServerNames.unnamed }
    }

    // MARK: - One name

    /// For an entry without any name.
    static let unnamed = Name(constant: "unnamed")

    /// What a name of a service looks like here; `name` is nil when it is too long for a file name.
    static func shown(_ raw: [UInt8]) -> (bytes: [UInt8], name: Name?) {
        if raw.isEmpty { return (Array(unnamed.bytes), unnamed) }
        // Most are plain ASCII.
        if raw.first != dot, raw.allSatisfy(isPlainASCII) {
            return (raw, try? Name(validating: raw))
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(raw.count)
        if raw == [dot] || raw == [dot, dot] {
            for byte in raw { escape(byte, into: &bytes) }
        } else {
            var rest = raw[...]
            while let first = rest.first {
                let scalar = scalar(at: rest)
                let count = scalar.map { UTF8.width($0) } ?? 1
                if isPlain(scalar, first) {
                    bytes += rest.prefix(count)
                } else {
                    for byte in rest.prefix(count) { escape(byte, into: &bytes) }
                }
                rest = rest.dropFirst(count)
            }
        }
        return (bytes, try? Name(validating: bytes))
    }

    private static let dot = UInt8(ascii: ".")

    private static func isPlain(_ scalar: UnicodeScalar?, _ byte: UInt8) -> Bool {
        // No UTF-8: a byte like any other, and above everything that could be `/`, NUL or a control character.
        guard let scalar else { return true }
        if scalar.isASCII { return isPlainASCII(byte) }
        return switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: false
        // Joiners and the soft hyphen belong to languages; all else that cannot be seen turns text around or hides it.
        case .format: [0xad, 0x200c, 0x200d].contains(scalar.value)
        default: true
        }
    }

    private static func isPlainASCII(_ byte: UInt8) -> Bool {
        byte > 0x1f && byte < 0x7f && byte != UInt8(ascii: "/")
    }

    /// The scalar the bytes begin with; nil when they are not UTF-8.
    private static func scalar(at bytes: ArraySlice<UInt8>) -> UnicodeScalar? {
        guard let first = bytes.first else { return nil }
        if first < 0x80 { return UnicodeScalar(first) }
        var decoder = UTF8()
        // Four bytes are the longest scalar.
        var iterator = bytes.prefix(4).makeIterator()
        if case .scalarValue(let scalar) = decoder.decode(&iterator) { return scalar }
        return nil
    }

    private static func escape(_ byte: UInt8, into bytes: inout [UInt8]) {
        let digits = Array("0123456789ABCDEF".utf8)
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }

    // MARK: - Names that need a tag

    /// Digits of a digest in a tag: 40 bits tell a directory of a million apart.
    private static let tagDigits = 10
    /// Longer ids are shortened to a digest.
    private static let longestPlainTag = 16
    /// Bytes; what looks like an ending and is longer is none.
    private static let longestEnding = 16

    /// `report~17.txt`: with the id where that is short and plain, else with a digest of it.
    private static func tagged(_ entry: Entry, _ used: Set<Name>) -> Name {
        let digest = SHA256Digest(hashing: entry.remoteID.utf8).text
        let shown = shown(entry.name).bytes
        var tags = [String(digest.prefix(tagDigits)), digest]
        if isPlainTag(entry.remoteID) { tags.insert(entry.remoteID, at: 0) }
        for tag in tags {
            let name = combine(shown, tag)
            if !used.contains(name) { return name }
        }
        // Somebody has made names to look like these.
        var number = 2
        while true {
            let name = combine(shown, "\(digest)-\(number)")
            if !used.contains(name) { return name }
            number += 1
        }
    }

    private static func isPlainTag(_ id: String) -> Bool {
        !id.isEmpty && id.utf8.count <= longestPlainTag
            && id.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
            }
    }

    private static func combine(_ shown: [UInt8], _ tag: String) -> Name {
        let ending = ending(of: shown)
        let room = Name.maximumLength - ending.count - tag.utf8.count - 1
        let stem = cut(Array(shown.dropLast(ending.count)), to: room)
        let bytes = stem + [UInt8(ascii: "~")] + Array(tag.utf8) + ending
        return (try? Name(validating: bytes)) ?? unnamed
    }

    /// `.txt` of `a.txt`; empty when there is none.
    private static func ending(of shown: [UInt8]) -> ArraySlice<UInt8> {
        guard let dot = shown.lastIndex(of: dot), dot > 0, dot < shown.count - 1,
            shown.count - dot <= longestEnding
        else { return [] }
        return shown[dot...]
    }

    /// The front of a name, without half a character and without half of an escape at its end.
    private static func cut(_ bytes: [UInt8], to count: Int) -> ArraySlice<UInt8> {
        if bytes.count <= count { return bytes[...] }
        var end = max(count, 0)
        // Continuation bytes; more than three are no UTF-8, and any place is as good.
        var back = 0
        while end > 0, back < 3, bytes[end] & 0xc0 == 0x80 {
            end -= 1
            back += 1
        }
        if end < bytes.count, bytes[end] & 0xc0 == 0x80 { end = max(count, 0) }
        for length in 1...2 where end >= length && bytes[end - length] == UInt8(ascii: "%") {
            return bytes[..<(end - length)]
        }
        return bytes[..<end]
    }
}

extension ServerNames.Entry {
    /// True when the other is the one to have a name both want: the newer, else the one that was made later as far as
    /// ids tell (`9` before `10`).
    func isOlder(than other: ServerNames.Entry) -> Bool {
        if modified != other.modified {
            guard let modified else { return true }
            guard let time = other.modified else { return false }
            return modified < time
        }
        let (count, otherCount) = (remoteID.utf8.count, other.remoteID.utf8.count)
        return count == otherCount ? remoteID < other.remoteID : count < otherCount
    }
}
