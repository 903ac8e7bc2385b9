/// A path below a root as a list of names; it cannot contain `..`, start at `/` or hold an empty component.
public struct RelativePath: Hashable, Sendable {
    /// From the root downwards; empty for the root itself.
    public var components: [Name]

    public init(_ components: [Name] = []) {
        self.components = components
    }

    /// Splits bytes at `/`. Refuses absolute paths, empty components, `.` and `..`; the empty input is the root.
    public init(validating bytes: some Collection<UInt8>) throws(NameError) {
        var components: [Name] = []
        if !bytes.isEmpty {
            for part in bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
                components.append(try Name(validating: part))
            }
        }
        self.components = components
    }

    /// Splits the UTF-8 bytes of `text` at `/`.
    public init(_ text: String) throws(NameError) {
        try self.init(validating: Array(text.utf8))
    }

    /// The bytes with `/` between the names; empty for the root.
    public var bytes: [UInt8] {
        Array(components.map(\.bytes).joined(separator: [UInt8(ascii: "/")]))
    }

    public var isRoot: Bool { components.isEmpty }
    public var name: Name? { components.last }
    public var parent: RelativePath { RelativePath(Array(components.dropLast())) }

    public func appending(_ name: Name) -> RelativePath { RelativePath(components + [name]) }

    /// True when this is `other` or lies below it.
    public func isWithin(_ other: RelativePath) -> Bool { components.starts(with: other.components) }
}

extension RelativePath: Comparable {
    public static func < (left: RelativePath, right: RelativePath) -> Bool {
        left.components.lexicographicallyPrecedes(right.components)
    }
}

extension RelativePath: CustomStringConvertible {
    /// The path for a person; see `displayed(_:)`.
    public var description: String { components.map(\.description).joined(separator: "/") }
}
