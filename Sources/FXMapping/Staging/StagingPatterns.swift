public import FXSystem

/// Which names look temporary, so that a file stays a draft under them until it gets an ordinary name.
///
/// A pattern is a glob over the bytes of a name; `parent/name` asks for the parent directory's name as well; the prefix
/// `mkstemp:` asks that the file was made as mkstemp(3) makes them: exclusively, without any right for group and
/// others.
public struct StagingPatterns: Sendable, Equatable {
    private struct Pattern: Sendable, Equatable {
        var parent: Glob?
        var name: Glob
        var needsPrivateFile: Bool
    }

    private let patterns: [Pattern]

    /// What `standard` is made of, as texts.
    public static let standardTexts = [
        "*.part", "*.tmp", "*.lock", "*~", ".*.sw?", ".*.sw??",
        // vim tries with this name whether it may write into a directory.
        "4913",
        ".goutputstream-*", ".~lock.*#",
        // git's temporary objects, packs and indexes.
        "tmp_obj_*", "tmp_pack_*", "tmp_idx_*", "tmp_rev_*", "tmp_mtimes_*", "tmp_bitmap_*",
        ".git/t??????", ".git/gc.pid",
        "*-journal", "*-wal", "*-shm",
        // rsync: .name.XXXXXX. The condition tells it from `.app.config` as an editor writes it.
        "mkstemp:.?*.[0-9A-Za-z][0-9A-Za-z][0-9A-Za-z][0-9A-Za-z][0-9A-Za-z][0-9A-Za-z]",
    ]

    /// The names everyday tools use; see docs/SEMANTICS.md.
    public static let standard = StagingPatterns(valid: standardTexts)

    /// - Throws: `MappingError.invalidPattern` with the first text that is none.
    public init(_ patterns: [String]) throws(MappingError) {
        var compiled: [Pattern] = []
        for text in patterns { compiled.append(try Self.compile(text)) }
        self.patterns = compiled
    }

    /// Leaves out what is no pattern; a test shows that nothing is left out of `standardTexts`.
    private init(valid texts: [String]) {
        patterns = texts.compactMap { try? Self.compile($0) }
    }

    /// How many patterns there are.
    public var count: Int { patterns.count }

    /// True when a file of this name may be a draft beyond its last close.
    /// - Parameters:
    ///   - parent: the name of the directory that holds it; nil at the root of a type.
    ///   - exclusive: it was created with O_EXCL.
    ///   - mode: the permission bits it was created with.
    public func matches(_ name: Name, parent: Name?, exclusive: Bool, mode: UInt32) -> Bool {
        let isPrivate = exclusive && mode & 0o077 == 0
        return patterns.contains { pattern in
            if pattern.needsPrivateFile, !isPrivate { return false }
            if let wanted = pattern.parent {
                guard let parent, wanted.matches(parent.bytes) else { return false }
            }
            return pattern.name.matches(name.bytes)
        }
    }

    private static func compile(_ text: String) throws(MappingError) -> Pattern {
        let prefix = "mkstemp:"
        let needsPrivateFile = text.hasPrefix(prefix)
        let bytes = Array(text.utf8.dropFirst(needsPrivateFile ? prefix.utf8.count : 0))
        let parts = bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        do throws(PatternFault) {
            switch parts.count {
            case 1: return Pattern(parent: nil, name: try Glob(bytes), needsPrivateFile: needsPrivateFile)
            case 2 where !parts[0].isEmpty && !parts[1].isEmpty:
                return Pattern(parent: try Glob(parts[0]), name: try Glob(parts[1]), needsPrivateFile: needsPrivateFile)
            default: throw .badParent
            }
        } catch {
            throw .invalidPattern(text, error)
        }
    }
}
