internal import FXMapping
internal import FXRemote
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Whether configuration, state, types and mounts are in order.
enum StateChecks {
    static func all(_ application: ApplicationOption, _ context: CommandContext) -> [Check] {
        var checks = [configuration(context)]
        do throws(CommandFailure) {
            let path = try context.stateDirectoryPath()
            if unsafe access(path, F_OK) != 0 {
                checks.append(
                    .ok("state directory", "\(displayed(path.utf8)) is not there yet; the first mount makes it"))
            } else {
                let directory = try StateDirectory(opening: path, creating: false)
                checks += inside(directory, application, context)
            }
        } catch {
            checks.append(.fail("state directory", error.message, error.hint ?? "see --state-dir"))
        }
        return checks + mounts(context)
    }

    private static func configuration(_ context: CommandContext) -> Check {
        do throws(CommandFailure) {
            let configuration = try context.configuration()
            return .ok("configuration", configuration.path.map { displayed($0.utf8) } ?? "none, so one remote: local")
        } catch {
            return .fail("configuration", error.message, error.hint ?? "correct the file")
        }
    }

    private static func inside(
        _ directory: borrowing StateDirectory, _ application: ApplicationOption, _ context: CommandContext
    ) -> [Check] {
        let holder = StateLock.holder(of: directory)
        let place = displayed(directory.path.utf8)
        var checks: [Check] = [
            .ok("state directory", holder.map { "\(place), in use by pid \($0.pid)" } ?? "\(place), not in use")
        ]
        if let space = try? directory.descriptor.space() {
            checks.append(
                space.available < .mebibytes(256)
                    ? .warn(
                        "free space", "\(space.available) for spool and journal", "free some space on that file system")
                    : .ok("free space", "\(space.available) for spool and journal"))
        }
        checks += types(directory, application, context)
        checks.append(journal(directory))
        let recovered = fileCount(directory.path(of: "recovered"))
        checks.append(
            recovered == 0
                ? .ok("recovered files", "none")
                : .warn(
                    "recovered files", "\(recovered) of interrupted writes, never sent",
                    "look at \(displayed(directory.path(of: "recovered").utf8)), then take or remove them"))
        if holder == nil {
            let spooled = fileCount(directory.path(of: "spool"))
            if spooled > 0 {
                checks.append(
                    .warn("transfers", "\(spooled) spool files and no mount", "mount again, and they are sent"))
            }
        }
        return checks
    }

    private static func types(
        _ directory: borrowing StateDirectory, _ application: ApplicationOption, _ context: CommandContext
    ) -> [Check] {
        if unsafe access(directory.path(of: "mappings.sqlite"), F_OK) != 0 { return [.ok("mappings", "none yet")] }
        do {
            let findings = try RegistryCheck.findings(path: directory.path(of: "mappings.sqlite"))
            if !findings.isEmpty {
                return [.fail("mappings", findings.joined(separator: "; "), "restore mappings.sqlite from a backup")]
            }
            let types = try TypeRegistry(databasePath: directory.path(of: "mappings.sqlite"))
                .types(in: try application.id(context.surroundings))
            let mapped = types.filter { $0.status == .mapped }.count
            var checks: [Check] = [
                .ok(
                    "mappings", "database is sound; \(types.count) type\(types.count == 1 ? "" : "s"), \(mapped) mapped"
                )
            ]
            for type in types {
                guard let path = type.path else { continue }
                do throws(MappingError) { _ = try RealDirectory(mapping: path) } catch {
                    checks.append(
                        .warn("type \(type.title)", error.message, "bring the directory back, or `fxmount type update`")
                    )
                }
            }
            return checks
        } catch {
            return [
                .fail("mappings", CommandFailure(describing: error).message, "restore mappings.sqlite from a backup")
            ]
        }
    }

    private static func journal(_ directory: borrowing StateDirectory) -> Check {
        let path = directory.path(of: "journal.sqlite")
        if unsafe access(path, F_OK) != 0 { return .ok("journal", "none yet") }
        let remedy =
            "restore journal.sqlite and journal.ahead from a backup, or move both away: sealed bytes are in spool/, and until the next mount those of small files in journal.ahead and the table contents"
        do throws(RemoteError) {
            let findings = try JournalCheck.findings(path: path)
            return findings.isEmpty
                ? .ok("journal", "database is sound") : .fail("journal", findings.joined(separator: "; "), remedy)
        } catch { return .fail("journal", error.message, remedy) }
    }

    private static func mounts(_ context: CommandContext) -> [Check] {
        MountTable.current().ours.map { entry in
            let name = "mount \(displayed(entry.mountpoint))"
            do throws(CommandFailure) {
                let mount = LiveMount(path: entry.path, access: context.mountAccess())
                let status = try mount.status()
                let states = try mount.transfers().compactMap { $0["state"]?.string }
                let failed = states.filter { $0 == "failed" }.count
                let pending = states.filter { ["queued", "uploading"].contains($0) }.count
                let pid = status["pid"]?.integer.map { "pid \($0), " } ?? ""
                if failed > 0 {
                    return .warn(
                        name, "\(pid)\(failed) failed transfers",
                        "`fxmount status` tells why, `fxmount retry` sends them again")
                }
                return .ok(name, "\(pid)\(pending) transfers under way")
            } catch {
                return .fail(name, error.message, "fxmount unmount \(displayed(entry.mountpoint))")
            }
        }
    }

    /// Regular files below a directory; 0 when it cannot be read.
    private static func fileCount(_ path: String) -> Int {
        guard let directory = try? OwnedDescriptor.open(absolute: path, [.readOnly, .directory]) else { return 0 }
        return fileCount(directory, depth: 0)
    }

    private static func fileCount(_ directory: borrowing OwnedDescriptor, depth: Int) -> Int {
        // No session is deeper; a loop of bind mounts would be.
        guard depth < 100, let names = try? directory.entryNames() else { return 0 }
        var count = 0
        for name in names {
            guard let status = try? directory.status(of: name) else { continue }
            if status.isRegular { count += 1 }
            if status.isDirectory, let inner = try? directory.open(name, [.readOnly, .directory]) {
                count += fileCount(inner, depth: depth + 1)
            }
        }
        return count
    }
}
