/// What may happen to a sealed file of a type: the rows of the no-delete table. None of them lets anything be deleted.
public enum Policy: String, Sendable, Hashable, CaseIterable {
    /// Replacing and changing are allowed; what was there before is kept as a version first.
    case keepVersions = "keep-versions"
    /// A name goes on naming the same file; the file's content may change, and nothing keeps the old content.
    case keepNames = "keep-names"
    /// What is in a file stays as it is; more may be added at the end.
    case appendOnly = "append-only"
    /// A sealed file never changes; new files may be made.
    case writeOnce = "write-once"
    /// Nothing changes.
    case readOnly = "read-only"

    /// What a file's owner can rely on, so that two policies can be compared.
    struct Guarantees: OptionSet {
        let rawValue: Int
        /// Every byte that was sealed can be read again, live or as a version.
        static let bytesKept = Guarantees(rawValue: 1)
        /// A name is never given to another file.
        static let namesKept = Guarantees(rawValue: 2)
        /// Sealed bytes stay where they are in the live file.
        static let bytesInPlace = Guarantees(rawValue: 4)
        /// A sealed file does not grow.
        static let sizeKept = Guarantees(rawValue: 8)
        /// Nothing is added to a directory.
        static let directoriesKept = Guarantees(rawValue: 16)
    }

    var guarantees: Guarantees {
        switch self {
        case .keepVersions: [.bytesKept]
        case .keepNames: [.namesKept]
        case .appendOnly: [.bytesKept, .namesKept, .bytesInPlace]
        case .writeOnce: [.bytesKept, .namesKept, .bytesInPlace, .sizeKept]
        case .readOnly: [.bytesKept, .namesKept, .bytesInPlace, .sizeKept, .directoriesKept]
        }
    }

    /// True when this policy protects everything that `other` protects.
    ///
    /// A partial order: `keep-versions` and `keep-names` are both below `append-only` < `write-once` < `read-only`, and
    /// neither is above the other. `keep-names` lets a truncation lose bytes that `keep-versions` would keep, and
    /// `keep-versions` lets a name change hands, which `keep-names` refuses. Going from one to the other takes a
    /// promise away.
    public func isAtLeastAsStrict(as other: Policy) -> Bool {
        guarantees.isSuperset(of: other.guarantees)
    }
}

/// Whether a type has a directory.
public enum MappingStatus: String, Sendable, Hashable {
    case mapped = "MAPPED", unmapped = "UNMAPPED"
}
