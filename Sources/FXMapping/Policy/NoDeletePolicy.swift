public import SystemPackage

/// What a caller wants to do to a name or to the bytes behind it.
public enum Change: Sendable, Hashable, CaseIterable {
    /// `unlink(2)`, or `rmdir(2)` for a directory.
    case removeName
    /// `rename(2)` onto the name of another file.
    case replaceName
    /// `rename(2)` of the name itself to a name that is free, or RENAME_EXCHANGE.
    case moveName
    /// `open(2)` for writing with O_TRUNC, `truncate(2)`, `ftruncate(2)`.
    case truncate
    /// `open(2)` for writing at any offset, `pwrite(2)`, shared `mmap(2)`, hole punching and its relatives,
    /// `copy_file_range(2)` onto it.
    case overwrite
    /// `open(2)` for writing with O_APPEND, or a write behind the last byte.
    case append
    /// `chmod(2)` that takes rights away, `chown(2)`, ACLs: ways to make bytes unreachable without removing them.
    case hide
}

/// What is known of the file a change is about.
public enum SealState: Sendable, Hashable {
    /// Created through the mount and not yet promised to anybody. `mine` is true for its creator.
    case draft(mine: Bool)
    /// Everything else: it existed before, or its last writer has closed it.
    case sealed
    /// Sealed, and since renamed to a temporary-looking name: an editor's backup. `mine` is true for who renamed it.
    case backup(mine: Bool)
}

/// What the gate does with a change.
public enum Verdict: Sendable, Hashable {
    /// Go ahead.
    case allow
    /// Go ahead once the present content is durably kept as a version.
    case keepVersionFirst
    /// Open, and look at each write: behind the last byte it is an append, anywhere else an overwrite.
    case guardWrites
    /// Take the name away by moving the file to the versions: nothing is removed.
    case moveToVersions
    /// Answer the errno; `rule` says why in one sentence.
    case refuse(Errno, rule: String)
}

extension Policy {
    /// Decides a change. Pure: the whole of the no-delete rule is this function and its table in docs/SEMANTICS.md.
    public func verdict(on change: Change, of state: SealState) -> Verdict {
        if self == .readOnly { return .refuse(.readOnlyFileSystem, rule: "the type is read-only") }
        switch state {
        case .draft(let mine): return draftVerdict(on: change, mine: mine)
        case .backup(let mine) where self == .keepVersions && mine && change == .removeName: return .moveToVersions
        case .sealed, .backup: return sealedVerdict(on: change)
        }
    }

    /// A draft is nobody's promise: its creator may do anything to it, others anything but take it away.
    private func draftVerdict(on change: Change, mine: Bool) -> Verdict {
        switch change {
        case .removeName, .replaceName, .moveName:
            mine ? .allow : refusal("only the creator of a draft may remove, replace or rename it")
        case .truncate, .overwrite, .append, .hide: .allow
        }
    }

    private func sealedVerdict(on change: Change) -> Verdict {
        switch (self, change) {
        case (_, .removeName): refusal("names cannot be removed from this type")
        case (.keepVersions, .replaceName): .keepVersionFirst
        case (_, .replaceName): refusal("\(rawValue): a sealed file cannot be replaced")
        case (.keepVersions, .moveName): .allow
        case (_, .moveName): refusal("\(rawValue): a sealed file keeps its name")
        case (.keepVersions, .truncate), (.keepVersions, .overwrite): .keepVersionFirst
        case (.keepNames, .truncate), (.keepNames, .overwrite), (.keepNames, .append): .allow
        case (_, .truncate): refusal("\(rawValue): a sealed file cannot be truncated")
        case (_, .overwrite): refusal("\(rawValue): a sealed file cannot be overwritten")
        case (.keepVersions, .append), (.appendOnly, .append): .guardWrites
        case (_, .append): refusal("\(rawValue): a sealed file cannot grow")
        case (.keepVersions, .hide), (.keepNames, .hide): .allow
        case (_, .hide): refusal("\(rawValue): rights to a sealed file cannot be taken away")
        }
    }

    private func refusal(_ rule: String) -> Verdict { .refuse(.notPermitted, rule: rule) }

    /// What an `open(2)` for writing means: the strongest change its flags announce.
    public func verdict(onOpening flags: OpenFlagsForWriting, of state: SealState) -> Verdict {
        if flags.truncates { return verdict(on: .truncate, of: state) }
        // A readable append handle can be mapped and written anywhere (mmap(2)), so where overwriting means a version,
        // the version is made now.
        if flags.appends && !(self == .keepVersions && flags.reads) { return verdict(on: .append, of: state) }
        return verdict(on: .overwrite, of: state)
    }
}

/// The part of the open(2) flags a policy looks at.
public struct OpenFlagsForWriting: Sendable, Hashable {
    public var reads: Bool
    public var appends: Bool
    public var truncates: Bool

    public init(reads: Bool, appends: Bool, truncates: Bool) {
        self.reads = reads
        self.appends = appends
        self.truncates = truncates
    }
}
