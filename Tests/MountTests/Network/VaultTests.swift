import FXSystem
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// A vault (`mft`) through a mount: what a person sees of a group transfer, from `mkdir` to the service's verdict.
    @Suite("A vault") struct VaultTests {
        private func withVault(_ test: (MFTControl, Mounted, String) throws -> Void) throws {
            let vault = try MFTControl()
            let secret = try Scratch.file("secret")
            defer { _ = Sys.unlink(secret) }
            try Sys.write(secret, MFTControl.password)
            _ = Sys.chmod(secret, 0o600)
            let section = [
                "[remotes.vault]", "kind = \"mft\"", "url = \"http://127.0.0.1:\(vault.port)\(MFTControl.base)\"",
                "username = \"\(MFTControl.username)\"", "password_file = \"\(secret)\"", "",
            ]
            let setup = MountSetup(types: [], configuration: section.joined(separator: "\n"))
            try withMount(setup) { mounted in
                try test(vault, mounted, "\(mounted.mountpoint)/sessions/vault")
            }
        }

        @Test("A session is written, completed with a life, looked at and read; each step says what it is")
        func life() throws {
            try withVault { vault, mounted, remote in
                let session = "\(remote)/monday"
                #expect(Sys.mkdir(session) == .ok)
                #expect(Sys.mkdir("\(session)/deep") == .ok)
                #expect(Sys.mkdir("\(remote)/files") == Outcome(errno: EEXIST))
                #expect(Sys.mkdir("\(remote)/files/new") == .notPermitted)
                try Sys.write("\(session)/good", "let me pass")
                try Sys.write("\(session)/deep/bad", "evil")
                for name in ["a:b", "a\\b", " a", "a ", "a\nb"] {
                    #expect(Sys.opening("\(session)/\(name)", O_WRONLY | O_CREAT) == Outcome(errno: EILSEQ), "\(name)")
                }
                #expect(Sys.opening("\(session)/good", O_RDONLY).succeeded, "opening asks nobody")
                #expect(try run(["cat", "\(session)/good"]).errors.contains("busy"))
                try mounted.fxmount(["session", "status", session]).expect(ExitCode.ok)

                try vault.set(["processing_milliseconds": 600_000])
                try mounted.fxmount(["session", "complete", session, "--expires-after", "soon"]).expect(ExitCode.usage)
                try mounted.fxmount(["session", "complete", session, "--expires-after", "30d"]).expect(ExitCode.ok)
                #expect(try vault.groups().map(\.expiresAfter) == ["30:00:00:00"])
                demand(waitUntil(seconds: 20) { processing(session) == "pending BeingProcessed=2" })
                let pending = try mounted.fxmount(["session", "status", session])
                #expect(pending.code == ExitCode.workLeft && pending.errors.contains("BeingProcessed=2"), "\(pending)")
                #expect(Sys.writing("\(session)/late", "x") == Outcome(errno: EROFS))

                try vault.setOutcome("Blocked", of: "bad")
                try vault.set(["processing_milliseconds": 0])
                demand(waitUntil(seconds: 30) { processing(session) == "withheld Available=1 Blocked=1" })
                let withheld = try mounted.fxmount(["session", "status", session])
                #expect(withheld.code == 7 && withheld.errors.contains("deep/bad (Blocked: Infected)"), "\(withheld)")
                #expect(try Sys.attribute("\(session)/deep/bad", "user.fxmount.state") == "failed")
                #expect(try Sys.attribute("\(session)", "user.fxmount.state") == "complete")
                #expect(try Sys.text("\(session)/good") == "let me pass")
                // Of the configured url, and not of the port the service told.
                let id = try Sys.attribute("\(session)/good", "user.fxmount.remote_id").replacing("file/", with: "")
                let base = "http://127.0.0.1:\(vault.port)\(MFTControl.base)"
                #expect(try Sys.attribute("\(session)/good", "user.fxmount.url") == "\(base)/file/\(id)")
                #expect(try Sys.attribute("\(session)/good", "user.fxmount.status_url") == "\(base)/file/status/\(id)")
                let receipt = try mounted.fxmount(["session", "receipt", session]).output
                #expect(receipt.contains("\"status_url\":\"\(base)/file/status/\(id)\""), "\(receipt)")
                #expect(try run(["cat", "\(session)/deep/bad"]).errors.contains("denied"))
                // The same by the service's folders, read-only.
                #expect(try Sys.files(below: "\(remote)/files").sorted() == ["monday/deep/bad", "monday/good"])
                #expect(try Sys.text("\(remote)/files/monday/good") == "let me pass")
                #expect(Sys.writing("\(remote)/files/monday/good", "x") == .notPermitted)
                #expect(Sys.unlink("\(remote)/files/monday/good") == .notPermitted)
                let abort = try mounted.fxmount(["session", "abort", session])
                #expect(abort.code == 7 && !abort.errors.contains("Blocked"), "\(abort)")
            }
        }

        @Test("Verifying by content asks for each file once, and reads all of it")
        func verify() throws {
            try withVault { vault, mounted, remote in
                let session = "\(remote)/monday"
                #expect(Sys.mkdir(session) == .ok)
                var random = SeededRandom.forTest("vaultVerify")
                // More than is read at a time.
                try Sys.write("\(session)/large", random.bytes(9 << 20))
                try Sys.write("\(session)/small", "x")
                try mounted.fxmount(["session", "complete", session]).expect(ExitCode.ok)
                demand(waitUntil(seconds: 30) { processing(session) == "available Available=2" })
                let before = try vault.counter("quiet_downloads")
                let verified = try mounted.fxmount(["session", "verify", session, "--read"])
                #expect(verified.code == ExitCode.ok, "\(verified)")
                #expect(try vault.counter("quiet_downloads") == before + 2)
            }
        }

        private func processing(_ session: String) -> String {
            (try? Sys.attribute(session, "user.fxmount.processing")) ?? ""
        }

        @Test("Aborting deletes the group; a session of another remote kind has no life to be given")
        func abort() throws {
            try withVault { vault, mounted, remote in
                #expect(Sys.mkdir("\(remote)/s") == .ok)
                try Sys.write("\(remote)/s/a", "x")
                try mounted.fxmount(["session", "abort", "\(remote)/s"]).expect(ExitCode.ok)
                #expect(try vault.groups().map(\.state) == ["deleted"])
            }
            try withMount(MountSetup(types: [])) { mounted in
                #expect(Sys.mkdir(mounted.session("s")) == .ok)
                let refused = try mounted.fxmount([
                    "session", "complete", mounted.session("s"), "--expires-after", "1d",
                ])
                #expect(refused.code == ExitCode.noDelete, "\(refused)")
                try mounted.fxmount(["session", "complete", mounted.session("s")]).expect(ExitCode.ok)
            }
        }
    }
}
