internal import FXSystem

/// The rules that keep one type from undermining another.
enum OverlapRules {
    /// Refuses a directory that overlaps with one that must stay out of types.
    ///
    /// A type in a mount would serve itself; a type around a mount would offer the mount's files under another policy.
    static func check(_ directory: RealDirectory, against reserved: [ReservedDirectory]) throws(MappingError) {
        for other in reserved {
            guard let overlap = directory.overlap(with: try RealDirectory(locating: other.path)) else { continue }
            switch (other, overlap) {
            // A home directory contains its state directory and may be mapped.
            case (.state, .contains): continue
            default: throw .pathOverlapsReserved(directory.path, overlap, other)
            }
        }
    }

    /// Refuses a directory that overlaps with a type under a different policy: a file in both would have the weaker
    /// one.
    /// - Parameter except: the type being changed.
    static func check(
        _ directory: RealDirectory, policy: Policy, against rows: [RegistryContents.Row], except: Int64?
    ) throws(MappingError) {
        for row in rows where row.type.id != except && row.type.policy != policy {
            guard let path = row.type.path else { continue }
            // A directory that is gone for now keeps its rights by its path.
            let other: RealDirectory
            do throws(MappingError) {
                other = try RealDirectory(mapping: path)
            } catch {
                other = try RealDirectory(locating: path)
            }
            if let overlap = directory.overlap(with: other) {
                throw .pathOverlapsType(
                    directory.path, overlap,
                    .init(
                        application: row.application, entity: row.type.entity, type: row.type.name, path: path,
                        policy: row.type.policy))
            }
        }
    }
}
