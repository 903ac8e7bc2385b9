internal import FXSystem
internal import SystemPackage

/// Where the versions of a path lie below `.fxversions`.
///
/// A file and a directory of the same name may both have been there, so the versions of `a` and the directory of `a/b`
/// share `a/`: entries that start with a single `@` are ours, all others stand for names of the tree. To keep the two
/// apart a name of the tree that starts with `@` gets one more. That would be too long for a name of 255 bytes: such a
/// one becomes the directory `@^` with the name without its `@` inside. Both can be undone and no two names meet.
enum VersionPath {
    static let directory = Array(".fxversions".utf8)
    static let directoryName = Name(constant: ".fxversions")

    /// The components below the mapped root, `.fxversions` included.
    /// - Throws: EINVAL for the root itself and for what lies in `.fxversions`.
    static func components(of path: RelativePath) throws(Errno) -> [Name] {
        guard let first = path.components.first, !first.bytes.elementsEqual(directory) else { throw .invalidArgument }
        var components = [try makeName(directory)]
        for name in path.components { components += try escaped(name) }
        return components
    }

    static func escaped(_ name: Name) throws(Errno) -> [Name] {
        guard name.bytes.first == UInt8(ascii: "@") else { return [name] }
        if name.count < Name.maximumLength { return [try makeName([UInt8(ascii: "@")] + name.bytes)] }
        return [try makeName(Array("@^".utf8)), try makeName(Array(name.bytes.dropFirst()))]
    }
}
