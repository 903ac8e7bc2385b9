/// Decides what a `flush` or a last `release` means for a draft (DESIGN 4.2).
enum SealRule {
    enum Closing: Sendable, Equatable {
        /// `flush(2)` by a process; `isOpener` tells whether it is the one that opened the file.
        case flush(isOpener: Bool, hasWritten: Bool)
        /// The last writer went away.
        case lastRelease
        /// A temporary-looking name became an ordinary one; nobody has the file open for writing.
        case renamedToFinalName
    }

    enum Verdict: Sendable, Equatable {
        case seal, keepDraft
    }

    static func verdict(on closing: Closing, looksTemporary: Bool) -> Verdict {
        if looksTemporary { return .keepDraft }
        switch closing {
        case .flush(let isOpener, let hasWritten): return isOpener && hasWritten ? .seal : .keepDraft
        case .lastRelease, .renamedToFinalName: return .seal
        }
    }
}
