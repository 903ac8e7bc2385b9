internal import FXSystem

/// One name change at a time in each directory.
///
/// The kernel already orders changes in one directory of the mount; two types can show the same directory, so the
/// look at a name and the change of it are made one step here. Not a lock: nothing is held while a call runs but the
/// entry in the set.
final class DirectoryTurns: Sendable {
    private let busy = Monitor<Set<FileIdentity>>([])

    /// Runs `body` while nobody else changes names in `directories`. The same body must not ask for a turn again.
    func take<Result, Failure: Error>(
        _ directories: Set<FileIdentity>, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        _ = busy.wait { busy -> Void? in
            guard busy.isDisjoint(with: directories) else { return nil }
            busy.formUnion(directories)
            return ()
        }
        defer { busy.withLock { $0.subtract(directories) } }
        return try body()
    }
}
