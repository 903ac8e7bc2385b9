import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// Sessions shared by several users, and what a refused completion tells.
    @Suite("Ownership and second tries") struct OwnershipTests {
        @Test("With allow_other everybody makes sessions of their own, and only they and root write there", .root)
        func sharedRemote() throws {
            let setup = MountSetup(
                types: [], options: ["allow_other"],
                configuration:
                    "[mount]\nattribute_timeout = \"0s\"\n[remotes.local]\nkind = \"local\"\nconnections = 2\n")
            try withMount(setup) { mounted in
                #expect(Sys.chmod(mounted.base, 0o755) == .ok)
                let session = mounted.session("theirs")
                let script =
                    "umask 022; mkdir '\(session)' && echo bytes > '\(session)/f' && stat -c %u:%g '\(session)' '\(session)/f'"
                let made = try run(["sh", "-c", script], account: .nobody)
                #expect(made.code == 0 && made.output == "65534:65534\n65534:65534\n", "\(made)")
                #expect(try sh("stat -c %A:%u '\(mounted.mountpoint)/sessions/local'").output == "drwxrwxrwt:0\n")
                let own = mounted.session("own")
                #expect(Sys.mkdir(own) == .ok)
                for attempt in [
                    "echo x > '\(own)/f'", "mkdir '\(own)/d'", "setfattr -n user.fxmount.state -v complete '\(own)'",
                ] {
                    #expect(try run(["sh", "-c", attempt], account: .nobody).code != 0, "\(attempt)")
                }
                #expect(Sys.chown("\(session)/f", 7, 8) == .ok)
                #expect(try sh("stat -c %u:%g '\(session)/f'").output == "7:8\n")
                try Sys.write("\(session)/root", "may")
                try mounted.fxmount(["session", "complete", session]).expect(ExitCode.ok)
            }
        }

        @Test("Without allow_other a remote is the mounting user's")
        func ownRemote() throws {
            try withMount(MountSetup(types: [])) { mounted in
                let shown = try sh("stat -c %A '\(mounted.mountpoint)/sessions/local'").output
                #expect(shown == "drwxr-xr-x\n")
                #expect(Sys.mkdir(mounted.session("s")) == .ok)
                #expect(Sys.chown(mounted.session("s"), 7, 8) == .ok)
            }
        }

        @Test("A refused completion names the files; retry answers at every level")
        func obstacles() throws {
            try withMount(MountSetup(types: [])) { mounted in
                let session = mounted.session("s")
                #expect(Sys.mkdir(session) == .ok)
                let draft = try Sys.open("\(session)/open", O_WRONLY | O_CREAT)
                #expect(draft.write("not yet") == .ok)
                let refused = try mounted.fxmount(["session", "complete", session, "--json"])
                #expect(refused.code == ExitCode.workLeft, "\(refused)")
                let error = Contract.object(refused.errors)?["error"] as? [String: Any]
                let obstacle = (error?["obstacles"] as? [[String: Any]])?.first
                #expect(obstacle?["path"] as? String == "\(session)/open", "\(refused)")
                #expect(obstacle?["state"] as? String == "draft", "\(refused)")
                #expect(try Sys.attribute(session, "user.fxmount.error").contains("s/open"))
                #expect(draft.close() == .ok)
                for path in [session, "\(session)/open", mounted.mountpoint] {
                    try mounted.fxmount(["retry", path]).expect(ExitCode.ok)
                }
                #expect(Sys.setAttribute("\(mounted.mountpoint)/sessions/local", "user.fxmount.state", "retry") == .ok)
                try mounted.fxmount(["session", "complete", session]).expect(ExitCode.ok)
                let status = try mounted.fxmount(["session", "status", session, "--json"]).expect(ExitCode.ok)
                let files = Contract.object(status.output)?["files"] as? [String: Any]
                #expect(files?["committed"] as? Int == 1, "\(status)")
            }
        }
    }
}
