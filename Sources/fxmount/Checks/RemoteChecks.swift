internal import FXRemote
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// What this machine has left at its services.
enum RemoteChecks {
    static func all(_ context: CommandContext) -> [Check] {
        guard let configuration = try? context.configuration(), let path = try? context.stateDirectoryPath() else {
            return []
        }
        if unsafe access(path, F_OK) != 0 { return [] }
        guard let directory = try? StateDirectory(opening: path, creating: false) else { return [] }
        // Before the first mount nothing can have been left.
        guard let writer = WriterID.read(from: directory) else { return [] }
        let assembly = RemoteAssembly(
            environment: context.surroundings.environment, stateDirectory: path, writer: writer)
        let journal = directory.path(of: "journal.sqlite")
        return configuration.remotes.filter(\.kind.isNetwork).map { check($0, assembly, journal) }
    }

    private static func check(_ settings: RemoteSettings, _ assembly: RemoteAssembly, _ journal: String) -> Check {
        let name = "unfinished uploads at \(settings.name)"
        do {
            let remote = try assembly.make(settings)
            defer { remote.stop() }
            let held = try remote.backend.unfinishedUploads()
            return verdict(name, on: held, known: try JournalCheck.uploads(path: journal))
        } catch {
            // That it does not answer is for `remote test` to say in full.
            let failure = CommandFailure(describing: error)
            return .warn(name, failure.message, "fxmount remote test \(settings.name)")
        }
    }

    /// - Parameters:
    ///   - held: what the service has of this state directory.
    ///   - known: what the journal goes on with, or lets the service forget.
    static func verdict(_ name: String, on held: [UploadID], known: Set<UploadID>) -> Check {
        let abandoned = held.filter { !known.contains($0) }
        let going = held.count - abandoned.count
        if abandoned.isEmpty {
            return .ok(name, held.isEmpty ? "none" : "\(going), which the mount goes on with")
        }
        let ids = abandoned.map(\.text).sorted().prefix(5).joined(separator: ", ")
        return .warn(
            name, "\(abandoned.count) of this machine that its journal does not know (\(ids)); they take space there",
            "abort them at the service, or let its own rules expire them; other machines' uploads are never touched")
    }
}
