import Crypto

/// Bytes that came in pieces, in any order; the last one to write a byte wins.
struct PiecedBytes: Sendable {
    private struct Piece: Sendable {
        var range: Range<Int>
        var bytes: StoredBytes
        /// Where in `bytes` the range begins.
        var offset: Int
    }

    /// In order, not overlapping.
    private var pieces: [Piece] = []

    var end: Int { pieces.last?.range.upperBound ?? 0 }
    var held: Int { pieces.reduce(0) { $0 + $1.range.count } }

    func overlaps(_ range: Range<Int>) -> Bool { pieces.contains { $0.range.overlaps(range) } }
    func hasHoles(upTo size: Int) -> Bool { held != size || end != size && size > 0 }

    mutating func put(_ bytes: StoredBytes, at position: Int) {
        if bytes.count == 0 { return }
        cut(position..<position + bytes.count)
        pieces.append(Piece(range: position..<position + bytes.count, bytes: bytes, offset: 0))
        pieces.sort { $0.range.lowerBound < $1.range.lowerBound }
    }

    mutating func cut(_ range: Range<Int>) {
        pieces = pieces.flatMap { piece -> [Piece] in
            if !piece.range.overlaps(range) { return [piece] }
            var left: [Piece] = []
            if piece.range.lowerBound < range.lowerBound {
                var head = piece
                head.range = piece.range.lowerBound..<range.lowerBound
                left.append(head)
            }
            if piece.range.upperBound > range.upperBound {
                var tail = piece
                tail.range = range.upperBound..<piece.range.upperBound
                tail.offset += range.upperBound - piece.range.lowerBound
                left.append(tail)
            }
            return left
        }
    }

    /// Bytes of a range that is held whole.
    func bytes(in range: Range<Int>) -> [UInt8] {
        var found: [UInt8] = []
        for piece in pieces where piece.range.overlaps(range) {
            let part = piece.range.clamped(to: range)
            let start = piece.offset + part.lowerBound - piece.range.lowerBound
            found += piece.bytes.bytes(in: start..<start + part.count)
        }
        return found
    }

    /// Lower-case hexadecimal SHA-256 of everything, piece by piece.
    var sha256: String {
        var hasher = SHA256()
        for piece in pieces {
            hasher.update(data: piece.bytes.bytes(in: piece.offset..<piece.offset + piece.range.count))
        }
        return hasher.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
