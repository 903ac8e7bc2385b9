internal import Synchronization

/// How large the pieces are in which files go out.
///
/// Each piece costs two hops between threads, so that large ones are fast; each file has two of them in memory, so that
/// many files at once have small ones.
enum PieceRule {
    /// What all files together may take, in bytes.
    static let memory = 8 << 20
    static let largest = 512 << 10
    static let smallest = 16 << 10

    /// - Parameter files: how many files are being sent, this one included.
    /// - Returns: a size in bytes.
    static func piece(files: Int) -> Int {
        min(max(memory / 2 / max(files, 1), smallest), largest)
    }
}

/// Counts the files that are being sent.
final class FileShare: Sendable {
    private let files = Atomic(0)

    /// The size of the next piece, in bytes.
    var piece: Int { PieceRule.piece(files: files.load(ordering: .relaxed)) }

    /// Before and after the file that is sent.
    func begin() { files.add(1, ordering: .relaxed) }
    func end() { files.subtract(1, ordering: .relaxed) }
}
