internal import FXSystem

/// `fxmount session list --orphaned`: asks the remotes, then shows what their mounts know.
struct SessionOrphans {
    /// The directories of remotes to look into.
    var remotes: [(path: String, mount: LiveMount)]

    /// Longer than a service is given for an answer, unless somebody has set a very long one.
    private static let patience = Duration.seconds(60)

    func perform(_ context: CommandContext) throws(CommandFailure) {
        var rows: [[String]] = []
        for remote in remotes {
            do throws(CommandFailure) {
                try context.mountAccess(timeout: SessionOrphans.patience)
                    .setAttribute(
                        SessionCommand.stateAttribute, to: "orphans", of: remote.mount.waitingPlace(of: remote.path))
            } catch {
                // What is known without the service is shown all the same.
                context.printer.warn(error.message)
            }
            // One that does not answer, perhaps of another version, hides none of the others.
            do throws(CommandFailure) { try show(remote.path, remote.mount, context, &rows) } catch {
                if remotes.count == 1 { throw error }
                context.printer.warn(error.message)
            }
        }
        if rows.isEmpty {
            context.printer.confirm("nothing is orphaned")
        } else {
            context.printer.table(["KIND", "PATH", "REASON"], rows)
        }
    }

    private func show(
        _ remote: String, _ mount: LiveMount, _ context: CommandContext, _ rows: inout [[String]]
    ) throws(CommandFailure) {
        let prefix = String(remote.dropFirst(mount.path.count + "/sessions/".count))
        for line in try mount.access.read(mount.stateFiles + "/orphans.jsonl").split(separator: "\n") {
            guard let orphan = JSONValue(parsing: line), let path = orphan["path"]?.string,
                path == prefix || path.hasPrefix(prefix + "/")
            else { continue }
            let shown = "\(mount.path)/sessions/\(path)"
            let (kind, reason) = (orphan["kind"]?.string ?? "", orphan["reason"]?.string ?? "")
            context.printer.document([
                "path": .string(shown), "mountpoint": .string(mount.path), "kind": .string(kind),
                "id": .text(orphan["id"]?.string), "reason": .string(reason),
            ])
            rows.append([kind, displayed(shown.utf8), displayed(reason.utf8)])
        }
    }
}
