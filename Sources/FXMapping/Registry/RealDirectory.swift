internal import FXSystem
internal import SystemPackage

/// An absolute directory path together with what it really is: symbolic links resolved, ancestors identified.
///
/// A value of the moment it was made: directories can be moved afterwards.
public struct RealDirectory: Sendable, Equatable {
    /// For a mapping the real path, so that nobody can lead the type elsewhere by changing a symbolic link; else as given,
    /// without `.`, doubled and trailing slashes.
    public let path: String
    /// The components of the real path.
    let components: [[UInt8]]
    /// The directory and everything above it, root first; empty where it could not be looked at.
    let lineage: [FileIdentity]

    /// Opens and reads the directory, so that a type is never mapped to what cannot be served.
    /// - Throws: `pathNotAbsolute`, `pathLeadsUp`, `pathUnusable`, or `directoryNotReadable` with the kernel's reason.
    public init(mapping path: String) throws(MappingError) {
        let given = try Self.normalised(path)
        let real: [UInt8]
        do throws(Errno) {
            let directory = try OwnedDescriptor.open(absolute: given, [.readOnly, .directory])
            // Reading needs r, reaching an entry needs x: opening "." again asks for the latter.
            _ = try directory.reopenDirectory()
            real = try directory.realPath()
            components = Self.split(real)
            lineage = Self.lineage(of: components)
        } catch {
            throw .directoryNotReadable(given, error)
        }
        // The registry keeps text.
        guard let text = String(validating: real, as: UTF8.self) else { throw .pathUnusable(given) }
        // What is kept there are other files' versions.
        if components.contains(where: { $0.elementsEqual(VersionPath.directory) }) { throw .pathUnusable(given) }
        self.path = text
    }

    /// Finds out as much as can be known without touching the last component: for mount points, which may be dead or
    /// our own,
    /// and for directories that are gone.
    /// - Throws: `pathNotAbsolute`, `pathLeadsUp` or `pathUnusable`.
    public init(locating path: String) throws(MappingError) {
        self.path = try Self.normalised(path)
        let lexical = Self.split(Array(self.path.utf8))
        guard let last = lexical.last else {
            components = []
            lineage = Self.lineage(of: [])
            return
        }
        let parent = "/" + self.path.split(separator: "/").dropLast().joined(separator: "/")
        components = ((try? Self.realComponents(of: parent)) ?? Array(lexical.dropLast())) + [last]
        lineage = []
    }

    /// How this directory lies to `other`; nil when they have nothing in common.
    ///
    /// Judged by the real paths and, because a bind mount gives one directory two of them, by device and inode.
    public func overlap(with other: RealDirectory) -> Overlap? {
        if components == other.components { return .same }
        if let own = lineage.last, own == other.lineage.last { return .same }
        if components.starts(with: other.components) { return .inside }
        if other.components.starts(with: components) { return .contains }
        if let theirs = other.lineage.last, lineage.contains(theirs) { return .inside }
        if let own = lineage.last, other.lineage.contains(own) { return .contains }
        return nil
    }

    private static func normalised(_ path: String) throws(MappingError) -> String {
        guard path.utf8.first == UInt8(ascii: "/") else { throw .pathNotAbsolute(path) }
        // PATH_MAX of Linux counts the final NUL.
        if path.utf8.contains(0) || path.utf8.count >= 4096 { throw .pathUnusable(path) }
        let parts = path.split(separator: "/").filter { $0 != "." }
        if parts.contains("..") { throw .pathLeadsUp(path) }
        return "/" + parts.joined(separator: "/")
    }

    private static func split(_ path: [UInt8]) -> [[UInt8]] {
        path.split(separator: UInt8(ascii: "/")).map(Array.init)
    }

    private static func realComponents(of path: String) throws(Errno) -> [[UInt8]] {
        split(try OwnedDescriptor.open(absolute: path, [.pathOnly, .directory]).realPath())
    }

    private static func lineage(of components: [[UInt8]]) -> [FileIdentity] {
        var found: [FileIdentity] = []
        do throws(Errno) {
            var current = try OwnedDescriptor.open(absolute: "/", [.pathOnly, .directory])
            found.append(try current.status().identity)
            for component in components {
                guard let name = try? Name(validating: component) else { return [] }
                let next = try current.open(name, [.pathOnly, .directory])
                current = next
                found.append(try current.status().identity)
            }
        } catch {
            // An ancestor moved meanwhile: the paths alone decide.
            return []
        }
        return found
    }
}
