import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// The life of a session on the command line.
    @Suite("The life of sessions") struct SessionLifeTests {
        @Test("status --watch tells of a session again and again, and ends when it is over")
        func watch() throws {
            try withMount(MountSetup(types: [])) { mounted in
                let session = mounted.session("w")
                #expect(Sys.mkdir(session) == .ok)
                try Sys.write("\(session)/f", "content")
                let watch = try Child(
                    [Binary.path, "session", "status", session, "--watch", "--json"],
                    environment: mounted.environment)
                defer { watch.killAll() }
                // Twice, so it goes on.
                demand(waitUntil(seconds: 20) { watch.output.split(separator: "\n").count >= 2 })
                try mounted.fxmount(["session", "complete", session]).expect(ExitCode.ok)
                #expect(watch.code(waitingMilliseconds: 20_000) == ExitCode.ok)
                let states = watch.output.split(separator: "\n").map { line in
                    Contract.object(String(line))?["state"] as? String ?? "\(line)"
                }
                #expect(states.first == "open" && states.last == "complete", "\(states)")
                // Over already: told once.
                let again = try mounted.fxmount(["session", "status", session, "--watch", "--json"])
                #expect(again.code == ExitCode.ok && again.lines.count == 1, "\(again)")
            }
        }

        @Test("A session whose files failed or are open is not completed, and each is named with exit 75")
        func obstacles() throws {
            try withMount(MountSetup(types: [])) { mounted in
                let session = mounted.session("o")
                #expect(Sys.mkdir(session) == .ok)
                #expect(Sys.mkdir("\(mounted.stored("o"))/refused") == .ok)
                let refused = try Sys.open("\(session)/refused", O_CREAT | O_WRONLY)
                #expect(refused.write("x") == .ok)
                #expect(refused.close() != .ok)
                let open = try Sys.open("\(session)/open", O_CREAT | O_WRONLY)
                let result = try mounted.fxmount(["session", "complete", session, "--json"])
                #expect(result.code == ExitCode.workLeft, "\(result)")
                demand(result.errors.contains("o/refused") && result.errors.contains("o/open"), "\(result)")
                #expect(try Sys.attribute(session, "user.fxmount.state") == "open")
                #expect(open.close() == .ok)
                // Put right, it can be completed.
                #expect(Sys.rmdir("\(mounted.stored("o"))/refused") == .ok)
                try mounted.fxmount(["retry", session]).expect(ExitCode.ok)
                try mounted.fxmount(["session", "complete", session]).expect(ExitCode.ok)
            }
        }

        @Test("Nothing is orphaned in a mount where nothing went wrong, and the remote is asked")
        func orphans() throws {
            try withMount(MountSetup(types: [])) { mounted in
                let session = mounted.session("s")
                #expect(Sys.mkdir(session) == .ok)
                try Sys.write("\(session)/f", "content")
                let none = try mounted.fxmount(["session", "list", "--orphaned", mounted.mountpoint])
                #expect(none.code == ExitCode.ok && none.output.contains("nothing is orphaned"), "\(none)")
                // What somebody who used this state directory before has left in the store.
                try Sys.write("\(mounted.stored("s"))/../.staging/0123456789abcdef", "half")
                let found = try mounted.fxmount(["session", "list", "--orphaned", "--json", mounted.mountpoint])
                let orphan = try #require(Contract.object(found.output), "\(found)")
                #expect(orphan["kind"] as? String == "upload" && orphan["id"] as? String == "0123456789abcdef")
                demand(try Sys.text("\(mounted.control)/orphans.jsonl").contains("0123456789abcdef"))
                #expect(Sys.setAttribute(session, "user.fxmount.state", "orphans") == .invalid)
            }
        }
    }
}
