internal import FXSystem
internal import SystemPackage

extension LocalStore {
    /// Less than this is soon full.
    private static let scarce = ByteCount.mebibytes(256)

    /// Whether the store can be read and written, and how much room it has. Changes nothing that stays.
    public func examine() -> [ServiceFinding] {
        do throws(RemoteError) {
            let sessions = try perform { () throws(Errno) in
                try writeUnnamed()
                return try root.reopenDirectory().entryNames().filter { !facts.names.reservedForSessions.contains($0) }
            }
            let available = try space().available
            return [
                ServiceFinding(.works, "store", "can be read and written; sessions in it: \(sessions.count)"),
                ServiceFinding(
                    available < LocalStore.scarce ? .warning : .works, "room", "\(available) free on its file system"),
            ]
        } catch { return [.failure("store", error)] }
    }

    /// A file without a name is gone with its descriptor.
    private func writeUnnamed() throws(Errno) {
        do throws(Errno) {
            try staging.openUnnamed(.writeOnly, mode: 0o600).write([0], at: 0)
        } catch {
            // File systems without O_TMPFILE (open(2)).
            if error != .notSupported, error != .isDirectory { throw error }
        }
    }
}
