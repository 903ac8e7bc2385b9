internal import FXMapping
internal import FXSystem

/// Puts the parts together: registry, transfers, tree and the kernel's side.
enum MountAssembly {
    static func make(_ plan: MountPlan, registry: TypeRegistry, verbose: Bool) throws -> any ServedMount {
        throw CommandFailure(.failure, "this build cannot mount")
    }
}
